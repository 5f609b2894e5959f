"""The one folder that holds all that an installation keeps. Only its owner may look inside."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["FILE_MODE", "Home", "Stream"]

Stream = Literal["ledger", "trails"]
FILE_MODE = 0o600
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything lies. Naming a place makes nothing; `ensure` does, when something is written.

    Attributes:
        path: The folder.
        address: The server that is to keep the records, where settings name one; the home remembers it.
    """

    path: Path
    address: str | None = field(default=None, repr=False)  # it may hold a password

    def spool(self, stream: Stream) -> Path:
        return self.path / "spool" / stream

    def lease(self, stream: Stream) -> Path:
        return self.spool(stream) / "sequencer.lock"

    def database(self, stream: Stream) -> Path:
        return self.path / f"{stream}.db"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def key_store(self) -> Path:
        """The keys of names, by owner."""
        return self.path / "keys.db"

    @property
    def server(self) -> Path:
        """Which server keeps the records; missing where files here do."""
        return self.path / "server.json"

    @property
    def faults(self) -> Path:
        return self.path / "faults.jsonl"

    def ensure(self, stream: Stream | None = None) -> None:
        """Make the folder, and the spool of `stream`, where they are missing.

        Raises:
            OSError: It cannot be made.
        """
        if not self.path.is_dir():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            self._keep_out_of_git()
        if stream is not None:
            self.spool(stream).parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            self.spool(stream).mkdir(mode=_FOLDER_MODE, exist_ok=True)

    def _keep_out_of_git(self) -> None:
        # The default home lies in the working directory; neither keys nor texts belong in a commit.
        with suppress(OSError):
            (self.path / ".gitignore").write_text("*\n", encoding="utf-8")
