"""A process that appends records as fast as told and says so elsewhere, and what of them is found afterwards."""

import contextlib
import mmap
import multiprocessing
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from answers import answers

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.spool import Spool
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal

__all__ = ["Acknowledged", "Writer", "found", "records"]

_FLUSHING = "flushing"

_MOST = 200_000
_TIME = struct.Struct("<d")
_SPAWN = multiprocessing.get_context("spawn")


class Acknowledged:
    """The times at which a writer's records were acknowledged, in memory that survives the writer."""

    def __init__(self, path: Path) -> None:
        """Share what lies at `path`, or make it."""
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(_TIME.size * _MOST)
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)

    def note(self, number: int) -> None:
        """The record of this number was acknowledged now."""
        _TIME.pack_into(self._shared, number * _TIME.size, time.monotonic())

    def times(self) -> list[float]:
        """When each was, by number."""
        count = next(n for n in range(_MOST) if not self._time(n))
        return [self._time(n) for n in range(count)]

    def _time(self, number: int) -> float:
        return _TIME.unpack_from(self._shared, number * _TIME.size)[0]


class Flushing:
    """How long a writer's flushes took, in memory that survives the writer."""

    def __init__(self, path: Path) -> None:
        """Share what lies at `path`, or make it."""
        if not path.exists():
            path.write_bytes(bytes(2 * _TIME.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)

    def watch(self) -> None:
        """Take note of this process's flushes from now on."""
        sync = Spool.sync

        def watched(spool: Spool) -> None:
            begin = time.monotonic()
            _TIME.pack_into(self._shared, 0, begin)
            sync(spool)
            _TIME.pack_into(self._shared, 0, 0.0)
            (longest,) = _TIME.unpack_from(self._shared, _TIME.size)
            _TIME.pack_into(self._shared, _TIME.size, max(longest, time.monotonic() - begin))

        Spool.sync = watched

    def longest(self, at: float) -> float:
        """The longest one, in seconds; one that was under way counts until then."""
        begin, longest = struct.unpack("<dd", self._shared)
        return max(longest, at - begin if begin else 0.0)


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that appends to a ledger's spool, for as long as it lives."""

    process: BaseProcess
    place: Path

    @classmethod
    def start(cls, home: Path, place: Path, *, rate: float = 0, strict: bool = False) -> "Writer":
        """Begin; `place` is a new folder on another disk, where it says what was acknowledged."""
        place.mkdir(parents=True)
        process = _SPAWN.Process(target=_write, args=(home, place, rate, strict), daemon=True)
        process.start()
        return cls(process, place)

    def acknowledged(self) -> dict[str, list[float]]:
        """By name of the writer, when each of its records was acknowledged."""
        places = (path for path in self.place.iterdir() if path.name != _FLUSHING)
        return {path.name: Acknowledged(path).times() for path in places}

    def longest_flush(self, at: float) -> float:
        """How long it took until then to flush, at most, in seconds."""
        return Flushing(self.place / _FLUSHING).longest(at)


def _write(home: Path, place: Path, rate: float, strict: bool) -> None:  # noqa: FBT001  # a process's
    installation = Home(home)
    journal = LedgerJournal(installation, Faults(installation), strict=strict)
    trails = answers(50, chunks=200)
    acknowledged = Acknowledged(place / journal.writer)
    Flushing(place / _FLUSHING).watch()
    for number in range(_MOST):
        journal.append("answered" if number % 2 else "retrieved", trails[number // 2 % len(trails)])
        acknowledged.note(number)
        if rate:
            time.sleep(1 / rate)


def records(home: Path) -> Iterator[tuple[str, int]]:
    """The records of which the ledger has made entries: their writer's name and their number.

    Raises:
        StoreError: It cannot be read, or not all of it.
    """
    with contextlib.suppress(NothingRecordedError):
        yield from _records(home)


def _records(home: Path) -> Iterator[tuple[str, int]]:
    names: dict[int, str] = {}
    with open_ledger(Home(home), timeout=60) as ledger:
        if ledger.warning:
            raise RuntimeError(ledger.warning)
        for entry in ledger.entries():
            if entry.body.get("kind") == "writer":
                names[entry.body["number"]] = entry.body["name"]
            elif entry.writer:
                for counter in (entry.counter, *entry.covers):
                    yield names[entry.writer], counter


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the acknowledged records.

    Attributes:
        missing: Of each writer, the times at which those that are gone were acknowledged.
        twice: How many are there more than once.
        unasked: How many are there that nobody had acknowledged yet.
    """

    acknowledged: int
    missing: Mapping[str, list[float]]
    twice: int
    unasked: int

    @property
    def lost(self) -> int:
        """How many are gone."""
        return sum(map(len, self.missing.values()))


def found(home: Path, acknowledged: Mapping[str, list[float]]) -> Found:
    """Compare what is on the ledger, or in a spool, with what was acknowledged."""
    there = Counter(records(home))
    missing = {
        writer: [time for number, time in enumerate(times) if (writer, number) not in there]
        for writer, times in acknowledged.items()
    }
    known = {(writer, n) for writer, times in acknowledged.items() for n in range(len(times))}
    return Found(
        acknowledged=len(known),
        missing={writer: times for writer, times in missing.items() if times},
        twice=sum(count - 1 for count in there.values()),
        unasked=len(there.keys() - known),
    )
