"""One checkable statement of an answer, and what a verifier found about it."""

from dataclasses import dataclass
from typing import Literal

VerdictKind = Literal["supported", "contradicted", "unsupported", "not_checked"]
"""`unsupported`: looked for and not found. `not_checked`: the verifier does not say, and why is the reason."""

VERDICTS: tuple[VerdictKind, ...] = ("contradicted", "unsupported", "not_checked", "supported")
"""Worst first."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Characters `[start, end)` of the answer. `text` is None where texts are not kept."""

    start: int
    end: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Characters `[start, end)` of the text of a chunk."""

    chunk_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verifier says of one claim.

    Attributes:
        claim: The claim.
        verdict: What it says.
        score: The risk, from 0 to 1, that the claim is not grounded; None where nothing can be said.
        reason: A code of `doctrail_core.grounding.reasons`.
        evidence: What supports or contradicts the claim, best first.
        missing: The values and names of the claim that are in no chunk, as the claim words them.
        conflicting_value: What the evidence says instead, as it words it.
        conflicting_evidence: Other chunks that say otherwise than `evidence` does.
        verifier: Who says so, where it is not the verifier of the whole assessment (a cascade's second).
    """

    claim: Claim
    verdict: VerdictKind
    score: float | None
    reason: str
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    conflicting_value: str | None = None
    conflicting_evidence: tuple[Evidence, ...] = ()
    verifier: str | None = None
