"""What it costs to put an answer on record: two ledger entries and a trail, sequencing included.

Answers have 5 chunks of 2 KB out of 1,000, a prompt that holds them all and a short reply. CPU time is
that of the whole process; `append` is what the caller waits for. Run: `python benchmarks/write_path.py`.
With `--rate` the answers come at that rate, else one after the other; then caches are warm.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from answers import answers

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import Trail
from doctrail_core.trails.journal import TrailJournal


def main() -> None:
    options = _options()
    trails = answers(options.answers)
    print(f"{options.answers} answers, {options.rate or 'as many as go'} a second")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        faults = Faults(home)
        ledger = LedgerJournal(home, faults)
        store = TrailJournal(home, faults)
        _warm_up(ledger, store, trails[0])
        both = (lambda t: ledger.append("retrieved", t), lambda t: ledger.append("answered", t))
        _measure("ledger", home, "ledger.db", trails, options.rate, both, ledger.flush)
        _measure("trail", home, "trails.db", trails, options.rate, (store.append,), store.flush)
        ledger.close()
        store.close()
        print("faults:", faults.summary() or "none")


def _measure(
    name: str,
    home: Home,
    database: str,
    trails: list[Trail],
    rate: int,
    appends: tuple[Callable[[Trail], None], ...],
    flush: Callable[[], None],
) -> None:
    before = _on_disk(home, database)
    waits: list[float] = []
    called = 0.0
    start, cpu = time.perf_counter(), _cpu()
    for number, trail in enumerate(trails):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        thread, wall = time.thread_time(), time.perf_counter()
        for append in appends:
            append(trail)
        waits.append(time.perf_counter() - wall)
        called += time.thread_time() - thread
    flush()
    total = (_cpu() - cpu - _idle_cpu(len(trails), rate)) / len(trails)
    cuts = statistics.quantiles(waits, n=100)
    size = (_on_disk(home, database) - before) / len(trails)
    called /= len(trails)
    print(
        f"{name:7} append p50 {cuts[49] * 1e6:6.1f} us  p99 {cuts[98] * 1e6:6.1f} us   CPU per answer:"
        f" append {called * 1e6:6.1f} us, sequencing {(total - called) * 1e6:6.1f} us,"
        f" together {total * 1e6:6.1f} us   {size:6.0f} bytes on disk"
    )


def _idle_cpu(count: int, rate: int) -> float:
    """What the loop itself uses, mostly to sleep."""
    if not rate:
        return 0.0
    start, cpu = time.perf_counter(), _cpu()
    for number in range(count // 4):
        time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        time.thread_time()
        time.perf_counter()
    return 4 * (_cpu() - cpu)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _on_disk(home: Home, database: str) -> int:
    return sum(file.stat().st_size for file in home.path.glob(f"{database}*"))


def _warm_up(ledger: LedgerJournal, store: TrailJournal, trail: Trail) -> None:
    ledger.append("answered", trail)
    store.append(trail)
    ledger.flush()
    store.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=3_000)
    parser.add_argument("--rate", type=int, default=0, help="answers a second")
    return parser.parse_args()


if __name__ == "__main__":
    main()
