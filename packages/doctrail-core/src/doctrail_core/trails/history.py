"""Earlier turns, for a process that goes on with a session; it asks once per session that is new to it.

Applications that begin a session with every request would open the database with every one of them, which
costs more than all else that is recorded. So the reader stays open, but never across a fork.
"""

import os
import threading
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import Home
from doctrail_core.durable.respite import Respite
from doctrail_core.model import Trail
from doctrail_core.trails.place import TrailPlace
from doctrail_core.trails.store import TrailReading

__all__ = ["History"]

_FORK_SECONDS = 10.0

_carried_over: list[TrailReading] = []


class History:
    """Reads sessions from the trail store, as far as they were moved into it."""

    def __init__(self, home: Home) -> None:
        """Open nothing yet."""
        self._home = home
        self._reader: TrailReading | None = None
        self._file: os.stat_result | None = None
        self._at_rest = False
        self._lock = threading.RLock()  # the garbage collector may close a stream in here
        self._respite = Respite()  # somebody waits for an answer meanwhile, or many do
        remake_after_fork(self)

    def session(
        self, session_id: str, *, limit: int, known: Collection[str] = ()
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, but for the known ones.

        Raises:
            StoreError: The trail store cannot be read.
        """
        with self._reading() as reader:
            return reader.session(session_id, limit=limit, known=known) if reader else []

    def heard_in(self, message_id: str) -> str | None:
        """The first response that has a message of this id.

        Raises:
            StoreError: The trail store cannot be read.
        """
        with self._reading() as reader:
            return reader.heard_in(message_id) if reader else None

    def close(self) -> None:
        with self._lock:
            self._close()

    def before_fork(self) -> None:
        self._at_rest = self._lock.acquire(timeout=_FORK_SECONDS)
        if self._at_rest:
            self._close()

    def after_fork_in_parent(self) -> None:
        if self._at_rest:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        if self._reader is not None:
            # It could not be closed in time. It is the parent's, and is not even closed here.
            _carried_over.append(self._reader)
            self._reader = None
        self._lock = threading.RLock()  # the garbage collector may close a stream in here

    @contextmanager
    def _reading(self) -> Generator[TrailReading | None]:
        """The open reader; None where nothing is recorded yet. One that fails is not used again."""
        with self._lock:
            try:
                with self._respite.attempt():
                    yield self._current_if_any()
            except StoreError:
                self._close()
                raise

    def _current_if_any(self) -> TrailReading | None:
        try:
            return self._current()
        except NothingRecordedError:
            return None

    def _current(self) -> TrailReading:
        """The open reader, unless the file that it reads, or that says where to read, was removed or replaced."""
        files = (self._home.server, self._home.database("trails"))
        file = next((path.stat() for path in files if path.exists()), None)
        if not (self._reader and self._file and file and os.path.samestat(file, self._file)):
            self._close()
            self._reader, self._file = TrailPlace(self._home).reader(), file
        return self._reader

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
