"""One entry of the ledger and its exact bytes. It holds ids, hashes, grades and times; never a text.

The bytes are canonical JSON (sorted keys, no spaces, ASCII), because they are what is hashed later:
they are made once, stored as they are, and never made again from the parts.
"""

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from doctrail_core.model import GRADES, EntryKind, Grade, Status, Trail
from doctrail_core.text.identity import canonical_id

__all__ = ["ChunkFact", "LedgerEntry", "decode", "encode", "from_trail"]

_VERSION = 1
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class ChunkFact:
    """That a chunk was involved, and how deeply."""

    chunk_id: str
    document_id: str
    content_hash: str | None
    grade: Grade


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The fact of a response: which documents it had, when, for whom.

    `counter` numbers the entries of one `writer` (a process) from 0 without a gap.
    """

    kind: EntryKind
    response_id: str
    document_ids: tuple[str, ...]
    timestamp: str
    query_hash: str
    status: Status
    writer: str
    counter: int
    chunks: tuple[ChunkFact, ...] = ()
    session_id: str | None = None
    user_id: str | None = None
    models: tuple[str, ...] = ()
    trace_id: str | None = None
    service: str | None = None
    framework: str | None = None

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


_FIELDS = tuple(field.name for field in dataclasses.fields(LedgerEntry))


def from_trail(kind: EntryKind, trail: Trail, *, writer: str, counter: int) -> LedgerEntry:
    """The fact of a trail, as far as it is known."""
    chunks = _facts(trail)
    return LedgerEntry(
        kind=kind,
        response_id=canonical_id(trail.response_id),
        document_ids=tuple(dict.fromkeys(chunk.document_id for chunk in chunks)),
        timestamp=trail.ended_at.astimezone(UTC).isoformat(timespec="microseconds"),
        query_hash=trail.query_hash,
        status=trail.status,
        writer=writer,
        counter=counter,
        chunks=chunks,
        session_id=_bounded(trail.session_id),
        user_id=_bounded(trail.user_id),
        models=tuple(canonical_id(model) for model in trail.models),
        trace_id=trail.trace_id,
        service=trail.service,
        framework=trail.framework,
    )


def encode(entry: LedgerEntry) -> bytes:
    """The entry's bytes; what is unknown is left out."""
    known: dict[str, Any] = {"v": _VERSION}
    for name in _FIELDS:
        value = getattr(entry, name)
        if value is not None:
            known[name] = value
    known["chunks"] = [_chunk_fields(chunk) for chunk in entry.chunks]
    return _encoder.encode(known).encode("ascii")


def decode(data: bytes) -> LedgerEntry:
    """The entry of these bytes.

    Raises:
        ValueError: They are no entry of this version.
    """
    from pydantic_core import from_json

    fields = from_json(data)
    try:
        if fields.pop("v") != _VERSION:
            raise ValueError(f"a ledger entry of a version other than {_VERSION}")
        fields["chunks"] = tuple(
            ChunkFact(c["chunk_id"], c["document_id"], c.get("content_hash"), c["grade"])
            for c in fields["chunks"]
        )
        fields["document_ids"] = tuple(fields["document_ids"])
        fields["models"] = tuple(fields["models"])
        return LedgerEntry(**fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("a ledger entry lacks a part or has one too many") from error


def _facts(trail: Trail) -> tuple[ChunkFact, ...]:
    # By document and chunk: two documents that number their chunks alike are still two documents.
    grades = trail.chunk_grades
    facts: dict[tuple[str, str], ChunkFact] = {}
    for retrieval in trail.retrievals:
        for hit in retrieval.hits:
            chunk = hit.chunk
            document_id, chunk_id = canonical_id(chunk.document_id), canonical_id(chunk.chunk_id)
            grade = grades[chunk.chunk_id]
            facts[document_id, chunk_id] = ChunkFact(
                chunk_id, document_id, chunk.content_hash, grade
            )
    return tuple(sorted(facts.values(), key=lambda fact: GRADES.index(fact.grade)))


def _chunk_fields(chunk: ChunkFact) -> dict[str, str]:
    fields = {"chunk_id": chunk.chunk_id, "document_id": chunk.document_id, "grade": chunk.grade}
    if chunk.content_hash is not None:
        fields["content_hash"] = chunk.content_hash
    return fields


def _bounded(raw: str | None) -> str | None:
    return canonical_id(raw) if raw else None
