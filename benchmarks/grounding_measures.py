"""Figures on judged answers and claims, each with the interval that its documents leave open.

Items about one document are not independent, so the 95 % interval resamples documents, not items.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doctrail_core.model import VERDICTS, VerdictKind

RESAMPLES = 1000
SHOWN = ("value", "low", "high")
CLASSES: dict[VerdictKind, frozenset[str]] = {
    "supported": frozenset({"Entailment", "Supports", "grounded", "true"}),
    "contradicted": frozenset({"Contradiction", "Refutes", "changed", "swapped", "ungrounded"}),
    "unsupported": frozenset({"NotMentioned", "Neutral", "ungrounded"}),
}
"""Which labels of the sets a verdict claims. `ungrounded` does not tell the two apart."""

Numbers = NDArray[np.float64]
Measure = Callable[[Numbers], float]
Figure = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer or a claim: what people said of it and what the verifier did."""

    group: str
    task: str
    label: str
    grounded: bool
    verdict: VerdictKind
    risk: float
    words: int
    novel: int

    @property
    def flagged(self) -> bool:
        return self.risk >= 0.5  # noqa: PLR2004 -- the contract of every verifier


def answers(items: Sequence[Judged]) -> dict[str, Figure]:
    """How well a flag tells the answers that are not grounded."""
    wrong = column(items, lambda item: not item.grounded)
    risk = column(items, lambda item: item.risk)
    measures = detection(wrong, column(items, lambda item: item.flagged))
    measures["AUROC"] = auroc(wrong, risk)
    return {name: interval(items, measure) for name, measure in measures.items()}


def detection(wrong: Numbers, flagged: Numbers) -> dict[str, Measure]:
    """Precision, recall and their mean, and the mean of both classes' recall."""
    recall = share(wrong * flagged, wrong)
    left_alone = share((1 - wrong) * (1 - flagged), 1 - wrong)
    return {
        "precision": share(wrong * flagged, flagged),
        "recall": recall,
        "F1": share(2 * wrong * flagged, wrong + flagged),
        "balanced accuracy": lambda weights: (recall(weights) + left_alone(weights)) / 2,
    }


def claims(items: Sequence[Judged]) -> dict[str, Figure]:
    """How far each verdict can be relied on, and how much is left open."""
    wrong = column(items, lambda item: not item.grounded)
    checked = column(items, lambda item: item.verdict != "not_checked")
    called_right = column(items, lambda item: item.verdict == "supported")
    measures = {
        "coverage": share(checked, np.ones_like(checked)),
        "AUROC": auroc(wrong, column(items, lambda item: item.risk)),
        "not grounded called supported": share(wrong * called_right, wrong),
    }
    for verdict, labels in CLASSES.items():
        said = column(items, lambda item, verdict=verdict: item.verdict == verdict)
        true = column(items, lambda item, labels=labels: item.label in labels)
        measures[f"{verdict}, precision"] = share(true * said, said)
        measures[f"{verdict}, recall"] = share(true * said, true)
    return {name: interval(items, measure) for name, measure in measures.items()}


def rates(items: Sequence[Judged]) -> dict[str, Figure]:
    """How often a claim of each label is called supported, and contradicted."""
    figures: dict[str, Figure] = {}
    for label in dict.fromkeys(item.label for item in items):
        among = column(items, lambda item, label=label: item.label == label)
        for verdict in ("supported", "contradicted"):
            said = column(items, lambda item, verdict=verdict: item.verdict == verdict)
            figures[f"{label} called {verdict}"] = interval(items, share(said * among, among))
    return figures


def share(hits: Numbers, among: Numbers) -> Measure:
    """The weight of the hits among the weight of all; not a number where there are none."""

    def measure(weights: Numbers) -> float:
        total = (among * weights).sum()
        return float((hits * weights).sum() / total) if total else float("nan")

    return measure


def confusion(items: Sequence[Judged]) -> dict[str, dict[str, int]]:
    """How often each label met each verdict."""
    met = Counter((item.label, item.verdict) for item in items)
    labels = sorted({item.label for item in items})
    return {label: {verdict: met[label, verdict] for verdict in VERDICTS} for label in labels}


def baselines(items: Sequence[Judged], others: Sequence[Judged]) -> dict[str, Any]:
    """What needs no verifier: flagging all, the longest, those with the most words of their own.

    `others` is what the two thresholds are set by: the `dev` part of the set.
    """
    wrong = column(items, lambda item: not item.grounded)
    everything = detection(wrong, np.ones_like(wrong))
    table: dict[str, Any] = {"always": {"F1": interval(items, everything["F1"])}}
    for name, feature in FEATURES.items():
        value = column(items, feature)
        threshold = best_threshold(others or items, feature)
        flagged = np.asarray(value >= threshold, float)
        table[name] = {
            "AUROC": interval(items, auroc(wrong, value)),
            "F1": interval(items, detection(wrong, flagged)["F1"]),
            "threshold": threshold,
        }
    return table


FEATURES: dict[str, Callable[[Judged], float]] = {
    "length": lambda item: item.words,
    "novel words": lambda item: item.novel,
}


def best_threshold(items: Sequence[Judged], feature: Callable[[Judged], float]) -> float:
    """The threshold with the best F1 on these."""
    wrong, value = column(items, lambda item: not item.grounded), column(items, feature)
    ones = np.ones_like(wrong)

    def f1(threshold: float) -> float:
        return detection(wrong, np.asarray(value >= threshold, float))["F1"](ones)

    return max(map(float, np.unique(value)), key=f1)


def auroc(wrong: Numbers, risk: Numbers) -> Measure:
    """How likely something wrong is ranked above something right; a tie counts half."""
    _, rank = np.unique(risk, return_inverse=True)

    def measure(weights: Numbers) -> float:
        bad, good = np.bincount(rank, wrong * weights), np.bincount(rank, (1 - wrong) * weights)
        below = np.concatenate(([0.0], np.cumsum(good)[:-1]))
        pairs = bad.sum() * good.sum()
        return float((bad * (below + good / 2)).sum() / pairs) if pairs else float("nan")

    return measure


def interval(items: Sequence[Judged], measure: Measure) -> Figure:
    """The figure, and between what it lies for 95 of 100 samples of documents."""
    groups, member = np.unique([item.group for item in items], return_inverse=True)
    rng = np.random.default_rng(4)
    drawn = rng.multinomial(len(groups), [1 / len(groups)] * len(groups), RESAMPLES)
    found = [measure(np.asarray(counts[member], float)) for counts in drawn]
    value = measure(np.ones(len(items)))
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return {
        name: round(float(each), 4) for name, each in zip(SHOWN, (value, low, high), strict=True)
    }


def column(items: Sequence[Judged], of: Callable[[Judged], float]) -> Numbers:
    return np.array([of(item) for item in items], float)
