"""A verifier whose doubts are weighed by what people labelled.

It never says `supported` where the verifier inside does not, and leaves `contradicted` alone: what a
value or a negation shows is not a matter of probability.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from doctrail_core.grounding.calibration.calibrator import Calibrator
from doctrail_core.grounding.embedded.features import features
from doctrail_core.grounding.verifier import Answer, Findings, Verifier
from doctrail_core.model import Verdict, VerdictKind

__all__ = ["CalibratedVerifier", "weighed"]

_log = logging.getLogger(__name__)

_FLAGGED = 0.5


class CalibratedVerifier(Verifier):
    """Checks with another verifier and weighs what it says.

    Args:
        verifier: The verifier that the calibrator was fitted on, such as an `EmbeddedVerifier`.
        calibrator: What `fit` made of labels.
    """

    name = "calibrated"

    def __init__(self, verifier: Verifier, calibrator: Calibrator) -> None:
        self._verifier = verifier
        self._calibrator = calibrator
        self.version = f"{calibrator.version} on {verifier.name} {verifier.version}"
        fitted = (calibrator.verifier, calibrator.verifier_version)
        if fitted != (verifier.name, verifier.version):
            _log.warning(
                "the calibrator was fitted on verifier %s %s and is applied to %s %s; fit it again",
                *fitted,
                verifier.name,
                verifier.version,
            )

    def verify(self, answer: Answer) -> Findings:
        return self._weighed(answer, self._verifier.verify(answer))

    async def averify(self, answer: Answer) -> Findings:
        return self._weighed(answer, await self._verifier.averify(answer))

    def verify_batch(self, answers: Sequence[Answer]) -> Sequence[Findings]:
        found = self._verifier.verify_batch(answers)
        return [self._weighed(*pair) for pair in zip(answers, found, strict=True)]

    def _weighed(self, answer: Answer, found: Findings) -> Findings:
        numbers = features(answer, found.verdicts)
        risks = map(self._calibrator.risk, numbers)
        return replace(found, verdicts=tuple(map(weighed, found.verdicts, risks)))


def weighed(verdict: Verdict, risk: float) -> Verdict:
    """The verdict with the risk that labels give it."""
    if verdict.score is None or verdict.verdict == "contradicted":
        return verdict
    kind = _kind(verdict, risk)
    reason = verdict.reason if kind == verdict.verdict else "learned"
    return replace(verdict, verdict=kind, score=risk, reason=reason)


def _kind(verdict: Verdict, risk: float) -> VerdictKind:
    if risk >= _FLAGGED:
        return "unsupported"
    return "supported" if verdict.verdict == "supported" else "not_checked"
