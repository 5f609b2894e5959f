"""Assessments and diagnoses as bytes, beside the trails that they are about.

A line that says what it is and of which response, then the record as JSON. Texts that the trail has are left
out, and put back from it: what is erased there must not live on here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from doctrail_core.durable.columns import rank_of_grade
from doctrail_core.model import Assessment, Chunk, Claim, Diagnosis, Finding, Trail, Verdict
from doctrail_core.model.trail import cited_in, supporting_in
from doctrail_core.text.identity import canonical_id, clean_text, content_hash

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "Filed",
    "Kind",
    "decode",
    "encode_assessment",
    "encode_diagnosis",
    "filed",
    "findings_of",
    "is_finding",
    "joined_with",
    "prepare",
]

Kind = Literal["assessment", "diagnosis"]

_MARK = b'{"about":'
_IN_THE_TRAIL = ""
"""Stands for a text that the trail has."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A finding as a store files it: its response, and the rank of the grades that chunks reached by it."""

    about: str
    kind: Kind
    grades: dict[str, int]
    body: bytes


def encode_assessment(assessment: Assessment) -> bytes:
    """The bytes of an assessment."""
    grades = {i: rank_of_grade("supports") for i in supporting_in([assessment])}
    grades |= {i: rank_of_grade("cited") for i in cited_in(assessment.citations)}
    bare = replace(assessment, verdicts=tuple(map(_bare, assessment.verdicts)))
    return _lines(assessment.response_id, "assessment", grades, bare)


def encode_diagnosis(diagnosis: Diagnosis) -> bytes:
    """The bytes of a diagnosis."""
    findings = tuple(
        replace(f, sentence=_IN_THE_TRAIL) if f.sentence and f.evidence else f
        for f in diagnosis.findings
    )
    return _lines(diagnosis.response_id, "diagnosis", {}, replace(diagnosis, findings=findings))


def findings_of(trail: Trail) -> Iterator[bytes]:
    """The bytes of all that was said about a trail."""
    yield from map(encode_assessment, trail.assessments)
    yield from map(encode_diagnosis, trail.diagnoses)


def is_finding(payload: bytes) -> bool:
    """Whether a record of the stream is one of these, and not a trail."""
    return payload.startswith(_MARK)


def filed(payload: bytes) -> Filed:
    """What a store needs of the bytes.

    Raises:
        ValueError: They are no finding.
    """
    from pydantic_core import from_json

    head, _, body = payload.partition(b"\n")
    try:
        return Filed(**from_json(head), body=body)
    except TypeError as error:
        raise ValueError("not an encoded finding") from error


def decode(kind: Kind, body: bytes) -> Assessment | Diagnosis:
    """The record of these bytes, without the texts that its trail has.

    Raises:
        ValueError: They are no such record.
    """
    return _adapters()[kind].validate_json(body)


def joined_with(trail: Trail, found: Iterable[Assessment | Diagnosis]) -> Trail:
    """The trail with what was said about it, texts put back."""
    said = list(found)
    if not said:
        return trail
    chunks = trail.chunks
    assessments = (_assessment(a, trail, chunks) for a in said if isinstance(a, Assessment))
    diagnoses = (_diagnosis(d, chunks) for d in said if isinstance(d, Diagnosis))
    return replace(trail, assessments=tuple(assessments), diagnoses=tuple(diagnoses))


def prepare() -> None:
    """Load now what encoding needs: a fork in the middle of an import would leave the child stuck."""
    _adapters()


@cache
def _adapters() -> "Mapping[Kind, TypeAdapter[Any]]":
    from pydantic import TypeAdapter

    return {"assessment": TypeAdapter(Assessment), "diagnosis": TypeAdapter(Diagnosis)}


def _lines(
    response_id: str, kind: Kind, grades: Mapping[str, int], record: Assessment | Diagnosis
) -> bytes:
    from pydantic_core import to_json

    head = {
        "about": canonical_id(response_id),
        "kind": kind,
        "grades": {canonical_id(i): rank for i, rank in grades.items()},
    }
    body = _adapters()[kind].dump_json(record, exclude_defaults=True)
    return to_json(head) + b"\n" + body


def _bare(verdict: Verdict) -> Verdict:
    said = verdict.conflicting_value
    return replace(
        verdict,
        claim=Claim(verdict.claim.start, verdict.claim.end),
        missing=tuple(map(clean_text, verdict.missing)),
        conflicting_value=_IN_THE_TRAIL if said and verdict.evidence else said,
    )


def _assessment(found: Assessment, trail: Trail, chunks: Mapping[str, Chunk]) -> Assessment:
    text = _checked_text(found, trail)
    return replace(found, verdicts=tuple(_verdict(v, text, chunks) for v in found.verdicts))


def _checked_text(found: Assessment, trail: Trail) -> str | None:
    """What was checked: the answer, or what the model said in whose place an answer was put or added to."""
    if found.answer_hash is None or trail.answer is None:
        return trail.answer
    said = (trail.answer, *(g.output for g in trail.generations if g.output is not None))
    return next((text for text in said if content_hash(text) == found.answer_hash), None)


def _verdict(bare: Verdict, text: str | None, chunks: Mapping[str, Chunk]) -> Verdict:
    start, end = bare.claim.start, bare.claim.end
    said = bare.conflicting_value
    return replace(
        bare,
        claim=Claim(start, end, None if text is None else text[start:end]),
        conflicting_value=_stretch(bare, chunks) if said == _IN_THE_TRAIL else said,
    )


def _diagnosis(found: Diagnosis, chunks: Mapping[str, Chunk]) -> Diagnosis:
    findings = (
        replace(f, sentence=_stretch(f, chunks)) if f.sentence == _IN_THE_TRAIL else f
        for f in found.findings
    )
    return replace(found, findings=tuple(findings))


def _stretch(of: Verdict | Finding, chunks: Mapping[str, Chunk]) -> str | None:
    """The text of the (first) evidence; None where it is not kept any more."""
    evidence = of.evidence[0] if isinstance(of.evidence, tuple) else of.evidence
    chunk = chunks.get(evidence.chunk_id) if evidence else None
    if evidence is None or chunk is None or chunk.text is None:
        return None
    return chunk.text[evidence.start : evidence.end]
