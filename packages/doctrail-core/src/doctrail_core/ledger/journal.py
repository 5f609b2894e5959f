"""The writing end of the ledger: a trail becomes a record, and the record is on disk."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.numbering import NumberedJournal
from doctrail_core.durable.segment import Place
from doctrail_core.ledger.origin import origin_of
from doctrail_core.ledger.place import LedgerPlace
from doctrail_core.ledger.record import (
    EventRecord,
    LedgerRecord,
    Record,
    encode,
    from_trail,
    prepare,
)
from doctrail_core.model import EntryKind, Receipt, Trail
from doctrail_core.text.identity import canonical_id

__all__ = ["LedgerJournal"]


class LedgerJournal(NumberedJournal):
    """Appends records. Each process is a writer of its own and numbers its records.

    Attributes:
        on_append: Called after each record, by whoever appended it; must be quick, and not raise.
    """

    def __init__(self, home: Home, faults: Faults, *, strict: bool = False) -> None:
        prepare()
        super().__init__(home, "ledger", LedgerPlace(home), faults, strict=strict)
        self._home = home
        self.on_append: Callable[[], object] | None = None

    @property
    def origin(self) -> str | None:
        """The name of the log; None where its checkpoints are not signed."""
        return origin_of(self._home)

    def append(self, kind: EntryKind, trail: Trail) -> Receipt:
        """Put the response on record, as far as it is known, or what was said about it last.

        Raises:
            OSError: It could not be written.
        """

        def make(counter: int) -> LedgerRecord:
            return from_trail(kind, trail, writer=self.writer, counter=counter)

        record = self._number(make)
        return Receipt(
            origin=None,
            writer=record.writer,
            counter=record.counter,
            response_id=record.response_id,
            answer_hash=record.answer_hash,
            time=datetime.fromisoformat(record.timestamp),
        )

    def note(self, event: str, body: Mapping[str, Any], *, response_id: str | None = None) -> None:
        """Put on record what happened to the ledger, or to what it is about.

        Args:
            event: A kind of entry (`doctrail_core.ledger.entry.KINDS`).
            body: JSON values, and no name from outside but where the kind is known to have one: `derived` has the ids
                of a `document` and of those it was made `from`, `reused` the id of the response that it is `of`.
                `by` is the name of a person, in any event.
            response_id: The response that it is about, if any.

        Raises:
            OSError: It could not be written.
        """
        self._number(partial(self._event, event, body, response_id))

    def _written(self, place: Place) -> None:
        if self.on_append is not None:
            self.on_append()
        super()._written(place)

    def _encoded(self, record: Record) -> bytes:
        return encode(record)

    def _telling_of(self, lost: Sequence[tuple[int, int]], counter: int) -> EventRecord:
        body = {
            "counters": [list(gap) for gap in lost],
            "number": sum(last - first + 1 for first, last in lost),
        }
        return self._event("lost", body, None, counter)

    def _event(
        self, event: str, body: Mapping[str, Any], response_id: str | None, counter: int
    ) -> EventRecord:
        return EventRecord(
            event=event,
            body=dict(body),
            response_id=canonical_id(response_id) if response_id else None,
            timestamp=datetime.now(UTC).isoformat(timespec="microseconds"),
            writer=self.writer,
            counter=counter,
        )
