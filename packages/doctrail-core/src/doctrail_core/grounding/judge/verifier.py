"""The verifier that asks a chat model: one call for an answer, and nothing taken on its word."""

import asyncio
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.judge.calling import Caller
from doctrail_core.grounding.judge.chat import Ask, AskLater, Chat, Reply
from doctrail_core.grounding.judge.hearing import Hearing, Limits
from doctrail_core.grounding.spending import Budget, Hold, Price, charged
from doctrail_core.grounding.verifier import Answer, Findings, Verifier, VerifierError

__all__ = ["JudgeVerifier"]

_VERSION = "1"


class JudgeVerifier(Verifier):
    """Has a chat model judge each claim by the chunks, and believes it only where it quotes them.

    Costs a call for an answer, and at most `attempts` where the model does not reply as told. Where the
    budget is used up the `fallback` answers, and its findings say so.
    """

    def __init__(
        self,
        model: Chat | Ask | AskLater,
        *,
        name: str = "judge",
        timeout: float = 60.0,
        attempts: int = 2,
        concurrency: int = 4,
        budget: Budget | None = None,
        fallback: Verifier | None = None,
        price: Price | None = None,
        max_claims: int = 60,
        max_chars: int = 60_000,
        strict: bool = False,
    ) -> None:
        """Say whom to ask, and how much.

        Args:
            model: An `async (messages) -> str`, a sync one, or what an adapter makes of its framework's
                models. It may return a `Reply`, to tell how many tokens it took.
            name: What this verifier is called in records.
            timeout: So many seconds a call may take.
            attempts: So often it is asked until its reply can be read.
            concurrency: So many calls run at a time, over all threads and event loops.
            budget: How much may be asked within an hour; default, any amount.
            fallback: Who checks where the budget is used up; default the embedded verifier.
            price: What a token costs; without it no cost is known.
            max_claims: So many claims of one answer are judged; the others are `not_checked`.
            max_chars: So many characters of chunks are shown; of longer ones, what has most to do with
                the claims.
            strict: Judge also what seems to claim nothing.

        Raises:
            TypeError: The model is nothing that can be asked.
            ValueError: A number is not more than 0.
        """
        chat = Chat.of(model)
        for given, number in (
            ("timeout", timeout),
            ("attempts", attempts),
            ("concurrency", concurrency),
            ("max_claims", max_claims),
            ("max_chars", max_chars),
        ):
            if not number > 0:
                raise ValueError(f"{given} is {number!r}; it must be more than 0")
        self.name = name
        self.version = f"{_VERSION}/{chat.name}" if chat.name else _VERSION
        self._caller = Caller(chat, timeout=timeout, concurrency=concurrency)
        self._limits = Limits(attempts=attempts, max_claims=max_claims, max_chars=max_chars)
        self._concurrency = concurrency
        self._budget = budget or Budget()
        self._fallback = fallback or EmbeddedVerifier()
        self._price = price
        self._strict = strict

    def verify(self, answer: Answer) -> Findings:
        hearing = self._opened(answer)
        with self._charging(hearing):
            while hearing.messages and (hold := self._budget.allow(hearing.tokens)):
                self._hear(hearing, hold, self._caller.ask(hearing.messages))
        if hearing.messages and not hearing.ruled:
            return self._degraded(hearing, self._fallback.verify(answer))
        return self._concluded(hearing)

    async def averify(self, answer: Answer) -> Findings:
        hearing = await asyncio.to_thread(self._opened, answer)
        with self._charging(hearing):
            while hearing.messages and (hold := self._budget.allow(hearing.tokens)):
                self._hear(hearing, hold, await self._caller.ask_later(hearing.messages))
        if hearing.messages and not hearing.ruled:
            return self._degraded(hearing, await self._fallback.averify(answer))
        return await asyncio.to_thread(self._concluded, hearing)

    def verify_batch(self, answers: Sequence[Answer]) -> Sequence[Findings]:
        with ThreadPoolExecutor(self._concurrency) as pool:
            checks = [pool.submit(copy_context().run, self.verify, answer) for answer in answers]
            return [check.result() for check in checks]

    def _opened(self, answer: Answer) -> Hearing:
        return Hearing(answer, self._limits, strict=self._strict)

    def _hear(self, hearing: Hearing, hold: Hold, reply: Reply) -> None:
        self._budget.settle(hold, reply.usage)
        hearing.hear(reply)

    @contextmanager
    def _charging(self, hearing: Hearing) -> Generator[None]:
        """A check that fails tells what it took; one that has rulings already goes on with those."""
        try:
            yield
        except VerifierError as error:
            if not hearing.ruled:
                raise VerifierError(
                    str(error), usage=hearing.usage, cost=self._cost(hearing)
                ) from error

    def _concluded(self, hearing: Hearing) -> Findings:
        return Findings(verdicts=hearing.verdicts, usage=hearing.usage, cost=self._cost(hearing))

    def _degraded(self, hearing: Hearing, found: Findings) -> Findings:
        by = self._fallback.name
        degraded = replace(
            found,
            verdicts=tuple(replace(v, verifier=v.verifier or by) for v in found.verdicts),
            degraded_from=self.name,
            error="the budget of the hour is used up",
        )
        return charged(degraded, hearing.usage, self._cost(hearing))

    def _cost(self, hearing: Hearing) -> float | None:
        return self._price.cost(hearing.usage) if self._price else None
