"""The trail store: texts and all, for debugging. Short-lived, and erasable as the ledger is not."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctrail_core.durable.home import Home
    from doctrail_core.trails.store import TrailReading

__all__ = ["open_trails"]


def open_trails(home: "Home", *, drain: bool = True, timeout: float = 5.0) -> "TrailReading":
    """Open the trail store for reading, after what lies in the spool was moved into it.

    Where another process was to do that and did not in time, the reader's `warning` says so.

    Raises:
        NothingRecordedError: There is no trail store yet.
        StoreError: It cannot be read.
    """
    from doctrail_core.durable.reading import drained
    from doctrail_core.trails.place import TrailPlace

    place = TrailPlace(home)
    return place.reader(warning=drained(home, "trails", place, timeout) if drain else None)
