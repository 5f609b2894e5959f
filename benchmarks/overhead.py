"""What a call costs more when it is instrumented: doctrail, its parts, and its peers side by side.

Every cell (an instrumentation on a pipeline) is a process. All cells of a pipeline are alive at the
same time and take turns of some calls. What counts is the CPU time of the whole process from the
beginning of its turn to the beginning of its next one, so that whatever a cell leaves to background
threads is in. A busy machine hits every cell alike: ratios hold where absolute numbers do not.

    python benchmarks/overhead.py                                   # everything, about 10 minutes
    python benchmarks/overhead.py --pipelines llamaindex --runs 3
    python benchmarks/overhead.py --turn 1 --pause 2 --turns 10     # answers few and far between

Needs uv, and network access the first time, when it installs the peers into `benchmarks/.venvs`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import instrumentations
from instrumentations import CELLS, PARTS, PIPELINES

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / "benchmarks" / ".venvs" / "overhead"
PYTHON = ENVIRONMENT / "bin" / "python"
PEERS = (
    "openinference-instrumentation-langchain==0.1.80",
    "openinference-instrumentation-llama-index==4.6.1",
    "opentelemetry-instrumentation-genai-langchain==1.3b0",
    "opentelemetry-instrumentation-genai-llama-index==1.3b0",
    "opentelemetry-util-genai==1.3b0",
)
OURS = ("doctrail-core", "langchain-doctrail", "llama-index-observability-doctrail")
HOSTS = ("langchain-core", "llama-index-core", "opentelemetry-sdk")
WARM_UP = 60
BASELINE, YARDSTICK, FULL = "nothing", "OpenInference", "doctrail"
ALL_CELLS = {**CELLS, **{name: instrument for name, (_, instrument) in PARTS.items()}}


# --- the environment


def prepare_environment() -> None:
    """Install ours and the peers, on the host versions of our lock."""
    ready = ENVIRONMENT / "ready"
    wanted = "\n".join((*PEERS, (ROOT / "requirements.lock").read_text()))
    if ready.exists() and ready.read_text() == wanted:
        return
    uv = next(
        (found for place in (ROOT / ".uv" / "bin" / "uv", "uv") if (found := shutil.which(place))),
        None,
    )
    if uv is None:
        raise SystemExit("uv is missing: run `make setup`, or install it")
    subprocess.run([uv, "venv", "--quiet", "--clear", str(ENVIRONMENT)], check=True)
    ours = [part for name in OURS for part in ("--editable", str(ROOT / "packages" / name))]
    command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *ours, *PEERS]
    subprocess.run([*command, "--constraint", str(ROOT / "requirements.lock")], check=True)
    ready.write_text(wanted)


# --- a cell's process


def serve(pipeline: str, cell: str) -> None:
    """For every number read make so many calls, and say what the clocks showed."""
    answers, sys.stdout = sys.stdout, sys.stderr
    with tempfile.TemporaryDirectory(prefix="doctrail-overhead-") as folder:
        running = ALL_CELLS[cell](pipeline, Path(folder))
        for _ in range(WARM_UP):
            running.call()
        spans = _spans_of_one_call(running)
        if not spans and cell in CELLS and cell != BASELINE:
            raise SystemExit(f"{cell} emits no span on {pipeline}: it is not at work")
        print(json.dumps({"spans": spans}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(_turn(running, int(line))), file=answers, flush=True)


def _spans_of_one_call(running: instrumentations.Cell) -> int:
    before = running.spans()
    running.call()
    return running.spans() - before


def _turn(running: instrumentations.Cell, calls: int) -> dict[str, int]:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        running.call()
    return {"cpu_before": cpu, "wall": time.perf_counter_ns() - wall}


class Worker:
    """A cell's process, seen from the driver."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Wait until it is warm."""
        self._process = process
        self.spans = self._answer()["spans"]

    def turn(self, calls: int) -> dict[str, int]:
        """Have it make so many calls."""
        assert self._process.stdin  # noqa: S101  # it is a pipe
        self._process.stdin.write(f"{calls}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout  # noqa: S101  # it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} died; what it said stands above")
        return json.loads(line)


@contextmanager
def worker(pipeline: str, cell: str) -> Generator[Worker]:
    """Start a cell's process, and end it."""
    ignored = ("OTEL_", "DOCTRAIL_", "LANGCHAIN_", "LANGSMITH_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(ignored)}
    process = subprocess.Popen(
        [str(PYTHON), __file__, "--serve", pipeline, cell],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean,
    )
    try:
        yield Worker(process)
    finally:
        assert process.stdin  # noqa: S101  # it is a pipe
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


# --- measuring


@dataclass(frozen=True)
class Measured:
    """A cell's microseconds per call: of every run the median turn."""

    pipeline: str
    cell: str
    spans: int
    cpu: list[float]
    wall: list[float]


def measure(
    pipeline: str, cells: Sequence[str], options: argparse.Namespace
) -> dict[str, Measured]:
    """Let the cells take turns, in the same order every time."""
    with ExitStack() as stack:
        workers = {c: stack.enter_context(worker(pipeline, c)) for c in cells}
        found = {c: Measured(pipeline, c, workers[c].spans, [], []) for c in cells}
        for run in range(options.runs):
            turns: dict[str, list[dict[str, int]]] = {c: [] for c in cells}
            for _ in range(options.turns):
                for cell in cells:
                    turns[cell].append(workers[cell].turn(options.turn))
                time.sleep(options.pause)
            for cell, taken in turns.items():
                clock = [turn["cpu_before"] for turn in (*taken, workers[cell].turn(0))]
                cpu = statistics.median(after - before for before, after in pairwise(clock))
                wall = statistics.median(turn["wall"] for turn in taken)
                found[cell].cpu.append(cpu / options.turn / 1000)
                found[cell].wall.append(wall / options.turn / 1000)
            print(f"{pipeline}: run {run + 1} of {options.runs}", file=sys.stderr)
    return found


def added(cell: Measured, base: Measured) -> list[float]:
    """CPU time that the cell's calls cost more than the base's, run by run."""
    return [mine - theirs for mine, theirs in zip(cell.cpu, base.cpu, strict=True)]


def shares(cell: Measured, yardstick: Measured, base: Measured) -> list[float]:
    """What the cell adds, as a share of what the yardstick adds, run by run."""
    pairs = zip(added(cell, base), added(yardstick, base), strict=True)
    return [mine / theirs for mine, theirs in pairs]


# --- telling


def side_by_side(found: dict[str, Measured]) -> Iterator[list[str]]:
    """One row per instrumentation, ratios first."""
    base, yardstick = found[BASELINE], found[YARDSTICK]
    yield ["", "adds, of OpenInference's", "lowest-highest run", "CPU time of a call",
           "added CPU us", "added wall us", "spans"]  # fmt: skip
    for name in CELLS:
        cell = found[name]
        share = shares(cell, yardstick, base)
        times = statistics.median(m / b for m, b in zip(cell.cpu, base.cpu, strict=True))
        wall = statistics.median(m - b for m, b in zip(cell.wall, base.wall, strict=True))
        if cell is base:
            yield [name, "", "", f"1.00 x = {statistics.median(base.cpu):.0f} us", "", "", ""]
        else:
            yield [
                f"**{name}**" if name == FULL else name,
                f"**{statistics.median(share):.2f}**",
                f"{min(share):.2f}-{max(share):.2f}",
                f"{times:.2f} x",
                f"{statistics.median(added(cell, base)):.0f}",
                f"{wall:.0f}",
                f"{cell.spans}",
            ]


def by_part(found: dict[str, Measured]) -> Iterator[list[str]]:
    """One row per part of doctrail: what it costs on top of the parts above it."""
    base, yardstick = found[BASELINE], found[YARDSTICK]
    whole = statistics.median(added(yardstick, base))
    yield ["part", "what it does", "adds, of OpenInference's", "added CPU us", "lowest-highest run"]
    before = base
    for name, (does, _) in PARTS.items():
        cost = added(found[name], before)
        middle = statistics.median(cost)
        spread = f"{min(cost):.0f}-{max(cost):.0f}"
        yield [name, does, f"{middle / whole:.2f}", f"{middle:.0f}", spread]
        before = found[name]


def table(rows: Iterator[list[str]]) -> str:
    """A Markdown table; the first row is the header."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """On what it was measured."""
    names = [*HOSTS, *(peer.partition("==")[0] for peer in PEERS)]
    ask = f"import importlib.metadata as m; print(*map(m.version, {names!r}))"
    versions = subprocess.run(
        [str(PYTHON), "-c", ask], check=True, capture_output=True, text=True
    ).stdout.split()
    return {
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "runs": options.runs,
        "turns": options.turns,
        "calls per turn": options.turn,
        "seconds between rounds": options.pause,
        **dict(zip(names, versions, strict=True)),
    }


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipelines", nargs="+", default=PIPELINES, choices=PIPELINES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--turns", type=int, default=4, help="per cell and run")
    parser.add_argument("--turn", type=int, default=100, help="calls per turn")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after every round")
    parser.add_argument("--without-parts", action="store_true", help="only the instrumentations")
    parser.add_argument("--json", type=Path, help="also write all numbers here")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    prepare_environment()
    told = conditions(options)
    print("\n".join(f"- {name}: {value}" for name, value in told.items()))
    cells = list(CELLS) if options.without_parts else list(ALL_CELLS)
    everything: list[Measured] = []
    for pipeline in options.pipelines:
        found = measure(pipeline, cells, options)
        everything += found.values()
        print(f"\n## {pipeline}\n\n{table(side_by_side(found))}", flush=True)
        if not options.without_parts:
            print(f"\n{table(by_part(found))}", flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        measured = [asdict(cell) for cell in everything]
        options.json.write_text(json.dumps({"conditions": told, "cells": measured}, indent=1))


if __name__ == "__main__":
    main()
