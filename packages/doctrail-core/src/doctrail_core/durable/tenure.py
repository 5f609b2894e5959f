"""Being the one that writes a stream's database: the lease, and the open store that goes with it."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from doctrail_core.durable.errors import StaleStoreError
from doctrail_core.durable.filesystem import check_is_local
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.intake import Database, Intake
from doctrail_core.durable.lease import Lease

if TYPE_CHECKING:
    from doctrail_core.durable.faults import Faults

__all__ = ["Tenure"]

_TURN_SECONDS = 1.0
_FORK_SECONDS = 10.0

_carried_over: list[Intake] = []
"""Stores that a child got from its parent. SQLite forbids even to close them there."""


class Tenure:
    """Takes the lease when there is something to move, and keeps it until `let_go`.

    Its threads take turns; a store is open only while the lease is held, and never across a fork.
    """

    def __init__(self, directory: Path, database: Database, faults: "Faults") -> None:
        self._directory = directory
        self._database = database
        self._faults = faults
        self._lease = Lease(directory / "sequencer.lock")
        self._intake: Intake | None = None
        self._turn = threading.Lock()
        self._at_rest = False
        remake_after_fork(self)

    @property
    def holder(self) -> int | None:
        return self._lease.holder()

    def move(self) -> int | None:
        """Move a batch of records into the store.

        Returns:
            How many; None if another process or thread is at it.

        Raises:
            StoreError: The database does not work.
            OSError: The spool does not work.
        """
        if not self._turn.acquire(timeout=_TURN_SECONDS):
            return None
        try:
            return self._moved_afresh()
        except BaseException:
            self._end()
            raise
        finally:
            self._turn.release()

    def let_go(self) -> None:
        """Give back store and lease, if held."""
        with self._turn:
            self._end()

    def before_fork(self) -> None:
        self._at_rest = self._turn.acquire(timeout=_FORK_SECONDS)
        if self._at_rest:
            self._end()

    def after_fork_in_parent(self) -> None:
        if self._at_rest:
            self._turn.release()

    def after_fork_in_child(self) -> None:
        self._lease.drop()
        self._turn = threading.Lock()
        if self._intake is not None:
            _carried_over.append(self._intake)
            self._intake = None

    def _moved_afresh(self) -> int | None:
        try:
            return self._moved()
        except StaleStoreError:
            self._end()
            return self._moved()

    def _moved(self) -> int | None:
        if not self._directory.is_dir():
            self._end()  # Somebody removed the home folder, and what was in it.
            return 0
        if not self._lease.is_held():
            self._end()
            check_is_local(self._directory)
            if not self._lease.take():
                return None
        if self._intake is None:
            self._intake = Intake(self._directory, self._database.open(), self._faults)
        return self._intake.once()

    def _end(self) -> None:
        intake, self._intake = self._intake, None
        try:
            if intake is not None:
                intake.close()
        finally:
            self._lease.release()
