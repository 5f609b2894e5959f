"""A small file that is made once, whole, whoever else makes it at the same time."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from doctrail_core.durable.home import FILE_MODE

__all__ = ["create_once"]


def create_once(path: Path, data: bytes) -> None:
    """Make a file of these bytes, for its owner alone; if there is one by then, that one stays.

    Raises:
        OSError: It cannot be made.
    """
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
    try:
        os.write(fd, data)
        os.fsync(fd)
        # Unlike a rename, a link never replaces the file that another process made first.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(fd)
        draft.unlink()
