"""Where a home's ledger is: in a file beside the spool, or on a server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.home import Home
from doctrail_core.durable.served import served

if TYPE_CHECKING:
    from doctrail_core.ledger.store import LedgerStore, LedgerWriting

__all__ = ["LedgerPlace"]


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """Where the ledger's stream ends up; see `doctrail_core.durable.intake.Database`."""

    home: Home

    def open(self) -> "LedgerWriting":
        """Open it for writing, and make it if there is none.

        Raises:
            StoreError: It cannot be written to.
        """
        place = served(self.home, make=True)
        if place is None:
            from doctrail_core.ledger.sqlite import LedgerWriter

            return LedgerWriter(self.home)
        from doctrail_core.ledger.postgres.writer import PostgresLedgerWriter

        return PostgresLedgerWriter(self.home, place)

    def cursors(self) -> Mapping[str, int]:
        """What any process may know of its progress."""
        try:
            place = served(self.home)
        except NothingRecordedError:
            return {}
        if place is None:
            from doctrail_core.ledger.sqlite import LedgerDatabase

            return LedgerDatabase(self.home).cursors()
        from doctrail_core.durable.postgres import peek_cursors
        from doctrail_core.ledger.postgres.schema import SCHEMA

        return peek_cursors(place, SCHEMA)

    def stores(self, *, current: bool = True) -> "Sequence[LedgerStore]":
        """Open it for reading: the home's own log, and those of other homes where a server has them.

        Args:
            current: Bring one of an earlier version up to date first.

        Raises:
            NothingRecordedError: There is no ledger yet.
            StoreError: It cannot be read.
        """
        place = served(self.home)
        if place is None:
            from doctrail_core.ledger.sqlite import LedgerDatabase, SqliteLedger

            database = LedgerDatabase(self.home)
            if current:
                database.bring_up_to_date()
            return [SqliteLedger(database.path)]
        from doctrail_core.ledger.postgres.store import open_logs

        return open_logs(place)
