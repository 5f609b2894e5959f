"""What one verifier found about one answer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import prod
from typing import Literal

from doctrail_core.model.citation import Citation
from doctrail_core.model.claim import Verdict, VerdictKind
from doctrail_core.model.generation import Usage

AssessmentStatus = Literal["checked", "failed", "skipped"]
"""`failed`: the check broke off. `skipped`: there was nothing to check by, such as texts that were not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The verdicts on one answer, by one verifier, at one time.

    Attributes:
        response_id: The response that was checked.
        verifier: The verifier's name, with `version` the one that said so.
        status: Whether the check ran. Only then are there verdicts and a risk.
        verdicts: One per sentence or list item, in the order of the answer.
        citations: The sources that the answer names, checked.
        generation_id: The model call whose output was checked, where it is known.
        error: What went wrong, why it was skipped, or why another verifier took over.
        degraded_from: The verifier that should have run and did not (its budget was used up).
        usage: Tokens that the check took.
        cost: Money that the check took, in the currency that the judge was given.
        answer_hash: Of the text that was checked; an answer may be replaced by a refusal afterwards.
    """

    response_id: str
    verifier: str
    version: str
    status: AssessmentStatus
    started_at: datetime
    ended_at: datetime
    verdicts: tuple[Verdict, ...] = ()
    citations: tuple[Citation, ...] = ()
    generation_id: str | None = None
    error: str | None = None
    degraded_from: str | None = None
    usage: Usage | None = None
    cost: float | None = None
    answer_hash: str | None = None

    @property
    def risk(self) -> float | None:
        """The largest score of a claim: one bad claim is not outweighed by many good ones.

        0.0 for an answer that claims nothing; None where nothing could be said of any claim, or the
        check did not run.
        """
        return max(scores, default=0.0) if (scores := self._scores()) is not None else None

    @property
    def noisy_or(self) -> float | None:
        """The risk that at least one claim is not grounded, were the claims independent: 1 - prod(1 - score)."""
        scores = self._scores()
        return 1 - prod((1 - score for score in scores), start=1.0) if scores is not None else None

    @property
    def counts(self) -> dict[VerdictKind, int]:
        """How many claims got each verdict; what is no claim is not counted."""
        return dict(Counter(v.verdict for v in self.verdicts if v.reason != NOT_A_CLAIM))

    def _scores(self) -> Sequence[float] | None:
        claims = [v for v in self.verdicts if v.reason != NOT_A_CLAIM]
        scores = [v.score for v in claims if v.score is not None]
        return scores if self.status == "checked" and (scores or not claims) else None


NOT_A_CLAIM = "not_a_claim"
"""The reason code of a greeting, a question, a heading: it is in the answer and claims nothing."""
