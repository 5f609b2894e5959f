"""An anchor that is a folder: a mounted share, a drive that is taken away, an auditor's inbox.

Each checkpoint is a file of its own. A file that is there is never written again.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from doctrail_core.audit.anchors.anchor import (
    AnchorError,
    AnchorReceipt,
    agreed,
    folder_of,
    place_of,
)

__all__ = ["DirectoryAnchor", "deposit", "deposited"]

_MODE = 0o444


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
    """Have the bytes on stable storage, and only then at their place, unless somebody was faster."""
    draft = target.with_name(f".{uuid4().hex}")
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces what is there.
        with suppress(FileExistsError):
            os.link(draft, target)
    finally:
        draft.unlink()
    _settle(target.parent)
    _settle(target.parent.parent)


def _settle(folder: Path) -> None:
    """Have the folder's entries on stable storage."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
