"""The writing end of the ledger: a trail becomes an entry, and the entry is on disk."""

import threading
from uuid import uuid4

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import Home
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool
from doctrail_core.ledger.entry import encode, from_trail, prepare
from doctrail_core.ledger.sqlite import LedgerDatabase
from doctrail_core.model import EntryKind, Trail

__all__ = ["LedgerJournal"]


class LedgerJournal:
    """Appends entries. Each process is a writer of its own and numbers its entries."""

    def __init__(self, home: Home, faults: Faults) -> None:
        prepare()
        self._spool = Spool(home, "ledger")
        self._sequencer = Sequencer(self._spool, LedgerDatabase(home.database("ledger")), faults)
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self._writer = uuid4().hex
        self._counter = 0

    def append(self, kind: EntryKind, trail: Trail) -> None:
        """Put the response on record, as far as it is known.

        Raises:
            OSError: It could not be written.
        """
        with self._lock:
            entry = from_trail(kind, trail, writer=self._writer, counter=self._counter)
            self._spool.append(encode(entry))
            self._counter += 1
        self._sequencer.wake()

    def flush(self, timeout: float = 10.0) -> None:
        """Have all that was appended moved into the database.

        Raises:
            SequencerBusyError: Another process was to do that and did not in time.
            StoreError: The database does not work.
            OSError: The spool does not work.
        """
        self._sequencer.drain(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Move what can be moved in time; the rest is safe in the spool."""
        self._sequencer.close(timeout)
