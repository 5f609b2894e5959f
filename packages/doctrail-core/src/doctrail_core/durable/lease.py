"""The right to write a stream's database; at most one process has it.

The operating system takes it back when its holder dies, so it can never be stuck with a dead one.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from doctrail_core.durable.home import FILE_MODE

__all__ = ["Lease"]


class Lease:
    """A lock on a file that names its holder's process id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def is_held(self) -> bool:
        return self._fd is not None and self._is_ours(self._fd)

    def take(self) -> bool:
        """Have it, if nobody else has it."""
        fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_ours(fd):
                os.ftruncate(fd, 0)
                os.write(fd, str(os.getpid()).encode("ascii"))
                self._fd, fd = fd, -1
        except BlockingIOError:
            return False
        finally:
            if fd >= 0:
                os.close(fd)
        return self._fd is not None

    def holder(self) -> int | None:
        """The process that has it, as far as the file tells."""
        try:
            return int(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        if self._fd is not None:
            with suppress(OSError):
                os.ftruncate(self._fd, 0)
            self.drop()

    def drop(self) -> None:
        """Close the file without a word; in a forked child this leaves the lease with the parent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_ours(self, fd: int) -> bool:
        # Somebody may have removed the folder; a lock on a file that is gone excludes nobody.
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False
