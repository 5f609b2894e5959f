"""How fast a ledger is verified, proven and bundled, on one core, and in how much memory.

The ledger is one that an application would write: answers with 5 chunks of 3,000 documents, most of them the same few.
`tree, counters, times` is what `doctrail audit verify --quick` does; `all` reads every entry through, too, and rebuilds
indexes and tables. `nothing but hashes` is the floor: SHA-256 of leaves and nodes, of entries in memory. Each pass is
the median of `--runs`, caches warm, in CPU time of the process, which has one thread. Run: `python benchmarks/verification.py`.
"""

import argparse
import random
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from doctrail_core.audit.checkpoint import Checkpoint
from doctrail_core.audit.sealing import postings_of
from doctrail_core.audit.segments import SEGMENT
from doctrail_core.audit.stream import CounterCheck, FormCheck, TimeCheck, TreeCheck, blocks
from doctrail_core.audit.verifying import Known, verify
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.record import ChunkFact, LedgerRecord, encode
from doctrail_core.ledger.sqlite import LedgerDatabase
from doctrail_core.ledger.tree import Frontier, leaf_hash, verify_inclusion

_BATCH = 5_000
_WRITERS = 4
_DOCUMENTS = 3_000


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        _record(home, options.answers)
        with open_ledger(home, drain=False) as log:
            size = log.size()
            print(f"{size:,} entries of {options.answers:,} answers, {_bytes(log):.0f} bytes each")
            _tell("nothing but hashes", size, options.runs, _hashes(log))
            _tell("tree, counters, times", size, options.runs, lambda: _quick(log))
            _tell("all", size, 1, lambda: verify(log, Known()))
            _tell_proofs(log, size)
            _tell_index(log)
            _tell_memory(log)


def _record(home: Home, answers: int) -> None:
    """Have the sequencer make entries of records, without a process for each writer."""
    home.ensure("ledger")
    writer = LedgerDatabase(home).open()
    draw = random.Random(20261122)  # noqa: S311  # repeatable load, no secret
    for start in range(0, answers, _BATCH):
        batch = range(start, min(start + _BATCH, answers))
        writer.commit([_answer(number, draw) for number in batch], {}, ())
    writer.close()


def _answer(number: int, draw: random.Random) -> bytes:
    found = {int(_DOCUMENTS * draw.random() ** 3) for _ in range(5)}
    chunks = tuple(
        ChunkFact(
            chunk_id=f"doc_{each}#0",
            content_hash=f"sha256:{each:064x}",
            document_id=f"doc_{each}",
            grade="in_prompt",
        )
        for each in found
    )
    record = LedgerRecord(
        chunks=chunks,
        counter=number // _WRITERS,
        document_ids=tuple(chunk.document_id for chunk in chunks),
        kind="answered",
        models=("model-1",),
        query_hash="hmac-sha256:00",
        response_id=str(UUID(int=draw.getrandbits(128))),
        status="ok",
        timestamp=f"2026-03-{1 + number // 86_400 % 28:02}T{number // 3600 % 24:02}:00:00.000000+00:00",
        trace_id=f"{draw.getrandbits(128):032x}",
        writer=f"writer-{number % _WRITERS}",
    )
    return encode(record)


def _hashes(log: LedgerReader) -> Callable[[], object]:
    bodies = [body for _, body in log.bodies()]

    def run() -> object:
        frontier = Frontier()
        frontier.append_all(map(leaf_hash, bodies))
        return frontier.root()

    return run


def _quick(log: LedgerReader) -> None:
    checkpoint = Checkpoint("log", log.size(), log.root())
    checks = [TreeCheck(log.store, [checkpoint]), FormCheck(), CounterCheck(), TimeCheck(0)]
    for block in blocks(log.store, 0, log.size()):
        for check in checks:
            check.take(block)
    broken = [each for check in checks for each in check.findings() if each.outcome == "broken"]
    if broken:
        raise AssertionError(broken)


def _tell(name: str, size: int, runs: int, run: Callable[[], object]) -> None:
    seconds = statistics.median(_timed(run) for _ in range(runs))
    print(f"{name:>24}: {size / seconds:>10,.0f} entries/s")


def _tell_proofs(log: LedgerReader, size: int) -> None:
    seqs = random.Random(1).sample(range(size), 500)  # noqa: S311  # likewise
    root = log.root()
    proofs: list[Sequence[bytes]] = []
    made = _timed(lambda: proofs.extend(log.inclusion(seq, size) for seq in seqs))
    leaves = [leaf_hash(log.body(seq) or b"") for seq in seqs]

    def check() -> None:
        for seq, leaf, proof in zip(seqs, leaves, proofs, strict=True):
            if not verify_inclusion(seq, size, leaf, proof, root):
                raise AssertionError(seq)

    checked = _timed(check)
    print(
        f"{'a proof':>24}: {made / len(seqs) * 1e6:,.0f} us to make, {checked / len(seqs) * 1e6:,.0f} us to check,"
        f" {len(proofs[0])} hashes"
    )


def _tell_index(log: LedgerReader) -> None:
    if log.size() < SEGMENT:
        return
    start = time.process_time()
    postings = postings_of(log, 0)
    index = postings.index() if postings else None
    seconds = time.process_time() - start
    if index is not None:
        print(
            f"{'index of a segment':>24}: {seconds:.2f} s ({seconds / SEGMENT * 1e6:.1f} us/entry),"
            f" {index.count:,} documents"
        )


def _tell_memory(log: LedgerReader) -> None:
    tracemalloc.start()
    _quick(log)
    print(f"{'memory of a pass':>24}: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB at most")
    tracemalloc.stop()


def _bytes(log: LedgerReader) -> float:
    return statistics.fmean(len(body) for _, body in log.bodies())


def _timed(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
