"""What `overhead.py` measured, as tables and as a picture, for people and for `docs/performance.md`."""

import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BASELINE, YARDSTICK, FULL = "nothing", "OpenInference", "doctrail"
UNSAMPLED = "doctrail, trace not sampled"
BEGIN = "<!-- begin: written by benchmarks/overhead.py --write-docs -->"
END = "<!-- end: written by benchmarks/overhead.py --write-docs -->"
PICTURE = "pictures/overhead.svg"
NAMES = {
    "langchain": "LangChain `invoke`",
    "langchain-async": "LangChain `ainvoke`",
    "llamaindex": "LlamaIndex `query`",
}

Rows = Iterable[Sequence[str]]


@dataclass(frozen=True)
class Measured:
    """A cell's microseconds per call: of every run the median turn."""

    pipeline: str
    cell: str
    cpu: list[float]
    wall: list[float]


@dataclass(frozen=True)
class Weighed:
    """What one call of a cell exports, and what a request takes in memory while it waits for its model."""

    pipeline: str
    cell: str
    spans: int
    attribute_bytes: int
    copies: int
    open_bytes: int | None


@dataclass(frozen=True)
class Results:
    """All that was measured.

    Attributes:
        stored: Bytes per response, by what searches find and by file.
        flat: Added CPU microseconds per call, by pipeline and by how many calls there were before.
    """

    conditions: dict[str, Any]
    parts: dict[str, str]
    cells: list[Measured] = field(default_factory=list[Measured])
    weights: list[Weighed] = field(default_factory=list[Weighed])
    stored: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    flat: dict[str, dict[int, list[float]]] = field(
        default_factory=dict[str, dict[int, list[float]]]
    )

    def of(self, pipeline: str) -> dict[str, Measured]:
        """The cells of a pipeline."""
        return {cell.cell: cell for cell in self.cells if cell.pipeline == pipeline}

    @property
    def pipelines(self) -> list[str]:
        """Those that were measured."""
        return list(dict.fromkeys(cell.pipeline for cell in self.cells))

    def write(self, path: Path) -> None:
        """Keep all numbers."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))


def added(cell: Measured, base: Measured) -> list[float]:
    """CPU time that the cell's calls cost more than the base's, run by run."""
    return [mine - theirs for mine, theirs in zip(cell.cpu, base.cpu, strict=True)]


def shares(cell: Measured, found: Mapping[str, Measured]) -> list[float]:
    """What the cell adds, as a share of what the yardstick adds, run by run."""
    base = found[BASELINE]
    pairs = zip(added(cell, base), added(found[YARDSTICK], base), strict=True)
    return [mine / theirs for mine, theirs in pairs]


# --- tables


def side_by_side(results: Results) -> Iterator[Sequence[str]]:
    """One row per instrumentation: what it adds, of what the yardstick adds."""
    pipelines = results.pipelines
    yield ["", *(NAMES[pipeline] for pipeline in pipelines)]
    for name in results.of(pipelines[0]):
        if name != BASELINE and name not in results.parts:
            told = [_share(name, results.of(pipeline)) for pipeline in pipelines]
            yield [f"**{name}**" if name == FULL else name, *told]


def _share(name: str, found: Mapping[str, Measured]) -> str:
    share = shares(found[name], found)
    middle = f"{statistics.median(share):.2f}"
    spread = f"({min(share):.2f}-{max(share):.2f})"
    return middle if name == YARDSTICK else f"{middle} {spread}"


def in_microseconds(results: Results) -> Iterator[Sequence[str]]:
    """The same in microseconds of CPU, and of time that a caller waits."""
    pipelines = results.pipelines
    yield ["", *(f"{NAMES[pipeline]}: CPU / wall" for pipeline in pipelines)]
    for name in results.of(pipelines[0]):
        if name not in results.parts:
            told = [_times(name, results.of(pipeline)) for pipeline in pipelines]
            yield [f"{name} (the call itself)" if name == BASELINE else name, *told]


def _times(name: str, found: Mapping[str, Measured]) -> str:
    cell, base = found[name], found[BASELINE]
    if cell is base:
        return f"{statistics.median(cell.cpu):.0f} / {statistics.median(cell.wall):.0f}"
    wall = statistics.median(m - b for m, b in zip(cell.wall, base.wall, strict=True))
    return f"+{statistics.median(added(cell, base)):.0f} / +{wall:.0f}"


def by_part(results: Results) -> Iterator[Sequence[str]]:
    """One row per part of doctrail: what it costs on top of the parts above it."""
    pipelines = results.pipelines
    yield ["part", "what it does", *(NAMES[pipeline] for pipeline in pipelines)]
    before = BASELINE
    for name, does in results.parts.items():
        told = [_part(name, before, results.of(pipeline)) for pipeline in pipelines]
        yield [name, does, *told]
        before = name


def _part(name: str, before: str, found: Mapping[str, Measured]) -> str:
    cost = statistics.median(added(found[name], found[before]))
    whole = statistics.median(added(found[YARDSTICK], found[BASELINE]))
    return f"{cost:.0f} ({cost / whole:.2f})"


def by_weight(results: Results) -> Iterator[Sequence[str]]:
    """What an answer weighs, by instrumentation."""
    pipelines = list(dict.fromkeys(each.pipeline for each in results.weights))
    yield [
        "",
        *(
            f"{NAMES[pipeline]}: {what}"
            for pipeline in pipelines
            for what in ("spans", "attribute bytes", "copies of a chunk's text")
        ),
        "bytes of memory per open request",
    ]
    for name in dict.fromkeys(each.cell for each in results.weights):
        if name == BASELINE:
            continue
        mine = {each.pipeline: each for each in results.weights if each.cell == name}
        told = (
            f"{value:,}"
            for pipeline in pipelines
            for value in (
                mine[pipeline].spans,
                mine[pipeline].attribute_bytes,
                mine[pipeline].copies,
            )
        )
        held = [each.open_bytes for each in mine.values() if each.open_bytes is not None]
        yield [name, *told, f"{held[0]:,}" if held else ""]


def by_store(results: Results) -> Iterator[Sequence[str]]:
    """What an answer takes on the disk."""
    files = list(next(iter(results.stored.values())))
    yield ["each search finds", *(f"`{name}`" for name in files)]
    for finds, sizes in results.stored.items():
        yield [finds, *(f"{sizes[name]:,.0f}" for name in files)]


def by_age(results: Results) -> Iterator[Sequence[str]]:
    """What a call costs by how many there were before."""
    ages = list(next(iter(results.flat.values())))
    yield ["added CPU us after", *(f"{age:,} calls" for age in ages)]
    for pipeline, costs in results.flat.items():
        yield [NAMES[pipeline], *(_middle_and_spread(costs[age]) for age in ages)]


def _middle_and_spread(costs: Sequence[float]) -> str:
    quarter, middle, three = statistics.quantiles(costs, n=4)
    return f"{middle:.0f} ({quarter:.0f}-{three:.0f})"


def table(rows: Rows) -> str:
    """A Markdown table; the first row is the header."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# --- for the docs


def page(results: Results) -> str:
    """The part of `docs/performance.md` that is measured here."""
    told = results.conditions
    made = (
        f"Python {told['python']}, {told['cores']} cores that had a load of {told['load before']:.1f} when it began and"
        f" {told['load after']:.1f} when it ended; {told['runs']} runs of {told['turns']} turns of"
        f" {told['calls per turn']} calls; {', '.join(f'{n} {v}' for n, v in told['versions'].items())}."
    )
    parts = [f"![What a call costs more]({PICTURE})", table(side_by_side(results)), made]
    parts += ["In microseconds:", table(in_microseconds(results))]
    if results.parts:
        parts += ["### By part", "Microseconds of CPU, and the share of what OpenInference adds:"]
        parts.append(table(by_part(results)))
    if results.weights:
        parts += ["### What an answer weighs", table(by_weight(results))]
    if results.stored:
        parts += ["Bytes per answer on the disk, all tables and indexes:", table(by_store(results))]
    if results.flat:
        parts += ["### After many calls", table(by_age(results))]
    return "\n\n".join(parts)


def write_docs(results: Results, docs: Path) -> None:
    """Put the measured part in the place of the one before."""
    path = docs / "performance.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{page(results)}\n\n{END}{after}")


def draw(numbers: Mapping[str, Any], picture: Path) -> None:
    """The shares as bars, and the cost by age; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "doctrail", "font.size": 9})
    from matplotlib import pyplot as plt

    cells = [Measured(**cell) for cell in numbers["cells"]]
    results = Results({}, numbers["parts"], cells, flat=numbers["flat"])
    pipelines = results.pipelines
    figure, axes = plt.subplots(
        1, len(pipelines) + 1, figsize=(4 * len(pipelines) + 3.5, 3.6), layout="constrained"
    )
    names = [n for n in results.of(pipelines[0]) if n != BASELINE and n not in results.parts]
    for axis, pipeline in zip(axes, pipelines, strict=False):
        found = results.of(pipeline)
        middles = [statistics.median(shares(found[name], found)) for name in names]
        colours = ["#1f6f8b" if name.startswith(FULL) else "#b0b7bd" for name in names]
        bars = axis.barh(names, middles, color=colours)
        axis.bar_label(bars, fmt="%.2f", padding=2)
        axis.axvline(0.25, color="#c0392b", linewidth=0.8, linestyle="--")
        axis.set(title=NAMES[pipeline].replace("`", ""), xlabel="added CPU, OpenInference = 1")
        axis.set_xlim(0, 1.15 * max(middles))
        axis.invert_yaxis()
        if axis is not axes[0]:
            axis.set_yticklabels([])
        axis.spines[["top", "right"]].set_visible(False)
    for pipeline, costs in results.flat.items():
        ages = [int(age) for age in costs]
        middles = [statistics.median(costs[age]) for age in costs]
        axes[-1].plot(ages, middles, marker="o", label=NAMES[pipeline].replace("`", ""))
    axes[-1].set(title="doctrail, by earlier calls", xlabel="calls before", ylabel="added CPU us")
    axes[-1].set_xscale("log")
    axes[-1].set_ylim(bottom=0)
    axes[-1].legend(frameon=False)
    axes[-1].spines[["top", "right"]].set_visible(False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
