"""Where a command speaks to. Nothing passes through here that a terminal would obey but our own bold."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

__all__ = ["Terminal"]

_BOLD = "\x1b[1m{}\x1b[0m"


class Terminal:
    """Standard output and standard error, with colour only where it helps."""

    def __init__(
        self, out: TextIO, err: TextIO, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._out = out
        self._err = err
        plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
        self._coloured = out.isatty() and not plain
        for stream in (out, err):
            _never_fail_to_encode(stream)

    def say(self, text: str = "") -> None:
        """Print lines; those that begin at the margin and stand over others are headings."""
        lines = text.split("\n")
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            heading = self._coloured and line[:1].strip() and following.startswith(" ")
            self._print(_BOLD.format(_safe(line)) if heading else _safe(line))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns; the first row is the header."""
        from doctrail_core.model.printable import columns

        for number, line in enumerate(columns([[_safe(cell) for cell in row] for row in rows])):
            self._print(_BOLD.format(line) if self._coloured and number == 0 else line)

    def data(self, value: object) -> None:
        """Print a value as one line of JSON."""
        self._print(json.dumps(value, default=_json_form, allow_nan=False))

    def complain(self, text: str) -> None:
        """Say on standard error, in one line, what is wrong and what to do."""
        print(f"doctrail: {_safe(' '.join(text.split()))}", file=self._err)

    def _print(self, line: str) -> None:
        print(line, file=self._out)


def _safe(text: str) -> str:
    from doctrail_core.model.printable import printable

    return printable(text)


def _json_form(value: Any) -> Any:
    isoformat: Callable[[], str] | None = getattr(value, "isoformat", None)
    if isoformat is None:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return isoformat()


def _never_fail_to_encode(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
