"""Elects the one process that moves a stream's records from all spools into its database.

Appending wakes a thread that has the records on stable storage soon, whatever else is going on. It wakes
another one, which lets them gather, and then takes the lease and moves what there is. Nobody has to wait
for that: readers move what lies in the spools themselves, or wait until the process that has the lease has
done it.
"""

import atexit
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakSet

from doctrail_core.durable.background import Background
from doctrail_core.durable.errors import SequencerBusyError, StoreError
from doctrail_core.durable.intake import Database, sizes
from doctrail_core.durable.respite import Respite
from doctrail_core.durable.tenure import Tenure

if TYPE_CHECKING:
    from doctrail_core.durable.faults import Faults
    from doctrail_core.durable.spool import Spool

__all__ = ["Sequencer"]

_LINGER = 0.03
"""Seconds after which records are synced: 50 ms are promised, and a thread may be woken late."""
_LONGEST_PAUSE = 0.05
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
    """This process's candidate for a stream's lease, and who has its records on stable storage."""

    def __init__(self, spool: "Spool", database: Database, faults: "Faults") -> None:
        self._spool = spool
        self._database = database
        self._faults = faults
        self._tenure = Tenure(spool.directory, database, faults)
        self._respite = Respite()
        name = f"doctrail-{spool.stream}"
        self._syncing = Background(f"{name}-sync", self._sync_and_tell, linger=_LINGER)
        self._moving = Background(name, self._gather_and_move)
        _living.add(self)

    def wake(self) -> None:
        """Say that something was appended."""
        self._syncing.wake()

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
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self, timeout: float = _EXIT_TIMEOUT) -> None:
        """Drain what can be drained in time, and give up threads, files and lease.

        What could not be drained is safe in the spool, for the next process to find.
        """
        deadline = time.monotonic() + timeout
        self._syncing.stop(timeout)
        if self._moving.stop(max(0.0, deadline - time.monotonic())):
            # Else it waits for a database, and whoever waited with it would keep the process from ending.
            try:
                with self._respite.attempt():
                    self.drain(max(0.0, deadline - time.monotonic()))
            except SequencerBusyError:
                pass
            except (StoreError, OSError) as error:
                self._note(error)
        self._sync()

    def _sync_and_tell(self) -> None:
        self._sync()
        self._moving.wake()

    def _sync(self) -> None:
        try:
            self._spool.sync()
        except Exception as error:  # noqa: BLE001  # this thread has nobody above it
            self._faults.note("syncing the spool", error)

    def _gather_and_move(self) -> None:
        if self._moving.gather(_GATHER, lambda: self._spool.pending >= _ENOUGH):
            self._move()

    def _move(self) -> None:
        """Move what there is; what was moved is sealed, so that its file is deleted and its texts gone."""
        pause = _RETRY
        while not self._moving.is_stopped:
            try:
                self._spool.seal()
                with self._respite.watched():
                    if self._drain_now():
                        return
            except Exception as error:  # noqa: BLE001  # likewise
                self._note(error)
            self._moving.rest(pause)
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
