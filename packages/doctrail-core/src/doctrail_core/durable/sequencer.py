"""Elects the one process that moves a stream's records from all spools into its database.

Appending wakes a thread, which has the records on stable storage at once, lets them gather, and then
takes the lease and moves what there is. Nobody has to wait for that: readers move what lies in the
spools themselves, or wait until the process that has the lease has done it.
"""

import atexit
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from doctrail_core.durable.errors import SequencerBusyError, StoreError
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.intake import Database, sizes
from doctrail_core.durable.tenure import Tenure

if TYPE_CHECKING:
    from doctrail_core.durable.faults import Faults
    from doctrail_core.durable.spool import Spool

__all__ = ["Sequencer"]

_LINGER = 0.05
"""Seconds after which records are synced."""
_GATHER = 5.0
"""Seconds in which records gather: opening, committing to and closing a database costs as much for
one as for many."""
_ENOUGH = 2 << 20
"""So many bytes are moved without waiting longer."""
_RETRY = 0.2
_PATIENCE = 30.0
"""The longest pause, in seconds, before a database that does not work is tried again."""
_EXIT_TIMEOUT = 2.0


class Sequencer:
    """This process's candidate for a stream's lease."""

    def __init__(self, spool: "Spool", database: Database, faults: "Faults") -> None:
        self._spool = spool
        self._database = database
        self._faults = faults
        self._tenure = Tenure(spool.directory, database, faults)
        self.after_fork_in_child()
        remake_after_fork(self)
        _living.add(self)

    def after_fork_in_child(self) -> None:
        self._starting = threading.Lock()
        self._work = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Say that something was appended."""
        if not self._work.is_set():
            self._work.set()
        if self._thread is None:
            self._start()

    def drain(self, timeout: float = 10.0) -> None:
        """Have everything that lies in the spools now moved into the database.

        Raises:
            SequencerBusyError: Another process has the lease and was not done in time.
            StoreError: The database does not work.
            OSError: The spool does not work.
        """
        deadline = time.monotonic() + timeout
        self._spool.seal()
        wanted = sizes(self._spool.directory)
        pause = 0.002
        while wanted and not self._drain_now():
            waiting = self._waiting(wanted)
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise self._busy(waiting)
            time.sleep(pause)
            pause = min(2 * pause, _LINGER)

    def close(self, timeout: float = _EXIT_TIMEOUT) -> None:
        """Drain what can be drained in time, and give up thread and lease.

        What could not be drained is safe in the spool, for the next process to find.
        """
        deadline = time.monotonic() + timeout
        self._stop.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join(timeout)
        try:
            self.drain(max(0.0, deadline - time.monotonic()))
        except SequencerBusyError:
            pass
        except (StoreError, OSError) as error:
            self._note(error)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stop.is_set():
                return
            name = f"doctrail-{self._spool.stream}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            # An interpreter that is going down starts no threads, and its exit drains the spool; one
            # that has too many may start this with the next record.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while self._work.wait() and not self._stop.is_set():
            self._gather()
            self._move()

    def _gather(self) -> None:
        """Sync what comes, until it is enough or has waited long enough."""
        deadline = time.monotonic() + _GATHER
        while not self._stop.wait(_LINGER):
            self._work.clear()
            try:
                self._spool.sync()
            except OSError as error:
                self._faults.note("syncing the spool", error)
            left = deadline - time.monotonic()
            if left <= 0 or self._spool.pending >= _ENOUGH:
                return
            self._work.wait(left)

    def _move(self) -> None:
        """Move what there is; what was moved is sealed, so that its file is deleted and its texts gone."""
        pause = _RETRY
        while not self._stop.is_set():
            try:
                self._spool.seal()
                if self._drain_now():
                    return
            except Exception as error:  # noqa: BLE001  # this thread has nobody above it
                self._note(error)
            self._stop.wait(pause)
            pause = min(2 * pause, _PATIENCE)

    def _drain_now(self) -> bool:
        """Move everything; False if somebody else is at it."""
        try:
            while moved := self._tenure.move():
                pass
        finally:
            self._tenure.let_go()
        return moved is not None

    def _waiting(self, wanted: Mapping[str, int]) -> int:
        """How many bytes of `wanted` are not in the database; files that are gone are."""
        cursors = self._database.cursors()
        left = sizes(self._spool.directory).keys()
        return sum(
            max(0, size - cursors.get(name, 0)) for name, size in wanted.items() if name in left
        )

    def _note(self, error: Exception) -> None:
        self._faults.note(f"moving the {self._spool.stream} spool into its database", error)

    def _busy(self, waiting: int) -> SequencerBusyError:
        pid = self._tenure.holder
        return SequencerBusyError(
            f"{waiting} bytes wait in {self._spool.directory}: process {pid or 'unknown'} is the one to"
            f" move them into {self._spool.home.database(self._spool.stream)} and has not done so. What"
            " was recorded last is missing here until it does, or ends.",
            pid=pid,
            waiting=waiting,
        )


_living: "WeakSet[Sequencer]" = WeakSet()


@atexit.register
def _drain_at_exit() -> None:
    for sequencer in list(_living):
        sequencer.close()
