"""From what a model says of a claim to a verdict on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from doctrail_core.grounding.nli.checkpoint import Checkpoint
from doctrail_core.grounding.verifier import VerifierError
from doctrail_core.model import Claim, Evidence, Verdict

__all__ = ["Labels", "Opinion", "Thresholds", "judged", "labels_of"]

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on a model is taken at its word.

    Attributes:
        supported: A claim is supported above it.
        unsupported: A claim that is supported with no more than this is unsupported; in between,
            nothing is said.
        contradicted: A claim is contradicted from it on, where nothing supports it.
    """

    supported: float = _HALF
    unsupported: float = _HALF
    contradicted: float = _HALF

    def __post_init__(self) -> None:
        if not 0 < self.unsupported <= self.supported < 1:
            raise ValueError("0 < unsupported <= supported < 1 must hold for thresholds")
        if not _HALF <= self.contradicted <= 1:
            raise ValueError("the threshold of contradicted must be between 0.5 and 1")

    def risk(self, supported: float) -> float:
        """1 - `supported`, stretched so that what is unsupported has a risk of 0.5 or more."""
        if supported > self.unsupported:
            return _HALF * (1 - supported) / (1 - self.unsupported)
        return 1 - _HALF * supported / self.unsupported


@dataclass(frozen=True, slots=True)
class Labels:
    """Which outputs of a model say what."""

    supported: int
    contradicted: int | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """How likely, says a model, some evidence supports a claim, and how likely it contradicts it."""

    evidence: Evidence
    supported: float
    contradicted: float = 0.0


def labels_of(checkpoint: Checkpoint) -> Labels:
    """What the outputs of a checkpoint stand for.

    Raises:
        VerifierError: It has not the outputs that its family has.
    """
    if checkpoint.family.name != "nli":
        if checkpoint.family.head != "first_word" and len(checkpoint.labels) not in {0, 2}:
            raise VerifierError(
                f"{checkpoint.label!r} tells {len(checkpoint.labels)} labels apart, "
                f"{checkpoint.family.name} checkpoints tell 2"
            )
        return Labels(supported=1)
    named = {label: at for at, label in enumerate(checkpoint.labels)}
    supported = _first(named, "entail")
    if supported is None:
        raise VerifierError(
            f"{checkpoint.label!r} does not say which of its labels is entailment: "
            "name them in id2label of its config.json"
        )
    return Labels(supported, _first(named, "contradict"))


def judged(claim: Claim, opinions: Sequence[Opinion], thresholds: Thresholds) -> Verdict:
    """What the most certain opinions amount to: support from anywhere is support."""
    ranked = sorted(opinions, key=lambda opinion: -opinion.supported)
    supported = ranked[0].supported
    against = sorted(opinions, key=lambda opinion: -opinion.contradicted)
    against = [o for o in against if o.contradicted >= thresholds.contradicted]
    risk = thresholds.risk(supported)
    if supported > thresholds.supported:
        behind = _evidence(o for o in ranked if o.supported > thresholds.supported)
        return Verdict(
            claim=claim,
            verdict="supported",
            score=risk,
            reason="entailed",
            evidence=behind,
            conflicting_evidence=tuple(e for e in _evidence(against) if e not in behind),
        )
    if against:
        return Verdict(
            claim=claim,
            verdict="contradicted",
            score=max(risk, against[0].contradicted),
            reason="contradicted_by_model",
            evidence=_evidence(against),
        )
    if supported <= thresholds.unsupported:
        return Verdict(claim=claim, verdict="unsupported", score=risk, reason="not_entailed")
    return Verdict(claim=claim, verdict="not_checked", score=risk, reason="undecided")


def _first(named: Mapping[str, int], start: str) -> int | None:
    return next((at for label, at in named.items() if label.startswith(start)), None)


def _evidence(opinions: Iterable[Opinion]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(opinion.evidence for opinion in opinions))
