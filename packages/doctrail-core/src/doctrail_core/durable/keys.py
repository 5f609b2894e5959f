"""The installation's secret key. It is made once, and every process ends up with the same one."""

import secrets
from pathlib import Path

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.once import create_once

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
        create_once(path, secrets.token_bytes(KEY_BYTES))
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
