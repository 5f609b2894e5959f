"""The diagnosis where it is known what the answer should have said: follow that from the corpus to the answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from doctrail_core.diagnosis.case import Case
from doctrail_core.diagnosis.evidence import Place
from doctrail_core.diagnosis.sayings import Saying, read, stated
from doctrail_core.grounding.embedded.words import words
from doctrail_core.model import NOT_A_CLAIM, Citation, Diagnosis, Finding
from doctrail_core.text.values import compare

__all__ = ["told"]

_RIVAL = 0.75
"""A sentence that is so much less about what was asked is about something else."""
_ALIKE = 0.5
"""Sentences of one document disagree only if they have so many words in common; else they are of two things."""
_SHOWN = 200
_SILENT = (NOT_A_CLAIM, "statement_of_absence")


@dataclass(frozen=True, slots=True)
class _Instead:
    """What the answer says in the place of what it should."""

    saying: Saying
    words: str


def told(case: Case, expected: str) -> Diagnosis:
    """Say where what was expected got lost."""
    saying = _news(case, expected)
    return _met(case, saying) if saying.is_in(case.answer) else _unmet(case, saying)


def _news(case: Case, text: str) -> Saying:
    """What a text says that the question does not say already."""
    asked = {word.stem for word in words(case.trail.question or "")}
    saying = Saying.of(text, beside=asked)
    return Saying.of(text) if saying.empty else saying


def _met(case: Case, saying: Saying) -> Diagnosis:
    """The answer says it; only the sources that it names can be wrong."""
    grounds = case.evidence.in_prompt(saying)
    if bad := [*case.bad_citations(), *_misattributed(case, saying, grounds)]:
        return case.conclude("generation", bad)
    if grounds:
        text = "The answer says what was expected, as this does."
        return case.conclude("no_fault", [case.evidence.finding("as_expected", text, grounds[0])])
    text = "The answer says what was expected, though nothing that arrived does."
    return case.conclude("no_fault", [Finding(code="as_expected", text=text)])


def _misattributed(case: Case, saying: Saying, grounds: Sequence[Place]) -> Iterator[Finding]:
    """Of the sources that the answer names for it none says it, and others do."""
    given = [c for c in case.citations if c.state == "ok" and saying.is_in(_claim(case, c))]
    cited = {chunk_id for citation in given for chunk_id in citation.chunk_ids}
    if given and grounds and cited.isdisjoint(place.chunk.chunk_id for place in grounds):
        text = f"The answer names {given[0].cited} as its source, which does not say it; this does."
        yield case.evidence.finding("citation_misattributed", text, grounds[0])


def _claim(case: Case, citation: Citation) -> str:
    """The words of the answer that a source is named for."""
    return case.answer[citation.claim_start or 0 : citation.claim_end]


def _unmet(case: Case, saying: Saying) -> Diagnosis:
    """The answer does not say it: where was it last seen?"""
    instead = _instead(case, saying)
    if found := _on_record(case, saying, instead):
        return found
    evidence = case.evidence
    right = evidence.in_corpus(saying)
    # By now more is known of each document, such as whose it is.
    if evidence.found_now and (found := _on_record(case, saying, instead)):
        return found
    followed = evidence.in_prompt(instead.saying) if instead else []
    if right:
        return case.superseded(followed, right) or case.unfound(right)
    looked = case.could_look()
    if not case.trail.retrievals:
        case.missing.append("what the answer was made from: no search is on record")
    if followed:
        text = "The answer says what this says, and this arrived in the prompt."
        return case.conclude(
            "wrong_source", [evidence.finding("follows_source", text, followed[0])]
        )
    if looked:
        reasons = [case.not_retrieved(), case.not_in_corpus(), *case.nearest()]
        return case.conclude("corpus_gap", reasons)
    return case.undetermined(None, case.not_retrieved(), *case.nearest())


def _on_record(case: Case, saying: Saying, instead: _Instead | None) -> Diagnosis | None:
    """Whether it arrived, or was retrieved at all."""
    evidence = case.evidence
    followed = evidence.in_prompt(instead.saying) if instead else []
    if right := evidence.in_prompt(saying):
        return _arrived(case, right, followed, instead)
    if right := evidence.in_retrieved(saying):
        return case.superseded(followed, right) or case.lost(right)
    return None


def _arrived(
    case: Case, right: Sequence[Place], followed: Sequence[Place], instead: _Instead | None
) -> Diagnosis:
    """It stood in the prompt: was there anything else to follow?"""
    if rival := _rival(followed, right):
        return case.superseded([rival], right) or case.conflicting(rival, right[0])
    said = f"says “{instead.words}” instead" if instead else "does not say it"
    text = f"This arrived in the prompt, and the answer {said}."
    found = case.evidence.finding("contradicts" if instead else "ignores", text, right[0])
    return case.conclude("generation", [*case.bad_citations(), found])


def _instead(case: Case, saying: Saying) -> _Instead | None:
    """Another value of the same kind, or else the first thing that the answer claims."""
    kinds = {value.kind for value in saying.values}
    for value in stated(case.answer):
        differs = any(compare(value, right) == "different" for right in saying.values)
        if value.kind in kinds and differs and value.text not in (case.trail.question or ""):
            return _Instead(Saying(values=(value,)), value.text)
    silent = [v.claim for v in case.assessment.verdicts if v.reason in _SILENT]
    for sentence in read(case.answer):
        text = case.answer[sentence.start : sentence.end]
        claims = not any(c.start < sentence.end and sentence.start < c.end for c in silent)
        if claims and not (news := _news(case, text)).empty:
            return _Instead(news, text[:_SHOWN])
    return None


def _rival(followed: Sequence[Place], right: Sequence[Place]) -> Place | None:
    """What arrived and says, in the place of what is right, what the answer says."""
    best = right[0]
    near = (place for place in followed if place.relevance >= _RIVAL * best.relevance)
    return next((place for place in near if _disagrees(place, best)), None)


def _disagrees(one: Place, other: Place) -> bool:
    """Whether two sentences are of the same thing; a document says much in the same words."""
    if one.chunk.chunk_id == other.chunk.chunk_id:
        return False
    mine, theirs = one.sentence.stems, other.sentence.stems
    alike = len(mine & theirs) >= _ALIKE * max(1, min(len(mine), len(theirs)))
    return alike or one.chunk.document_id != other.chunk.document_id
