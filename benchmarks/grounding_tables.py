"""Print what `grounding.py --json` wrote as the tables of docs/grounding.md.

python benchmarks/grounding_tables.py benchmarks/results/grounding-embedded.json
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from doctrail_core.model import VERDICTS

Report = dict[str, Any]


def tables(report: Report) -> Iterator[str]:
    sets = report["sets"]
    answers = {name: each for name, each in sets.items() if "answers" in each}
    claims = {name: each for name, each in sets.items() if "claims" in each}
    claims |= {
        f"{name} sentences": each["sentences"] for name, each in sets.items() if "sentences" in each
    }
    yield table(("set", "answers", "ungrounded", *FLAGGED, "AUROC"), map(flagged, answers.items()))
    yield table(("set", "all: F1", *BESIDE), map(beside, answers.items()))
    yield table(("set", "task", "F1", "AUROC"), per_task(answers))
    yield table(("set", *CLAIMED), map(claimed, claims.items()))
    yield table(("set", "label", *VERDICTS), confused(claims))
    if "values" in sets:
        yield table(
            ("values of", "claims", *WRONGLY, "true called supported"), wrongly(sets["values"])
        )
    yield table(("set", "examples", "documents", "mean ms", "95 % below"), map(cost, sets.items()))


def table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


FLAGGED = ("precision", "recall", "F1", "balanced accuracy")
BESIDE = ("length: F1", "length: AUROC", "novel words: F1", "novel words: AUROC")
CLAIMED = (
    "coverage",
    "supported, precision",
    "supported, recall",
    "contradicted, precision",
    "contradicted, recall",
    "unsupported, precision",
    "unsupported, recall",
    "AUROC",
)
WRONGLY = ("changed called supported", "swapped called supported")


def flagged(item: tuple[str, Report]) -> Sequence[str]:
    name, figures = item
    wrong = sum(figures["flags"]["ungrounded"].values())
    told = [shown(figures["answers"][each]) for each in (*FLAGGED, "AUROC")]
    return [name, str(figures["examples"]), str(wrong), *told]


def beside(item: tuple[str, Report]) -> Sequence[str]:
    name, figures = item
    found = figures["baselines"]
    told = [found[feature][figure] for feature, figure in (each.split(": ") for each in BESIDE)]
    return [name, *map(shown, [found["always"]["F1"], *told])]


def per_task(sets: dict[str, Report]) -> Iterator[Sequence[str]]:
    for name, figures in sets.items():
        for task, found in figures["answers per task"].items():
            yield [name, task, shown(found["F1"]), shown(found["AUROC"])]


def claimed(item: tuple[str, Report]) -> Sequence[str]:
    name, figures = item
    return [name, *(shown(figures["claims"][each]) for each in CLAIMED)]


def confused(sets: dict[str, Report]) -> Iterator[Sequence[str]]:
    for name, figures in sets.items():
        for label, counts in figures["confusion"].items():
            yield [name, label, *(f"{counts[verdict]:,}" for verdict in VERDICTS)]


def wrongly(figures: Report) -> Iterator[Sequence[str]]:
    rates = figures["rates"]
    claims = sum(figures["confusion"]["true"].values())
    yield [
        "all",
        str(claims),
        *(shown(rates[each]) for each in (*WRONGLY, "true called supported")),
    ]
    kinds: dict[str, dict[str, list[int]]] = {}
    for task, table in figures["confusion per task"].items():
        for label, counts in table.items():
            kind = kinds.setdefault(task.partition(",")[0], {})
            called = kind.setdefault(label, [0, 0])
            called[0] += counts["supported"]
            called[1] += sum(counts.values())
    for name, kind in kinds.items():
        shares = [100 * kind[label][0] / kind[label][1] for label in ("changed", "swapped", "true")]
        yield [name, str(kind["true"][1]), *(f"{share:.1f}" for share in shares)]


def cost(item: tuple[str, Report]) -> Sequence[str]:
    name, figures = item
    ms = figures["ms"]
    return [
        name,
        str(figures["examples"]),
        str(figures["documents"]),
        f"{ms['mean']:.1f}",
        f"{ms['p95']:.1f}",
    ]


def shown(figure: Report) -> str:
    if figure["value"] is None:
        return "-"
    value, low, high = (100 * figure[each] for each in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}-{high:.1f})"


def main() -> None:
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n\n".join(tables(report)))


if __name__ == "__main__":
    main()
