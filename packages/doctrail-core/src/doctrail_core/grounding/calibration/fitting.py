"""Fits a calibrator to labels, and finds out by cross-validation what it is worth.

Whatever is reported of an answer was said by a model that saw neither it nor any other of its group; its
threshold was set without them, too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from doctrail_core.grounding.calibration.calibrator import Calibrator, Weight
from doctrail_core.grounding.calibration.labels import Labelled
from doctrail_core.grounding.calibration.verifier import weighed
from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.embedded.features import FEATURES, features
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import NOT_A_CLAIM, Verdict

__all__ = ["FitError", "fit"]

FEWEST = 20
"""So many grounded and so many ungrounded labels are needed, in so many groups as `FEWEST_GROUPS`."""
FEWEST_GROUPS = 5
_FOLDS, _INNER_FOLDS = 10, 5
_ROUNDS = 5
_STRENGTH = 0.1
"""The inverse of the regularisation: labels are few, and the numbers say much the same. Of 1, 0.1, 0.01 and
0.001 the best on the development parts of five public sets."""
_SEED = 4
_FLAGGED = 0.5


class FitError(Exception):
    """Nothing can be learned from these labels, or not here; the message says why."""


@dataclass(frozen=True, slots=True)
class _Claim:
    numbers: tuple[float, ...]
    verdict: Verdict
    grounded: bool | None


@dataclass(frozen=True, slots=True)
class _Checked:
    """A labelled answer with what the rules found."""

    claims: tuple[_Claim, ...]
    group: str
    grounded: bool

    def risk(self, of: Callable[[_Claim], float | None]) -> float:
        return max((risk for claim in self.claims if (risk := of(claim)) is not None), default=0.0)


def fit(
    labelled: Iterable[Labelled],
    verifier: Verifier | None = None,
    *,
    source: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Calibrator:
    """Fit a calibrator.

    Args:
        labelled: The answers, with what people said of them.
        verifier: Whose findings are weighed; default an `EmbeddedVerifier`. It must be the same when the
            calibrator is applied.
        source: Where the labels are from, for the record.
        progress: Called with the number of answers checked so far.

    Raises:
        FitError: There is too little to learn from, or scikit-learn is not installed.
        VerifierError: An answer could not be checked.
    """
    learning = _sklearn("linear_model"), _sklearn("model_selection")
    verifier = verifier or EmbeddedVerifier()
    checked: list[_Checked] = []
    for number, each in enumerate(labelled, 1):
        checked.append(_check(each, verifier))
        if progress:
            progress(number)
    _refuse_too_little(checked)
    found = _Fitting(*learning, verifier)
    held_out = found.held_out(checked, _FOLDS, found.with_threshold)
    return replace(
        found.with_threshold(checked),
        provenance={
            "source": source,
            "fitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "labels": "parts of answers" if _in_parts(checked) else "whole answers",
            "answers": len(checked),
            "groups": len({each.group for each in checked}),
            "cross_validated": _figures(checked, held_out),
        },
    )


def _check(each: Labelled, verifier: Verifier) -> _Checked:
    verdicts = verifier.verify(each.answer).verdicts
    rows = zip(verdicts, features(each.answer, verdicts), strict=True)
    claims = tuple(
        _Claim(numbers, verdict, each.says(verdict.claim.start, verdict.claim.end))
        for verdict, numbers in rows
        if verdict.reason != NOT_A_CLAIM and verdict.score is not None
    )
    return _Checked(claims, each.group, each.grounded)


def _in_parts(checked: Sequence[_Checked]) -> bool:
    return any(claim.grounded is False for each in checked for claim in each.claims)


def _refuse_too_little(checked: Sequence[_Checked]) -> None:
    usable = [each for each in checked if each.claims]
    good = sum(each.grounded for each in usable)
    bad = len(usable) - good
    if min(good, bad) < FEWEST:
        raise FitError(
            f"{good} answers with claims that can be checked are labelled grounded and {bad} are not;"
            f" at least {FEWEST} of each are needed"
        )
    if (groups := len({each.group for each in usable})) < FEWEST_GROUPS:
        raise FitError(
            f"all answers are of {groups} group{'' if groups == 1 else 's'}; at least {FEWEST_GROUPS}"
            " are needed, to test on others than were learned from"
        )


@dataclass(frozen=True, slots=True)
class _Fitting:
    """Learns calibrators with scikit-learn."""

    linear_model: Any
    model_selection: Any
    verifier: Verifier

    def with_threshold(self, checked: Sequence[_Checked]) -> Calibrator:
        """A calibrator whose threshold tells answers best that it did not see."""
        risks = self.held_out(checked, _INNER_FOLDS, self.plain)
        threshold = _best_threshold(risks, [not each.grounded for each in checked])
        return replace(self.plain(checked), threshold=min(max(threshold, 0.001), 0.999))

    def plain(self, checked: Sequence[_Checked]) -> Calibrator:
        """A calibrator that flags from the probability 0.5 on.

        Of an answer that is ungrounded as a whole, the claim stands for it that looks riskiest; which
        one that is depends on the calibrator, hence the rounds.
        """
        found = self._regression(_witnesses(checked, _by_rules))
        if not _in_parts(checked):
            for _ in range(_ROUNDS):
                found = self._regression(_witnesses(checked, _by(found)))
        return found

    def held_out(
        self,
        checked: Sequence[_Checked],
        folds: int,
        learn: Callable[[Sequence[_Checked]], Calibrator],
    ) -> list[float]:
        """The risk of every answer, by a calibrator that was learned without its group."""
        groups = [each.group for each in checked]
        wrong = [not each.grounded for each in checked]
        folds = min(folds, len(set(groups)))
        splits = self.model_selection.StratifiedGroupKFold(folds, shuffle=True, random_state=_SEED)
        parts: Iterable[tuple[Sequence[int], Sequence[int]]] = splits.split(wrong, wrong, groups)
        risks = [0.0] * len(checked)
        for learned, tested in parts:
            of = _by(learn([checked[at] for at in learned]))
            for at in tested:
                risks[at] = checked[at].risk(of)
        return risks

    def _regression(self, claims: Sequence[_Claim]) -> Calibrator:
        columns = list(zip(*(claim.numbers for claim in claims), strict=True))
        means = [sum(column) / len(column) for column in columns]
        scales = [_deviation(*each) or 1.0 for each in zip(columns, means, strict=True)]
        rows = [
            [(n - m) / s for n, m, s in zip(claim.numbers, means, scales, strict=True)]
            for claim in claims
        ]
        wrong = [not claim.grounded for claim in claims]
        if len(set(wrong)) == 1:
            raise FitError(
                "without one of the groups, all labels say the same; more groups are needed"
            )
        model = self.linear_model.LogisticRegression(C=_STRENGTH, solver="newton-cholesky")
        model.fit(rows, wrong)
        table = zip(FEATURES, means, scales, map(float, model.coef_[0]), strict=True)
        return Calibrator(
            weights=tuple(Weight(*row) for row in table),
            bias=float(model.intercept_[0]),
            threshold=_FLAGGED,
            verifier=self.verifier.name,
            verifier_version=self.verifier.version,
        )


def _witnesses(checked: Sequence[_Checked], risk: Callable[[_Claim], float | None]) -> list[_Claim]:
    """The claims to learn from; those nobody labelled are stood for by the riskiest one."""
    found: list[_Claim] = []
    for each in checked:
        told = [claim for claim in each.claims if claim.grounded is not None]
        found += told
        if not each.grounded and not told and each.claims:
            witness = max(each.claims, key=lambda claim: risk(claim) or 0.0)
            found.append(replace(witness, grounded=False))
    return found


def _by_rules(claim: _Claim) -> float | None:
    return claim.verdict.score


def _by(calibrator: Calibrator) -> Callable[[_Claim], float | None]:
    return lambda claim: weighed(claim.verdict, calibrator.risk(claim.numbers)).score


def _best_threshold(risks: Sequence[float], wrong: Sequence[bool]) -> float:
    """The risk from which on to flag, for the best F1."""
    ranked = sorted(zip(risks, wrong, strict=True), reverse=True)
    all_wrong, hits, best, threshold = sum(wrong), 0, 0.0, _FLAGGED
    for number, (risk, is_wrong) in enumerate(ranked, 1):
        hits += is_wrong
        following = ranked[number][0] if number < len(ranked) else 0.0
        if following < risk and (f1 := 2 * hits / (number + all_wrong)) > best:
            best, threshold = f1, (risk + following) / 2
    return threshold


def _figures(checked: Sequence[_Checked], held_out: Sequence[float]) -> Mapping[str, Any]:
    """What flagging answers by the calibrator, and by the rules alone, is worth."""
    wrong = [not each.grounded for each in checked]
    rules = [each.risk(_by_rules) for each in checked]
    groups = sorted({each.group for each in checked})
    return {
        "calibrated": _measured(held_out, wrong),
        "rules": _measured(rules, wrong),
        "always": _measured([1.0] * len(wrong), wrong),
        "groups": {group: _of_group(group, checked, held_out) for group in groups},
    }


def _measured(risks: Sequence[float], wrong: Sequence[bool]) -> Mapping[str, float | None]:
    flagged = sum(risk >= _FLAGGED for risk in risks)
    hits = sum(risk >= _FLAGGED and bad for risk, bad in zip(risks, wrong, strict=True))
    return {
        "precision": round(hits / flagged, 4) if flagged else None,
        "recall": round(hits / sum(wrong), 4),
        "F1": round(2 * hits / (flagged + sum(wrong)), 4),
        "AUROC": round(float(_sklearn("metrics").roc_auc_score(wrong, risks)), 4),
    }


def _of_group(group: str, checked: Sequence[_Checked], risks: Sequence[float]) -> Mapping[str, int]:
    of = [
        (risk, not each.grounded)
        for each, risk in zip(checked, risks, strict=True)
        if each.group == group
    ]
    return {
        "answers": len(of),
        "ungrounded": sum(wrong for _, wrong in of),
        "flagged": sum(risk >= _FLAGGED for risk, _ in of),
        "rightly": sum(risk >= _FLAGGED and wrong for risk, wrong in of),
    }


def _deviation(column: Sequence[float], mean: float) -> float:
    return (sum((number - mean) ** 2 for number in column) / len(column)) ** 0.5


def _sklearn(name: str) -> Any:
    try:
        return import_module(f"sklearn.{name}")
    except ImportError as error:
        raise FitError(
            "fitting needs scikit-learn: pip install 'doctrail-core[calibrate]'"
        ) from error
