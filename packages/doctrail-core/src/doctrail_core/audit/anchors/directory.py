"""An anchor that is a folder: a mounted share, a drive that is taken away, an auditor's inbox.

Each checkpoint is a file of its own. A file that is there is never written again.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from doctrail_core.audit.anchors.anchor import (
    AnchorError,
    AnchorReceipt,
    agreed,
    folder_of,
    place_of,
)
from doctrail_core.durable.once import create_once

__all__ = ["DirectoryAnchor", "deposit", "deposited"]

_MODE = 0o444
_WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What file systems of shares and sticks say of hard links."""


class DirectoryAnchor:
    """Copies checkpoints into a folder, which must be there: making it would hide that a share is not mounted."""

    kind = "directory"

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path

    def publish(self, checkpoint: bytes) -> AnchorReceipt:
        self._look()
        try:
            written, kept = deposit(self._path, checkpoint)
        except OSError as error:
            raise AnchorError(f"{self._path} cannot be written to: {error}") from error
        return AnchorReceipt(self.name, self.kind, datetime.now(UTC), kept, str(written))

    def verify(self, receipt: AnchorReceipt) -> None:
        self._look()
        where = self._path / place_of(receipt.checkpoint)
        try:
            agreed(where.read_bytes(), receipt.checkpoint, str(where))
        except OSError as error:
            raise AnchorError(f"{where} was written and cannot be read: {error}") from error

    def held(self, origin: str) -> Iterator[bytes]:
        self._look()
        try:
            yield from deposited(self._path, origin)
        except OSError as error:
            raise AnchorError(f"{self._path} cannot be read: {error}") from error

    def _look(self) -> None:
        if not self._path.is_dir():
            raise AnchorError(
                f"{self._path} is no folder; mount or make it, then it is tried again"
            )


def deposit(folder: Path, checkpoint: bytes) -> tuple[Path, bytes]:
    """Put a checkpoint into a folder for good; returns where it lies, and what lies there.

    Raises:
        ContradictionError: Another one of this size lies there.
        OSError: It cannot be written.
    """
    target = folder / place_of(checkpoint)
    with suppress(FileNotFoundError):
        return target, agreed(target.read_bytes(), checkpoint, str(target))
    target.parent.mkdir(exist_ok=True)
    _put(target, checkpoint)
    return target, agreed(target.read_bytes(), checkpoint, str(target))


def deposited(folder: Path, origin: str) -> Iterator[bytes]:
    """The checkpoints of a log in a folder, oldest first.

    Raises:
        OSError: They cannot be read.
    """
    for path in sorted((folder / folder_of(origin)).glob("*.checkpoint")):
        yield path.read_bytes()


def _put(target: Path, data: bytes) -> None:
    """Have the bytes at their place for all to read, unless somebody was faster."""
    try:
        create_once(target, data)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        _put_directly(target, data)
    with suppress(PermissionError):  # somebody else's file
        target.chmod(_MODE)
    _settle(target.parent)
    _settle(target.parent.parent)


def _put_directly(target: Path, data: bytes) -> None:
    """Where there are no links: a crash may leave half a checkpoint, which is none, and harms no later one."""
    with suppress(FileExistsError), target.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Have the folder's entries on stable storage, as far as its file system knows how to."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, *_WITHOUT_LINKS):
            raise
    finally:
        os.close(fd)
