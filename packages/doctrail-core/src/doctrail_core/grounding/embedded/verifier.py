"""The verifier that every installation has: it reads words and values, and knows nothing of the world.

It says `contradicted` only of a value in the same place and of a negation, and leaves open whatever
takes understanding. What it says depends on the answer and the passages alone.

Where its thresholds are from: how much news makes a claim unsupported, and what each kind of news
weighs, was chosen on the development parts of RefChecker, Dolly (AC) and TofuEval, for few flags on
clean answers at a base rate of one bad answer in five; what it takes to stand in the same place, on
values changed and swapped in development documents (contracts, filings, papers, encyclopedia). The
share of a claim that must stand in its evidence, and what turns the sense of a sentence, were set by
hand. The lists of words were written by hand, for no data set.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from doctrail_core.grounding.embedded.claims import claims
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.rules import judge, unread
from doctrail_core.grounding.embedded.structure import fenced, within
from doctrail_core.grounding.verifier import Answer, Findings, Verifier

if TYPE_CHECKING:
    from doctrail_core.model import Verdict

__all__ = ["EmbeddedVerifier"]


class EmbeddedVerifier(Verifier):
    """Compares claims with passages by their words, values and negations."""

    name = "embedded"
    version = "2026-11-22"

    def verify(self, answer: Answer) -> Findings:
        """Check one answer; always comes to an end, in time in proportion to the texts."""
        index = Index(answer.passages, answer.question)
        code = fenced(answer.text)
        known: dict[tuple[str, bool], Verdict] = {}
        verdicts: list[Verdict] = []
        for claim in claims(answer.text) if answer.claims is None else answer.claims:
            text = answer.text[claim.start : claim.end]
            if within(claim.start, code):
                verdicts.append(unread(claim, "code"))
                continue
            key = text, bool(verdicts)
            if key not in known:
                known[key] = judge(claim, text, index, follows=bool(verdicts))
            verdicts.append(replace(known[key], claim=claim))
        return Findings(verdicts=tuple(verdicts))
