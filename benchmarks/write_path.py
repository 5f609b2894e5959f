"""What it costs to put an answer on record: two ledger entries and a trail, sequencing included.

Answers have 5 chunks of 2 KB out of 1,000, a prompt that holds them all and a short reply. CPU time is
that of the whole process; `append` is what the caller waits for. Run: `python benchmarks/write_path.py`.
With `--rate` the answers come at that rate, else one after the other; then caches are warm.
"""

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import (
    Arrival,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    Trail,
    Usage,
)
from doctrail_core.text.identity import content_hash
from doctrail_core.trails.journal import TrailJournal

_rng = random.Random(1)  # noqa: S311  # repeatable load, no secret
_NOW = datetime.now(UTC)
_WORDS = ["".join(_rng.choices("etaoinshrdlu", k=_rng.randint(2, 9))) for _ in range(5_000)]


def main() -> None:
    options = _options()
    chunks = [_chunk(number) for number in range(1_000)]
    trails = [_trail(number, _rng.sample(chunks, 5)) for number in range(options.answers)]
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


def _text(length: int) -> str:
    text = ""
    while len(text) < length:
        text += _rng.choice(_WORDS) + " "
    return text[:length]


def _chunk(number: int) -> Chunk:
    text = _text(2_000)
    document = f"contracts/{number // 10}.pdf"
    return Chunk(f"{document}#{number % 10}", document, content_hash(text), text, number % 10)


def _trail(number: int, chunks: list[Chunk]) -> Trail:
    question, answer = _text(80), _text(400)
    prompt = question + "".join(chunk.text or "" for chunk in chunks)
    arrivals = tuple(
        Arrival(chunk.chunk_id, chunk.document_id, "full", 1.0, 0.2, order, (_place(order),))
        for order, chunk in enumerate(chunks)
    )
    hits = tuple(
        Hit(chunk, rank, 0.9 - rank / 10, "similarity") for rank, chunk in enumerate(chunks)
    )
    generation = Generation(
        *(f"g{number}", (Message("user", prompt),), answer, _NOW, _NOW, "model", "provider"),
        usage=Usage(3_000, 100, 3_100),
        message_id=f"msg-{number}",
    )
    return Trail(
        *(f"response-{number:08d}", "ok", _NOW, _NOW, "hmac-sha256:" + "0" * 64, question, answer),
        *(
            f"session-{number // 4}",
            f"user-{number // 40}",
            f"{number:032x}",
            "service",
            "langchain",
        ),
        retrievals=(
            Retrieval(
                "retrieval", "bm25", question, "hmac-sha256:" + "0" * 64, hits, _NOW, _NOW, k=5
            ),
        ),
        contexts=(Context(f"g{number}", arrivals, len(prompt), 80),),
        generations=(generation,),
    )


def _place(order: int) -> PromptSpan:
    return PromptSpan(0, 80 + order * 2_000, 80 + (order + 1) * 2_000)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=3_000)
    parser.add_argument("--rate", type=int, default=0, help="answers a second")
    return parser.parse_args()


if __name__ == "__main__":
    main()
