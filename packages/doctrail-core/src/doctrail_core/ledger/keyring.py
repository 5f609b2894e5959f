"""The keys under which names are sealed, in a file of their own. To destroy a key is to erase what it sealed.

Documents, users and every other owner of a name have a key each. The file must not lie where old copies of it
live on: keep it out of archives and of backups older than the time in which an erasure has to be complete.
Only the holder of the ledger's lease writes it.
"""

import hmac
import secrets
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from doctrail_core.durable.database import Schema, scrub
from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.opening import explained, open_reader, open_writer

__all__ = ["THE_LOG", "Keyring", "Tagger", "derived", "open_keyring"]

THE_LOG = 0
"""The owner of what belongs to no document and no user: the log itself, by its first entry."""

_SCHEMA = Schema(
    "key store",
    0x64746B31,
    ("CREATE TABLE key (owner INTEGER PRIMARY KEY, secret BLOB NOT NULL);",),
)
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_REMEMBERED = 50_000


class Tagger:
    """Makes the tags by which names are found: keyed, so that nobody without the key can try names."""

    def __init__(self, secret: bytes) -> None:
        # Not `hmac.digest`: it lets other threads have the interpreter, and waits to get it back.
        self._keyed = hmac.new(secret, digestmod="sha256")
        self._made: dict[str, bytes] = {}  # a batch asks for most of them twice

    def tag(self, kind: str, *parts: str) -> bytes:
        """16 bytes; equal for equal names of a kind, under this installation's key."""
        named = "\0".join((kind, *parts))
        made = self._made.get(named)
        if made is None:
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            keyed = self._keyed.copy()
            keyed.update(named.encode("utf-8", "surrogatepass"))
            made = self._made[named] = keyed.digest()[:_TAG_BYTES]
        return made


def derived(secret: bytes, purpose: bytes) -> bytes:
    """A key of a key, for one purpose (HKDF-Expand of one block, RFC 5869)."""
    return hmac.new(secret, purpose + b"\x01", "sha256").digest()


class Keyring:
    """Keys by owner, where an owner is the place of the entry that binds its name.

    New keys are kept when `save` is called, which has to be before the entries are committed that need them:
    a key without an owner does no harm, and is replaced when its place is taken by another.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._known: dict[int, bytes] = {}
        self._new: dict[int, bytes] = {}

    def make(self, owner: int) -> bytes:
        """A new key for an owner."""
        self._new[owner] = self._known[owner] = secrets.token_bytes(_KEY_BYTES)
        return self._known[owner]

    def get(self, owner: int) -> bytes | None:
        """The owner's key; None where it was destroyed."""
        if owner not in self._known:
            with explained(self._path, _SCHEMA):
                query = "SELECT secret FROM key WHERE owner = ?"
                row = self._connection.execute(query, (owner,)).fetchone()
            if row is None:
                return None
            self._known[owner] = row[0]
        return self._known[owner]

    def seal(self, owner: int, name: str) -> bytes:
        """The name, encrypted and authenticated under the key of its owner (AES-256-GCM).

        Raises:
            LookupError: The key was destroyed.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self.get(owner)
        if key is None:
            raise LookupError("the key of this name's owner was destroyed")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, name.encode("utf-8", "surrogatepass"), None)

    def open(self, owner: int, sealed: bytes) -> str | None:
        """The name again; None where its key was destroyed, or is not the one that sealed it."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self.get(owner)
        if key is None:
            return None
        with suppress(InvalidTag):
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return AESGCM(key).decrypt(nonce, rest, None).decode("utf-8", "surrogatepass")
        return None

    def save(self) -> None:
        """Keep the new keys.

        Raises:
            StoreError: They cannot be written.
        """
        if self._new:
            self._change("INSERT OR REPLACE INTO key VALUES (?, ?)", self._new.items())
            self._new.clear()

    def destroy(self, owners: Collection[int]) -> int:
        """Destroy the keys of these owners, in the file too; returns how many there were.

        Raises:
            StoreError: They cannot be.
        """
        there = [owner for owner in owners if self.get(owner) is not None]
        self._change("DELETE FROM key WHERE owner = ?", ((owner,) for owner in there))
        scrub(self._connection, self._path, _SCHEMA)
        for owner in there:
            del self._known[owner]
        return len(there)

    def owners(self) -> Collection[int]:
        """All that have a key in the file."""
        with explained(self._path, _SCHEMA):
            return [owner for (owner,) in self._connection.execute("SELECT owner FROM key")]

    def forget_unsaved(self) -> None:
        """Drop what was made for entries that were never committed."""
        for owner in self._new:
            self._known.pop(owner, None)
        self._new.clear()

    def close(self) -> None:
        with explained(self._path, _SCHEMA):
            self._connection.close()

    def _change(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with explained(self._path, _SCHEMA):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise


def open_keyring(path: Path, *, write: bool = False) -> Keyring | None:
    """Open the key store; for reading None where there is none, and names stay sealed.

    Raises:
        StoreError: It cannot be opened.
    """
    if write:
        return Keyring(path, open_writer(path, _SCHEMA))
    try:
        return Keyring(path, open_reader(path, _SCHEMA))
    except NothingRecordedError:
        return None
