"""The home folder as a lineage writes it: ledger, trails, faults and key of one installation."""

import secrets
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from doctrail_core.durable.errors import NothingRecordedError, SequencerBusyError, StoreError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.keys import KEY_BYTES, load_or_create_key
from doctrail_core.durable.respite import Respite
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import Trail
from doctrail_core.trails import open_trails
from doctrail_core.trails.history import History
from doctrail_core.trails.journal import TrailJournal

_PATIENCE = 5.0
_HASTE = 0.5  # a user waits for the answer


class Watching(Protocol):
    """What keeps evidence coming while records do."""

    def wake(self) -> None: ...

    def close(self) -> None: ...


class Folder:
    """Keeps an installation's records in a folder, which is made with the first of them."""

    def __init__(self, path: Path, *, strict: bool = False, database: str | None = None) -> None:
        """Name the folder; a relative path means the working directory of now.

        Args:
            path: The folder.
            strict: Whether appending takes until a power cut could do no harm.
            database: The address of the server that is to keep the records, where one is.
        """
        self.home = Home(path.absolute(), database)
        self.faults = Faults(self.home)
        self.ledger = LedgerJournal(self.home, self.faults, strict=strict)
        self.trails = TrailJournal(self.home, self.faults, strict=strict)
        self._history = History(self.home)
        self._respite = Respite()
        self._key: bytes | None = None
        self._watch: Watching | None = None

    def watched_by(self, watch: Watching) -> None:
        """Have `watch` told of what is appended to the ledger, and closed with the folder."""
        self._watch = watch
        self.ledger.on_append = watch.wake

    def key(self) -> bytes:
        """The installation's secret; where it cannot be kept, one for this process only."""
        if self._key is None:
            try:
                self.home.ensure()
                self._key = load_or_create_key(self.home.keys)
            except (OSError, StoreError) as error:
                self.faults.note("keeping the key of query hashes", error)
                self._key = secrets.token_bytes(KEY_BYTES)
        return self._key

    def get(self, response_id: str) -> Trail | None:
        """A trail that was kept, by whichever process.

        Raises:
            StoreError: The trail store cannot be read.
        """
        # What cannot be moved into the store in time is missing; what is there can be read.
        with suppress(SequencerBusyError, OSError):
            self.trails.flush(_PATIENCE)
        try:
            with open_trails(self.home, drain=False) as trails:
                return trails.get(response_id)
        except NothingRecordedError:
            return None

    def session(
        self, session_id: str, *, limit: int, known: Collection[str], unmoved: bool
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, of whichever process, but for the known ones.

        Raises:
            StoreError: The trail store cannot be read.
        """
        if unmoved and self.trails.others_wait_with(session_id):
            with suppress(SequencerBusyError, OSError), self._respite.attempt():
                self.trails.flush(_HASTE)
        return self._history.session(session_id, limit=limit, known=known)

    def heard_in(self, message_id: str) -> str | None:
        """The first response that a model gave this message in, as far as it was moved into the store.

        Raises:
            StoreError: The trail store cannot be read.
        """
        return self._history.heard_in(message_id)

    def flush(self, timeout: float) -> bool:
        """Have all that was appended moved into the databases."""
        deadline = time.monotonic() + timeout
        try:
            self.ledger.flush(timeout)
            self.trails.flush(max(0.0, deadline - time.monotonic()))
        except SequencerBusyError:
            return False
        except (OSError, StoreError) as error:
            self.faults.note("moving the spool into its database", error)
            return False
        return True

    def close(self) -> None:
        """Give up files and threads. What was appended stays safe."""
        self._history.close()
        if self._watch is not None:
            self._watch.close()
        self.ledger.close()
        self.trails.close()
