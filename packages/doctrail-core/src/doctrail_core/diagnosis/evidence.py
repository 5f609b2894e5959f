"""What there is to judge by: the chunks on record and those that a probe brought, and how each fared.

`arrived` and `retrieved` are from the record alone. `corpus` is what the live retriever returns now, which
may not be what it returned then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from doctrail_core.capture.records import chunk_record
from doctrail_core.diagnosis.probe import Probe
from doctrail_core.diagnosis.sayings import Saying, Sentence, read
from doctrail_core.diagnosis.topic import ABOUT, ANSWERS, Topic
from doctrail_core.grounding.passages import arrived
from doctrail_core.model import Arrival, Chunk, Finding, Hit, Trail
from doctrail_core.model.claim import Evidence as Span
from doctrail_core.text.identity import clean_text

__all__ = ["Evidence", "Found", "Place"]

_DEEP = 50
"""So many chunks a probe is asked for; ten times as many as were, where that is more."""
_MOST_QUERIES = 5
"""An agent may have asked for a hundred things; the first ones are asked again."""
_STATES = ("full", "partial", "ambiguous", "absent")
_LONGEST_QUOTE = 600


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that a probe brought: asked what, at which rank (from 0), and with which score.

    `by` is `question`, where a larger k would have brought it; `unfiltered`, where only without the
    filters; `expected`, where only by the words of the right answer.
    """

    chunk: Chunk
    by: str
    rank: int
    score: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence of a chunk, and how much of what was asked it is about."""

    chunk: Chunk
    sentence: Sentence
    relevance: float

    @property
    def quote(self) -> str:
        text = self.chunk.text or ""
        return text[self.sentence.start : self.sentence.end][:_LONGEST_QUOTE]


class Evidence:
    """Everything that is known, for one diagnosis."""

    def __init__(self, trail: Trail, probe: Probe | None, expected: str | None) -> None:
        """Look at the record; the probe is asked when it is needed."""
        self.trail = trail
        self.retrieved = trail.chunks
        self.arrived: Mapping[str, str] = {p.chunk_id: p.text for p in arrived(trail)}
        self._probe = probe
        self._expected = expected
        self.trouble: str | None = None

    # -- where something is said -------------------------------------------------------------------

    def in_prompt(self, saying: Saying) -> list[Place]:
        """Where what arrived says it, the most to the point first."""
        return self._places(saying, self.read)

    def in_retrieved(self, saying: Saying) -> list[Place]:
        """Where what was retrieved says it, whether it arrived or not; also where a later step cut it away."""
        return self._places(saying, _read(self.found_then))

    def in_corpus(self, saying: Saying) -> list[Place]:
        """Where the corpus says it, as far as the probe can tell, and nothing that was retrieved."""
        return self._places(saying, _read(self.found_now))

    def closest(self, chunks: Iterable[tuple[Chunk, str]]) -> Place | None:
        """The sentence of these that is most about what was asked."""
        places = (
            Place(chunk, sentence, self.topic.relevance(chunk, text, sentence))
            for chunk, text in chunks
            for sentence in read(text)
        )
        return max(places, key=lambda place: place.relevance, default=None)

    def answering(self, chunks: Iterable[tuple[Chunk, str]]) -> Place | None:
        """The sentence of these that most likely answers the question, if any does."""
        likely = (
            (self.topic.answers(chunk, text, sentence), Place(chunk, sentence, 1.0))
            for chunk, text in chunks
            for sentence in read(text)
        )
        best = max(likely, key=lambda found: found[0], default=None)
        return best[1] if best and best[0] >= ANSWERS else None

    def _places(self, saying: Saying, chunks: Iterable[tuple[Chunk, str]]) -> list[Place]:
        if saying.empty:
            return []
        places = (
            Place(chunk, sentence, self.topic.relevance(chunk, text, sentence))
            for chunk, text in chunks
            for sentence in saying.places(text)
        )
        about = (place for place in places if place.relevance >= ABOUT)
        return sorted(about, key=lambda place: -place.relevance)

    @property
    def read(self) -> list[tuple[Chunk, str]]:
        """What arrived, each chunk with its text as it did."""
        return [(self.retrieved[i], text) for i, text in self.arrived.items()]

    @cached_property
    def found_then(self) -> list[Chunk]:
        """Every chunk that any search brought, in each wording that it had on its way."""
        return list({(c.chunk_id, c.content_hash): c for c in self.trail.finds if c.text}.values())

    @property
    def found_now(self) -> list[Chunk]:
        """Every chunk that the probe brings and no search brought then."""
        chunks = (found.chunk for found in self.corpus)
        return [c for c in chunks if c.text and c.chunk_id not in self.retrieved]

    @property
    def topic(self) -> Topic:
        """The question over all chunks that are known by now."""
        looked = {found.chunk.chunk_id: found.chunk for found in self._looked}
        known = {**self.retrieved, **looked}
        if self._topic is None or self._topic[0] != len(known):
            self._topic = len(known), Topic(self.trail.question, known.values())
        return self._topic[1]

    _topic: tuple[int, Topic] | None = None

    # -- the corpus --------------------------------------------------------------------------------

    @property
    def can_look(self) -> bool:
        """Whether there is somebody to ask who answers."""
        return self._probe is not None and (bool(self.corpus) or self.trouble is None)

    @property
    def corpus(self) -> Sequence[Found]:
        """What the probe brings, each chunk as it was found first."""
        if self._asked is None:
            self._asked = tuple(self._look())
        return self._asked

    _asked: tuple[Found, ...] | None = None

    @property
    def _looked(self) -> Sequence[Found]:
        """What the probe brought so far, without asking it."""
        return self._asked or ()

    def _look(self) -> Iterator[Found]:
        known: set[str] = set()
        for by, query, filtered in self._queries:
            for rank, found in enumerate(self._search(query, filtered=filtered)):
                if found[0].chunk_id not in known:
                    known.add(found[0].chunk_id)
                    yield Found(found[0], by, rank, found[1])

    @property
    def _queries(self) -> Iterator[tuple[str, str, bool]]:
        asked = dict.fromkeys(r.query for r in self.trail.retrievals if r.query)
        for query in list(asked or filter(None, [self.trail.question]))[:_MOST_QUERIES]:
            yield "question", query, True
            yield "unfiltered", query, False
        if self._expected:
            yield "expected", f"{self.trail.question or ''} {self._expected}", False
            yield "expected", self._expected, False

    def _search(self, query: str, *, filtered: bool) -> list[tuple[Chunk, float | None]]:
        if self._probe is None:
            return []
        most = max((r.k or 0 for r in self.trail.retrievals), default=0)
        try:
            found = self._probe.search(query, max(_DEEP, 10 * most), filtered=filtered)
            return [(chunk_record(one), one.score) for one in found]
        except Exception as error:  # noqa: BLE001  # a user's retriever; without it less can be said
            self.trouble = clean_text(f"{type(error).__name__}: {error}"[:300])
            return []

    def found(self, chunk_id: str) -> Found | None:
        """How the probe came by a chunk."""
        return next((found for found in self._looked if found.chunk.chunk_id == chunk_id), None)

    # -- how a chunk fared -------------------------------------------------------------------------

    def fate(self, chunk_id: str) -> Arrival | None:
        """How it arrived, in the call that got most of it; None where no prompt was seen."""
        return self._fates.get(chunk_id)

    def hit(self, chunk_id: str) -> Hit | None:
        """Where the application's own search returned it, or else a search inside of that."""
        return self._hits.get(chunk_id)

    @cached_property
    def _fates(self) -> Mapping[str, Arrival]:
        fates: dict[str, Arrival] = {}
        for arrival in (a for context in self.trail.contexts for a in context.arrivals):
            known = fates.get(arrival.chunk_id)
            if known is None or _STATES.index(arrival.state) < _STATES.index(known.state):
                fates[arrival.chunk_id] = arrival
        return fates

    @cached_property
    def _hits(self) -> Mapping[str, Hit]:
        hits: dict[str, Hit] = {}
        for retrieval in sorted(self.trail.retrievals, key=lambda r: r.enclosing_id is not None):
            for hit in retrieval.hits:
                hits.setdefault(hit.chunk.chunk_id, hit)
        return hits

    def finding(self, code: str, text: str, place: Place | None = None) -> Finding:
        """A reason, with all that is known of the place that it is about."""
        if place is None:
            return Finding(code=code, text=text)
        chunk_id = place.chunk.chunk_id
        fate, hit, found = self.fate(chunk_id), self.hit(chunk_id), self.found(chunk_id)
        return Finding(
            code=code,
            text=text,
            evidence=Span(chunk_id, place.sentence.start, place.sentence.end),
            document_id=place.chunk.document_id,
            sentence=place.quote or None,
            arrival=fate.state if fate else None,
            order=fate.order if fate else None,
            rank=hit.rank if hit else found.rank if found else None,
            score=hit.score if hit else found.score if found else None,
        )


def _read(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, str]]:
    return ((chunk, chunk.text or "") for chunk in chunks)
