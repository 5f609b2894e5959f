"""The installation's secret key. It is made once, and every process ends up with the same one."""

import os
import secrets
from pathlib import Path
from uuid import uuid4

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import FILE_MODE

__all__ = ["KEY_BYTES", "load_key", "load_or_create_key"]

KEY_BYTES = 32


def load_key(path: Path) -> bytes | None:
    """The key kept at `path`; None if there is none.

    Raises:
        OSError: It cannot be read.
        StoreError: What lies there is not a key.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        return None


def load_or_create_key(path: Path) -> bytes:
    """The key kept at `path`, made there if there is none.

    Raises:
        OSError: It can be neither read nor made.
        StoreError: What lies there is not a key.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        _create(path)
        return _load(path)


def _load(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"{path} is not a key: it has {len(key)} bytes instead of {KEY_BYTES}. Put the file back"
            " from a backup; if there is none, remove it, and query hashes made from then on will not"
            " be comparable with the earlier ones."
        )
    return key


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
    try:
        os.write(fd, secrets.token_bytes(KEY_BYTES))
        os.fsync(fd)
        # Unlike a rename, a link never replaces the key that another process made first.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.close(fd)
        draft.unlink()
