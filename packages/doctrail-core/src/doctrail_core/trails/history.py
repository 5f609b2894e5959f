"""Earlier turns, for a process that goes on with a session; it asks once per session that is new to it.

Applications that begin a session with every request would open the database with every one of them, which
costs more than all else that is recorded. So the reader stays open, but never across a fork.
"""

import os
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import Home
from doctrail_core.model import Trail
from doctrail_core.trails.sqlite import TrailReader

__all__ = ["History"]

_FORK_SECONDS = 10.0

_carried_over: list[TrailReader] = []


class History:
    """Reads sessions from the trail store, as far as they were moved into it."""

    def __init__(self, home: Home) -> None:
        """Open nothing yet."""
        self._path = home.database("trails")
        self._reader: TrailReader | None = None
        self._file: os.stat_result | None = None
        self._at_rest = False
        self._lock = threading.RLock()  # the garbage collector may close a stream in here
        remake_after_fork(self)

    def session(
        self, session_id: str, *, limit: int, known: Collection[str] = ()
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, but for the known ones.

        Raises:
            StoreError: The trail store cannot be read.
        """
        with self._lock, suppress(NothingRecordedError):
            return self._current().session(session_id, limit=limit, known=known)
        return []

    def heard_in(self, message_id: str) -> str | None:
        """The first response that has a message of this id.

        Raises:
            StoreError: The trail store cannot be read.
        """
        with self._lock, suppress(NothingRecordedError):
            return self._current().heard_in(message_id)
        return None

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

    def _current(self) -> TrailReader:
        """The open reader, unless the file was removed or replaced."""
        file = self._path.stat() if self._path.exists() else None
        if not (self._reader and self._file and file and os.path.samestat(file, self._file)):
            self._close()
            self._reader, self._file = TrailReader(self._path), file
        return self._reader

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
