"""One file of a spool while its process has it, and how much of it is on stable storage.

A flush that failed is never tried again: the kernel may have dropped what it could not write, and says so
once. Such a file is given up; what is in it can be read as long as nothing worse happens.
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doctrail_core.durable.home import FILE_MODE

__all__ = ["Place", "Segment"]

_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Segment:
    """A file that only this process writes to. It is locked as long as more may come.

    Attributes:
        size: Where its last record ends.
        stable: Up to where it is on stable storage.
        failure: Why the rest cannot be brought there.
        is_torn: Whether it ends with half a record, after which no other may stand.
    """

    def __init__(self, path: Path, folders: Sequence[Path]) -> None:
        """Make the file; `folders` are those whose entries lead to it and may be new.

        Raises:
            OSError: It cannot be made.
        """
        self.path = path
        self.size = 0
        self.stable = 0
        self.failure: OSError | None = None
        self.is_torn = False
        self._folders = tuple(folders)
        self._fd = os.open(path, _FLAGS, FILE_MODE)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError:
            self.close()
            raise

    @property
    def is_there(self) -> bool:
        """Whether others can find it: it was neither moved into the database nor removed."""
        return os.fstat(self._fd).st_nlink > 0

    def write(self, record: bytes) -> "Place":
        """Add a record.

        Raises:
            OSError: It could not be written; nothing of it remains, or it `is_torn`.
        """
        written = os.write(self._fd, record)
        if written < len(record):
            self._take_back(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written
        return Place(self, self.size)

    def seal(self) -> None:
        """Say that no more will come: whoever gets the lock may delete the file."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def flush(self) -> None:
        """Have all that is in it on stable storage.

        Raises:
            OSError: It cannot be brought there.
        """
        if self._fd < 0 or not self.is_there:
            return
        # Through the descriptor that wrote it: one that is opened later may never hear of a failure.
        os.fdatasync(self._fd)
        while self._folders:
            _flush_folder(self._folders[0])
            self._folders = self._folders[1:]

    def close(self) -> None:
        """Give up the file, but not its lock where a forked process has it, too."""
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _take_back(self, written: int) -> None:
        try:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
        except OSError:
            self.is_torn = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies: it ends at `end`."""

    segment: Segment
    end: int

    @property
    def is_stable(self) -> bool:
        return self.segment.stable >= self.end

    @property
    def failure(self) -> OSError | None:
        """Why it is not on stable storage and will not be."""
        return None if self.is_stable else self.segment.failure


def _flush_folder(path: Path) -> None:
    with suppress(PermissionError):  # one above our own, which we may not look into
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
