"""Taking from a spool folder what its database has already, or will never have.

A file is deleted only when its writer is done with it. What was read of it before that is overwritten in
its place: nobody reads it again, since the cursor of the file lies behind it.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from doctrail_core.durable.spool import SUFFIX

__all__ = ["blank_what_was_moved", "discard_older", "discard_set_aside", "set_aside"]

_BLOCK = 1 << 20
_SET_ASIDE = (".damaged", ".refused")


def blank_what_was_moved(directory: Path, cursors: Mapping[str, int]) -> int:
    """Overwrite the records that are in the database; only the holder of the lease may.

    Returns:
        How many bytes they were.

    Raises:
        OSError: A file cannot be written to.
    """
    return sum(
        _blank(directory / name, end) for name, end in cursors.items() if name.endswith(SUFFIX)
    )


def discard_set_aside(directory: Path, doomed: Callable[[bytes], bool]) -> int:
    """Delete what was set aside because it could not be stored, where nobody can say that it may stay.

    Args:
        directory: The spool folder of a stream.
        doomed: Whether the bytes of a refused record are to go. Damaged bytes always are: what they
            were cannot be told.

    Returns:
        How many files went.

    Raises:
        OSError: One of them cannot be deleted.
    """
    aside = set_aside(directory)
    gone = [path for path in aside if path.suffix == ".damaged" or doomed(path.read_bytes())]
    for path in gone:
        path.unlink()
    return len(gone)


def discard_older(directory: Path, before: datetime) -> int:
    """Delete what was set aside before a time; returns how many files went.

    Raises:
        OSError: One of them cannot be deleted.
    """
    gone = [path for path in set_aside(directory) if path.stat().st_mtime < before.timestamp()]
    for path in gone:
        path.unlink()
    return len(gone)


def set_aside(directory: Path) -> list[Path]:
    """The files of a spool with records that could not be stored."""
    return [path for path in sorted(directory.glob("*")) if path.suffix in _SET_ASIDE]


def _blank(path: Path, end: int) -> int:
    with suppress(FileNotFoundError):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            end = min(end, os.fstat(fd).st_size)
            for start in range(0, end, _BLOCK):
                os.pwrite(fd, bytes(min(_BLOCK, end - start)), start)
            os.fsync(fd)
        finally:
            os.close(fd)
        return end
    return 0
