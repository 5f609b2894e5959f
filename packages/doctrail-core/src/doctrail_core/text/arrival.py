"""Did a retrieved chunk arrive in a prompt, how much of it, and where?

Arrival is observed: users format their context with code of their own, so the prompt that the model
got is the truth. A chunk is looked for as it is, then by its words alone (see `reading`), then
piece by piece. Every character of the prompt belongs to one chunk at most, except where it cannot
be told to which, and that is `ambiguous`:

- equal chunks, of which fewer copies arrived than were retrieved;
- chunks of which the very same pieces arrived;
- a chunk that stands in the prompt only inside of a longer one;
- a chunk of fewer than five words that has fewer than twelve letters, or stands there repeatedly.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from doctrail_core.model import ArrivalState
from doctrail_core.text.reading import TOKENS, WORDS, Reading
from doctrail_core.text.shingles import SHINGLE, Shingles
from doctrail_core.text.spans import Ownership, Span, merged, unexplained
from doctrail_core.text.tags import neutralise

__all__ = ["Match", "match", "unexplained"]

_FULL = 0.97
_MIN_SHARE = 0.1
_MIN_WORDS = 24
_TELLING_LETTERS = 12
_MAX_COPIES = 64


@dataclass(frozen=True, slots=True)
class Match:
    """How a chunk arrived; `spans` are the characters of the prompt, as it stands, that it takes."""

    state: ArrivalState
    coverage: float
    spans: tuple[Span, ...] = ()


def match(prompt: str, chunks: Mapping[str, str]) -> dict[str, Match]:
    """Find each chunk (id: text) in the prompt."""
    page = _Page(prompt)
    wanted = {chunk_id: _Wanted(text) for chunk_id, text in chunks.items()}
    found = _match_whole(page, wanted)
    found |= _match_pieces(page, {i: want for i, want in wanted.items() if i not in found})
    return {chunk_id: found.get(chunk_id) or Match("absent", 0.0) for chunk_id in chunks}


class _Wanted:
    """A chunk's text, read no further than it takes to find it."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.text)

    @cached_property
    def short(self) -> bool:
        return next(islice(WORDS.finditer(self.text), SHINGLE - 1, None), None) is None

    def says_little(self, copies: int) -> bool:
        letters = sum(map(str.isalnum, self.text)) if self.short else _TELLING_LETTERS
        return letters < _TELLING_LETTERS or (self.short and copies > 1)


class _Page:
    """The prompt, and which of its characters belong to a chunk already."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.owned = Ownership(len(prompt))

    @cached_property
    def words(self) -> Reading:
        return Reading(self.prompt)

    @cached_property
    def tokens(self) -> Reading:
        return Reading(self.prompt, TOKENS)

    def copies(self, want: _Wanted) -> tuple[Span, ...]:
        """Where the chunk stands as a whole, whoever owns that."""
        if want.short:
            return _read_copies(self.tokens, Reading(want.text, TOKENS))
        found = _copies(self.prompt, want.text) or _read_copies(self.words, want.reading)
        if not found and (shown := neutralise(want.text)) != want.text:
            found = _copies(self.prompt, shown) or _read_copies(self.words, Reading(shown))
        return found

    def own(self, copies: tuple[Span, ...]) -> Match:
        """Give a chunk what is free where it stands; where nothing is, it cannot be told apart."""
        free = tuple(self.owned.free(copies))
        if not any(any(map(str.isalnum, self.prompt[start:end])) for start, end in free):
            return Match("ambiguous", 1.0, copies)
        self.owned.take(free)
        return Match("full", 1.0, free)

    def free_words(self) -> list[Span]:
        taken = (self.words.words_within(*span) for span in self.owned.spans)
        return unexplained(len(self.words.words), taken)


def _copies(prompt: str, text: str) -> tuple[Span, ...]:
    places = _places(prompt, text, len(text))
    return tuple((place, place + len(text)) for place in islice(places, _MAX_COPIES))


def _read_copies(page: Reading, text: Reading) -> tuple[Span, ...]:
    # Copies in a row share the line feed between them.
    places = _places(page.line, text.line, len(text.line) - 1) if text.words else iter(())
    firsts = (bisect_left(page.at, place) for place in islice(places, _MAX_COPIES))
    return tuple(page.span(first, first + len(text.words)) for first in firsts)


def _places(within: str, text: str, step: int) -> Iterator[int]:
    place = within.find(text)
    while place >= 0:
        yield place
        place = within.find(text, place + step)


def _match_whole(page: _Page, wanted: Mapping[str, _Wanted]) -> dict[str, Match]:
    """Match the chunks that stand in the prompt as a whole; the longest owns its place first."""
    claims: dict[tuple[Span, ...], list[str]] = {}
    for chunk_id, want in wanted.items():
        if copies := page.copies(want):
            claims.setdefault(copies, []).append(chunk_id)
    found: dict[str, Match] = {}
    for copies, ids in sorted(claims.items(), key=lambda claim: -_length(claim[0][:1])):
        if any(wanted[chunk_id].says_little(len(copies)) for chunk_id in ids):
            found |= dict.fromkeys(ids, Match("ambiguous", 1.0, copies))
        elif len(copies) < len(ids):
            found |= dict.fromkeys(ids, Match("ambiguous", 1.0, copies))
            page.owned.take(copies)
        else:
            shares = {chunk_id: copies[n :: len(ids)] for n, chunk_id in enumerate(ids)}
            found |= {chunk_id: page.own(share) for chunk_id, share in shares.items()}
    return found


def _match_pieces(page: _Page, wanted: Mapping[str, _Wanted]) -> dict[str, Match]:
    """Match pieces of the other chunks with what is left; whoever has the larger share goes first."""
    texts = {chunk_id: want.reading for chunk_id, want in wanted.items() if not want.short}
    if not texts:
        return {}
    shingles = Shingles(page.words, page.free_words())
    claims: dict[tuple[Span, ...], list[str]] = {}
    for chunk_id, text in texts.items():
        claims.setdefault(shingles.find(text), []).append(chunk_id)
    owned = Ownership(len(page.words.words))
    found: dict[str, Match] = {}

    def share(claim: tuple[tuple[Span, ...], list[str]]) -> float:
        return _length(claim[0]) / min(len(texts[i].words) for i in claim[1])

    for runs, ids in sorted(claims.items(), key=share, reverse=True):
        free = merged(owned.free(runs))
        spans = tuple(page.words.span(*words) for words in free)
        for chunk_id in ids:
            coverage = _length(free) / len(texts[chunk_id].words)
            if coverage < _MIN_SHARE and _length(free) < _MIN_WORDS:
                continue
            state = "ambiguous" if len(ids) > 1 else "full" if coverage >= _FULL else "partial"
            found[chunk_id] = Match(state, coverage, spans)
            owned.take(free)
    return found


def _length(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)
