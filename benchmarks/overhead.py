"""What a call costs more when it is instrumented: doctrail, its parts, and its peers side by side.

Every cell (an instrumentation on a pipeline) is a process. All cells of a pipeline are alive at the
same time and take turns of some calls. What counts is the CPU time of the whole process from the
beginning of its turn to the beginning of its next one, so that whatever a cell leaves to background
threads is in. A busy machine hits every cell alike: ratios hold where absolute numbers do not.

    python benchmarks/overhead.py                                   # everything, about 15 minutes
    python benchmarks/overhead.py --write-docs                      # and put it into docs/performance.md
    python benchmarks/overhead.py --pipelines llamaindex --runs 3
    python benchmarks/overhead.py --turn 1 --pause 2 --turns 10     # answers few and far between

Needs uv, and network access the first time, when it installs the peers into `benchmarks/.venvs`.
"""

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import instrumentations
import overhead_tables as tables
import pipelines as measured_pipelines
from instrumentations import CELLS, FRESH, PARTS, PIPELINES, SPANLESS
from overhead_tables import BASELINE, FULL, Measured, Results, Weighed

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / "benchmarks" / ".venvs" / "overhead"
PYTHON = ENVIRONMENT / "bin" / "python"
PEERS = (
    "openinference-instrumentation-langchain==0.1.80",
    "openinference-instrumentation-llama-index==4.6.1",
    "opentelemetry-instrumentation-genai-langchain==1.3b0",
    "opentelemetry-instrumentation-genai-llama-index==1.3b0",
    "opentelemetry-util-genai==1.3b0",
    "opentelemetry-instrumentation-langchain==0.62.4",
    "opentelemetry-instrumentation-llamaindex==0.62.4",
    "llama-index-llms-openai==0.8.3",  # without it OpenLLMetry's for LlamaIndex cannot be imported
)
PLOTTER = "matplotlib==3.11.2"
OURS = ("doctrail-core", "langchain-doctrail", "llama-index-observability-doctrail")
HOSTS = ("langchain-core", "llama-index-core", "opentelemetry-sdk")
WARM_UP = 60
OPEN = 200
"""Requests that wait for their model at the same time."""
AGES = (100, 1000, 10_000)
AGED_TURNS, AGED_TURN = 12, 50
STORED = (200, 1200)
"""After so many answers the files are weighed; what counts is the difference."""
ALL_CELLS = {**CELLS, **{name: instrument for name, (_, instrument) in PARTS.items()}}


# --- the environment


def prepare_environment() -> None:
    """Install ours and the peers, on the host versions of our lock."""
    ready = ENVIRONMENT / "ready"
    wanted = "\n".join((*PEERS, PLOTTER, (ROOT / "requirements.lock").read_text()))
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
    command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *ours, *PEERS, PLOTTER]
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
        if cell in CELLS and cell not in SPANLESS and not running.exported().spans:
            raise SystemExit(f"{cell} emits no span on {pipeline}: it is not at work")
        print(json.dumps({"ready": 1}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(_turn(running, int(line))), file=answers, flush=True)


def _turn(running: instrumentations.Cell, calls: int) -> dict[str, int]:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        running.call()
    return {"cpu_before": cpu, "wall": time.perf_counter_ns() - wall}


def weigh(pipeline: str, cell: str) -> dict[str, int | None]:
    """What one call exports, and what a request holds while its model is at work."""
    with tempfile.TemporaryDirectory(prefix="doctrail-overhead-") as folder:
        running = ALL_CELLS[cell](pipeline, Path(folder))
        for _ in range(WARM_UP):
            running.call()
        exported = asdict(running.exported())
        held = _held(running) if pipeline == "langchain-async" else None
        return {**exported, "open_bytes": held}


def _held(running: instrumentations.Cell) -> int:
    tracemalloc.start()

    def taken() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    before = taken()
    unchanged = measured_pipelines.unchanged
    full = measured_pipelines.langchain_open(running.callbacks, unchanged, OPEN, taken)
    return (full - before) // OPEN


def sizes(pipeline: str, calls: int) -> dict[str, int]:
    """What the files of so many answers take."""
    with tempfile.TemporaryDirectory(prefix="doctrail-overhead-") as folder:
        running = ALL_CELLS[FULL](pipeline, Path(folder))
        for _ in range(calls):
            running.call()
        running.close()
        return {path.name: path.stat().st_size for path in sorted(Path(folder).glob("*.db"))}


class Worker:
    """A cell's process, seen from the driver."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Wait until it is warm."""
        self._process = process
        self._answer()

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
    process = subprocess.Popen(
        [str(PYTHON), __file__, "--serve", pipeline, cell],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_clean_environment(),
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


def alone(task: str, *arguments: str) -> dict[str, Any]:
    """Do a task in a process of its own."""
    command = [str(PYTHON), __file__, task, *arguments]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=_clean_environment()
    )
    return json.loads(done.stdout.splitlines()[-1])


def _clean_environment() -> dict[str, str]:
    ignored = ("OTEL_", "DOCTRAIL_", "LANGCHAIN_", "LANGSMITH_", "TRACELOOP_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ignored)}


# --- measuring


def measure(
    pipeline: str, cells: Sequence[str], options: argparse.Namespace
) -> dict[str, Measured]:
    """Let the cells take turns, in the same order every time."""
    with ExitStack() as stack:
        workers = {c: stack.enter_context(worker(pipeline, c)) for c in cells}
        found = {c: Measured(pipeline, c, [], []) for c in cells}
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


def age(pipeline: str) -> dict[int, list[float]]:
    """Microseconds of CPU that doctrail adds after so many calls, turn by turn."""
    with worker(pipeline, BASELINE) as plain, worker(pipeline, FULL) as full:
        done = WARM_UP
        costs: dict[int, list[float]] = {}
        for calls in AGES:
            for each in (plain, full):
                each.turn(calls - done)
            done = calls + AGED_TURNS * AGED_TURN
            turns = [(full.turn(AGED_TURN), plain.turn(AGED_TURN)) for _ in range(AGED_TURNS)]
            turns.append((full.turn(0), plain.turn(0)))
            costs[calls] = [
                ((b["cpu_before"] - a["cpu_before"]) - (d["cpu_before"] - c["cpu_before"]))
                / AGED_TURN
                / 1000
                for (a, c), (b, d) in pairwise(turns)
            ]
        return costs


def store() -> dict[str, dict[str, float]]:
    """Bytes per response, by what is found."""
    few, many = STORED
    found: dict[str, dict[str, float]] = {}
    for finds, suffix in (("the same five chunks", ""), ("five new chunks", FRESH)):
        first, last = (alone("--sizes", f"langchain{suffix}", str(calls)) for calls in STORED)
        found[finds] = {name: (last[name] - first[name]) / (many - few) for name in last}
    return found


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """On what it was measured."""
    names = [*HOSTS, *(peer.partition("==")[0] for peer in PEERS)]
    ask = f"import importlib.metadata as m; print(*map(m.version, {names!r}))"
    versions = subprocess.run(
        [str(PYTHON), "-c", ask], check=True, capture_output=True, text=True
    ).stdout.split()
    return {
        "python": subprocess.run(
            [str(PYTHON), "-V"], check=True, capture_output=True, text=True
        ).stdout.split()[1],
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "runs": options.runs,
        "turns": options.turns,
        "calls per turn": options.turn,
        "seconds between rounds": options.pause,
        "versions": dict(zip(names, versions, strict=True)),
    }


def main() -> None:
    """Measure, and print tables."""
    options = _options()
    if options.serve:
        serve(*options.serve)
    elif options.weigh:
        print(json.dumps(weigh(*options.weigh)))
    elif options.sizes:
        print(json.dumps(sizes(options.sizes[0], int(options.sizes[1]))))
    else:
        prepare_environment()
        _measure_all(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipelines", nargs="+", default=PIPELINES, choices=PIPELINES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--turns", type=int, default=4, help="per cell and run")
    parser.add_argument("--turn", type=int, default=100, help="calls per turn")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after every round")
    parser.add_argument("--without-parts", action="store_true", help="only the instrumentations")
    parser.add_argument("--only-time", action="store_true", help="neither bytes nor flatness")
    parser.add_argument("--json", type=Path, help="also write all numbers here")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--weigh", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--sizes", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure_all(options: argparse.Namespace) -> None:
    parts = {} if options.without_parts else {name: does for name, (does, _) in PARTS.items()}
    results = Results(conditions(options), parts)
    for pipeline in options.pipelines:
        results.cells.extend(measure(pipeline, [*CELLS, *parts], options).values())
        if options.json:
            results.write(options.json)  # what there is, in case the rest is broken off
    results.conditions["load after"] = os.getloadavg()[0]
    if not options.only_time:
        for pipeline in options.pipelines:
            results.flat[pipeline] = age(pipeline)
            weighed = {cell: alone("--weigh", pipeline, cell) for cell in CELLS}
            results.weights.extend(Weighed(pipeline, c, **each) for c, each in weighed.items())
        results.stored.update(store())
    print(tables.page(results))
    with tempfile.TemporaryDirectory() as folder:
        numbers = options.json or Path(folder) / "overhead.json"
        results.write(numbers)
        if options.write_docs:
            tables.write_docs(results, ROOT / "docs")
            picture = str(ROOT / "docs" / tables.PICTURE)
            subprocess.run([str(PYTHON), tables.__file__, str(numbers), picture], check=True)


if __name__ == "__main__":
    main()
