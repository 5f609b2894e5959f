"""A check of an answer as the conventions see it: one score, one label, one explanation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from doctrail_core.model import VERDICTS, Assessment, Generation, SpanReference, Trail, Verdict

__all__ = ["SCORED", "Evaluation", "provider_id"]

SCORED: Final = "grounding_risk"
"""What the score is: on a dashboard more is taken for better, unless it says otherwise."""

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a verifier found about a response."""

    trail: Trail
    assessment: Assessment

    @property
    def label(self) -> str:
        """The worst verdict; where there is none, what became of the check."""
        counts = self.assessment.counts
        return next((kind for kind in VERDICTS if counts.get(kind)), self.assessment.status)

    @property
    def explanation(self) -> str:
        """How many claims got which verdict."""
        counts = self.assessment.counts
        told = (f"{counts[kind]} {kind.replace('_', ' ')}" for kind in VERDICTS if kind in counts)
        return ", ".join(told) or f"no claims; {self.assessment.status}"

    @property
    def riskiest(self) -> list[Verdict]:
        """The verdicts that a span shows, the riskiest first; the trail has all."""
        return sorted(self.assessment.verdicts, key=lambda v: -(v.score or 0.0))[:_SHOWN]

    @property
    def error(self) -> str | None:
        """Why the check failed, if it did."""
        return self.assessment.error if self.assessment.status == "failed" else None

    @property
    def message_id(self) -> str | None:
        """The provider's id of the message that was checked."""
        return next(map(provider_id, self._checked()), None)

    @property
    def checked(self) -> SpanReference | None:
        """The span of the generation that was checked, where it had one."""
        span_id = next((g.span_id for g in self._checked()), None)
        if span_id is None or self.trail.trace_id is None:
            return None
        return SpanReference(self.trail.trace_id, span_id)

    def _checked(self) -> Iterator[Generation]:
        checked = self.assessment.generation_id
        return (g for g in self.trail.generations if g.generation_id == checked)


def provider_id(generation: Generation) -> str | None:
    """The id that the provider gave to its reply; a host that knows none makes one of the call's own."""
    told, call = generation.message_id, generation.generation_id
    if told is None or (call in told and re.search(rf"\b{re.escape(call)}\b", told)):
        return None
    return told
