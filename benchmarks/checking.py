"""Measure what checking answers in the background costs the answers themselves.

    python benchmarks/checking.py
    python benchmarks/checking.py --json > checking.json

Responses with five real passages each are recorded at a steady rate, as applications record them. Reported is how
long recording one took, in milliseconds of wall time, without checks and with them: the embedded verifier on a
share and on all, and one that waits as a judge's server lets one wait. Ways take turns, so that what else the
machine does falls on all alike. `checked` counts what was checked by then, `dropped` what found the queue full.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from doctrail_core import Grounding, Lineage, Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.grounding.verifier import Answer, Findings, Verifier
from doctrail_core.model import Message

CONTRACTS = Path(__file__).parents[1] / "packages/doctrail/src/doctrail/demo/contracts"
PASSAGE = 1200
PASSAGES = 5


class Waiting(Verifier):
    """A fake: finds nothing, after as long as a judge's server takes."""

    name = "waiting"
    version = "1"

    def verify(self, answer: Answer) -> Findings:
        del answer
        time.sleep(0.5)
        return Findings(verdicts=())


WAYS: dict[str, Callable[[], Grounding | None]] = {
    "no checks": lambda: None,
    "embedded, 5 %": lambda: Grounding(sample_rate=0.05),
    "embedded, all": lambda: Grounding(sample_rate=1.0, queue_size=100_000),
    "waits 0.5 s, all, 8 workers": lambda: Grounding(
        sample_rate=1.0, verifier=Waiting(), workers=8, queue_size=100_000
    ),
    "waits 0.5 s, all, queue of 10": lambda: Grounding(
        sample_rate=1.0, verifier=Waiting(), queue_size=10
    ),
}


def passages() -> list[str]:
    text = "\n".join(path.read_text() for path in sorted(CONTRACTS.glob("*.txt")))
    return [text[at : at + PASSAGE] for at in range(0, len(text) - PASSAGE, PASSAGE)]


def answered(lineage: Lineage, name: str, chunks: list[str]) -> float:
    """Record one response; returns the seconds that it took."""
    found = [RetrievedChunk(text, f"{name}/{n}", f"doc_{n}") for n, text in enumerate(chunks)]
    prompt = "\n\n".join(chunks)
    answer = " ".join(text[:200] for text in chunks[:3])
    begun = time.perf_counter()
    lineage.record(RunStarted(name, None, "app", "benchmark", "What was agreed?"))
    lineage.record(RetrievalStarted(f"{name}/s", name, "Retriever", "agreed", "benchmark"))
    lineage.record(RetrievalEnded(f"{name}/s", found))
    lineage.record(PromptSent(f"{name}/g", name, [Message("user", prompt)], "benchmark", "m"))
    lineage.record(GenerationEnded(f"{name}/g", answer))
    lineage.record(RunEnded(name, answer))
    return time.perf_counter() - begun


def measure(way: str, number: int, rate: float, texts: list[str]) -> dict[str, Any]:
    grounding = WAYS[way]()
    with TemporaryDirectory() as home:
        lineage = Lineage(Settings(home=Path(home), spans="none"), grounding=grounding)
        answered(lineage, "warm-up", texts[:PASSAGES])
        took: list[float] = []
        start = time.perf_counter()
        for n in range(number):
            time.sleep(max(0.0, start + n / rate - time.perf_counter()))
            at = n * PASSAGES % (len(texts) - PASSAGES)
            took.append(answered(lineage, f"{way}-{n}", texts[at : at + PASSAGES]))
        tally = lineage.checks(grounding).tally if grounding else None
        if grounding:
            lineage.checks(grounding).close(timeout=0.0)
        lineage.close()
    return {
        "took": took,
        "checked": tally.checked if tally else 0,
        "dropped": tally.dropped if tally else 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=300, help="responses per way and turn")
    parser.add_argument("--rate", type=float, default=50.0, help="responses a second")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = passages()
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    rest: dict[str, dict[str, int]] = {way: {"checked": 0, "dropped": 0} for way in WAYS}
    for _ in range(options.turns):
        for way in WAYS:
            found = measure(way, options.number, options.rate, texts)
            took[way] += found["took"]
            for name in rest[way]:
                rest[way][name] += found[name]
    table = {way: {**summary(took[way]), **rest[way]} for way in WAYS}
    if options.json:
        json.dump({"rate": options.rate, "ways": table}, sys.stdout, indent=1)
    else:
        print(f"{'':31} {'p50 ms':>8} {'p99 ms':>8} {'checked':>8} {'dropped':>8}")
        for way, row in table.items():
            print(
                f"{way:31} {row['p50']:8.2f} {row['p99']:8.2f} {row['checked']:8} {row['dropped']:8}"
            )


def summary(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100)
    return {"p50": round(cuts[49] * 1000, 3), "p99": round(cuts[98] * 1000, 3)}


if __name__ == "__main__":
    main()
