"""Measure a verifier on answers and claims that people labelled.

    python benchmarks/grounding.py
    python benchmarks/grounding.py --sets tofueval values --part dev
    python benchmarks/grounding.py --verifier my_package.checks:make_verifier
    python benchmarks/grounding.py --answers mine.jsonl

The sets are those of `grounding_data` where `--data` has them, and `values`, which `grounding_values`
makes of real sentences. `--answers` measures on a file of your own instead: a line
`{"id", "question", "answer", "chunks": [{"chunk_id", "document_id", "text"}], "label": "grounded" or
"ungrounded"}`, with `"group"` where several answers are about one document.
Every figure comes with a 95 % interval over documents. Times are CPU milliseconds.
"""

import argparse
import importlib
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grounding_measures as measures
from grounding_data import DATA, SETS, Example, Label
from grounding_measures import Judged
from grounding_values import value_claims

from doctrail_core.grounding.lines import LineError, read_answers
from doctrail_core.grounding.verifier import Findings, Passage, Verifier
from doctrail_core.model import NOT_A_CLAIM, Assessment, Verdict

VERIFIERS = {"embedded": "doctrail_core.grounding.embedded:EmbeddedVerifier"}
ALL_SETS = SETS | {"values": value_claims}
WORD = re.compile(r"[^\W_]{3,}")

Report = dict[str, Any]


def verifier_named(name: str, calibrator: Path | None) -> Verifier:
    module, _, factory = VERIFIERS.get(name, name).partition(":")
    verifier: Verifier = getattr(importlib.import_module(module), factory)()
    if calibrator:
        from doctrail_core.grounding.calibration import CalibratedVerifier, Calibrator

        return CalibratedVerifier(verifier, Calibrator.load(calibrator))
    return verifier


def measured(verifier: Verifier, examples: Sequence[Example], others: Sequence[Example]) -> Report:
    """All figures of one set; `others` are the examples that the thresholds of the baselines are set by."""
    findings, times = timed(verifier, examples)
    report: Report = {
        "examples": len(examples),
        "documents": len({example.group for example in examples}),
        "ms": {"mean": round(sum(times) / len(times), 2), "p95": percentile(times, 0.95)},
    }
    pairs = list(zip(examples, findings, strict=True))
    if examples[0].claim:
        items = [judged_claim(example, found) for example, found in pairs]
        report |= claim_report(items) | {"evidence": evidence_hits(pairs)}
    else:
        items = [judged_answer(example, found) for example, found in pairs]
        report |= answer_report(items)
        if sentences := [each for pair in pairs for each in judged_sentences(*pair)]:
            report["sentences"] = claim_report(sentences)
    report["baselines"] = measures.baselines(items, [unjudged(example) for example in others])
    report["reasons"] = reasons(findings)
    return report


def answer_report(items: Sequence[Judged]) -> Report:
    per_task = {task: measures.answers(part) for task, part in by_task(items).items()}
    wrong = sum(not item.grounded for item in items)
    flagged = sum(item.flagged for item in items)
    both = sum(item.flagged and not item.grounded for item in items)
    return {
        "answers": measures.answers(items),
        "flags": {
            "ungrounded": {"flagged": both, "not flagged": wrong - both},
            "grounded": {
                "flagged": flagged - both,
                "not flagged": len(items) - wrong - flagged + both,
            },
        },
        "answers per task": per_task if len(per_task) > 1 else {},
    }


def claim_report(items: Sequence[Judged]) -> Report:
    per_task = {task: measures.confusion(part) for task, part in by_task(items).items()}
    return {
        "claims": measures.claims(items),
        "rates": measures.rates(items),
        "confusion": measures.confusion(items),
        "confusion per task": per_task if len(per_task) > 1 else {},
    }


def by_task(items: Sequence[Judged]) -> dict[str, list[Judged]]:
    tasks: dict[str, list[Judged]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item)
    return dict(sorted(tasks.items()))


def timed(verifier: Verifier, examples: Sequence[Example]) -> tuple[list[Findings], list[float]]:
    verifier.verify(examples[0].asked())  # what is loaded once is no part of what an answer costs
    findings: list[Findings] = []
    times: list[float] = []
    for example in examples:
        answer = example.asked()
        start = time.process_time()
        findings.append(verifier.verify(answer))
        times.append((time.process_time() - start) * 1000)
    return findings, times


def percentile(values: Sequence[float], share: float) -> float:
    return round(sorted(values)[int(share * (len(values) - 1))], 2)


def judged_answer(example: Example, found: Findings) -> Judged:
    now = datetime.now(UTC)
    assessment = Assessment(
        response_id=example.id,
        verifier="",
        version="",
        status="checked",
        started_at=now,
        ended_at=now,
        verdicts=found.verdicts,
    )
    return judged(example, example.label, example.answer, None, assessment.risk)


def judged_claim(example: Example, found: Findings) -> Judged:
    verdict = found.verdicts[0] if found.verdicts else None
    return judged(example, example.label, example.answer, verdict, verdict and verdict.score)


def judged_sentences(example: Example, found: Findings) -> Iterator[Judged]:
    """Each claim of the answer, as people labelled the sentence that it lies in."""
    for verdict in found.verdicts:
        claim = verdict.claim
        labels = {each.label for each in example.labels if overlap(each, claim.start, claim.end)}
        if labels and verdict.reason != NOT_A_CLAIM:
            label = "ungrounded" if "ungrounded" in labels else "grounded"
            text = example.answer[claim.start : claim.end]
            yield judged(example, label, text, verdict, verdict.score)


def overlap(label: Label, start: int, end: int) -> bool:
    return min(label.end, end) - max(label.start, start) > 1


def judged(
    example: Example, label: str, text: str, verdict: Verdict | None, risk: float | None
) -> Judged:
    given = {word for source in sources(example) for word in WORD.findall(source.lower())}
    words = WORD.findall(text.lower())
    return Judged(
        group=example.group,
        task=example.task,
        label=label,
        grounded=label in measures.CLASSES["supported"],
        verdict=verdict.verdict if verdict else "not_checked",
        risk=risk or 0.0,
        words=len(words),
        novel=len(set(words) - given),
    )


def sources(example: Example) -> Iterator[str]:
    yield example.question or ""
    for passage in example.passages:
        yield passage.text


def unjudged(example: Example) -> Judged:
    return judged(example, example.label, example.answer, None, None)


def evidence_hits(pairs: Sequence[tuple[Example, Findings]]) -> dict[str, int]:
    """Of the claims whose evidence people marked: how many verdicts point into it."""
    shown = [
        (example, found.verdicts[0].evidence[0])
        for example, found in pairs
        if example.gold and found.verdicts and found.verdicts[0].evidence
    ]
    hits = [
        any(
            place == evidence.chunk_id and start < evidence.end and evidence.start < end
            for place, start, end in example.gold
        )
        for example, evidence in shown
    ]
    return {"shown": len(shown), "in what people marked": sum(hits)} if shown else {}


def reasons(findings: Sequence[Findings]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in findings:
        for verdict in found.verdicts:
            name = f"{verdict.verdict}, {verdict.reason}"
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def own_answers(path: Path) -> Iterator[Example]:
    """Answers of the user's own, labelled as a whole."""
    text = path.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    for row, (number, read) in zip(rows, read_answers(text.splitlines()), strict=True):
        if isinstance(read, LineError):
            sys.exit(f"{path}: line {number}: {read}")
        if (label := row.get("label")) not in ("grounded", "ungrounded"):
            sys.exit(f"{path}: line {number}: 'label' is 'grounded' or 'ungrounded', not {label!r}")
        name = str(row.get("id", number))
        yield Example(
            id=name,
            group=str(row.get("group", name)),
            answer=read.answer,
            passages=tuple(
                Passage(chunk.chunk_id, chunk.document_id, chunk.text or "")
                for chunk in read.chunks.values()
            ),
            question=read.question,
            label=label,
            task=str(row.get("task", "all")),
        )


def best_threshold(verifier: Verifier, examples: Sequence[Example]) -> Report:
    """What the best threshold on these very answers would reach: no estimate, an upper bound."""
    findings, _ = timed(verifier, examples)
    items = [judged_answer(*pair) for pair in zip(examples, findings, strict=True)]
    threshold = measures.best_threshold(items, lambda item: item.risk)
    flagged = measures.column(items, lambda item: item.risk >= threshold)
    wrong = measures.column(items, lambda item: not item.grounded)
    figures = {
        name: measures.interval(items, measure)
        for name, measure in measures.detection(wrong, flagged).items()
    }
    return {"threshold": threshold, **figures}


def run(chosen: argparse.Namespace) -> Report:
    verifier = verifier_named(chosen.verifier, chosen.calibrator)
    sets: Report = {}
    if chosen.answers:
        examples = list(own_answers(chosen.answers))
        sets[chosen.answers.name] = measured(verifier, examples, ())
        if chosen.best_threshold:
            sets[chosen.answers.name]["best threshold"] = best_threshold(verifier, examples)
    else:
        for name in chosen.sets:
            examples = list(ALL_SETS[name](chosen.part, chosen.data))
            sets[name] = measured(verifier, examples, list(ALL_SETS[name]("dev", chosen.data)))
    return {
        "verifier": verifier.name,
        "version": verifier.version,
        "part": "own" if chosen.answers else chosen.part,
        "sets": sets,
    }


def show(report: Report) -> None:
    print(f"{report['verifier']} {report['version']}, part {report['part']}")
    for name, figures in report["sets"].items():
        print(
            f"\n{name}: {figures['examples']} examples of {figures['documents']} documents,",
            end=" ",
        )
        print(f"{figures['ms']['mean']} ms each")
        for part in (figures, figures.get("sentences", {})):
            for title in ("answers", "claims", "rates", "best threshold"):
                show_figures(title, part.get(title, {}))
            for title in ("flags", "confusion"):
                show_table(title, part.get(title, {}))
        for baseline, values in figures["baselines"].items():
            show_figures(f"baseline: {baseline}", values)
        if figures.get("evidence"):
            print(f"  evidence: {figures['evidence']}")


def show_figures(title: str, figures: Report) -> None:
    for name, figure in figures.items():
        print(f"  {title:22} {name:34} {in_percent(figure)}")


def in_percent(figure: Any) -> str:
    if not isinstance(figure, dict):
        return f"{figure:g}"
    if figure["value"] is None:
        return "-"
    value, low, high = (100 * figure[name] for name in measures.SHOWN)
    return f"{value:5.1f}  ({low:.1f} to {high:.1f})"


def show_table(title: str, table: dict[str, dict[str, int]]) -> None:
    for number, (label, row) in enumerate(table.items()):
        if not number:
            print(f"  {title:22} {'':14}", *(f"{name:>13}" for name in row))
        print(f"  {'':22} {label:14}", *(f"{count:13}" for count in row.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder that holds the sets")
    parser.add_argument(
        "--sets", nargs="+", choices=ALL_SETS, default=list(ALL_SETS), metavar="SET"
    )
    parser.add_argument("--part", choices=("dev", "report"), default="report")
    parser.add_argument("--verifier", default="embedded", help="or module:factory")
    parser.add_argument("--calibrator", type=Path, help="what `doctrail grounding fit` wrote")
    parser.add_argument(
        "--answers", type=Path, help="a file of labelled answers instead of the sets"
    )
    parser.add_argument(
        "--best-threshold",
        action="store_true",
        help="with --answers: also what the best threshold on them reaches",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    chosen = parser.parse_args()
    report = run(chosen)
    show(report)
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
