"""From what was found of a claim to the verdict, and to how much risk is left.

The risk lies in the band of its verdict: `supported` below 0.2, `not_checked` below 0.5, `unsupported`
from 0.5, `contradicted` from 0.9. Within a band it grows with how much of the claim is news.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

from doctrail_core.grounding.embedded.alignment import Alignment, Window, align, lacking
from doctrail_core.grounding.embedded.claims import unclaimed
from doctrail_core.grounding.embedded.facts import Fact, Place, Standing, facts
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.logic import difference, negated
from doctrail_core.grounding.embedded.novelty import Novelty, novelty, weigh
from doctrail_core.grounding.embedded.words import Word, stems, words
from doctrail_core.model import Claim, Evidence, Verdict, VerdictKind
from doctrail_core.text.values import values_in

__all__ = ["judge"]

_BANDS: dict[VerdictKind, tuple[float, float]] = {
    "supported": (0.0, 0.2),
    "not_checked": (0.2, 0.5),
    "unsupported": (0.5, 0.9),
    "contradicted": (0.9, 1.0),
}
_OPEN: dict[Standing, str] = {
    "relative": "relative_date",
    "derived": "derived_number",
    "weak": "weak_value",
}
_COVERED = 0.78
_NEWS = 2.0
"""News of this weight make a claim unsupported."""
_VALUE, _REARRANGED = 1.5, 0.75
"""What a value weighs that is in no passage, and a claim whose words stand nowhere beside each other."""
_SCALE = 3.0
_LEFT_OUT = 0.6
_SAME_SENTENCE = 0.8
_SAME_BACK = 0.5


@dataclass(frozen=True, slots=True)
class _Case:
    claim: Claim
    text: str
    words: Sequence[Word]
    index: Index
    alignment: Alignment
    facts: Sequence[Fact]
    novelty: Novelty

    @property
    def news(self) -> float:
        """How much of the claim is news."""
        absent = sum(fact.standing == "absent" for fact in self.facts)
        return self.novelty.mass + _VALUE * absent + _REARRANGED * self.novelty.rearranged


def judge(claim: Claim, text: str, index: Index) -> Verdict:
    """Say of one claim what the passages say of it."""
    found, stated = words(text), values_in(text)
    if reason := unclaimed(text, found, len(stated)):
        return Verdict(claim=claim, verdict="not_checked", score=None, reason=reason)
    if not index.lines:
        return Verdict(claim=claim, verdict="unsupported", score=0.75, reason="no_context")
    valued = {
        word
        for word in found
        for value in stated
        if value.start < word.end and word.start < value.end
    }
    told = [word for word in found if word not in valued]
    hints = {word.stem for word in found if word.kind == "number" or word in valued}
    alignment = align(stems(told), hints, index)
    stand = facts(stated, found, alignment, index)
    return _ruled(_Case(claim, text, told, index, alignment, stand, novelty(told, index)))


def _ruled(case: _Case) -> Verdict:
    if conflict := next((fact for fact in case.facts if fact.standing == "conflict"), None):
        return _conflicting(case, conflict)
    if _denied(case):
        return _said(case, "contradicted", "negation_differs")
    if any(fact.standing == "absent" for fact in case.facts):
        return _said(case, "unsupported", "value_absent")
    if case.news >= _NEWS:
        return _said(case, "unsupported", "name_absent" if case.novelty.names else "little_overlap")
    for standing, reason in _OPEN.items():
        if any(fact.standing == standing for fact in case.facts):
            return _said(case, "not_checked", reason)
    if reason := _open(case):
        return _said(case, "not_checked", reason)
    return _said(case, "supported", "covered")


def _open(case: _Case) -> str | None:
    best = case.alignment.covering(_COVERED)
    if best is None or _left_out(case, best) > _LEFT_OUT:
        return "partial_overlap"
    return difference(case.text, " ".join(case.index.lines[at].text for at in best.lines))


def _left_out(case: _Case, window: Window) -> float:
    """What the words weigh that the window does not have."""
    telling = (word for word in case.words[1:] if word.kind == "content")
    missing = {word.stem: word.capitalised for word in lacking(telling, window, case.index)}
    return sum(weigh(stem, name=name) for stem, name in missing.items())


def _denied(case: _Case) -> bool:
    """Whether one sentence of the evidence says nearly the same words, and one of the two denies them."""
    window = next((w for w in case.alignment.windows if w.first == w.last), None)
    if window is None or window.coverage < _SAME_SENTENCE:
        return False
    line = case.index.lines[window.first]
    mine, theirs = stems(case.words), stems(line.words)
    if len(mine & theirs) < _SAME_BACK * len(theirs):
        return False
    return negated(case.text, case.words, theirs) != negated(line.text, line.words, mine)


def _conflicting(case: _Case, fact: Fact) -> Verdict:
    return Verdict(
        claim=case.claim,
        verdict="contradicted",
        score=_score("contradicted", fact.others[0].fit),
        reason="value_conflict",
        evidence=(_stated(fact.others[0], case.index),),
        conflicting_value=fact.others[0].value.text,
    )


def _said(case: _Case, verdict: VerdictKind, reason: str) -> Verdict:
    return Verdict(
        claim=case.claim,
        verdict=verdict,
        score=_score(verdict, 1 - exp(-case.news / _SCALE)),
        reason=reason,
        evidence=tuple(_evidence(case)),
        missing=tuple(_missing(case)),
        conflicting_evidence=tuple(_rivals(case)),
    )


def _score(verdict: VerdictKind, share: float) -> float:
    low, high = _BANDS[verdict]
    return round(low + (high - low) * min(share, 0.999), 4)


def _evidence(case: _Case) -> Iterable[Evidence]:
    if best := case.alignment.covering(_COVERED) or case.alignment.best:
        first, last = case.index.lines[best.first], case.index.lines[best.last]
        yield Evidence(case.index.passages[first.passage].chunk_id, first.start, last.end)


def _missing(case: _Case) -> Iterable[str]:
    yield from (fact.value.text for fact in case.facts if fact.standing == "absent")
    yield from (word.text for word in case.novelty.names)


def _rivals(case: _Case) -> Iterable[Evidence]:
    """The values of other passages that stand in the very place of a value that was found."""
    for fact in case.facts:
        if fact.standing == "found":
            passage = case.index.lines[fact.same[0].line].passage
            for place in fact.others:
                if (
                    case.index.lines[place.line].passage != passage
                    and place.fit >= fact.same[0].fit - 0.1
                ):
                    yield _stated(place, case.index)


def _stated(place: Place, index: Index) -> Evidence:
    line = index.lines[place.line]
    chunk_id = index.passages[line.passage].chunk_id
    return Evidence(chunk_id, line.start + place.value.start, line.start + place.value.end)
