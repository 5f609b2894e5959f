"""One answer before the judge: what it is asked, what it replies, and what becomes of that.

Whatever a judge says, a claim is `supported` or `contradicted` only by evidence that stands in the chunk
that was named, and of which the words and values of the claim do not say otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.judge.chat import ChatMessage, Reply
from doctrail_core.grounding.judge.evidence import Exhibit, Found, doubt, found
from doctrail_core.grounding.judge.prompt import Brief, asked_again
from doctrail_core.grounding.judge.rulings import MalformedReplyError, Ruling, rulings
from doctrail_core.grounding.judge.windows import shown
from doctrail_core.grounding.spending import together
from doctrail_core.grounding.verifier import Answer, VerifierError
from doctrail_core.model import NOT_A_CLAIM, Claim, Usage, Verdict, VerdictKind
from doctrail_core.model.wording import few

__all__ = ["Hearing", "Limits"]

_RISK: Mapping[VerdictKind, float] = {"supported": 0.05, "unsupported": 0.8, "contradicted": 0.95}
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_RULING = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a judge is asked at most.

    Attributes:
        attempts: How often, until there is a reply that can be used.
        max_claims: How many claims.
        max_chars: How many characters of chunks.
        max_claim_chars: How many characters one claim may have.
    """

    attempts: int
    max_claims: int
    max_chars: int
    max_claim_chars: int = 2_000


class Hearing:
    """Has `messages` to ask until every claim has a ruling, or it was asked often enough."""

    def __init__(self, answer: Answer, limits: Limits, *, strict: bool) -> None:
        embedded = EmbeddedVerifier()
        self.usage: Usage | None = None
        self._answer = answer
        bare = embedded.verify(replace(answer, passages=())).verdicts  # what can be said without
        self._first = tuple(replace(v, verifier=embedded.name) for v in bare)
        every = strict or answer.claims is not None
        stated = [v.claim for v in self._first if every or v.reason != NOT_A_CLAIM]
        judged = [c for c in stated if c.end - c.start <= limits.max_claim_chars]
        judged = judged[: limits.max_claims]
        self._stated = set(stated)
        self._silent = {v.claim for v in self._first if v.reason == NOT_A_CLAIM}
        self._shown = shown(answer, judged, limits.max_chars)
        self._brief = Brief.of(answer, judged, self._shown.passages)
        self._exhibits = {name: Exhibit(p) for name, p in self._brief.sources.items()}
        self._rulings: dict[str, Ruling] = {}
        self._attempts = limits.attempts
        asks = bool(judged and self._shown.passages)
        self.messages: list[ChatMessage] = self._brief.messages if asks else []

    def hear(self, reply: Reply) -> None:
        """Take in what the judge replied to `messages`.

        Raises:
            VerifierError: It cannot be used, and the judge was asked often enough.
        """
        self.usage = together(self.usage, reply.usage)
        self._attempts -= 1
        problem = self._read(reply.text)
        self.messages = []
        if problem and self._attempts > 0:
            self.messages = self._brief.messages + asked_again(reply.text, problem)
        elif problem and not self.ruled:
            raise VerifierError(f"the judge's reply cannot be used: {problem}")

    @property
    def ruled(self) -> bool:
        """Whether there is a ruling on any claim."""
        return bool(self._rulings)

    @property
    def tokens(self) -> int:
        """About how many tokens the next call takes."""
        told = sum(len(message["content"]) for message in self.messages)
        return told // _CHARACTERS_PER_TOKEN + _TOKENS_PER_RULING * len(self._brief.claims)

    def _read(self, said: str) -> str | None:
        """Keep what can be used; tell what is wrong with it."""
        try:
            self._rulings |= rulings(said, self._unruled(), self._brief.sources)
        except MalformedReplyError as error:
            return str(error)
        unruled = self._unruled()
        return f"it has no usable entry for {few(unruled)}" if unruled else None

    def _unruled(self) -> list[str]:
        return [name for name in self._brief.claims if name not in self._rulings]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What it comes to, for every sentence of the answer."""
        ruled = dict(self._ruled()) if self._shown.passages else {}
        return tuple(ruled.get(v.claim) or self._unasked(v) for v in self._first)

    def _unasked(self, first: Verdict) -> Verdict:
        asked = first.claim in self._stated and self._shown.passages
        return _open(first.claim, "too_long") if asked else first

    def _ruled(self) -> Iterator[tuple[Claim, Verdict]]:
        for name, claim in self._brief.claims.items():
            ruling = self._rulings.get(name)
            yield claim, self._verdict(claim, ruling) if ruling else _open(claim, "malformed")

    def _verdict(self, claim: Claim, ruling: Ruling) -> Verdict:
        if ruling.verdict == "not_checked":
            return _open(claim, NOT_A_CLAIM if claim in self._silent else "judged")
        if ruling.verdict == "unsupported":
            return _judged(claim, ruling) if self._shown.whole else _open(claim, "too_long")
        places = found(ruling, self._answer.text[claim.start : claim.end], self._exhibits)
        if not places:
            return _open(claim, "quote_not_found")
        if reason := doubt(self._answer, claim, ruling, places):
            return _open(claim, reason)
        return _judged(claim, ruling, places)


def _judged(claim: Claim, ruling: Ruling, places: Sequence[Found] = ()) -> Verdict:
    return Verdict(
        claim=claim,
        verdict=ruling.verdict,
        score=_RISK[ruling.verdict],
        reason="judged",
        evidence=tuple(place.evidence for place in places),
    )


def _open(claim: Claim, reason: str) -> Verdict:
    return Verdict(claim=claim, verdict="not_checked", score=None, reason=reason)
