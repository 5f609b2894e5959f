"""A fitted model: a weight for each number that is known of a claim, in a file that people can read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from math import exp, isfinite, log
from os import PathLike
from pathlib import Path
from typing import Any, Self, cast

from doctrail_core.grounding.embedded.features import FEATURES

__all__ = ["Calibrator", "CalibratorError", "Weight"]

_FORMAT = 1
_STEEPEST = 30.0
"""Beyond this e-fold odds the risk is 0 or 1 to every digit that anybody reads."""


class CalibratorError(ValueError):
    """A file that is no calibrator, or not one that this version can apply."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What one number counts: `weight` for every `scale` that it is above `mean`."""

    name: str
    mean: float
    scale: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """A logistic regression over the numbers that `doctrail_core.grounding.embedded.features` knows of a claim.

    Attributes:
        weights: One per number, by name.
        bias: The log odds of a claim whose numbers are all at their means.
        threshold: From this probability on a claim is flagged; `risk` moves it to 0.5.
        verifier: The verifier that it was fitted on, with `verifier_version` the one.
        provenance: What it was fitted on, when, and what cross-validation found.
    """

    weights: tuple[Weight, ...]
    bias: float
    threshold: float
    verifier: str
    verifier_version: str
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def version(self) -> str:
        """Changes with every number of it."""
        told = json.dumps(
            [[asdict(weight) for weight in self.weights], self.bias, self.threshold], sort_keys=True
        )
        return sha256(told.encode()).hexdigest()[:12]

    def risk(self, numbers: Sequence[float]) -> float:
        """The risk of a claim, in the order of `FEATURES`: 0.5 at the threshold."""
        of = dict(zip(FEATURES, numbers, strict=True))
        odds = self.bias - log(self.threshold / (1 - self.threshold))
        odds += sum(w.weight * (of[w.name] - w.mean) / w.scale for w in self.weights)
        return 1 / (1 + exp(-max(-_STEEPEST, min(_STEEPEST, odds))))

    def save(self, path: str | PathLike[str]) -> None:
        told = {"format": _FORMAT, **asdict(self)}
        Path(path).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a calibrator.

        Raises:
            CalibratorError: It is none, or one that this version of doctrail cannot apply.
            OSError: The file cannot be read.
        """
        try:
            told = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls._of(told)
        except (KeyError, TypeError, ValueError) as error:
            raise CalibratorError(
                f"{path} is no calibrator that can be applied: {_described(error)};"
                " fit it again with `doctrail grounding fit`"
            ) from error

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Self:
        if told["format"] != _FORMAT:
            raise ValueError(f"its format is {told['format']!r}, not {_FORMAT}")
        found = cls(
            weights=tuple(_weight(each) for each in told["weights"]),
            bias=_number(told["bias"]),
            threshold=_number(told["threshold"]),
            verifier=str(told["verifier"]),
            verifier_version=str(told["verifier_version"]),
            provenance=cast("Mapping[str, Any]", told["provenance"]),
        )
        if not 0 < found.threshold < 1:
            raise ValueError(f"its threshold is {found.threshold!r}, not between 0 and 1")
        return found


def _weight(told: Mapping[str, Any]) -> Weight:
    name = told["name"]
    if name not in FEATURES:
        raise ValueError(f"it weighs {name!r:.40}, which is not known of a claim")
    found = Weight(name, _number(told["mean"]), _number(told["scale"]), _number(told["weight"]))
    if found.scale <= 0:
        raise ValueError(f"the scale of {name!r} is {found.scale!r}, not above 0")
    return found


def _number(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not isfinite(told):
        raise TypeError(f"{told!r:.40} is no number")
    return float(told)


def _described(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
