"""Finds what a judge quotes in the chunk that it names.

What is found is a stretch of the chunk that has the very words of the quote, or all but a few that differ
in an article or a letter. A quote is not found if a number differs, a negation, or a word of the claim:
then the judge has quoted what the chunk does not say.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice

from doctrail_core.grounding.embedded.lexicon import NUMERALS
from doctrail_core.grounding.judge.visible import HOLE, INVISIBLE
from doctrail_core.text.reading import Reading
from doctrail_core.text.spans import Span

__all__ = ["Quotable"]

_ELISION = re.compile(r"[\[(]\s{0,3}(?:\.{3}|\u2026)\s{0,3}[\])]|\.{3,}|\u2026")
_WORDS, _LETTERS = 2, 5
"""So much a quote must have to mean one place, unless it is all that the chunk says."""
_PLACES = 50
"""So many places are tried at which a quote seems to stand."""
_SYMBOLS = re.compile(r"[$\u20ac\xa3\xa5%\xb0\xb1<>\u2264\u2265=]")
_NUMBER_BEFORE = re.compile(r"\d[.,]?\Z")
_NUMBER_AFTER = re.compile(r"[.,]?\d")

_LONGEST = 800
"""So many words a quote may have of which a few differ."""
_PER_DIFFERENCE = 10
_ARTICLES = frozenset({"a", "an", "the"})
_SHORTEST_TYPO = 5
"""With one letter changed, a shorter word is another word."""


class Quotable:
    """A chunk's text, to find quotes in."""

    def __init__(self, text: str) -> None:
        self._text = INVISIBLE.sub("", text)
        self._page = Reading(self._text)
        hidden = [found.start() for found in INVISIBLE.finditer(text)]
        self._hidden = [at - before for before, at in enumerate(hidden)]

    def find(self, quote: str, claim: str = "") -> tuple[Span, ...]:
        """Where the parts of a quote stand, in order; empty unless all of them do.

        Args:
            quote: What the judge quotes; dots in it stand for what it left out.
            claim: What it is quoted for.
        """
        found: list[Span] = []
        for part in filter(None, map(str.strip, _ELISION.split(quote))):
            span = self._find(part, found[-1][1] if found else 0, claim)
            if span is None:
                return ()
            found.append(span)
        return tuple(self._original(*span) for span in found)

    def _original(self, start: int, end: int) -> Span:
        return start + bisect_right(self._hidden, start), end + bisect_left(self._hidden, end)

    def _find(self, part: str, after: int, claim: str) -> Span | None:
        if not _means_one_place(part) and part != self._text.strip():
            return None
        places = (*self._verbatim(part, after), *self._in_words(part, after))
        if not any(self._stands(part, *place) for place in places):
            places = tuple(self._nearly(part, after, frozenset(Reading(claim).words)))
        return next((place for place in places if self._stands(part, *place)), None)

    def _stands(self, part: str, start: int, end: int) -> bool:
        """Whether the part can mean that stretch: it takes no number apart, and leaps over nothing."""
        text = self._text
        if HOLE.search(text, start, end):
            return False
        if text[start].isdigit() and _NUMBER_BEFORE.search(text[max(start - 2, 0) : start]):
            return False
        if text[end - 1].isdigit() and _NUMBER_AFTER.match(text, end):
            return False
        return _symbols(part) <= _symbols(text[max(start - 2, 0) : end + 2])

    def _verbatim(self, part: str, after: int) -> Iterator[Span]:
        """Where the very characters stand, without a piece of another word."""
        for start in islice(_occurrences(self._text, part, after), _PLACES):
            end = start + len(part)
            first, last = self._page.words_within(start, end)
            within = self._page.span(first, last) if first < last else (start, end)
            if start <= within[0] and within[1] <= end:
                yield start, end

    def _in_words(self, part: str, after: int) -> Iterator[Span]:
        """Where the same words stand, however they are written."""
        page, read = self._page, Reading(part)
        if not read.words:
            return
        line_start = page.at[page.words_within(after, after)[1]]
        for found in islice(_occurrences(page.line, read.line, line_start), _PLACES):
            first = bisect_left(page.at, found)
            yield page.span(first, first + len(read.words))

    def _nearly(self, part: str, after: int, touchy: frozenset[str]) -> Iterator[Span]:
        """The place where nearly the same words stand, if they mean the same."""
        quoted = Reading(part).words
        allowed = len(quoted) // _PER_DIFFERENCE
        if not allowed or len(quoted) > _LONGEST:
            return
        begin = self._page.words_within(after, after)[1]
        distance, end = _closest(quoted, self._page.words[begin:])
        if distance > allowed:
            return
        end += begin
        around = self._page.words[max(begin, end - len(quoted) - allowed) : end]
        start = end - _closest(quoted[::-1], around[::-1])[1]
        if start < end and _alike(quoted, self._page.words[start:end], touchy):
            yield self._page.span(start, end)


def _means_one_place(part: str) -> bool:
    words = Reading(part).words
    return len(words) >= _WORDS and sum(map(len, words)) >= _LETTERS


def _symbols(text: str) -> Counter[str]:
    return Counter(_SYMBOLS.findall(text))


def _occurrences(text: str, part: str, start: int) -> Iterator[int]:
    while (start := text.find(part, start)) >= 0:
        yield start
        start += max(len(part) - 1, 1)  # in a line of words the last line feed opens the next word


def _closest(words: Sequence[str], page: Sequence[str]) -> tuple[int, int]:
    """How many words must differ where a row of words nearly stands in a page, and where that ends.

    Myers' algorithm: one step for each word of the page, all words of the row in the bits of a number.
    """
    places: dict[str, int] = defaultdict(int)
    for at, word in enumerate(words):
        places[word] |= 1 << at
    every, last = (1 << len(words)) - 1, 1 << (len(words) - 1)
    more, fewer, distance = every, 0, len(words)
    best, end, going = distance, 0, True
    for at, word in enumerate(page, 1):
        same = places.get(word, 0)
        across = (((same & more) + more) ^ more) | same
        up, down = fewer | (every & ~(across | more)), more & across
        distance += bool(up & last) - bool(down & last)
        up, down = up << 1 & every, down << 1 & every
        more, fewer = down | (every & ~(same | fewer | up)), up & (same | fewer)
        if distance < best or (distance == best and going):
            best, end, going = distance, at, True
        else:
            going = False
    return best, end


def _alike(quoted: Sequence[str], said: Sequence[str], touchy: frozenset[str]) -> bool:
    compared = SequenceMatcher(None, quoted, said, autojunk=False).get_opcodes()
    return all(
        kind == "equal" or _means_the_same(quoted[a:b], said[c:d], touchy)
        for kind, a, b, c, d in compared
    )


def _means_the_same(quoted: Sequence[str], said: Sequence[str], touchy: frozenset[str]) -> bool:
    quoted, said = ([w for w in words if w not in _ARTICLES] for words in (quoted, said))
    if "".join(quoted) == "".join(said):
        return True
    return len(quoted) == len(said) and all(
        one == other or (one not in touchy and other not in touchy and _misspelt(one, other))
        for one, other in zip(quoted, said, strict=True)
    )


def _misspelt(one: str, other: str) -> bool:
    """Whether two words differ in a letter after the first, or in the order of two."""
    if min(len(one), len(other)) < _SHORTEST_TYPO or one[0] != other[0]:
        return False
    if not (one.isalpha() and other.isalpha()) or {one, other} & NUMERALS:
        return False
    return _one_step(one, other) or _one_step(other, one)


def _one_step(one: str, other: str) -> bool:
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(other))
    rests = (one[at + 1 :], one[at : at + 2][::-1] + one[at + 2 :])
    return other[at + 1 :] == rests[0] or other[at:] in rests
