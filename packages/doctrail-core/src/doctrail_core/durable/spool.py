"""A process's own files of records that are not in the database yet.

One record is one `write` to a file that no other process writes to. When `append` returns, the record
is in the operating system, and no death of the process loses it; when `settle` returns, no power cut
does either. Who settles while another one does shares the flush that follows.
"""

import os
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from doctrail_core.durable.filesystem import NotLocalError, check_is_local
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.frame import frame
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.segment import Place, Segment
from doctrail_core.durable.served import claim

__all__ = ["SUFFIX", "Spool"]

SUFFIX = ".spool"
_SEGMENT_BYTES = 4 << 20


class Spool:
    """Appends records to segments, one file after the other.

    A segment is locked while it can still be written to; whoever gets its lock knows that it is whole.
    Segments' names sort in the order in which their process wrote them.
    """

    def __init__(self, home: Home, stream: Stream, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self.home = home
        self.stream: Stream = stream
        self._segment_bytes = segment_bytes
        self._begin()
        remake_after_fork(self)

    @property
    def directory(self) -> Path:
        return self.home.spool(self.stream)

    def append(self, payload: bytes) -> Place:
        """Put a record into the operating system.

        Raises:
            OSError: It could not be written; nothing of it remains.
        """
        record = frame(payload)
        try:
            with self._lock:
                return self._write(self._segment(), record)
        except NotLocalError:
            raise
        except OSError as error:
            raise self._explained(error) from error

    def settle(self, place: Place) -> None:
        """Return once the record is on stable storage.

        Raises:
            OSError: It cannot be brought there. It can be read as long as the machine runs.
        """
        with self._flushing:
            if not place.is_stable and place.failure is None:
                self._flush()
        if place.failure is not None:
            raise self._unsettled(place.failure) from place.failure

    def sync(self) -> None:
        """Have what was appended until now on stable storage.

        Raises:
            OSError: Some of it cannot be brought there.
        """
        with self._flushing:
            failures = self._flush()
        if failures:
            raise self._unsettled(failures[0]) from failures[0]

    def seal(self) -> None:
        """Write no more to the current segment, so that it can be deleted once it is drained."""
        with self._lock:
            self.pending = 0
            segment, self._current = self._current, None
            if segment is not None:
                segment.seal()
                self._close_if_done(segment)

    def others_hold(self, text: bytes) -> bool:
        """Whether other processes' files hold these bytes."""
        with suppress(OSError), os.scandir(self.directory) as entries:
            names = [e.name for e in entries if e.name.endswith(SUFFIX)]
            others = (name for name in names if not name.startswith(self._writer))
            return any(text in (self.directory / name).read_bytes() for name in others)
        return False

    def after_fork_in_child(self) -> None:
        for segment in self._unsynced | ({self._current: None} if self._current else {}):
            segment.close()  # not `seal`: the lock stays with the parent, who goes on with the file
        self._begin()

    def _begin(self) -> None:
        # The garbage collector may close a stream, and that append and settle, inside of a flush.
        self._flushing = threading.RLock()
        self._lock = threading.RLock()
        self._writer = f"{_host()}.{_boot()}.{os.getpid()}.{uuid4().hex}"
        self._segments = 0
        self._current: Segment | None = None
        self._unsynced: dict[Segment, None] = {}
        self.pending = 0
        """Bytes appended since the last seal."""

    def _segment(self) -> Segment:
        current = self._current
        if current is not None:
            if current.size < self._segment_bytes and current.is_there:
                return current
            self.seal()
        self._current = current = self._opened()
        return current

    def _opened(self) -> Segment:
        if not self._segments:
            check_is_local(self.directory)
            claim(self.home)
        while True:
            self.home.ensure(self.stream)
            self._segments += 1
            name = f"{self._writer}.{self._segments:08d}{SUFFIX}"
            segment = Segment(self.directory / name, self._new_folders())
            if segment.is_there:
                return segment
            segment.close()  # The sequencer took it for a dead writer's, before we had the lock.

    def _new_folders(self) -> list[Path]:
        """Where the file's name is written, and at first also those of the folders that lead to it."""
        if self._segments > 1:
            return [self.directory]
        return [self.directory, self.directory.parent, self.home.path, self.home.path.parent]

    def _write(self, segment: Segment, record: bytes) -> Place:
        try:
            place = segment.write(record)
        except OSError:
            if segment.is_torn:
                self.seal()  # A torn record is harmless at the end of a segment, and only there.
            raise
        self._unsynced[segment] = None
        self.pending += len(record)
        return place

    def _flush(self) -> list[OSError]:
        """Flush all that is not yet; each file that cannot be is given up."""
        with self._lock:
            batch = [(segment, segment.size) for segment in list(self._unsynced)]
        for segment, size in batch:
            try:
                segment.flush()
            except OSError as error:
                segment.failure = error
            else:
                segment.stable = max(size, segment.stable)
        with self._lock:
            for segment, _ in batch:
                self._flushed(segment)
        return [segment.failure for segment, _ in batch if segment.failure is not None]

    def _flushed(self, segment: Segment) -> None:
        if segment not in self._unsynced:
            return
        if segment.failure is not None and segment is self._current:
            self.seal()
        if segment.failure is not None or segment.stable == segment.size:
            del self._unsynced[segment]
            self._close_if_done(segment)

    def _close_if_done(self, segment: Segment) -> None:
        """Nobody closes a file that may be flushed at this moment."""
        if segment is not self._current and segment not in self._unsynced:
            segment.close()

    def _explained(self, error: OSError) -> OSError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = (
            f"{reason}: nothing can be recorded in {self.directory}. Make room or make it writable,"
            " or set DOCTRAIL_HOME to a folder on a local disk that is"
        )
        return OSError(error.errno, message)

    def _unsettled(self, error: OSError) -> OSError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = (
            f"{reason}: what was recorded last in {self.directory} would not survive a power cut. It goes"
            " on in a new file; look after the disk"
        )
        return OSError(error.errno, message)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:64] or "host"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    except OSError:
        return "boot"
