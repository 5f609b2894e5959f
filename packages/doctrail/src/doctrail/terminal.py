"""Where a command speaks to. Nothing passes through here that a terminal would obey but our own bold."""

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

__all__ = ["Terminal"]

_INFINITY = float("inf")
_T = TypeVar("_T")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BOLD = "\x1b[1m{}\x1b[0m"


class Terminal:
    """Standard output and standard error, with colour only where it helps.

    A stream that the process was started without is None, and what is said there is lost.
    """

    def __init__(
        self, out: TextIO | None, err: TextIO | None, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._out = out
        self._err = err
        plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
        seen = out is not None and out.isatty()
        self._coloured = seen and not plain
        self._width = _width() if seen else None
        for stream in (out, err):
            _never_fail_to_encode(stream)

    @property
    def width(self) -> int | None:
        """Of the screen, in cells; None where nobody looks at one."""
        return self._width

    def say(self, text: str = "") -> None:
        """Print lines; those that begin at the margin and stand over others are headings."""
        lines = text.split("\n")
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            heading = self._coloured and line[:1].strip() and following.startswith(" ")
            self._print(_BOLD.format(_safe(line)) if heading else _safe(line))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns; the first row is the header. Columns that say nothing are left out."""
        from doctrail_core.model.printable import columns

        telling = [
            column for column in zip(*rows, strict=True) if any(c != "-" for c in column[1:])
        ]
        cells = [[_safe(cell) for cell in row] for row in zip(*telling, strict=True)]
        for number, line in enumerate(columns(cells, self._width)):
            self._print(_BOLD.format(line) if self._coloured and number == 0 else line)

    def data(self, value: object) -> None:
        """Print a value as one line of JSON."""
        import json

        self._print(json.dumps(_finite(value), default=_json_form, allow_nan=False))

    def csv(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Print records as CSV (RFC 4180), their fields in the first line; nothing if there are none.

        A cell that a spreadsheet would take for a formula begins with an apostrophe.
        """
        import csv
        import io

        line = io.StringIO()
        writer = csv.writer(line, lineterminator="")
        for number, record in enumerate(records):
            for cells in ([*record], [*map(_cell, record.values())])[bool(number) :]:
                writer.writerow(cells)
                self._print(line.getvalue())
                line.seek(0)
                line.truncate()

    def complain(self, text: str) -> None:
        """Say on standard error, in one line, what is wrong and what to do."""
        if self._err is not None:
            print(f"doctrail: {_safe(' '.join(text.split()))}", file=self._err)

    @contextmanager
    def progress(self, items: Sequence[_T], what: str) -> Generator[Iterable[_T]]:
        """The items, with a bar on standard error that says how many are done, where somebody looks at it."""
        from tqdm import tqdm

        seen = self._err is not None and self._err.isatty()
        with tqdm(items, what, file=self._err, disable=not seen, leave=False) as bar:
            yield bar

    def flush(self) -> None:
        """Have everything written, or fail."""
        if self._out is not None:
            self._out.flush()

    def _print(self, line: str) -> None:
        if self._out is not None:
            print(line, file=self._out)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _safe(value if isinstance(value, str) else _plain(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(value: Any) -> str:
    import json

    form = json.dumps(_finite(value), default=_json_form, allow_nan=False)
    return json.loads(form) if form.startswith('"') else form


def _safe(text: str) -> str:
    from doctrail_core.model.printable import printable

    return printable(text)


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _finite(value: Any) -> Any:
    """The value with null for what JSON has no number for, such as a score that is NaN."""
    match value:
        case float() if not -_INFINITY < value < _INFINITY:
            return None
        case dict():
            return {key: _finite(item) for key, item in cast("dict[Any, Any]", value).items()}
        case list() | tuple():
            return [_finite(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _json_form(value: Any) -> Any:
    isoformat: Callable[[], str] | None = getattr(value, "isoformat", None)
    if isoformat is None:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return isoformat()


def _never_fail_to_encode(stream: TextIO | None) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
