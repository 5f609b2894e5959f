"""Finding in a text what stands in others, and putting something of the same length in its place.

What is found is every five words in a row that one of the texts has, too, however they are spaced, punctuated,
cased or escaped; so of a text that was cut, re-wrapped or quoted in part no more than four words stay. Offsets
into what is left stay what they were.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from doctrail_core.text.reading import Reading
from doctrail_core.text.spans import Ownership, Span, merged
from doctrail_core.trails.prompts import ERASED

__all__ = ["FILLER", "Scrubber", "filler"]

FILLER = "·"

_ROW = 5
_FEWEST_LETTERS = 12
"""A text of fewer than five words with fewer letters stands anywhere by chance: a name, a date, a yes."""
_SHORTEST_NAME = 4
_LONG_WORD = 16


def filler(length: int) -> str:
    """What stands for a text of this length."""
    return ERASED.ljust(length, FILLER) if length >= len(ERASED) else FILLER * length


class Scrubber:
    """Takes out what stands in some texts.

    Args:
        texts: Whose words are to go.
        names: What is to go where it stands alone and as it is. One that might be a common word stays.
    """

    def __init__(self, texts: Iterable[str], names: Collection[str] = ()) -> None:
        self._rows: dict[int, set[str]] = {}
        self._literals: list[str] = []
        for text in dict.fromkeys(texts):
            self._learn(text)
        told = sorted(filter(_is_telling, names), key=len, reverse=True)
        words = "|".join(map(re.escape, told))
        self._names = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if told else None

    def find(self, text: str) -> list[Span]:
        """What of the text is to go."""
        return merged((*self._whole(text), *self._worded(text), *self._named(text)))

    def scrub(self, text: str, *, also: Iterable[Span] = (), keep: Iterable[Span] = ()) -> str:
        """The text without it.

        Args:
            text: Any text.
            also: What is to go besides.
            keep: What is known to come from elsewhere, and stays.
        """
        spans = merged((*self.find(text), *also))
        if not spans:
            return text
        owned = Ownership(len(text))
        owned.take(keep)
        parts: list[str] = []
        done = 0
        for start, end in merged(owned.free(spans)):
            parts += (text[done:start], filler(end - start))
            done = end
        return "".join((*parts, text[done:]))

    def _learn(self, text: str) -> None:
        whole = text.strip()
        if len(whole) >= _FEWEST_LETTERS:
            self._literals.append(whole)
        reading = Reading(text)
        size = min(_ROW, len(reading.words))
        if size == _ROW or sum(map(str.isalnum, text)) >= _FEWEST_LETTERS:
            self._rows.setdefault(size, set()).update(row for _, row in _rows(reading, size))

    def _whole(self, text: str) -> Iterator[Span]:
        for literal in self._literals:
            at = text.find(literal)
            while at >= 0:
                yield at, at + len(literal)
                at = text.find(literal, at + len(literal))

    def _worded(self, text: str) -> Iterator[Span]:
        if not self._rows:
            return
        page = Reading(text)
        found = (
            (first, first + size)
            for size, wanted in self._rows.items()
            for first, row in _rows(page, size)
            if row in wanted
        )
        yield from (page.span(*words) for words in merged(found))

    def _named(self, text: str) -> Iterator[Span]:
        if self._names is not None:
            yield from (found.span() for found in self._names.finditer(text))


def _rows(reading: Reading, size: int) -> Iterator[tuple[int, str]]:
    """Every `size` words in a row, by the first one's number."""
    if size:
        ends = zip(reading.at, reading.at[size:], strict=False)
        for first, (start, end) in enumerate(ends):
            yield first, reading.line[start:end]


def _is_telling(name: str) -> bool:
    return len(name) >= _SHORTEST_NAME and (not name.isalpha() or len(name) >= _LONG_WORD)
