"""Where an installation keeps what makes its log checkable: the key that signs, and what was signed.

Checkpoints are only ever added, one file a month, and stay when entries are pruned. The key signs for the log; it
proves nothing against whoever has it, so copies of checkpoints belong with somebody else.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self, cast
from uuid import uuid4

from doctrail_core.audit.checkpoint import Checkpoint, checkpoint_of
from doctrail_core.audit.note import Note, NoteError, SigningKey, VerifierKey, read_note
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import FILE_MODE, Home
from doctrail_core.durable.lease import Lease

__all__ = ["INTERVAL", "AuditConfig", "AuditFolder"]

INTERVAL = 60.0
"""Seconds after which a checkpoint is signed, and a heartbeat noted if nothing else came."""

_FOLDER_MODE = 0o700
_TAIL_BYTES = 1 << 20
_MARK = "\u2014 ".encode()
"""Where a line with a signature begins."""


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """What `doctrail audit init` decided.

    Attributes:
        origin: The name of the log, as it stands in checkpoints.
        key: Verifies them.
        interval: Seconds between checkpoints.
    """

    origin: str
    key: VerifierKey
    interval: float = INTERVAL

    def to_json(self) -> str:
        known = {"interval": self.interval, "key": str(self.key), "origin": self.origin}
        return f"{json.dumps(known, indent=2)}\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote.

        Raises:
            ValueError: It did not write this.
        """
        known = cast("dict[str, Any]", json.loads(text))
        interval = float(known["interval"])
        if interval <= 0:
            raise ValueError("the interval is not a number of seconds")
        return cls(str(known["origin"]), VerifierKey.parse(str(known["key"])), interval)


class AuditFolder:
    """The folder `audit` of a home.

    Attributes:
        lease: The right to sign, which one process has at a time.
    """

    def __init__(self, home: Home) -> None:
        self.path = home.path / "audit"
        self._config = self.path / "config.json"
        self._key = self.path / "key"
        self._notes = self.path / "checkpoints"
        self._sealed = self.path / "sealed"
        self.lease = Lease(self.path / "lock")
        remake_after_fork(self)

    def exists(self) -> bool:
        """Whether `doctrail audit init` was done."""
        return self._config.exists()

    def make(self, origin: str | None = None, interval: float = INTERVAL) -> AuditConfig:
        """Make a key, and begin to keep checkpoints.

        Raises:
            FileExistsError: It was done before.
            NoteError: The origin cannot be one.
            OSError: The folder cannot be written to.
        """
        if self.exists():
            raise FileExistsError(f"{self._config} is there already")
        key = SigningKey.generate(origin or f"doctrail/{uuid4().hex}")
        config = AuditConfig(key.name, key.verifier, interval)
        self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        _write(self._key, f"{key.reveal()}\n")
        _write(self._config, config.to_json())
        return config

    def config(self) -> AuditConfig:
        """Which log this is.

        Raises:
            StoreError: `doctrail audit init` was not done, or what it wrote is damaged.
        """
        try:
            return AuditConfig.from_json(self._config.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StoreError(
                f"nothing signs this log yet: there is no {self._config}. Run `doctrail audit init`."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._config} is damaged; put it back from a backup") from error

    def signing_key(self) -> SigningKey:
        """The key that signs checkpoints.

        Raises:
            StoreError: It is not here, or is another one than it was.
        """
        config = self.config()
        try:
            key = SigningKey.parse(self._key.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self._key} cannot be read, so nothing can be signed; put it back from a backup"
            ) from error
        if key.verifier != config.key:
            raise StoreError(f"{self._key} is not the key that {self._config} names")
        return key

    def after_fork_in_child(self) -> None:
        self.lease.drop()

    @property
    def sealed(self) -> int | None:
        """How many segments have a committed index, as far as it was noted here."""
        try:
            return int(self._sealed.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    @sealed.setter
    def sealed(self, segments: int) -> None:
        draft = _drafted(self._sealed, f"{segments}\n")
        draft.replace(self._sealed)

    def keep(self, note: Note) -> None:
        """Add a checkpoint, or one that is there already with more signatures; the caller has the lease.

        Raises:
            OSError: It cannot be written.
        """
        self._notes.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        path = self._notes / f"{datetime.now(UTC):%Y-%m}.notes"
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(fd, "r+b") as file:
            # Whoever died while writing left part of a note; what follows must not become part of it.
            file.truncate(_whole(file))
            file.seek(0, os.SEEK_END)
            file.write(f"{note}\n".encode())
            file.flush()
            os.fsync(fd)

    def notes(self) -> Iterator[Note]:
        """All that was kept, oldest first; what cannot be read is passed over."""
        for path in sorted(self._notes.glob("*.notes")):
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from _notes_in(file)

    def checkpoints(self) -> Iterator[tuple[Checkpoint, Note]]:
        """All checkpoints of this log that were kept, oldest first.

        Raises:
            NoteError: One of them is not signed by the log's key.
        """
        config = self.config()
        for note in self.notes():
            yield checkpoint_of(note, config.key), note

    def latest(self) -> tuple[Checkpoint, Note] | None:
        """The checkpoint that was kept last.

        Raises:
            NoteError: It is not signed by the log's key.
        """
        config = self.config()
        for path in sorted(self._notes.glob("*.notes"), reverse=True):
            with path.open("rb") as file:
                _, tail = _tail(file)
            if notes := list(_notes_in(tail.decode("utf-8", "replace").splitlines(keepends=True))):
                return checkpoint_of(notes[-1], config.key), notes[-1]
        return None

    def age(self, now: float) -> float:
        """Seconds since a checkpoint was kept; endless if none was."""
        last = max((path.stat().st_mtime for path in self._notes.glob("*.notes")), default=None)
        return float("inf") if last is None else max(0.0, now - last)


def _notes_in(lines: Iterable[str]) -> Iterator[Note]:
    """The notes of a file, each of which is followed by an empty line: texts and signatures take turns."""
    text, paragraph = "", ""
    for line in lines:
        if line != "\n":
            paragraph += line
        elif not paragraph.startswith(_MARK.decode()):
            text, paragraph = paragraph, ""
        else:
            note = _readable(f"{text}\n{paragraph}")
            text, paragraph = "", ""
            if note is not None:
                yield note


def _readable(text: str) -> Note | None:
    try:
        return read_note(text)
    except NoteError:
        return None


def _tail(file: BinaryIO) -> tuple[int, bytes]:
    """The end of a file, and where that begins; it has the last note and part of those before."""
    start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
    file.seek(start)
    return start, file.read()


def _whole(file: BinaryIO) -> int:
    """Where the last note of a file that was written to its end has it."""
    start, tail = _tail(file)
    end = len(tail)
    while (end := tail.rfind(b"\n\n", 0, end)) >= 0:
        before = max(0, tail.rfind(b"\n\n", 0, end) + 2)
        if tail[before:end].lstrip(b"\n").startswith(_MARK):
            return start + end + 2
    return start


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all, and never over another."""
    draft = _drafted(path, text)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def _drafted(path: Path, text: str) -> Path:
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    return draft
