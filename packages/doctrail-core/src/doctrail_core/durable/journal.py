"""The writing end of a stream: what is appended is on disk, and is moved into the database in time."""

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.intake import Database
from doctrail_core.durable.segment import Place
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool

__all__ = ["Journal"]


class Journal:
    """A stream's spool and this process's candidate for moving it.

    Args:
        home: Where it lies.
        stream: Which one it is.
        database: Where its records go.
        faults: Counts what went wrong behind the back of those who append.
        strict: Whether appending takes until a power cut could do no harm.
    """

    def __init__(
        self,
        home: Home,
        stream: Stream,
        database: Database,
        faults: Faults,
        *,
        strict: bool = False,
    ) -> None:
        self._spool = Spool(home, stream)
        self._sequencer = Sequencer(self._spool, database, faults)
        self._strict = strict

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

    def _put(self, payload: bytes) -> None:
        """Append a record.

        Raises:
            OSError: It could not be written, or not as safely as it was asked for.
        """
        self._written(self._spool.append(payload))

    def _written(self, place: Place) -> None:
        """Do with a record that lies in the spool what is asked for."""
        self._sequencer.wake()
        if self._strict:
            self._spool.settle(place)
