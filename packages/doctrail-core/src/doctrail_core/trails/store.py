"""What can be asked of a trail store, whatever keeps it."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from doctrail_core.durable.intake import Store
from doctrail_core.model import Grade, Involvement, Status, Trail

__all__ = ["ChunkUse", "TrailEditor", "TrailReading", "TrailStore", "TrailSummary", "TrailWriting"]


@dataclass(frozen=True, slots=True)
class TrailSummary:
    """A trail as a line of a list. `document_ids` come strongest grade first."""

    response_id: str
    status: Status
    started_at: datetime
    ended_at: datetime
    question: str | None
    answer: str | None
    session_id: str | None
    user_id: str | None
    trace_id: str | None
    turn: int | None
    document_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChunkUse:
    """That a response got a chunk of a document; `text` is None when it was not kept or was erased.

    `involvement` is None where the chunk played no part in the answer.
    """

    document_id: str
    chunk_id: str
    content_hash: str | None
    index: int | None
    source: str | None
    text: str | None
    response_id: str
    time: datetime
    grade: Grade
    involvement: Involvement | None


class TrailStore(Protocol):
    """Answers from the trails."""

    def get(self, response_id: str) -> Trail | None:
        """The whole trail of a response."""
        ...

    def session(
        self, session_id: str, *, limit: int, known: Collection[str] = ()
    ) -> Sequence[Trail]:
        """The latest trails of a session, at most `limit`, oldest first, but for the known ones."""
        ...

    def find(self, reference: str, *, limit: int = 20) -> Sequence[TrailSummary]:
        """The responses somebody may mean, newest first.

        Args:
            reference: A response, trace or message id; else the first 8 or more characters of a
                response id; else a phrase of question or answer. The first that finds any counts.
            limit: At most so many.
        """
        ...

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
        """The responses of which all that is given is true, newest first.

        Args:
            session_id: Of this conversation.
            user_id: Asked by this user.
            document_id: That retrieved this document.
            trace_id: With spans in this trace.
            status: That ended so.
            phrase: With this in question or answer, in either case of letters.
            since: Begun from this time on.
            until: Begun before this time.
            limit: At most so many.
        """
        ...

    def chunks_of(self, document_id: str) -> Iterator[ChunkUse]:
        """The document's chunks in order, and for each the responses that got it, newest first."""
        ...

    def texts_of(self, document_id: str) -> Collection[str]:
        """The texts of the document's chunks, of those too that no response has any more."""
        ...

    def sharing_texts(self, document_id: str) -> Sequence[str]:
        """The other documents that have a chunk with the very text of one of this one's."""
        ...


class TrailEditor(Protocol):
    """Erases trails, and what is in them; only the holder of the stream's lease has one."""

    def changing(self) -> AbstractContextManager[None]:
        """A transaction: what is changed inside is kept, or nothing of it."""
        ...

    def replace(self, trail: Trail) -> None:
        """Put a trail, and what was said about it, in the place of the one of the same id."""
        ...

    def remove(self, response_id: str) -> None:
        """Delete a trail, and what was said about it."""
        ...

    def drop_unused(self) -> int:
        """Delete chunks that no trail has any more, and texts that no chunk has; returns how many texts."""
        ...

    def scrub(self, *, whole: bool = True) -> None:
        """Leave no copy of what was deleted in what the store's files hold, indexes and logs included."""
        ...


class TrailReading(TrailStore, Protocol):
    """A trail store that is open for reading.

    Attributes:
        warning: What a user should know of what is missing, if anything is.
    """

    warning: str | None

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...

    def heard_in(self, message_id: str) -> str | None:
        """The first response that has a message of this id."""
        ...

    def count(self) -> int:
        """How many trails there are."""
        ...


class TrailWriting(Store, TrailEditor, Protocol):
    """The writing end of a store. Only the holder of the lease has it open."""
