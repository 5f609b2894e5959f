"""Checks whether what an answer cites says what it is cited for, by the texts alone.

A citation is only called wrong where something better is at hand: another passage that has the words and
the values of the claim, or the claim's own quotation marks. A claim that no passage supports is not the
citation's fault, and is left to the verdicts.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from doctrail_core.grounding.embedded.alignment import Alignment, align
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import stems, words
from doctrail_core.grounding.verifier import Answer
from doctrail_core.model import Citation, CitationState, Verdict
from doctrail_core.text.quotations import is_verbatim, quotations
from doctrail_core.text.values import Value, compare, values_in

__all__ = ["checked"]

# Set by hand; how often they are right on sentences of contracts is held in the tests.
_HAS_MOST = 0.7
_LACKS_MOST = 0.45
_LACKS_ALL = 0.25
"""A cited passage that has the values and so few of the words has them of something else."""
_HAS_VALUES = 0.6
_ABOUT_AS_MUCH = 0.1
_FEWEST_WORDS = 3
_WINDOW = 3


def checked(
    citations: Sequence[Citation], answer: Answer, verdicts: Sequence[Verdict]
) -> tuple[Citation, ...]:
    """The citations, as the texts bear them out; those that are wrong already stay so."""
    known = {passage.chunk_id for passage in answer.passages}
    if not any(c.state == "ok" and known.intersection(c.chunk_ids) for c in citations):
        return tuple(citations)
    court = _Court(citations, answer, verdicts)
    return tuple(court.judged(c) if known.intersection(c.chunk_ids) else c for c in citations)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What citations are given for, without them; `cited` are the chunks of them all."""

    start: int
    end: int
    text: str
    cited: frozenset[str]


class _Court:
    """The citations of one answer, and the passages that they are held against."""

    def __init__(
        self, citations: Sequence[Citation], answer: Answer, verdicts: Sequence[Verdict]
    ) -> None:
        self._answer = answer
        self._verdicts = verdicts
        self._claims = _claims(citations, answer.text)
        self._rulings: dict[_Claim, tuple[CitationState, str | None]] = {}
        self._texts = {passage.chunk_id: passage.text for passage in answer.passages}

    @cached_property
    def _index(self) -> Index:
        return Index(self._answer.passages, self._answer.question)

    def judged(self, citation: Citation) -> Citation:
        claim = self._claims.get((citation.claim_start, citation.claim_end))
        if claim is None or citation.state != "ok":
            return citation
        if claim not in self._rulings:
            self._rulings[claim] = self._ruling(claim)
        state, better = self._rulings[claim]
        return replace(citation, state=state, better=better)

    def _ruling(self, claim: _Claim) -> tuple[CitationState, str | None]:
        if quoted := self._misquoted(claim):
            better = self._having(quoted, self._texts)
            return ("misattributed" if better else "quote_not_verbatim"), better
        better = self._better(claim)
        return ("misattributed" if better else "ok"), better

    def _misquoted(self, claim: _Claim) -> str | None:
        """What the claim quotes and no chunk that it cites says."""
        spans = quotations(self._answer.text, claim.start, claim.end)
        quoted = (self._answer.text[start:end] for start, end in spans)
        return next((text for text in quoted if not self._having(text, claim.cited)), None)

    def _having(self, quoted: str, chunk_ids: Iterable[str]) -> str | None:
        return next((i for i in chunk_ids if is_verbatim(quoted, self._texts.get(i, ""))), None)

    def _better(self, claim: _Claim) -> str | None:
        """The chunk that supports what the cited ones do not; None where these do, or none does."""
        evidence = self._evidence(claim)
        if evidence and claim.cited.intersection(evidence):
            return None
        telling = stems(words(claim.text))
        if len(telling) < _FEWEST_WORDS:
            return None
        scene = _Scene(align(telling, (), self._index), self._index, claim.cited)
        if scene.better is None:
            return None
        return (
            scene.better
            if _speaks_against(scene, values_in(claim.text), found=bool(evidence))
            else None
        )

    def _evidence(self, claim: _Claim) -> Sequence[str]:
        """The chunks that the verdicts found to support the claim."""
        supported = (v for v in self._verdicts if v.verdict == "supported")
        about = (v for v in supported if v.claim.start < claim.end and claim.start < v.claim.end)
        return [evidence.chunk_id for verdict in about for evidence in verdict.evidence]


class _Scene:
    """What the cited passages have of a claim, and the best of the others."""

    def __init__(self, alignment: Alignment, index: Index, cited: frozenset[str]) -> None:
        self._index = index
        at = {n for n, passage in enumerate(index.passages) if passage.chunk_id in cited}
        elsewhere = (w for w in alignment.windows if index.lines[w.first].passage not in at)
        window = next(elsewhere, None)
        lines = [n for n, line in enumerate(index.lines) if line.passage in at]
        self.better = index.passages[index.lines[window.first].passage].chunk_id if window else None
        self.theirs = window.coverage if window else 0.0
        self.own = _coverage(alignment, lines)
        self._their_lines = window.lines if window else range(0)
        self._own_lines = lines

    def confirmed(self, values: Sequence[Value]) -> tuple[bool, bool]:
        """Whether the cited passages, and whether the best other one, have all the values."""
        return self._confirm(values, self._own_lines), self._confirm(values, self._their_lines)

    def _confirm(self, values: Sequence[Value], lines: Collection[int]) -> bool:
        there = [value for n in lines for value in self._index.lines[n].values]
        return all(any(compare(value, other) == "equal" for other in there) for value in values)


def _speaks_against(scene: _Scene, values: Sequence[Value], *, found: bool) -> bool:
    """Whether the other passage has the claim, and the cited ones have not."""
    ours, theirs = scene.confirmed(values)
    if values and theirs and not ours:
        return scene.theirs >= max(_HAS_VALUES, scene.own - _ABOUT_AS_MUCH)
    lacks = _LACKS_ALL if values and ours else _LACKS_MOST
    return theirs and (found or scene.theirs >= _HAS_MOST) and scene.own < min(lacks, scene.theirs)


def _coverage(alignment: Alignment, lines: Sequence[int]) -> float:
    """At most so much of the claim have sentences that follow each other."""
    shares = [alignment.share(line) for line in lines]
    return max((sum(shares[n : n + _WINDOW]) for n in range(len(shares))), default=0.0)


def _claims(
    citations: Sequence[Citation], answer: str
) -> dict[tuple[int | None, int | None], _Claim]:
    found: dict[tuple[int | None, int | None], _Claim] = {}
    for citation in citations:
        start, end = citation.claim_start, citation.claim_end
        if start is not None and end is not None and (start, end) not in found:
            same = [c for c in citations if (c.claim_start, c.claim_end) == (start, end)]
            cited = frozenset(i for c in same if c.state == "ok" for i in c.chunk_ids)
            text = "".join(_without(answer, start, end, same))
            found[start, end] = _Claim(start, end, text, cited)
    return found


def _without(answer: str, start: int, end: int, citations: Sequence[Citation]) -> Iterator[str]:
    for citation in citations:
        yield answer[start : max(start, citation.start)]
        start = max(start, min(citation.end, end))
    yield answer[start:end]
