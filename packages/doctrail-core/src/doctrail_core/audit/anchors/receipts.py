"""What an anchor gave: a line for each receipt, kept for as long as the ledger; and since when it fails.

A failure loses no checkpoint: the next one says all that this one said, and more.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from doctrail_core.audit.anchors.anchor import AnchorError, AnchorReceipt
from doctrail_core.durable.home import FILE_MODE

__all__ = ["Failure", "Receipts"]

_FOLDER_MODE = 0o700
_LONGEST_LINE = 1 << 22
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Failure:
    """That an anchor has not taken checkpoints lately.

    Attributes:
        since: The first failure after the last success.
        last: The latest failure.
        count: How many there were.
        error: What went wrong last.
        contradiction: Whether the anchor holds what contradicts the log: then no patience helps.
    """

    anchor: str
    since: str
    last: str
    count: int
    error: str
    contradiction: bool


class Receipts:
    """The receipts of one anchor."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._path = folder / f"{name}.jsonl"
        self._failing = folder / f"{name}.failing"

    def __iter__(self) -> Iterator[AnchorReceipt]:
        """All of them, oldest first; a line that a power cut tore is passed over."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            yield from _readable(file)

    def last(self) -> AnchorReceipt | None:
        """The latest, found without reading all."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE))
            return next(_readable(reversed(file.readlines())), None)
        return None

    def age(self) -> float:
        """Seconds since the last one came, by our clock; infinite where none did."""
        try:
            return time.time() - self._path.stat().st_mtime
        except FileNotFoundError:
            return _NEVER

    def add(self, receipt: AnchorReceipt) -> None:
        """Keep a receipt; the anchor fails no longer.

        Raises:
            OSError: It cannot be kept.
        """
        self._path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self._path, flags, FILE_MODE)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            os.write(fd, (b"\n" if torn else b"") + receipt.to_json().encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        self._failing.unlink(missing_ok=True)

    def failed(self, error: Exception, *, contradiction: bool) -> None:
        """Keep in mind that the anchor fails, since when, and how.

        Raises:
            OSError: It cannot be kept.
        """
        known, now = self.failure(), datetime.now(UTC).isoformat(timespec="seconds")
        failure = Failure(
            anchor=self._name,
            since=known.since if known else now,
            last=now,
            count=known.count + 1 if known else 1,
            error=str(error)
            if isinstance(error, AnchorError)
            else f"{type(error).__name__}: {error}",
            contradiction=contradiction,
        )
        self._failing.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        draft = self._failing.with_name(f"{self._failing.name}.{uuid4().hex}")
        draft.write_text(json.dumps(asdict(failure)), encoding="utf-8")
        draft.replace(self._failing)

    def failure(self) -> Failure | None:
        """How it fails; None while it does not."""
        with suppress(FileNotFoundError, ValueError, TypeError):
            return Failure(**json.loads(self._failing.read_bytes()))
        return None


def _readable(lines: Iterable[bytes]) -> Iterator[AnchorReceipt]:
    for line in lines:
        with suppress(ValueError):
            yield AnchorReceipt.from_json(line)
