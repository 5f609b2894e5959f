"""Writing to a stream's database besides moving records into it: what is erased, and what retention removes."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from doctrail_core.durable.errors import SequencerBusyError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.filesystem import check_is_local
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.intake import Intake, Store, sizes
from doctrail_core.durable.lease import Lease

__all__ = ["writing"]

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05

_S_co = TypeVar("_S_co", bound=Store, covariant=True)


class _Database(Protocol[_S_co]):
    def open(self) -> _S_co: ...


@contextmanager
def writing(
    home: Home, stream: Stream, database: _Database[_S_co], *, timeout: float = 10.0
) -> Generator[_S_co]:
    """The stream's open store, for as long as the block lasts, in which nobody else writes to it.

    All that lay in the spools when it began is in it. Applications go on recording meanwhile, into their spools.

    Raises:
        SequencerBusyError: Another process has the lease and kept it for too long.
        StoreError: The store cannot be written to.
        OSError: The spool does not work.
    """
    home.ensure(stream)
    directory = home.spool(stream)
    check_is_local(directory)
    lease = Lease(home.lease(stream))
    _take(lease, home, stream, timeout)
    try:
        store = database.open()
        try:
            intake = Intake(directory, store, Faults(home))
            wanted = sizes(directory)  # not all that comes: that need never end
            while intake.once() and _is_behind(store, wanted, directory):
                pass
            yield store
        finally:
            store.close()
    finally:
        lease.release()


def _is_behind(store: Store, wanted: Mapping[str, int], directory: Path) -> bool:
    cursors, left = store.cursors(), sizes(directory).keys()
    return any(cursors.get(name, 0) < size for name, size in wanted.items() if name in left)


def _take(lease: Lease, home: Home, stream: Stream, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while not lease.take():
        if time.monotonic() > deadline:
            pid = lease.holder()
            raise SequencerBusyError(
                f"process {pid or 'unknown'} is writing to {home.database(stream)} and did not finish in"
                f" {timeout:.0f} s. Nothing was changed; try again.",
                pid=pid,
                waiting=0,
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
