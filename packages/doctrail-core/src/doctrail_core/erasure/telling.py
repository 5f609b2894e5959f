"""What was erased of a response, and by which entry."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from doctrail_core.durable.columns import moment
from doctrail_core.erasure.receipts import Scope
from doctrail_core.ledger.entry import decode
from doctrail_core.ledger.reader import LedgerReader

__all__ = ["ErasedOf", "erased_of"]


@dataclass(frozen=True, slots=True)
class ErasedOf:
    """That something of a response was erased.

    Attributes:
        scope: A document that it had, or all of the user's.
        at: The place at which the name was bound.
        entry: The place of the entry that says so.
    """

    scope: Scope
    at: int
    entry: int
    time: datetime

    def __str__(self) -> str:
        what = "a document of it" if self.scope == "document" else "all that was kept of its user"
        return f"{what} (erased:{self.at}) was erased by entry {self.entry} of the ledger"


def erased_of(ledger: LedgerReader, response_id: str) -> list[ErasedOf]:
    """What was erased of a response, in the order of the log."""
    erasures = list(ledger.events("erased"))
    if not erasures:
        return []
    places = set(_places(ledger, response_id))
    return [
        ErasedOf(entry.body["scope"], at, entry.seq, moment(entry.time_us))
        for entry in erasures
        for at in entry.body["at"]
        if at in places
    ]


def _places(ledger: LedgerReader, response_id: str) -> Iterator[int]:
    """Of the names that a response has to do with: its documents, its user."""
    first = ledger.first_of(response_id)
    if first is None:
        return
    history = [decode(body, seq) for seq, body in ledger.store.history(first)]
    chunks = {use.chunk for entry in history for use in entry.chunks}
    yield from ledger.store.documents_of(chunks).values()
    yield from (entry.user for entry in history if entry.user is not None)
