"""What a reader does before it reads: have the spool moved into the database."""

from doctrail_core.durable.clearing import set_aside
from doctrail_core.durable.errors import SequencerBusyError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.intake import Database
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool

__all__ = ["drained"]


def drained(home: Home, stream: Stream, database: Database, timeout: float) -> str | None:
    """Drain a stream; returns what to tell the user if not all that was recorded is in the database now.

    Raises:
        StoreError: The database does not work.
    """
    try:
        Sequencer(Spool(home, stream), database, Faults(home)).drain(timeout)
    except SequencerBusyError as error:
        return str(error)
    except OSError as error:
        return (
            f"what lies in {home.spool(stream)} cannot be moved into the database: {error.strerror}"
        )
    if aside := set_aside(home.spool(stream)):
        return f"{len(aside)} files hold records that could not be stored, the first is {aside[0]}; see `doctrail doctor`"
    return None
