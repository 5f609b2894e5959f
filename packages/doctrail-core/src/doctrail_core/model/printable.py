"""Text as a terminal can safely show it.

Whatever a document, a model or a user wrote may hold control characters that rewrite a terminal and
bidirectional overrides that reorder a line. Nothing leaves this module that could do either.
"""

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["columns", "hanging", "heading", "one_line", "paragraphs", "printable", "wrapped"]

_JOINERS = "\u200c\u200d"  # scripts and emoji need them; they move nothing


def printable(text: str) -> str:
    r"""The text with everything that is not a visible character or a space spelled out, as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if _is_visible(c) else _spell_out(c) for c in text)


def one_line(text: str, width: int | None = None) -> str:
    """The text on one line, cut to `width` terminal cells with an ellipsis."""
    if width is not None:
        text = text[: width * 16]  # an excerpt of a text of megabytes should cost what it shows
    line = printable(" ".join(text.split()))
    return line if width is None or _cells(line) <= width else _cut(line, width - 1) + "…"


def paragraphs(text: str) -> Iterator[str]:
    """The lines of the text, each safe to print."""
    return (printable(line.expandtabs(4).rstrip()) for line in text.splitlines())


def columns(rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """The rows as aligned lines. Cells must be printable already.

    Args:
        rows: All of one length.
        width: Cut the last column where lines would be wider.
    """
    widths = [max(map(_cells, column)) for column in zip(*rows, strict=True)]
    room = None if width is None else max(width - sum(w + 2 for w in widths[:-1]), 8)
    for *row, last in rows:
        padded = [cell + " " * (w - _cells(cell)) for cell, w in zip(row, widths, strict=False)]
        yield "  ".join([*padded, one_line(last, room)]).rstrip()


def _is_visible(character: str) -> bool:
    if character.isprintable() or character in _JOINERS:
        return True
    return unicodedata.category(character) == "Zs"


def _spell_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(character: str) -> int:
    if unicodedata.combining(character) or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(line: str, width: int) -> str:
    used = 0
    for at, character in enumerate(line):
        used += _cell(character)
        if used > width:
            return line[:at].rstrip()
    return line


def heading(title: str) -> list[str]:
    """A title, apart from what stands above it."""
    return ["", title]


def hanging(first: str, lines: Sequence[str]) -> Iterator[str]:
    """The lines, the first one after this, the others indented by as much."""
    for number, line in enumerate(lines):
        yield f"{first if number == 0 else ' ' * len(first)}{line}".rstrip()


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of this width; a blank one is an empty line."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or ([""] if not text.strip() else [])
