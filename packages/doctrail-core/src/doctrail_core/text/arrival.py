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
from itertools import islice, pairwise

from doctrail_core.model import ArrivalState
from doctrail_core.text.reading import TOKENS, WORDS, Reading
from doctrail_core.text.shingles import SHINGLE, Shingles
from doctrail_core.text.spans import Ownership, Span, merged, unexplained
from doctrail_core.text.tags import neutralise

__all__ = ["Match", "match"]

_FULL = 0.97
_MAX_COPIES = 64
"""Copies of one chunk that are told apart."""
_PLAIN_LETTERS = 64
"""From so many characters on a text is no chance find, if it stands there once."""
_TELLING_LETTERS = 12
"""Fewer say so little that they stand anywhere by chance: a name, a date, a yes."""

# Pieces of absent chunks stand in most prompts: what the question quotes, phrases of the trade.
# These values were chosen by `benchmarks/arrival.py` (table "threshold"): with eight words of an
# absent chunk in the question, about 5 % of such chunks are taken for arrived; of chunks cut to
# their first hundred characters none is missed, of those cut to sixty one half.
_TELLING_WORDS = 10
_TELLING_SHARE = 0.2
_ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """How a chunk arrived; `spans` are the characters of the prompt, as it stands, that it takes."""

    state: ArrivalState
    coverage: float
    spans: tuple[Span, ...] = ()


def match(prompt: str, chunks: Mapping[str, str]) -> dict[str, Match]:
    """Find each chunk (id: text) in the prompt."""
    if plain := _match_plainly(prompt, chunks):
        return plain
    page = _Page(prompt)
    wanted = {chunk_id: _Wanted(text) for chunk_id, text in chunks.items()}
    found = _match_whole(page, wanted)
    found |= _match_pieces(page, {i: want for i, want in wanted.items() if i not in found})
    return {chunk_id: found.get(chunk_id) or Match("absent", 0.0) for chunk_id in chunks}


def _match_plainly(prompt: str, chunks: Mapping[str, str]) -> dict[str, Match]:
    """Match the chunks if each stands there once, as it is, apart from the others; else nothing.

    That is how most prompts are made, and then there is nothing to weigh.
    """
    found: dict[str, Match] = {}
    for chunk_id, text in chunks.items():
        wanted = text.strip()
        place = prompt.find(wanted) if len(wanted) >= _PLAIN_LETTERS else -1
        if place < 0 or prompt.find(wanted, place + 1) >= 0:
            return {}
        found[chunk_id] = Match("full", 1.0, ((place, place + len(wanted)),))
    spans = sorted(match.spans[0] for match in found.values())
    apart = all(one[1] <= other[0] for one, other in pairwise(spans))
    return found if apart else {}


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
    places = islice(_places(prompt, text, len(text)), _MAX_COPIES)
    return tuple((place, place + len(text)) for place in places)


def _read_copies(page: Reading, text: Reading) -> tuple[Span, ...]:
    # A needle is found much faster by a rare character at its end than by a line feed.
    if not text.words or text.line[:-1] not in page.line:
        return ()
    places = islice(_places(page.line, text.line, len(text.line) - 1), _MAX_COPIES)
    firsts = (bisect_left(page.at, place) for place in places)
    return tuple(page.span(first, first + len(text.words)) for first in firsts)


def _places(within: str, text: str, step: int) -> Iterator[int]:
    place = within.find(text)
    while place >= 0:
        yield place
        place = within.find(text, place + step)


def _match_whole(page: _Page, wanted: Mapping[str, _Wanted]) -> dict[str, Match]:
    """Match the chunks that stand in the prompt as a whole; the longest owns its place first."""
    claims = _claims({chunk_id: page.copies(want) for chunk_id, want in wanted.items()})
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
    """Match pieces of the other chunks with what is left."""
    texts = {chunk_id: want.reading for chunk_id, want in wanted.items() if not want.short}
    if not texts:
        return {}
    shingles = Shingles(page.words, page.free_words())
    claims = _claims({chunk_id: shingles.find(text) for chunk_id, text in texts.items()})
    shares = [
        max(_length(pieces) / len(texts[chunk_id].words) for chunk_id in ids)
        for pieces, ids in claims.items()
    ]
    found: dict[str, Match] = {}
    for pieces, ids in zip(_divide(claims, shares), claims.values(), strict=True):
        found |= _match_same(page.words, pieces, {chunk_id: texts[chunk_id] for chunk_id in ids})
    return found


def _divide(claims: Iterable[Iterable[Span]], shares: list[float]) -> list[list[Span]]:
    """Give every place to the longest piece that wants it, of equal ones to the largest share."""
    pieces = [(piece, number) for number, claim in enumerate(claims) for piece in claim]
    pieces.sort(key=lambda each: (each[0][0] - each[0][1], -shares[each[1]]))
    owned = Ownership(max((end for (_, end), _ in pieces), default=0))
    given: list[list[Span]] = [[] for _ in shares]
    for piece, number in pieces:
        free = owned.free([piece])
        owned.take(free)
        given[number] += free
    return [merged(each) for each in given]


def _match_same(page: Reading, pieces: list[Span], texts: dict[str, Reading]) -> dict[str, Match]:
    """Match the chunks of which the very same pieces were found."""
    spans = tuple(page.span(*piece) for piece in pieces)
    found: dict[str, Match] = {}
    for chunk_id, text in texts.items():
        coverage = _length(pieces) / len(text.words)
        if pieces and _tell(page, pieces, coverage):
            alone: ArrivalState = "full" if coverage >= _FULL else "partial"
            found[chunk_id] = Match(alone if len(texts) == 1 else "ambiguous", coverage, spans)
    return found


def _tell(page: Reading, pieces: list[Span], coverage: float) -> bool:
    sizes = [page.weight(*piece) for piece in pieces]
    told = max(sizes) >= _TELLING_WORDS or coverage >= _TELLING_SHARE
    return coverage >= _ENOUGH or (told and sum(sizes) >= _TELLING_WORDS)


def _claims(places: Mapping[str, tuple[Span, ...]]) -> dict[tuple[Span, ...], list[str]]:
    """Bring together the chunks that were found in the very same places."""
    claims: dict[tuple[Span, ...], list[str]] = {}
    for chunk_id, spans in places.items():
        if spans:
            claims.setdefault(spans, []).append(chunk_id)
    return claims


def _length(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)
