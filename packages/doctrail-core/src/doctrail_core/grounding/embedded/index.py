"""What arrived, as sentences that can be found by their words.

Built once for an answer, in time in proportion to the passages. What one look-up costs is bounded.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log

from doctrail_core.grounding.embedded.lexicon import synonyms
from doctrail_core.grounding.embedded.spelling import acronyms, compounds
from doctrail_core.grounding.embedded.structure import is_data, structure
from doctrail_core.grounding.embedded.words import Word, derived, words
from doctrail_core.grounding.verifier import Passage
from doctrail_core.text.languages import is_english
from doctrail_core.text.sentences import sentences
from doctrail_core.text.spans import Span
from doctrail_core.text.values import Value, values_in

__all__ = ["Index", "Line"]

_POSTINGS = 300
"""A word in more sentences than this finds only the first of them."""
_BUCKET = 64
_ROOT = 4
_DERIVED, _SYNONYM, _SPELT = 0.9, 0.75, 0.9
_LONG, _LONGEST = 160, 1500
"""A sentence of no capitals, and any sentence, from this length on is taken to be several."""
_ASKED = 400
"""So many words of a question are taken note of."""
_HOLE = " " * 8
"""So many blanks stand for characters that did not arrive."""
_ENDS = ".!?\u2026\"'\u201d\u2019)]"
_CLOSING = "\"'\u201d\u2019)]* "
_HEAD = 2000
"""So much of a passage shows what it is."""
_ITEM = re.compile(r"\n[ \t]{0,8}(?:[-*+\u2022\u00b7]|\(?\w{1,3}[.)])[ \t]*$")
_STOP = re.compile(r"(?<=[a-z0-9)%]{2})[.!?](?=\s+[a-z0-9])\s+")


@dataclass(frozen=True)
class Line:
    """A sentence of a passage: characters `[start, end)` of its text. Of an item of a list `lead` is the clause that leads to it."""

    passage: int
    start: int
    end: int
    text: str
    words: tuple[Word, ...]
    stems: frozenset[str]
    data: bool
    open: bool
    lead: str

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return values_in(self.text)

    @property
    def cut(self) -> bool:
        """Whether part of the sentence did not arrive: long blanks stand in its place."""
        return _HOLE in self.text or self.open

    @property
    def asks(self) -> bool:
        """Whether it is a question, which says nothing by itself."""
        return self.text.rstrip(_CLOSING).endswith("?")

    @cached_property
    def prose(self) -> bool:
        return not self.data and structure(self.text) is None


class Index:
    """The sentences of the passages, in order."""

    def __init__(self, passages: Sequence[Passage], question: str | None = None) -> None:
        self.passages = passages
        self.lines = [line for at, passage in enumerate(passages) for line in _lines(at, passage)]
        self.asked = frozenset(word.stem for word in words(question or "")[:_ASKED])
        self._postings: dict[str, list[int]] = defaultdict(list)
        self._seen_in: dict[str, int] = defaultdict(int)
        for at, line in enumerate(self.lines):
            for found in line.stems:
                self._seen_in[found] += 1
                if len(places := self._postings[found]) < _POSTINGS:
                    places.append(at)
        self._variants: dict[str, Mapping[str, float]] = {}

    @cached_property
    def unread(self) -> str | None:
        """Why nothing can be said by these passages: all are of another language, or no prose."""
        kinds = set(self._kinds)
        return kinds.pop() if len(kinds) == 1 else None

    @cached_property
    def partly_foreign(self) -> bool:
        """Whether some passage may say it in another language."""
        return "other_language" in self._kinds

    @cached_property
    def _kinds(self) -> Sequence[str | None]:
        texts = [text for passage in self.passages if (text := passage.text[:_HEAD]).strip()]
        return [
            "table" if is_data(text) else "other_language" if is_english(text) is False else None
            for text in texts
        ]

    def weight(self, stem: str) -> float:
        """How much it tells that a sentence has the word: the more, the fewer have it."""
        return log(1 + (len(self.lines) + 0.5) / (self._seen_in.get(stem, 0) + 0.5))

    def having(self, stem: str) -> Sequence[int]:
        """The sentences that have the very word."""
        return self._postings.get(stem, ())

    def variants(self, stem: str) -> Mapping[str, float]:
        """The words of the passages that say what the word says, with how surely they do."""
        if (found := self._variants.get(stem)) is None:
            found = self._variants[stem] = dict(self._look_up(stem))
        return found

    @cached_property
    def values(self) -> Mapping[str, Sequence[tuple[int, Value]]]:
        """The values of all sentences by their kind, each with its sentence."""
        found: dict[str, list[tuple[int, Value]]] = defaultdict(list)
        for at, line in enumerate(self.lines):
            for value in line.values:
                found[value.kind].append((at, value))
        return found

    @cached_property
    def numbers(self) -> frozenset[float]:
        """The numbers of all values, of whatever."""
        values = [value for found in self.values.values() for _, value in found]
        ends = {end for value in values for end in (value.number, value.upper) if end is not None}
        return frozenset(ends | {float(value.year) for value in values if value.year is not None})

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Words that follow each other, the small ones between them left out."""
        rows = (
            [word.stem for word in line.words if word.kind != "function"] for line in self.lines
        )
        return frozenset(pair for row in rows for pair in pairwise(row))

    def knows(self, word: Word) -> float:
        """How surely the passages or the question have the word in some form."""
        if word.stem in self.asked:
            return 1.0
        if surely := max(self.variants(word.stem).values(), default=0.0):
            return surely
        if word.text.casefold() in self._compounds or word.text in self._acronyms:
            return _SPELT
        return _DERIVED * any(derived(*sorted((word.stem, asked))) for asked in self.asked)

    def spells(self, compound: str) -> bool:
        """Whether the passages have this as one word."""
        return compound in self._spelt

    @cached_property
    def _spelt(self) -> frozenset[str]:
        return frozenset(word.text.casefold() for line in self.lines for word in line.words)

    @cached_property
    def _compounds(self) -> frozenset[str]:
        return frozenset(text for line in self.lines for _, text in compounds(line.words))

    @cached_property
    def _acronyms(self) -> frozenset[str]:
        return frozenset(
            text for line in self.lines for text in acronyms(line.words) if len(text) > 1
        )

    def _look_up(self, stem: str) -> Iterable[tuple[str, float]]:
        for other in synonyms().get(stem, ()):
            if other in self._seen_in:
                yield other, _SYNONYM
        for other in self._roots.get(stem[:_ROOT], ()):
            if derived(*sorted((stem, other))):
                yield other, _DERIVED
        if stem in self._seen_in:
            yield stem, 1.0

    @cached_property
    def _roots(self) -> Mapping[str, Sequence[str]]:
        buckets: dict[str, list[str]] = defaultdict(list)
        for stem in self._seen_in:
            if len(bucket := buckets[stem[:_ROOT]]) < _BUCKET and len(stem) >= _ROOT:
                bucket.append(stem)
        return buckets


def _lines(at: int, passage: Passage) -> Iterable[Line]:
    data = is_data(passage.text[:_HEAD])
    lead, done = "", 0
    for start, end in _spans(passage.text):
        text = passage.text[start:end]
        found = tuple(words(text))
        told = frozenset(word.stem for word in found if word.kind != "function")
        cut = _borders_on_a_hole(passage.text, start, end)
        if "\n" in (gap := passage.text[done:start]) and not _ITEM.search(gap):
            lead = ""
        yield Line(at, start, end, text, found, told, data, cut, lead)
        if text.endswith(":"):
            lead = text[max(map(text.rfind, ",;")) + 1 :]
        done = end


def _borders_on_a_hole(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - len(_HOLE)) : start], text[end : end + len(_HOLE)]
    return (before == _HOLE and not text[start].isupper()) or (
        after == _HOLE and text[end - 1] not in _ENDS
    )


def _spans(text: str) -> Iterable[Span]:
    """The sentences; of a text that has lost its capitals, those that full stops part; none too long."""
    for start, end in sentences(text):
        lost = end - start > _LONG and not any(map(str.isupper, text[start:end]))
        stops = [(m.start() + 1, m.end()) for m in _STOP.finditer(text, start, end)] if lost else []
        begins = [start, *(begin for _, begin in stops)]
        for begin, stop in zip(begins, [*(stop for stop, _ in stops), end], strict=True):
            yield from _pieces(text, begin, stop)


def _pieces(text: str, start: int, end: int) -> Iterable[Span]:
    while end - start > _LONGEST:
        middle = start + _LONGEST // 2
        stop = max(text.rfind(" ", middle, start + _LONGEST), middle)
        yield start, stop
        start = stop
    if start < end:
        yield start, end
