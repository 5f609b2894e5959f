"""One entry of the ledger and its exact bytes. It holds ids, hashes, grades and times; never a text.

The bytes are canonical JSON (UTF-8, sorted keys, no spaces, nothing that is null), because they are what
is hashed later: they are made once, stored as they are, and never made again from the parts.

A field that is left out where there is nothing to say may be added within a version: who does not know it
misses what it says, and reads nothing wrong. All else needs a new version.
"""

from dataclasses import dataclass
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING

from doctrail_core.model import GRADES, EntryKind, Grade, Involvement, Status, Trail
from doctrail_core.text.identity import canonical_id

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["VERSION", "ChunkFact", "LedgerEntry", "decode", "encode", "from_trail", "prepare"]

VERSION = 1


# The fields of both stand in the order of the alphabet, as they do in the bytes.


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFact:
    """That a chunk was involved, and how deeply; `involvement` is there only where it is indirect."""

    chunk_id: str
    content_hash: str | None = None
    document_id: str
    grade: Grade
    involvement: Involvement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """The fact of a response: which documents it had, when, for whom.

    Attributes:
        counter: Numbers the entries of a writer from 0 without a gap.
        document_ids: Strongest grade first.
        timestamp: UTC, ISO 8601 with microseconds.
        v: The version of this form.
        writer: The process that wrote it.
    """

    chunks: tuple[ChunkFact, ...] = ()
    counter: int
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
    """The fact of a trail, as far as it is known."""
    chunks = _facts(kind, trail)
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
    grades = trail.chunk_grades if kind == "answered" else {}
    involved = trail.involvements if kind == "answered" else {}
    facts: dict[tuple[str, str], ChunkFact] = {}
    for chunk in trail.finds:
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


def _bounded(raw: str | None) -> str | None:
    return canonical_id(raw) if raw else None
