"""The diagnosis where nobody says what the answer should have said: by what its claims stand on.

A wrong answer that follows a wrong source looks right from here, and a right one may look wrong; what
cannot be told is `undetermined`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from doctrail_core.diagnosis.case import Case
from doctrail_core.diagnosis.evidence import Place
from doctrail_core.diagnosis.sayings import Sentence
from doctrail_core.diagnosis.versions import newer
from doctrail_core.grounding.checking import embedded
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import NOT_A_CLAIM, Chunk, Diagnosis, Evidence, Finding, Verdict

__all__ = ["untold"]

_EXPECTED = "what the answer should have said"


def untold(case: Case) -> Diagnosis:
    """Say what is wrong with the answer, from its claims."""
    if not case.evidence.retrieved:
        return _nothing_retrieved(case)
    assessment = case.assessment
    if assessment.status != "checked":
        return case.undetermined(f"a check of the answer: {assessment.error or assessment.status}")
    claims = [verdict for verdict in assessment.verdicts if verdict.reason != NOT_A_CLAIM]
    return (
        _disputed(case, claims)
        or _outdated(case, claims)
        or _declined(case, claims)
        or _baseless(case, claims)
        or _miscited(case)
        or _sound(case, claims)
    )


def _nothing_retrieved(case: Case) -> Diagnosis:
    """The answer was made without any source: is there one?"""
    if not case.trail.retrievals:
        return case.undetermined("where the answer comes from: no search is on record")
    return _unanswered(case)


def _unanswered(case: Case) -> Diagnosis:
    """Nothing that was retrieved answers the question: does the corpus?"""
    if place := case.evidence.answering(_read(case.evidence.found_now)):
        return case.unfound([place])
    if not case.could_look():
        return case.undetermined(_EXPECTED, case.not_retrieved(), *case.nearest())
    case.missing.append(_EXPECTED)
    reasons = [case.not_retrieved(), case.not_in_corpus(), *case.nearest()]
    return case.conclude("corpus_gap", reasons)


def _disputed(case: Case, claims: Sequence[Verdict]) -> Diagnosis | None:
    """What arrived contradicts the answer, or itself."""
    for verdict in claims:
        mine, others = _sides(case, verdict)
        if mine and others:
            return case.superseded(mine, others) or case.conflicting(mine[0], others[0])
    for verdict in claims:
        if verdict.verdict == "contradicted":
            value = f": “{verdict.conflicting_value}”" if verdict.conflicting_value else ""
            text = f"The answer says “{_words(case, verdict)}”, and what arrived says otherwise{value}."
            return case.conclude("generation", [_about(case, verdict, "contradicts", text)])
    return None


def _sides(case: Case, verdict: Verdict) -> tuple[list[Place], list[Place]]:
    """What arrived and says what the answer does, and what says otherwise."""
    if verdict.verdict == "supported":
        return _places(case, verdict.evidence), _places(case, verdict.conflicting_evidence)
    if verdict.verdict != "contradicted":
        return [], []
    against = {span.chunk_id for span in verdict.evidence}
    others = [replace(c, text=text) for c, text in case.evidence.read if c.chunk_id not in against]
    again = _verified(case, verdict, others)
    backed = again.evidence if again and again.verdict == "supported" else ()
    return _places(case, backed), _places(case, verdict.evidence)


def _outdated(case: Case, claims: Sequence[Verdict]) -> Diagnosis | None:
    """A newer version of what supports a claim contradicts it."""
    chunks = {c.chunk_id: c for c in case.evidence.found_now} | dict(case.evidence.retrieved)
    for verdict in (claim for claim in claims if claim.verdict == "supported"):
        for old in _places(case, verdict.evidence):
            later = [chunk for chunk in chunks.values() if newer(old.chunk, chunk)]
            again = _verified(case, verdict, later)
            if again and again.verdict == "contradicted":
                return case.superseded([old], _places(case, again.evidence))
    return None


def _declined(case: Case, claims: Sequence[Verdict]) -> Diagnosis | None:
    """The answer says that there is nothing: is there?"""
    if not any(claim.reason == "statement_of_absence" for claim in claims):
        return None
    evidence = case.evidence
    if place := evidence.answering(evidence.read):
        text = "The answer finds nothing, though this arrived in the prompt."
        return case.conclude("generation", [evidence.finding("ignores", text, place)])
    if place := evidence.answering(_read(_absent(case))):
        return case.lost([place])
    return _unanswered(case)


def _baseless(case: Case, claims: Sequence[Verdict]) -> Diagnosis | None:
    """Nothing that arrived supports a claim: was the support lost, not found, or never there?"""
    bare = [claim for claim in claims if claim.verdict == "unsupported"]
    if not bare:
        return None
    for chunks, conclude in ((_absent(case), case.lost), (case.evidence.found_now, case.unfound)):
        for verdict in bare:
            again = _verified(case, verdict, chunks)
            if again and again.verdict in ("supported", "contradicted") and again.evidence:
                return conclude(_places(case, again.evidence))
    case.could_look()
    text = f"Nothing that arrived says “{_words(case, bare[0])}”."
    return case.conclude("generation", [_about(case, bare[0], "baseless", text)])


def _miscited(case: Case) -> Diagnosis | None:
    bad = list(case.bad_citations())
    return case.conclude("generation", bad) if bad else None


def _sound(case: Case, claims: Sequence[Verdict]) -> Diagnosis:
    """Nothing is wrong, as far as it was checked."""
    if open_ := sum(claim.verdict == "not_checked" for claim in claims):
        case.missing.append(f"{open_} of {len(claims)} claims could not be checked")
    if supported := list(_supported(case, claims)):
        return case.conclude("no_fault", supported)
    return case.undetermined(_EXPECTED)


def _supported(case: Case, claims: Iterable[Verdict]) -> Iterator[Finding]:
    for verdict in (claim for claim in claims if claim.verdict == "supported"):
        text = f"The answer says “{_words(case, verdict)}”, as this does."
        yield _about(case, verdict, "supported", text)


# -- what is looked at -----------------------------------------------------------------------------


def _absent(case: Case) -> list[Chunk]:
    arrived = case.evidence.arrived
    return [c for c in case.evidence.found_then if arrived.get(c.chunk_id) != c.text]


def _read(chunks: Iterable[Chunk]) -> list[tuple[Chunk, str]]:
    return [(chunk, chunk.text or "") for chunk in chunks]


def _verified(case: Case, verdict: Verdict, chunks: Sequence[Chunk]) -> Verdict | None:
    """The same claim against other chunks."""
    if not chunks:
        return None
    passages = tuple(Passage(c.chunk_id, c.document_id, c.text or "") for c in chunks)
    asked = Answer(case.answer, passages, case.trail.question, (verdict.claim,))
    return next(iter(embedded().verify(asked).verdicts), None)


def _places(case: Case, spans: Iterable[Evidence]) -> list[Place]:
    known = {c.chunk_id: c for c in case.evidence.found_now} | dict(case.evidence.retrieved)
    return [
        Place(known[span.chunk_id], Sentence(span.start, span.end, (), ()), 1.0)
        for span in spans
        if span.chunk_id in known
    ]


def _words(case: Case, verdict: Verdict) -> str:
    return case.answer[verdict.claim.start : verdict.claim.end][:200]


def _about(case: Case, verdict: Verdict, code: str, text: str) -> Finding:
    place = next(iter(_places(case, verdict.evidence)), None)
    found = case.evidence.finding(code, text, place)
    return replace(found, claim_start=verdict.claim.start, claim_end=verdict.claim.end)
