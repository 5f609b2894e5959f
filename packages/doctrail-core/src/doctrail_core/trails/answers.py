"""Answers from tables of trails, whichever database has them: the questions are the same, a few words differ.

Statements have `?` where a parameter goes.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from doctrail_core.durable.columns import grade_of_rank, involvement, microseconds, moment
from doctrail_core.durable.errors import StoreError
from doctrail_core.model import Assessment, Diagnosis, Status, Trail
from doctrail_core.text.identity import canonical_id
from doctrail_core.trails.codec import joined
from doctrail_core.trails.findings import decode, joined_with
from doctrail_core.trails.store import ChunkUse, TrailSummary

__all__ = ["Condition", "Dialect", "TrailAnswers"]

_SHORTEST_PREFIX = 8
_AFTER_ANY = "\U0010ffff"

_TRAIL = "SELECT ref, question, answer, body FROM trail WHERE response_id = ?"
_FINDINGS = "SELECT kind, body FROM finding WHERE response_id = ? ORDER BY ref"
_SUMMARY = """
    SELECT response_id, status, started_us, ended_us, question, answer, session_id, user_id, trace_id,
        {turn}, (SELECT {documents} FROM (
            SELECT document_id FROM usage JOIN chunk ON chunk.ref = chunk_ref
            WHERE trail_ref = trail.ref GROUP BY document_id ORDER BY max(grade) DESC, document_id
        ) AS document)
    FROM trail
"""
_WITH_DOCUMENT = (
    "ref IN (SELECT trail_ref FROM usage JOIN chunk ON chunk.ref = chunk_ref WHERE document_id = ?)"
)
_FIRST_WITH_MESSAGE = (
    "SELECT response_id FROM trail WHERE ref IN ({with_message}) ORDER BY started_us, ref LIMIT 1"
)
_NEWEST_FIRST = " ORDER BY started_us DESC, ref DESC"
_SESSION = """
    SELECT response_id FROM trail WHERE session_id = ? ORDER BY started_us DESC, ref DESC LIMIT ?
"""
_CHUNKS = """
    SELECT document_id, chunk_id, nullif(chunk.content_hash, ''), position, source, text,
        response_id, started_us, grade, {indirect}
    FROM chunk
    JOIN usage ON chunk_ref = chunk.ref
    JOIN trail ON trail.ref = trail_ref
    LEFT JOIN content ON content.content_hash = chunk.content_hash
    WHERE document_id = ?
    ORDER BY position NULLS FIRST, chunk_id, chunk.ref, started_us DESC, trail_ref DESC
"""
_TEXTS_OF = """
    SELECT DISTINCT text FROM chunk JOIN content USING (content_hash) WHERE document_id = ?
"""
_SHARING = """
    SELECT DISTINCT other.document_id
    FROM chunk AS own JOIN chunk AS other ON other.content_hash = own.content_hash
    WHERE own.document_id = ? AND other.document_id <> own.document_id AND own.content_hash <> ''
    ORDER BY 1
"""
_TEXTS = """
    SELECT content.content_hash, text
    FROM usage
    JOIN chunk ON chunk.ref = chunk_ref
    JOIN content ON content.content_hash = chunk.content_hash
    WHERE trail_ref = ?
"""

Condition = tuple[str, tuple[object, ...]]
"""A condition of a query, with its parameters."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a database says in words of its own.

    Attributes:
        documents: All ids of a column, as JSON text.
        with_message: The trails that have a message of an id.
    """

    documents: str
    with_message: str


class TrailAnswers(ABC):
    """See `doctrail_core.trails.store.TrailStore`."""

    DIALECT: ClassVar[Dialect]

    @property
    def turn(self) -> str:
        """The column, or what stands for it where there is none yet."""
        return "turn"

    @property
    def indirect(self) -> str:
        """Likewise."""
        return "indirect"

    @property
    def has_findings(self) -> bool:
        """Whether there is a table of them yet."""
        return True

    @property
    @abstractmethod
    def where(self) -> str:
        """What to call the store in a message."""

    @abstractmethod
    def rows(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        """The answer to a statement, with texts as they came."""

    def listed(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        """The same, where the answer may be long."""
        return self.rows(query, *parameters)

    def message(self, message_id: str) -> object:
        """What a message is found by."""
        return message_id

    @abstractmethod
    def with_phrase(self, phrase: str) -> Condition:
        """That question or answer has a phrase, in either case of letters."""

    def get(self, response_id: str) -> Trail | None:
        key = canonical_id(response_id)
        for ref, question, answer, body in self.rows(_TRAIL, key):
            try:
                trail = joined(body, question, answer, dict(self.rows(_TEXTS, ref)))
                return joined_with(trail, self._found_about(key))
            except ValueError as error:
                raise StoreError(
                    f"the trail of {key} in {self.where} cannot be read: another version of doctrail"
                    " wrote it. Use that version, or upgrade doctrail-core."
                ) from error
        return None

    def _found_about(self, response_id: str) -> Iterator[Assessment | Diagnosis]:
        if self.has_findings:
            for kind, body in self.rows(_FINDINGS, response_id):
                yield decode(kind, body)

    def session(
        self, session_id: str, *, limit: int, known: Collection[str] = ()
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, but for the known ones."""
        latest = list(self.rows(_SESSION, canonical_id(session_id), limit))
        found = (self.get(each) for (each,) in reversed(latest) if each not in known)
        return [trail for trail in found if trail is not None]

    def heard_in(self, message_id: str) -> str | None:
        """The first response that has a message of this id."""
        query = _FIRST_WITH_MESSAGE.format(with_message=self.DIALECT.with_message)
        found = self.rows(query, self.message(message_id))
        return next((response_id for (response_id,) in found), None)

    def find(self, reference: str, *, limit: int = 20) -> Sequence[TrailSummary]:
        """The responses somebody may mean; an id counts before a beginning of one, that before a phrase."""
        for condition in self._meanings(reference):
            if found := list(self._summaries([condition], limit)):
                return found
        return []

    def responses(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        document_id: str | None = None,
        trace_id: str | None = None,
        status: Status | None = None,
        phrase: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[TrailSummary]:
        """The responses of which all that is given is true, newest first."""
        where: list[Condition] = []
        if session_id is not None:
            where.append(("session_id = ?", (canonical_id(session_id),)))
        if user_id is not None:
            where.append(("user_id = ?", (canonical_id(user_id),)))
        if document_id is not None:
            where.append((_WITH_DOCUMENT, (canonical_id(document_id),)))
        if trace_id is not None:
            where.append(("trace_id = ?", (trace_id,)))
        if status is not None:
            where.append(("status = ?", (status,)))
        if phrase is not None:
            where.append(self.with_phrase(phrase))
        if since is not None:
            where.append(("started_us >= ?", (microseconds(since),)))
        if until is not None:
            where.append(("started_us < ?", (microseconds(until),)))
        return self._summaries(where, limit)

    def chunks_of(self, document_id: str) -> Iterator[ChunkUse]:
        """The document's chunks in order, and for each the responses that got it, newest first."""
        chunks = _CHUNKS.format(indirect=self.indirect)
        for *what, started_us, rank, indirect in self.listed(chunks, canonical_id(document_id)):
            grade = grade_of_rank(rank)
            how = involvement(grade, indirect=bool(indirect))
            yield ChunkUse(*what, time=moment(started_us), grade=grade, involvement=how)

    def texts_of(self, document_id: str) -> Collection[str]:
        return {text for (text,) in self.rows(_TEXTS_OF, canonical_id(document_id))}

    def sharing_texts(self, document_id: str) -> Sequence[str]:
        return [row[0] for row in self.rows(_SHARING, canonical_id(document_id))]

    def count(self) -> int:
        return next(self.rows("SELECT count(*) FROM trail"))[0]

    def _summaries(self, where: Sequence[Condition], limit: int | None) -> Iterator[TrailSummary]:
        conditions = " AND ".join(f"({condition})" for condition, _ in where) or "TRUE"
        parameters = [value for _, values in where for value in values]
        summary = _SUMMARY.format(turn=self.turn, documents=self.DIALECT.documents)
        query = f"{summary} WHERE {conditions} {_NEWEST_FIRST}"
        if limit is not None:
            query += " LIMIT ?"
            parameters.append(limit)
        for row in self.listed(query, *parameters):
            response_id, status, started_us, ended_us, *rest, turn, documents = row
            yield TrailSummary(
                response_id,
                status,
                moment(started_us),
                moment(ended_us),
                *rest,
                turn=turn,
                document_ids=tuple(json.loads(documents)),
            )

    def _meanings(self, reference: str) -> Iterator[Condition]:
        """What a reference may be, likeliest first."""
        key = canonical_id(reference)
        message = f"ref IN ({self.DIALECT.with_message})"
        yield f"response_id = ? OR trace_id = ? OR {message}", (key, key, self.message(reference))
        if len(reference) >= _SHORTEST_PREFIX:
            yield "response_id >= ? AND response_id < ?", (key, key + _AFTER_ANY)
        yield self.with_phrase(reference)
