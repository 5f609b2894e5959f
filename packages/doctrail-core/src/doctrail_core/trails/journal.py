"""The writing end of the trail store."""

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool
from doctrail_core.model import Trail
from doctrail_core.trails.codec import encode, prepare
from doctrail_core.trails.sqlite import TrailDatabase

__all__ = ["TrailJournal"]


class TrailJournal:
    """Appends finished trails."""

    def __init__(self, home: Home, faults: Faults) -> None:
        prepare()
        self._spool = Spool(home, "trails")
        self._sequencer = Sequencer(self._spool, TrailDatabase(home.database("trails")), faults)

    def append(self, trail: Trail) -> None:
        """Keep the trail.

        Raises:
            OSError: It could not be written.
        """
        self._spool.append(encode(trail))
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
