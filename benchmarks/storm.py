"""Kills writers and sequencers again and again, and counts what is missing or there twice: nothing should be.

Processes append to one ledger as fast as they can; another one does nothing but move records into the database,
as the writers themselves do besides. One of them after the other gets a `kill -9`, and a successor. In the end
every record whose `append` had returned must be on the ledger once. Run: `python benchmarks/storm.py`.
"""

import argparse
import contextlib
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from recording import Writer, found

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger

_SPAWN = multiprocessing.get_context("spawn")


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="storm-", dir=options.folder))
    try:
        return _storm(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _storm(folder: Path, options: argparse.Namespace) -> int:
    rng = random.Random(options.seed)  # noqa: S311  # a storm that can be had again
    home = folder / "home"
    writers = [_writer(home, folder, n, options) for n in range(options.writers)]
    over, mover, kills, moved = [], _mover(home), 0, 0
    begun = time.monotonic()
    while _total([*over, *writers]) < options.records:
        time.sleep(rng.uniform(0.2, 0.6))
        victim = rng.randrange(options.writers + 1)
        if victim < options.writers:
            _kill(writers[victim].process)
            over.append(writers[victim])
            writers[victim] = _writer(home, folder, len(over) + options.writers, options)
            kills += 1
        else:
            _kill(mover)
            mover, moved = _mover(home), moved + 1
    for process in (*(writer.process for writer in writers), mover):
        _kill(process)
    seconds = time.monotonic() - begun
    acknowledged = {
        name: times for writer in (*over, *writers) for name, times in writer.acknowledged().items()
    }
    result = found(home, acknowledged)
    print(
        f"{result.acknowledged} records acknowledged in {seconds:.0f} s by {options.writers} processes at a time;"
        f" killed: {kills + options.writers} writers, {moved + 1} sequencers; missing {result.lost},"
        f" twice {result.twice}, written but not acknowledged {result.unasked}"
    )
    return int(bool(result.lost or result.twice))


def _writer(home: Path, folder: Path, number: int, options: argparse.Namespace) -> Writer:
    place = folder / "acknowledged" / str(number)
    return Writer.start(home, place, rate=options.rate, strict=options.strict)


def _total(writers: list[Writer]) -> int:
    return sum(len(times) for writer in writers for times in writer.acknowledged().values())


def _mover(home: Path) -> multiprocessing.process.BaseProcess:
    process = _SPAWN.Process(target=_move, args=(home,), daemon=True)
    process.start()
    return process


def _move(home: Path) -> None:
    while True:
        with contextlib.suppress(NothingRecordedError):
            open_ledger(Home(home), timeout=0.2).close()
        time.sleep(0.01)


def _kill(process: multiprocessing.process.BaseProcess) -> None:
    process.kill()
    process.join()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument(
        "--rate", type=float, default=0, help="of each, a second; as fast as it goes"
    )
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where; on the disk that is to be used")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
