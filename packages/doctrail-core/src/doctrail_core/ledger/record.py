"""What a process puts on the ledger's spool: ids, hashes, grades and times; never a text.

A record lives until the sequencer has made entries of it, usually for seconds. Its bytes are canonical JSON
(UTF-8, sorted keys, no spaces, nothing that is null).

A field that is left out where there is nothing to say may be added within a version: who does not know it
misses what it says, and reads nothing wrong. All else needs a new version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from doctrail_core.model import (
    GRADES,
    Assessment,
    AssessmentStatus,
    Chunk,
    Diagnosis,
    EntryKind,
    Fault,
    Grade,
    Involvement,
    Status,
    Trail,
    VerdictKind,
)
from doctrail_core.model.trail import cited_in, supporting_in
from doctrail_core.text.identity import canonical_id, content_hash

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "VERSION",
    "CheckFact",
    "ChunkFact",
    "DiagnosisFact",
    "EventRecord",
    "LedgerRecord",
    "Record",
    "decode",
    "encode",
    "from_trail",
    "prepare",
]

VERSION = 1


# The fields of all stand in the order of the alphabet, as they do in the bytes.


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFact:
    """That a chunk was involved, and how deeply.

    Attributes:
        carried: Only where an earlier turn brought it, and none of this response's retrievals.
        involvement: Only where it is indirect.
        source: Only where it is not the document's id.
    """

    carried: bool | None = None
    chunk_id: str
    content_hash: str | None = None
    document_id: str
    grade: Grade
    involvement: Involvement | None = None
    source: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFact:
    """That a verifier looked at a response, and what it said; `verdicts` counts claims."""

    degraded_from: str | None = None
    risk: float | None = None
    status: AssessmentStatus
    verdicts: dict[VerdictKind, int]
    verifier: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisFact:
    """Whose fault a response was found to be, and by whom."""

    by: str | None = None
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """The fact of a response: which documents it had, when, for whom; or what was said about it later.

    Attributes:
        answer_hash: Of the answer, where hashes of texts are kept; `sha256:<hex>`.
        check: Only of kind `assessed`; then `chunks` are those that support a claim or are cited.
        diagnosis: Only of kind `diagnosed`; then `chunks` are its evidence.
        counter: Numbers the entries of a writer from 0 without a gap.
        document_ids: Strongest grade first.
        timestamp: UTC, ISO 8601 with microseconds.
        v: The version of this form.
        writer: The process that wrote it.
    """

    answer_hash: str | None = None
    check: CheckFact | None = None
    chunks: tuple[ChunkFact, ...] = ()
    counter: int
    diagnosis: DiagnosisFact | None = None
    document_ids: tuple[str, ...]
    framework: str | None = None
    kind: EntryKind
    models: tuple[str, ...] = ()
    query_hash: str
    response_id: str
    service: str | None = None
    session_id: str | None = None
    status: Status
    timestamp: str
    trace_id: str | None = None
    user_id: str | None = None
    v: int = VERSION
    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """Something that happened to the ledger itself, or to what it is about: an erasure, a review, a hold.

    Attributes:
        body: What there is to say, without any external id but those that its kind is known to have.
        event: Which kind of entry becomes of it.
        response_id: The response that it is about, if it is about one.
        writer: Empty where the holder of the lease adds it itself.
    """

    body: dict[str, Any]
    counter: int
    event: str
    response_id: str | None = None
    timestamp: str
    v: int = VERSION
    writer: str


Record = LedgerRecord | EventRecord


def from_trail(kind: EntryKind, trail: Trail, *, writer: str, counter: int) -> LedgerRecord:
    """The fact of a trail, as far as it is known; of kind `assessed` or `diagnosed`, the latest one."""
    chunks = _facts(kind, trail)
    check = _check(trail.assessments[-1]) if kind == "assessed" else None
    diagnosis = _diagnosis(trail.diagnoses[-1]) if kind == "diagnosed" else None
    return LedgerRecord(
        kind=kind,
        response_id=canonical_id(trail.response_id),
        document_ids=tuple(dict.fromkeys(chunk.document_id for chunk in chunks)),
        timestamp=_time(kind, trail).astimezone(UTC).isoformat(timespec="microseconds"),
        query_hash=trail.query_hash,
        answer_hash=_answer_hash(trail) if kind == "answered" else None,
        status=trail.status,
        writer=writer,
        counter=counter,
        chunks=chunks,
        check=check,
        diagnosis=diagnosis,
        session_id=_bounded(trail.session_id),
        user_id=_bounded(trail.user_id),
        models=tuple(canonical_id(model) for model in trail.models),
        trace_id=trail.trace_id,
        service=_bounded(trail.service),
        framework=_bounded(trail.framework),
    )


def encode(record: Record) -> bytes:
    """The record's bytes; what is unknown is left out."""
    if isinstance(record, LedgerRecord):
        return _responses().dump_json(record, exclude_none=True)
    return _events().dump_json(record, exclude_none=True)


def decode(data: bytes) -> Record:
    """The record of these bytes.

    Raises:
        ValueError: They are no record of this version.
    """
    record = (_events() if data.startswith(b'{"body":') else _responses()).validate_json(data)
    if record.v != VERSION:
        raise ValueError(f"a ledger record of version {record.v}, this doctrail knows {VERSION}")
    return record


def prepare() -> None:
    """Load now what encoding needs: a fork in the middle of an import would leave the child stuck."""
    _responses()
    _events()


@cache
def _responses() -> "TypeAdapter[LedgerRecord]":
    from pydantic import TypeAdapter

    return TypeAdapter(LedgerRecord)


@cache
def _events() -> "TypeAdapter[EventRecord]":
    from pydantic import TypeAdapter

    return TypeAdapter(EventRecord)


def _facts(kind: EntryKind, trail: Trail) -> tuple[ChunkFact, ...]:
    # By document and chunk: two documents that number their chunks alike are still two documents.
    facts: dict[tuple[str, str], ChunkFact] = {}
    if kind == "retrieved":  # nobody has looked for anything in the model's prompt yet
        grades, involved = dict[str, Grade](), dict[str, Involvement]()
    else:
        grades, involved = trail.chunk_grades, trail.involvements
    carried = {c.chunk.chunk_id for c in trail.carried}
    if carried:
        carried -= {hit.chunk.chunk_id for retrieval in trail.retrievals for hit in retrieval.hits}
    for chunk in _concerned(kind, trail):
        own_id, own_document, source, version = (
            chunk.chunk_id,
            chunk.document_id,
            chunk.source,
            chunk.version,
        )
        document_id, chunk_id = canonical_id(own_document), canonical_id(own_id)
        facts[document_id, chunk_id] = ChunkFact(
            carried=True if own_id in carried else None,
            chunk_id=chunk_id,
            content_hash=chunk.content_hash,
            document_id=document_id,
            grade=grades.get(own_id, "retrieved"),
            involvement="indirect" if involved.get(own_id) == "indirect" else None,
            source=canonical_id(source) if source and source != own_document else None,
            version=canonical_id(version) if version else None,
        )
    if len(set(grades.values())) < 2:  # noqa: PLR2004  # then there is nothing to sort
        return tuple(facts.values())
    return tuple(sorted(facts.values(), key=_strength))


def _strength(fact: ChunkFact) -> int:
    return GRADES.index(fact.grade)


def _concerned(kind: EntryKind, trail: Trail) -> Iterable[Chunk]:
    """The chunks that an entry is about."""
    if kind == "diagnosed":
        named = {f.evidence.chunk_id for f in trail.diagnoses[-1].findings if f.evidence}
        return (chunk for chunk in trail.finds if chunk.chunk_id in named)
    if kind == "assessed":
        said = trail.assessments[-1]
        named = supporting_in([said]) | cited_in(said.citations)
        return (chunk for chunk in trail.finds if chunk.chunk_id in named)
    return trail.finds


def _time(kind: EntryKind, trail: Trail) -> datetime:
    if kind == "assessed":
        return trail.assessments[-1].ended_at
    return trail.diagnoses[-1].at if kind == "diagnosed" else trail.ended_at


def _check(said: Assessment) -> CheckFact:
    return CheckFact(
        degraded_from=_bounded(said.degraded_from),
        risk=None if said.risk is None else round(said.risk, 4),
        status=said.status,
        verdicts=said.counts,
        verifier=canonical_id(said.verifier),
        version=canonical_id(said.version),
    )


def _diagnosis(said: Diagnosis) -> DiagnosisFact:
    return DiagnosisFact(by=_bounded(said.by), fault=said.fault)


def _answer_hash(trail: Trail) -> str | None:
    return content_hash(trail.answer) if trail.answer else trail.answer_hash


def _bounded(raw: str | None) -> str | None:
    return canonical_id(raw) if raw else None
