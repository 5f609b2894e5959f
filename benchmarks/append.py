"""What putting a record on record adds to a request, and how much of it a power cut could cost.

So many processes append records at a steady rate, each on its own; what the caller waits for is measured, from
before the call until it returns. The ways take turns, each in new processes on a new folder:

- `queue`: a queue in memory, which a thread empties into SQLite; what a process holds when it dies is lost
- `sqlite full`: every request commits to one SQLite file itself, `synchronous=FULL`
- `spool`: the bare spool, `bounded`, records of 800 bytes
- `bounded`, `strict`: `ledger.append` of an answer with 5 chunks, from the finished trail to the written record

For `spool`, `bounded` and `strict` it is also told how long a record was not on stable storage yet: until a flush
began that covers it, and until that was done. Run: `python benchmarks/append.py --folder SOMEWHERE/ON/A/DISK`.
"""

import argparse
import json
import multiprocessing
import os
import queue
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from answers import answers

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool
from doctrail_core.ledger.journal import LedgerJournal

Append = Callable[[int], object]
_RECORD = b"x" * 800
_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Way:
    """One way to append, set up."""

    append: Append
    close: Callable[[], object]


@dataclass(slots=True)
class Flushes:
    """When this process had its records on stable storage: begin and end of each flush.

    A file that was moved into the database, and deleted, was there by then.
    """

    done: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def watch(self) -> None:
        """Take note of every one from now on."""
        sync = Spool.sync

        def watched(spool: Spool) -> None:
            begin = time.perf_counter()
            sync(spool)
            self.done.append((begin, time.perf_counter()))

        Spool.sync = watched

    def covering(self, written: float) -> tuple[float, float] | None:
        """How long after it was written a record's flush began, and was done."""
        place = bisect_left(self.done, (written, 0.0))
        if place == len(self.done):
            return None
        begin, end = self.done[place]
        return begin - written, end - written


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one process: what callers waited, and how long records were exposed, in seconds."""

    waits: list[float]
    begun: list[float]
    exposed: list[float]


def main() -> None:
    options = _options()
    load = f"{options.processes} processes, together {options.rate}/s, {options.seconds} s each"
    folder = Path(tempfile.mkdtemp(prefix="append-", dir=options.folder))
    print(f"{load}; {_file_system(folder)}; {os.cpu_count()} cores; milliseconds")
    print(f"{'':12} {'p50':>8} {'p95':>8} {'p99':>8} {'worst':>8}   until a flush covers it")
    found: dict[str, dict[str, float]] = {}
    try:
        for number in range(options.rounds):
            for name in options.ways:
                place = folder / f"{number}-{name.replace(' ', '-')}"
                place.mkdir()
                figures = _figures(_run(name, place, options))
                found[f"{name} {number}"] = figures
                print(_line(name, figures), flush=True)
                shutil.rmtree(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps({"load": load, "figures": found}, indent=2))


def _run(name: str, folder: Path, options: argparse.Namespace) -> list[Measured]:
    spawn = multiprocessing.get_context("spawn")
    each = options.rate / options.processes
    with ProcessPoolExecutor(options.processes, mp_context=spawn) as pool:
        begun = [
            pool.submit(_in_process, name, folder, each, options.seconds, seed)
            for seed in range(options.processes)
        ]
        return [one.result() for one in begun]


def _in_process(name: str, folder: Path, rate: float, seconds: float, seed: int) -> Measured:
    flushes = Flushes()
    flushes.watch()
    way = WAYS[name](folder)
    rng = random.Random(seed)  # noqa: S311  # arrivals, no secret
    times: list[tuple[float, float]] = []
    due = time.perf_counter()
    end = due + seconds
    number = 0
    while due < end:
        due += rng.expovariate(rate)
        time.sleep(max(0.0, due - time.perf_counter()))
        before = time.perf_counter()
        way.append(number)
        times.append((before, time.perf_counter()))
        number += 1
    time.sleep(0.5)  # as a server goes on after its last request
    way.close()
    times = times[_WARM_UP:]
    covered = [covering for _, after in times if (covering := flushes.covering(after))]
    if name == "strict":
        covered = []  # when it returns it is there
    return Measured(
        [after - before for before, after in times],
        [begin for begin, _ in covered],
        [done for _, done in covered],
    )


# --- the ways


def _queue(folder: Path) -> Way:
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def empty() -> None:
        database = _database(folder)
        while (record := waiting.get()) is not None:
            batch = [(record,)]
            time.sleep(0.1)
            while not waiting.empty() and (more := waiting.get()) is not None:
                batch.append((more,))
            _commit(database, batch)

    thread = threading.Thread(target=empty, daemon=True)
    thread.start()
    return Way(lambda _: waiting.put(_RECORD), lambda: waiting.put(None))


def _sqlite_full(folder: Path) -> Way:
    database = _database(folder)
    return Way(lambda _: _commit(database, [(_RECORD,)]), database.close)


def _database(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        folder / "direct.db", isolation_level=None, timeout=60, check_same_thread=False
    )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, body BLOB)")
    return database


def _commit(database: sqlite3.Connection, batch: list[tuple[bytes]]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT INTO record (body) VALUES (?)", batch)
    database.execute("COMMIT")


def _spool(folder: Path) -> Way:
    home = Home(folder / "home")
    spool = Spool(home, "ledger")
    sequencer = Sequencer(spool, Nowhere(), Faults(home))

    def append(_: int) -> None:
        spool.append(_RECORD)
        sequencer.wake()

    return Way(append, sequencer.close)


class Nowhere:
    """A database that keeps nothing."""

    def open(self) -> "Nowhere":
        """Be the store, too."""
        return self

    def cursors(self) -> dict[str, int]:
        """Every file is new."""
        return {}

    def commit(self, *_: object) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Have nothing to give up."""


def _ledger(folder: Path, *, strict: bool) -> Way:
    home = Home(folder / "home")
    journal = LedgerJournal(home, Faults(home), strict=strict)
    trails = answers(500)
    return Way(lambda n: journal.append("answered", trails[n % len(trails)]), journal.close)


def _bounded(folder: Path) -> Way:
    return _ledger(folder, strict=False)


def _strict(folder: Path) -> Way:
    return _ledger(folder, strict=True)


WAYS: dict[str, Callable[[Path], Way]] = {
    "queue": _queue,
    "sqlite full": _sqlite_full,
    "spool": _spool,
    "bounded": _bounded,
    "strict": _strict,
}


# --- figures


def _figures(measured: list[Measured]) -> dict[str, float]:
    waits = [wait for one in measured for wait in one.waits]
    figures = _quantiles("", waits)
    exposed = [each for one in measured for each in one.exposed]
    if exposed:
        begun = [each for one in measured for each in one.begun]
        figures |= _quantiles("flush begun ", begun) | _quantiles("flush done ", exposed)
    return figures | {"appended": len(waits)}


def _quantiles(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    picked = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "worst": max(seconds)}
    return {f"{name}{key}": round(value * 1000, 4) for key, value in picked.items()}


def _line(name: str, figures: dict[str, float]) -> str:
    waits = " ".join(f"{figures[key]:8.3f}" for key in ("p50", "p95", "p99", "worst"))
    told = ""
    if "flush done p50" in figures:
        begun, done = figures["flush begun worst"], figures["flush done worst"]
        told = f"   begun after at most {begun:.1f}, done p50 {figures['flush done p50']:.1f}, worst {done:.1f}"
    return f"{name:12} {waits}{told}"


def _file_system(folder: Path) -> str:
    from doctrail_core.durable.filesystem import type_of_file_system

    return type_of_file_system(folder) or sys.platform


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument(
        "--rate", type=float, default=100, help="of all processes together, a second"
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where; on the disk that is to be measured")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS])
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
