"""The verifier that every installation has: it reads words and values, and knows nothing of the world.

It says `contradicted` only of a value in the same place and of a negation, and leaves open whatever
takes understanding. What it says depends on the answer and the passages alone.
"""

from doctrail_core.grounding.embedded.claims import claims
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.rules import judge
from doctrail_core.grounding.verifier import Answer, Findings, Verifier

__all__ = ["EmbeddedVerifier"]


class EmbeddedVerifier(Verifier):
    """Compares claims with passages by their words, values and negations."""

    name = "embedded"
    version = "2026-11-22"

    def verify(self, answer: Answer) -> Findings:
        index = Index(answer.passages, answer.question)
        stated = claims(answer.text) if answer.claims is None else answer.claims
        return Findings(
            verdicts=tuple(
                judge(claim, answer.text[claim.start : claim.end], index) for claim in stated
            )
        )
