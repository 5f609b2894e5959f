"""What people wrote about entries: why something is held, what a review came to.

Such texts may name anybody, so the log has no more than their keyed hashes, and they lie beside it, where they can be
removed with what they are about.
"""

import fcntl
import json
import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from uuid import uuid4

from doctrail_core.durable.home import FILE_MODE, Home
from doctrail_core.durable.keys import load_or_create_key
from doctrail_core.text.identity import clean_text, keyed_hash

__all__ = ["Remarks"]


class Remarks:
    """A file of texts, each by the name that its entry gives it. What was added last counts."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def path(self) -> Path:
        return self._home.path / "remarks.jsonl"

    def add(self, name: str, text: str) -> str:
        """Keep a text; returns what goes on record of it.

        Raises:
            OSError: It cannot be kept.
        """
        self._home.ensure()
        text = clean_text(text)
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        with self._locked():
            fd = os.open(self.path, flags, FILE_MODE)
            try:
                # Whoever died while writing left half a line; this one must not become part of it.
                size = os.fstat(fd).st_size
                torn = size and os.pread(fd, 1, size - 1) != b"\n"
                os.write(fd, b"\n" * bool(torn) + _line(name, text))
                os.fsync(fd)
            finally:
                os.close(fd)
        return keyed_hash(load_or_create_key(self._home.keys), text)

    def texts(self) -> Mapping[str, str]:
        """All that are here, by their names."""
        return dict(self._all())

    def keep_only(self, names: Collection[str]) -> int:
        """Remove all other texts; returns how many there were.

        Raises:
            OSError: They cannot be removed.
        """
        if not self.path.exists():
            return 0
        with self._locked():
            known = self.texts()
            kept = {name: text for name, text in known.items() if name in names}
            if len(kept) < len(known):
                self._replace(kept)
        return len(known) - len(kept)

    def change(self, edit: Callable[[str], str], gone: Collection[str] = ()) -> int:
        """Put in the place of every text what is made of it; returns how many became another one, or none.

        Args:
            edit: Makes of a text what stays of it.
            gone: The names of those of which nothing is to stay.

        Raises:
            OSError: They cannot be changed.
        """
        if not self.path.exists():
            return 0
        with self._locked():
            known = self.texts()
            edited = {name: edit(text) for name, text in known.items() if name not in gone}
            if edited != known:
                self._replace(edited)
        return sum(edited.get(name) != text for name, text in known.items())

    @contextmanager
    def _locked(self) -> Generator[None]:
        lock = self.path.with_suffix(".lock")
        fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _replace(self, kept: Mapping[str, str]) -> None:
        draft = self.path.with_name(f"{self.path.name}.{uuid4().hex}")
        fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(fd, "wb") as file:
            file.writelines(_line(name, text) for name, text in kept.items())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def _all(self) -> Iterator[tuple[str, str]]:
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                name, text = cast("tuple[str, str]", json.loads(line))
            except ValueError:
                continue
            yield name, text


def _line(name: str, text: str) -> bytes:
    return json.dumps([name, text], ensure_ascii=False).encode() + b"\n"
