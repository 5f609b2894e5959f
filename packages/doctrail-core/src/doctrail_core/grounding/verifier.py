"""What checks an answer, whatever it does it with."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from doctrail_core.model import Claim, Usage, Verdict

__all__ = ["Answer", "Findings", "Passage", "Verifier", "VerifierError", "refuse_others"]


class VerifierError(Exception):
    """A check that did not come to an end; its assessment is `failed`.

    Attributes:
        usage: Tokens that it took nevertheless.
        cost: Money that it took.
    """

    def __init__(
        self, message: str, *, usage: Usage | None = None, cost: float | None = None
    ) -> None:
        """Say why, and what it took until then."""
        super().__init__(message)
        self.usage = usage
        self.cost = cost


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it arrived. Characters that did not arrive are blanks, so that offsets are the chunk's."""

    chunk_id: str
    document_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and what it is checked against.

    Attributes:
        text: The answer.
        passages: What arrived, in the order of the prompt.
        question: What it answers; its words are no news in the answer.
        claims: Check these alone; None means all that the answer claims.
    """

    text: str
    passages: tuple[Passage, ...]
    question: str | None = None
    claims: tuple[Claim, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a verifier found: a verdict for each claim, in the order of the answer, and what it took.

    `degraded_from` names the verifier in whose place another one answered, and `error` says why.
    """

    verdicts: tuple[Verdict, ...]
    usage: Usage | None = None
    cost: float | None = None
    degraded_from: str | None = None
    error: str | None = None


class Verifier(ABC):
    """Checks answers. Thread-safe; made once, used for many.

    Attributes:
        name: What it is called in records, such as `embedded`.
        version: Changes whenever it would judge differently.
    """

    name: str
    version: str

    @abstractmethod
    def verify(self, answer: Answer) -> Findings:
        """Check one answer.

        Raises:
            VerifierError: It could not; trying again may help.
        """

    async def averify(self, answer: Answer) -> Findings:
        """Check one answer without blocking the event loop; see `verify`."""
        return await asyncio.to_thread(self.verify, answer)

    def verify_batch(self, answers: Sequence[Answer]) -> Sequence[Findings]:
        """Check many; a verifier that is faster at many at once overrides this."""
        return [self.verify(answer) for answer in answers]


def refuse_others(verifier: object) -> None:
    """Let a verifier pass, and None, which means the embedded one; many will give a model.

    Raises:
        TypeError: It is something else; the message says how a model judges.
    """
    if not isinstance(verifier, Verifier | None):
        kind = type(verifier).__name__
        raise TypeError(f"{kind} is no verifier; a chat model judges as JudgeVerifier(...)")
