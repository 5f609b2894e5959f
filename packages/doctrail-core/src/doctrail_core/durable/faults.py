"""What went wrong without the user's chain noticing. Nothing in here raises, and no content gets in.

Each kind of fault is logged once and counted. Other processes see it in the home folder's
`faults.jsonl`, where a line is added when a count reaches 1, 10, 100 and so on.
"""

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from traceback import format_tb

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import FILE_MODE, Home

__all__ = ["Fault", "Faults", "read_faults"]

_log = logging.getLogger("doctrail")
_FILE_LIMIT = 1 << 20
"""A fault file stops growing here; by then it has said what there is to say."""


@dataclass(frozen=True, slots=True)
class Fault:
    """That something went wrong `count` times in a process; `kind` names the exception's type."""

    time: str
    pid: int
    where: str
    kind: str | None
    count: int


class Faults:
    """Counts the faults of this process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()  # the garbage collector may close a stream in here
        self._counts = Counter[tuple[str, str | None]]()

    def note(self, where: str, error: BaseException) -> None:
        """Count an exception that was kept from the user's chain."""
        if self._add(where, type(error).__name__) == 1:
            _log.warning("doctrail: %s failed: %s", where, _without_content(error))
            _log.debug("doctrail: %s failed at\n%s", where, _place(error))

    def count(self, where: str, number: int = 1) -> None:
        """Count what was dropped or set aside."""
        if self._add(where, None, number) == number:
            _log.warning("doctrail: %s", where)

    def summary(self) -> dict[str, int]:
        """How often each kind of fault happened in this process."""
        with self._lock:
            return {": ".join(filter(None, key)): number for key, number in self._counts.items()}

    def _add(self, where: str, kind: str | None, number: int = 1) -> int:
        with self._lock:
            before = self._counts[where, kind]
            self._counts[where, kind] = after = before + number
        if len(str(after)) > len(str(before)) or before == 0:
            self._publish(Fault(datetime.now(UTC).isoformat(), os.getpid(), where, kind, after))
        return after

    def _publish(self, fault: Fault) -> None:
        with suppress(OSError):
            self._home.ensure()
            flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(self._home.faults, flags, FILE_MODE)
            try:
                if os.fstat(fd).st_size < _FILE_LIMIT:
                    os.write(fd, json.dumps(asdict(fault)).encode() + b"\n")
            finally:
                os.close(fd)


def read_faults(home: Home) -> Iterator[Fault]:
    """What all processes of an installation noted, oldest first; lines that are none are skipped."""
    try:
        lines = home.faults.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, TypeError):
            yield Fault(**json.loads(line))


def _without_content(error: BaseException) -> str:
    # Other exceptions' messages may quote what they could not digest, also those of HTTP clients,
    # which are OSErrors, but not from the operating system.
    safe = isinstance(error, StoreError) or (isinstance(error, OSError) and error.errno is not None)
    return f"{type(error).__name__}: {error}" if safe else type(error).__name__


def _place(error: BaseException) -> str:
    return "".join(format_tb(error.__traceback__))  # unlike a whole traceback, without the message
