"""Quotations of a text, and whether another text has them word for word.

Word for word is up to white space, typographic marks, case, the mark before the closing one, and what
the quotation itself says is left out or put in: `...`, `[sic]`, `[T]he`.
"""

import re
import unicodedata

from doctrail_core.text.spans import Span

__all__ = ["is_verbatim", "quotations"]

_QUOTATION = re.compile(
    r"\"([^\"\n]{1,4000})\"|\u201c([^\u201c\u201d\n]{1,4000})\u201d|\xab([^\xab\xbb\n]{1,4000})\xbb"
)
_WORD = re.compile(r"\w+")
_FEWEST_WORDS = 4
"""Shorter ones are names and terms as often as quotations."""

_LEFT_OUT = re.compile(
    r"\[ ?(?:\.{3}|\u2026) ?\]|\( ?(?:\.{3}|\u2026) ?\)|\.{3,4}|\u2026|\[[^\[\]]{2,40}\]"
)
_ALTERED = re.compile(r"\[([^\W\d_])\]")
_SPACE = re.compile(r"\s+")
_MARKS = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\xab": '"', "\xbb": '"', "\u2013": "-", "\u2014": "-",
     "\u2010": "-", "\u2011": "-", "\u2212": "-", "\xad": None, "\u200b": None, "`": "'"}
)  # fmt: skip


def quotations(text: str, start: int, end: int) -> list[Span]:
    """Where, from `start` to `end`, four words or more are quoted; without the marks."""
    found = (match.span(match.lastindex or 0) for match in _QUOTATION.finditer(text, start, end))
    return [span for span in found if len(_WORD.findall(text, *span)) >= _FEWEST_WORDS]


def is_verbatim(quotation: str, text: str) -> bool:
    """Whether the text has the parts of the quotation, in their order."""
    parts = [
        _plain(part).strip(" ,.;:!?") for part in _LEFT_OUT.split(_ALTERED.sub(r"\1", quotation))
    ]
    text, place = _plain(text), 0
    for part in filter(None, parts):
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def _plain(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text).translate(_MARKS)).casefold()
