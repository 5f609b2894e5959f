"""The writing end of the ledger: a trail becomes a record, and the record is on disk."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import Home
from doctrail_core.durable.journal import Journal
from doctrail_core.ledger.record import EventRecord, encode, from_trail, prepare
from doctrail_core.ledger.sqlite import LedgerDatabase
from doctrail_core.model import EntryKind, Trail
from doctrail_core.text.identity import canonical_id

__all__ = ["LedgerJournal"]


class LedgerJournal(Journal):
    """Appends records. Each process is a writer of its own and numbers its records."""

    def __init__(self, home: Home, faults: Faults) -> None:
        prepare()
        super().__init__(home, "ledger", LedgerDatabase(home), faults)
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self._writer = uuid4().hex
        self._counter = 0

    def append(self, kind: EntryKind, trail: Trail) -> None:
        """Put the response on record, as far as it is known, or what was said about it last.

        Raises:
            OSError: It could not be written.
        """
        with self._lock:
            record = from_trail(kind, trail, writer=self._writer, counter=self._counter)
            self._spool.append(encode(record))
            self._counter += 1
        self._sequencer.wake()

    def note(self, event: str, body: Mapping[str, Any], *, response_id: str | None = None) -> None:
        """Put on record what happened to the ledger, or to what it is about.

        Args:
            event: A kind of entry (`doctrail_core.ledger.entry.KINDS`).
            body: JSON values, and no name from outside but where the kind is known to have one: `derived` has the ids
                of a `document` and of those it was made `from`, `reused` the id of the response that it is `of`.
            response_id: The response that it is about, if any.

        Raises:
            OSError: It could not be written.
        """
        with self._lock:
            record = EventRecord(
                event=event,
                body=dict(body),
                response_id=canonical_id(response_id) if response_id else None,
                timestamp=datetime.now(UTC).isoformat(timespec="microseconds"),
                writer=self._writer,
                counter=self._counter,
            )
            self._spool.append(encode(record))
            self._counter += 1
        self._sequencer.wake()
