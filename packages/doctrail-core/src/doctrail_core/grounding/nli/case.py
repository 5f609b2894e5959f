"""One answer to check: its claims, and what can be said of them without a model."""

from dataclasses import dataclass
from functools import cached_property

from doctrail_core.grounding.embedded.claims import claims, unclaimed
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import words
from doctrail_core.grounding.verifier import Answer
from doctrail_core.model import Claim, Verdict
from doctrail_core.text.values import values_in

__all__ = ["Case", "unread"]


@dataclass(frozen=True)
class Case:
    """An answer with its passages as sentences."""

    answer: Answer

    @cached_property
    def index(self) -> Index:
        return Index(self.answer.passages, self.answer.question)

    @cached_property
    def settled(self) -> dict[Claim, Verdict]:
        """The verdicts that no model is asked for. Claims that were named are claims."""
        if self.answer.claims is not None:
            return {c: _no_context(c) for c in self.answer.claims} if not self.index.lines else {}
        found: dict[Claim, Verdict] = {}
        for claim in self.claims:
            text = self.text(claim)
            if reason := unclaimed(text, words(text), len(values_in(text))):
                found[claim] = unread(claim, reason)
            elif not self.index.lines:
                found[claim] = _no_context(claim)
        return found

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        named = self.answer.claims
        return tuple(claims(self.answer.text)) if named is None else named

    @property
    def open(self) -> list[Claim]:
        return [claim for claim in self.claims if claim not in self.settled]

    def text(self, claim: Claim) -> str:
        return self.answer.text[claim.start : claim.end]


def unread(claim: Claim, reason: str) -> Verdict:
    """A verdict of which nothing can be said."""
    return Verdict(claim=claim, verdict="not_checked", score=None, reason=reason)


def _no_context(claim: Claim) -> Verdict:
    return Verdict(claim=claim, verdict="unsupported", score=1.0, reason="no_context")
