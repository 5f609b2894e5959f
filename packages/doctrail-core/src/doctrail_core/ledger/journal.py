"""The writing end of the ledger: a trail becomes an entry, and the entry is on disk."""

import threading
from uuid import uuid4

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import Home
from doctrail_core.durable.journal import Journal
from doctrail_core.ledger.entry import encode, from_trail, prepare
from doctrail_core.ledger.sqlite import LedgerDatabase
from doctrail_core.model import EntryKind, Trail

__all__ = ["LedgerJournal"]


class LedgerJournal(Journal):
    """Appends entries. Each process is a writer of its own and numbers its entries."""

    def __init__(self, home: Home, faults: Faults) -> None:
        prepare()
        super().__init__(home, "ledger", LedgerDatabase(home.database("ledger")), faults)
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
            entry = from_trail(kind, trail, writer=self._writer, counter=self._counter)
            self._spool.append(encode(entry))
            self._counter += 1
        self._sequencer.wake()
