"""One entry of the ledger and its exact bytes. It holds ids, hashes, grades and times; never a text.

The bytes are canonical JSON (UTF-8, sorted keys, no spaces, nothing that is null), because they are what
is hashed later: they are made once, stored as they are, and never made again from the parts.

A field that is left out where there is nothing to say may be added within a version: who does not know it
misses what it says, and reads nothing wrong. All else needs a new version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

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
from doctrail_core.text.identity import canonical_id

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "VERSION",
    "CheckFact",
    "ChunkFact",
    "DiagnosisFact",
    "LedgerEntry",
    "decode",
    "encode",
    "from_trail",
    "prepare",
]

VERSION = 1


# The fields of all stand in the order of the alphabet, as they do in the bytes.


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFact:
    """That a chunk was involved, and how deeply; `involvement` is there only where it is indirect."""

    chunk_id: str
    content_hash: str | None = None
    document_id: str
    grade: Grade
    involvement: Involvement | None = None


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
    evidence: tuple[str, ...] = ()
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """The fact of a response: which documents it had, when, for whom; or what was said about it later.

    Attributes:
        check: Only of kind `assessed`; then `chunks` are those that support a claim or are cited.
        diagnosis: Only of kind `diagnosed`.
        counter: Numbers the entries of a writer from 0 without a gap.
        document_ids: Strongest grade first.
        timestamp: UTC, ISO 8601 with microseconds.
        v: The version of this form.
        writer: The process that wrote it.
    """

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

    @property
    def entry_id(self) -> str:
        return f"{self.writer}-{self.counter}"

    @property
    def document_grades(self) -> dict[str, Grade]:
        """The strongest grade that a chunk of each document reached, strongest first."""
        strongest_first = sorted(self.chunks, key=lambda chunk: GRADES.index(chunk.grade))
        grades: dict[str, Grade] = {}
        for chunk in strongest_first:
            grades.setdefault(chunk.document_id, chunk.grade)
        return grades

    @property
    def indirect_documents(self) -> frozenset[str]:
        """The documents that reached the answer through a sub-agent, a tool or an earlier turn alone."""
        indirect = {chunk.document_id for chunk in self.chunks if chunk.involvement}
        read = {c.document_id for c in self.chunks if not c.involvement and c.grade != "retrieved"}
        return frozenset(indirect - read)


def from_trail(kind: EntryKind, trail: Trail, *, writer: str, counter: int) -> LedgerEntry:
    """The fact of a trail, as far as it is known; of kind `assessed` or `diagnosed`, the latest one."""
    chunks = _facts(kind, trail)
    check = _check(trail.assessments[-1]) if kind == "assessed" else None
    diagnosis = _diagnosis(trail.diagnoses[-1]) if kind == "diagnosed" else None
    return LedgerEntry(
        kind=kind,
        response_id=canonical_id(trail.response_id),
        document_ids=tuple(dict.fromkeys(chunk.document_id for chunk in chunks)),
        timestamp=_time(kind, trail).astimezone(UTC).isoformat(timespec="microseconds"),
        query_hash=trail.query_hash,
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


def encode(entry: LedgerEntry) -> bytes:
    """The entry's bytes; what is unknown is left out."""
    return _adapter().dump_json(entry, exclude_none=True)


def decode(data: bytes) -> LedgerEntry:
    """The entry of these bytes.

    Raises:
        ValueError: They are no entry of this version.
    """
    entry = _adapter().validate_json(data)
    if entry.v != VERSION:
        raise ValueError(f"a ledger entry of version {entry.v}, this doctrail knows {VERSION}")
    return entry


def prepare() -> None:
    """Load now what encoding needs: a fork in the middle of an import would leave the child stuck."""
    _adapter()


@cache
def _adapter() -> "TypeAdapter[LedgerEntry]":
    from pydantic import TypeAdapter

    return TypeAdapter(LedgerEntry)


def _facts(kind: EntryKind, trail: Trail) -> tuple[ChunkFact, ...]:
    # By document and chunk: two documents that number their chunks alike are still two documents.
    # Before the model is called, nobody has looked for anything in its prompt.
    grades = {} if kind == "retrieved" else trail.chunk_grades
    involved = {} if kind == "retrieved" else trail.involvements
    facts: dict[tuple[str, str], ChunkFact] = {}
    for chunk in _concerned(kind, trail):
        document_id, chunk_id = canonical_id(chunk.document_id), canonical_id(chunk.chunk_id)
        how = involved.get(chunk.chunk_id)
        facts[document_id, chunk_id] = ChunkFact(
            chunk_id=chunk_id,
            content_hash=chunk.content_hash,
            document_id=document_id,
            grade=grades.get(chunk.chunk_id, "retrieved"),
            involvement=how if how == "indirect" else None,
        )
    return tuple(sorted(facts.values(), key=lambda fact: GRADES.index(fact.grade)))


def _concerned(kind: EntryKind, trail: Trail) -> Iterable[Chunk]:
    """The chunks that an entry is about."""
    if kind == "diagnosed":
        return ()
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
    named = (finding.evidence.chunk_id for finding in said.findings if finding.evidence)
    return DiagnosisFact(
        by=_bounded(said.by),
        evidence=tuple(dict.fromkeys(map(canonical_id, named))),
        fault=said.fault,
    )


def _bounded(raw: str | None) -> str | None:
    return canonical_id(raw) if raw else None
