"""Where a home's trails are: in a file beside the spool, or on a server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.home import Home
from doctrail_core.durable.served import served

if TYPE_CHECKING:
    from doctrail_core.trails.store import TrailReading, TrailWriting

__all__ = ["TrailPlace"]


@dataclass(frozen=True, slots=True)
class TrailPlace:
    """Where the trails' stream ends up; see `doctrail_core.durable.intake.Database`."""

    home: Home

    def open(self) -> "TrailWriting":
        """Open it for writing, and make it if there is none.

        Raises:
            StoreError: It cannot be written to.
        """
        place = served(self.home, make=True)
        if place is None:
            from doctrail_core.trails.sqlite import TrailWriter

            return TrailWriter(self.home.database("trails"))
        from doctrail_core.trails.postgres.writer import PostgresTrailWriter

        return PostgresTrailWriter(place)

    def cursors(self) -> Mapping[str, int]:
        """What any process may know of its progress."""
        try:
            place = served(self.home)
        except NothingRecordedError:
            return {}
        if place is None:
            from doctrail_core.trails.sqlite import TrailDatabase

            return TrailDatabase(self.home.database("trails")).cursors()
        from doctrail_core.durable.postgres import peek_cursors
        from doctrail_core.trails.postgres.schema import SCHEMA

        return peek_cursors(place, SCHEMA)

    def reader(self, *, warning: str | None = None) -> "TrailReading":
        """Open it for reading.

        Raises:
            NothingRecordedError: There is no trail store yet.
            StoreError: It cannot be read.
        """
        place = served(self.home)
        if place is None:
            from doctrail_core.trails.sqlite import TrailReader

            return TrailReader(self.home.database("trails"), warning=warning)
        from doctrail_core.trails.postgres.store import PostgresTrails

        return PostgresTrails(place, warning=warning)
