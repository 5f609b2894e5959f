"""A cheap verifier first, a dear one for what that leaves open.

The second is asked about those claims alone, and its word counts where it has one. What the first found is
never lost: if the second fails, it stands, and the findings say so.
"""

from collections.abc import Sequence
from dataclasses import replace

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.spending import charged
from doctrail_core.grounding.verifier import Answer, Findings, Verifier, VerifierError
from doctrail_core.model import NOT_A_CLAIM, Verdict

__all__ = ["Cascade"]

_BY_VALUE = "value_conflict"


class Cascade(Verifier):
    """Asks `then` about every claim that `first` does not settle.

    Settled is what is `supported`, what is `contradicted` by another value in the same place, and what
    claims nothing.
    """

    def __init__(
        self,
        *,
        then: Verifier,
        first: Verifier | None = None,
        strict: bool = False,
        name: str = "cascade",
    ) -> None:
        """Put one before the other.

        Args:
            then: Who is asked about what is open.
            first: Who is asked about everything; default the embedded verifier.
            strict: Ask `then` about everything, too.
            name: What this verifier is called in records.
        """
        self._first = first or EmbeddedVerifier()
        self._then = then
        self._strict = strict
        self.name = name
        parts = (self._first, self._then)
        self.version = " > ".join(f"{part.name} {part.version}" for part in parts)

    def verify(self, answer: Answer) -> Findings:
        first = self._first.verify(answer)
        left = self._left(answer, first)
        return self._joined(first, self._asked(left) if left else None)

    async def averify(self, answer: Answer) -> Findings:
        first = await self._first.averify(answer)
        if (left := self._left(answer, first)) is None:
            return self._joined(first, None)
        try:
            return self._joined(first, await self._then.averify(left))
        except VerifierError as error:
            return self._joined(first, error)

    def verify_batch(self, answers: Sequence[Answer]) -> Sequence[Findings]:
        """Check many; what the second verifier cannot check together it is asked one by one."""
        firsts = self._first.verify_batch(answers)
        lefts = [self._left(*pair) for pair in zip(answers, firsts, strict=True)]
        asked = [left for left in lefts if left]
        try:
            seconds: Sequence[Findings | VerifierError] = self._then.verify_batch(asked)
        except VerifierError:
            seconds = [self._asked(left) for left in asked]
        answered = iter(seconds)
        return [
            self._joined(first, next(answered) if left else None)
            for first, left in zip(firsts, lefts, strict=True)
        ]

    def _asked(self, left: Answer) -> Findings | VerifierError:
        try:
            return self._then.verify(left)
        except VerifierError as error:
            return error

    def _left(self, answer: Answer, first: Findings) -> Answer | None:
        """The answer with what the first verifier leaves open; None if that is nothing."""
        claims = tuple(v.claim for v in first.verdicts if self._strict or not _settled(v))
        return replace(answer, claims=claims) if claims else None

    def _joined(self, first: Findings, second: Findings | VerifierError | None) -> Findings:
        signed = tuple(_signed(v, self._first) for v in first.verdicts)
        if second is None:
            return replace(first, verdicts=signed)
        if isinstance(second, VerifierError):
            kept = replace(first, verdicts=signed, degraded_from=self._then.name, error=str(second))
            return charged(kept, second.usage, second.cost)
        told = {(v.claim.start, v.claim.end): _signed(v, self._then) for v in second.verdicts}
        found = Findings(
            verdicts=tuple(_weighed(v, told.get((v.claim.start, v.claim.end))) for v in signed),
            usage=second.usage,
            cost=second.cost,
            degraded_from=second.degraded_from or first.degraded_from,
            error=second.error or first.error,
        )
        return charged(found, first.usage, first.cost)


def _settled(verdict: Verdict) -> bool:
    return verdict.verdict == "supported" or verdict.reason in (NOT_A_CLAIM, _BY_VALUE)


def _signed(verdict: Verdict, by: Verifier) -> Verdict:
    return replace(verdict, verifier=verdict.verifier or by.name)


def _weighed(first: Verdict, second: Verdict | None) -> Verdict:
    """The second verdict, unless it only says that nothing can be said."""
    if second is None or (second.verdict == "not_checked" != first.verdict):
        return first
    return second
