"""What can be asked of a ledger, whatever keeps it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from doctrail_core.ledger.entry import LedgerEntry
from doctrail_core.model import Grade, Involvement, Status

__all__ = ["ImpactHit", "LedgerStore"]


@dataclass(frozen=True, slots=True)
class ImpactHit:
    """That a response had a document.

    `time` is when the response was first put on record. `complete` is False while nothing but the
    retrieval is on record: it is still running, or its process died; then `status` is `interrupted`.
    `involvement` is None where the document played no part in the answer.
    """

    document_id: str
    response_id: str
    time: datetime
    grade: Grade
    involvement: Involvement | None
    status: Status
    complete: bool
    session_id: str | None
    user_id: str | None
    trace_id: str | None


class LedgerStore(Protocol):
    """Answers from the ledger."""

    def responses_with(
        self,
        document_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        grade: Grade | None = None,
    ) -> Iterator[ImpactHit]:
        """The responses that had a document, each once, oldest first.

        Args:
            document_id: The whole id.
            since: From this time on.
            until: Before this time.
            grade: Only where the document reached this grade or a stronger one.
        """
        ...

    def entries_of(self, response_id: str) -> Sequence[LedgerEntry]:
        """All that is on record of a response, in order."""
        ...

    def count(self) -> int:
        """How many entries there are."""
        ...

    def head(self) -> LedgerEntry | None:
        """The last entry."""
        ...
