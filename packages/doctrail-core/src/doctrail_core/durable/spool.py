"""A process's own file of records that are not in the database yet.

One record is one `write` to a file that no other process writes to. When `append` returns, the record
is in the operating system, and no death of the process loses it.
"""

import errno
import fcntl
import os
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.frame import frame
from doctrail_core.durable.home import FILE_MODE, Home, Stream

__all__ = ["SUFFIX", "Spool"]

SUFFIX = ".spool"
_SEGMENT_BYTES = 4 << 20
_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Spool:
    """Appends records to segments, one file after the other.

    A segment is locked while it can still be written to; whoever gets its lock knows that it is whole.
    Segments' names sort in the order in which their process wrote them.
    """

    def __init__(self, home: Home, stream: Stream, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self.home = home
        self.stream: Stream = stream
        self._segment_bytes = segment_bytes
        self._fd: int | None = None
        self._begin()
        remake_after_fork(self)

    @property
    def directory(self) -> Path:
        return self.home.spool(self.stream)

    def append(self, payload: bytes) -> None:
        """Put a record on disk.

        Raises:
            OSError: It could not be written; nothing of it remains.
        """
        record = frame(payload)
        try:
            with self._lock:
                self._write(self._segment(), record)
        except OSError as error:
            raise self._explained(error) from error

    def others_hold(self, text: bytes) -> bool:
        """Whether other processes' files hold these bytes."""
        with suppress(OSError), os.scandir(self.directory) as entries:
            names = [e.name for e in entries if e.name.endswith(SUFFIX)]
            others = (name for name in names if not name.startswith(self._writer))
            return any(text in (self.directory / name).read_bytes() for name in others)
        return False

    def seal(self) -> None:
        """Write no more to the current segment, so that it can be deleted once it is drained."""
        with self._lock:
            self.pending = 0
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def sync(self) -> None:
        """Have what was appended since the last time on stable storage.

        Raises:
            OSError: It cannot be brought there.
        """
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set[Path]()
        for segment in unsynced:
            with suppress(FileNotFoundError):  # moved into the database already
                _sync(segment, os.fdatasync)
                _sync(segment.parent, os.fsync)

    def after_fork_in_child(self) -> None:
        if self._fd is not None:
            # Closing is not unlocking: the lock stays with the parent.
            os.close(self._fd)
            self._fd = None
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._writer = f"{_host()}.{_boot()}.{os.getpid()}.{uuid4().hex}"
        self._segments = 0
        self._segment_path = self.directory
        self._unsynced = set[Path]()
        self.pending = 0
        """Bytes appended since the last seal."""

    def _segment(self) -> int:
        if self._fd is not None:
            state = os.fstat(self._fd)
            if state.st_nlink and state.st_size < self._segment_bytes:
                return self._fd
            self.seal()
        self._fd = self._open()
        return self._fd

    def _open(self) -> int:
        while True:
            self.home.ensure(self.stream)
            self._segments += 1
            name = f"{self._writer}.{self._segments:08d}{SUFFIX}"
            fd = os.open(self.directory / name, _FLAGS, FILE_MODE)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            except OSError:
                os.close(fd)
                raise
            if os.fstat(fd).st_nlink:
                self._segment_path = self.directory / name
                return fd
            os.close(fd)  # The sequencer took it for a dead writer's, before we had the lock.

    def _write(self, fd: int, record: bytes) -> None:
        written = os.write(fd, record)
        if written < len(record):
            self._take_back(fd, written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._unsynced.add(self._segment_path)
        self.pending += written

    def _take_back(self, fd: int, written: int) -> None:
        try:
            os.ftruncate(fd, os.fstat(fd).st_size - written)
        except OSError:
            self.seal()  # A torn record is harmless at the end of a segment, and only there.

    def _explained(self, error: OSError) -> OSError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = (
            f"{reason}: nothing can be recorded in {self.directory}. Make room or make it writable,"
            " or set DOCTRAIL_HOME to a folder on a local disk that is"
        )
        return OSError(error.errno, message)


def _sync(path: Path, sync: Callable[[int], None]) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        os.close(fd)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:64] or "host"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    except OSError:
        return "boot"
