"""The trail store: texts and all, for debugging. Short-lived, and erasable as the ledger is not."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctrail_core.durable.home import Home
    from doctrail_core.trails.sqlite import TrailReader

__all__ = ["open_trails"]


def open_trails(home: "Home", *, drain: bool = True, timeout: float = 5.0) -> "TrailReader":
    """Open the trail store for reading, after what lies in the spool was moved into it.

    Where another process was to do that and did not in time, the reader's `warning` says so.

    Raises:
        NothingRecordedError: There is no trail store yet.
        StoreError: It cannot be read.
    """
    from doctrail_core.durable.reading import drained
    from doctrail_core.trails.sqlite import TrailDatabase, TrailReader

    database = TrailDatabase(home.database("trails"))
    return TrailReader(
        database.path, warning=drained(home, "trails", database, timeout) if drain else None
    )
