"""`chain | check_grounding()`: an answer is checked against what arrived, before the chain hands it on.

Invariants: what comes out has the type of what went in, and tokens are handed on as they come, unless an
answer may have to be withheld; a check that fails costs nobody an answer, unless that was asked for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBinding
from langchain_core.runnables.config import ensure_config
from typing_extensions import override

from doctrail_core.capture.scope import current_scope
from doctrail_core.grounding.checking import embedded, unchecked
from doctrail_core.grounding.enforcement import REFUSAL, Enforcement, UngroundedAnswerError
from doctrail_core.grounding.settings import Grounding
from doctrail_core.grounding.verifier import Verifier, refuse_others
from doctrail_core.model import Assessment, VerdictKind
from langchain_doctrail.answers import AnswerIn, Mark, answer_within
from langchain_doctrail.callbacks import LineageCallbackHandler, check_wanted
from langchain_doctrail.cases import NOT_ON_RECORD, Case, Unrecorded, case_of
from langchain_doctrail.listening import is_heard, note
from langchain_doctrail.streaming import CheckedStream, Outcome

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["GroundingCheck", "UngroundedAnswerError", "check_grounding"]

log = logging.getLogger("doctrail")


def check_grounding(
    grounding: Grounding | Verifier | None = None,
    *,
    on_result: Callable[[Assessment], object] | None = None,
    enforce: Literal["annotate", "refuse", "raise"] | None = None,
    on: Sequence[VerdictKind] = ("contradicted",),
    if_unchecked: Literal["pass", "refuse"] = "pass",
    refusal: str | None = REFUSAL,
) -> "GroundingCheck":
    """Check every answer of a chain before it is handed on.

    It goes behind the chain, as `chain | check_grounding()`. The output stays what it is. A message bears
    the result in `response_metadata["doctrail"]`, the response's trail has it, and `on_result` gets it.

    Args:
        grounding: Who checks: a verifier, or settings that name one; default the embedded verifier, which
            needs no model. Every answer is checked: a share of them is what a handler checks.
        on_result: Called with every assessment, also of a check that failed or was skipped.
        enforce: What becomes of an answer with a claim that has a verdict of `on`. `annotate` adds a
            paragraph that says so, `refuse` puts the refusal in its place, `raise` an
            `UngroundedAnswerError`. Where an answer may be refused, its stream waits for the check.
        on: The verdicts that count.
        if_unchecked: What becomes of an answer whose check failed or could not be made; with `refuse` it
            is refused, or raises where the others would.
        refusal: What is said instead of an answer; None raises.

    Raises:
        ValueError: `enforce`, `on` or `if_unchecked` is not among its choices.
        TypeError: `grounding` is nothing that checks.
    """
    verifier = grounding.verifier if isinstance(grounding, Grounding) else grounding
    refuse_others(verifier)
    told = grounding.on_assessment if isinstance(grounding, Grounding) else None
    refuse = "raise" if refusal is None or enforce == "raise" else "refuse"
    enforcement = Enforcement(
        action="pass" if enforce is None else refuse if enforce == "refuse" else enforce,
        on=tuple(on),
        if_unchecked=refuse if if_unchecked == "refuse" else if_unchecked,
        refusal=REFUSAL if refusal is None else refusal,
    )
    return GroundingCheck(verifier or embedded(), enforcement, on_result or told)


class GroundingCheck(Runnable[Any, Any]):
    """Checks the answers that pass through it; `check_grounding` makes it. Thread-safe."""

    def __init__(
        self,
        verifier: Verifier,
        enforcement: Enforcement,
        on_result: Callable[[Assessment], object] | None = None,
    ) -> None:
        """Check with this verifier."""
        self.name = "check_grounding"
        self._verifier = verifier
        self._enforcement = enforcement
        self._on_result = on_result
        self._explained = False

    def around(
        self, chain: Runnable[Any, Any], *, lineage: "Lineage | None" = None
    ) -> Runnable[Any, Any]:
        """The chain with this check behind it, which records itself where no handler listens.

        Args:
            chain: The chain.
            lineage: Where it is recorded then; default the process's lineage.
        """
        handler = LineageCallbackHandler(lineage)

        def listening(config: RunnableConfig) -> RunnableConfig:
            heard = current_scope() or is_heard(ensure_config(config).get("callbacks"))
            return {} if heard else {"callbacks": [handler]}

        return RunnableBinding(bound=chain | self, config_factories=[listening])

    @override
    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._call_with_config(self.checked, input, config)

    @override
    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return await self._acall_with_config(self.achecked, input, config)

    @override
    def transform(
        self, input: Iterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield from self._transform_stream_with_config(input, self._stream, config)

    @override
    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        async for piece in self._atransform_stream_with_config(input, self._astream, config):
            yield piece

    def checked(self, output: Any) -> Any:
        """An output of the running chain, checked.

        Raises:
            UngroundedAnswerError: It may not be handed on, and that is to be an error.
        """
        if (passing := self._passing(output)) is None:
            return output
        return self._outcome(passing, self._assess(passing.case)).whole()

    async def achecked(self, output: Any) -> Any:
        """An output of the running chain, checked without blocking the event loop; see `checked`."""
        if (passing := await asyncio.to_thread(self._passing, output)) is None:
            return output
        return self._outcome(passing, await self._aassess(passing.case)).whole()

    def _stream(self, pieces: Iterator[Any]) -> Iterator[Any]:
        stream = CheckedStream(self._enforcement.holds_back)
        for piece in pieces:
            if stream.passes(piece):
                yield piece
        outcome = None
        if passing := self._passing(stream.whole):
            outcome = self._outcome(passing, self._assess(passing.case))
        yield from stream.rest(outcome)

    async def _astream(self, pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
        stream = CheckedStream(self._enforcement.holds_back)
        async for piece in pieces:
            if stream.passes(piece):
                yield piece
        outcome = None
        if passing := await asyncio.to_thread(self._passing, stream.whole):
            outcome = self._outcome(passing, await self._aassess(passing.case))
        for piece in stream.rest(outcome):
            yield piece

    def _passing(self, output: Any) -> "_Passing | None":
        """The answer in an output; None where there is nothing to check."""
        answer = answer_within(output)
        if answer is None and self._enforcement.if_unchecked != "pass":
            why = f"no answer can be told in an output of type {type(output).__name__}"
            raise UngroundedAnswerError(unchecked(self._verifier, why))
        if answer is None or not answer.text or not self._is_wanted():
            return None
        try:
            return _Passing(answer, case_of(answer.text, output))
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            note("check_grounding", error)
            return _Passing(answer, Unrecorded(answer.text, why=_described(error)))

    def _is_wanted(self) -> bool:
        """What the request says; it cannot say that nothing is enforced."""
        enforces = {self._enforcement.action, self._enforcement.if_unchecked} != {"pass"}
        return enforces or check_wanted(ensure_config().get("metadata")) is not False

    def _assess(self, case: Case) -> Assessment:
        try:
            return case.assess(self._verifier)
        except Exception as error:  # noqa: BLE001  # `if_unchecked` says what then
            return self._broken_off(case, error)

    async def _aassess(self, case: Case) -> Assessment:
        try:
            return await case.aassess(self._verifier)
        except Exception as error:  # noqa: BLE001  # likewise
            return self._broken_off(case, error)

    def _broken_off(self, case: Case, error: Exception) -> Assessment:
        note("check_grounding", error)
        return unchecked(self._verifier, error, status="failed", response_id=case.response_id)

    def _outcome(self, passing: "_Passing", assessment: Assessment) -> Outcome:
        """What becomes of an answer of which this was found; it is told to whom it concerns."""
        passing.case.record(assessment)
        self._tell(assessment)
        action = self._enforcement.decide(assessment)
        if action == "raise":
            raise UngroundedAnswerError(assessment)
        refusal = self._enforcement.refusal if action == "refuse" else None
        note_after = self._enforcement.note(assessment)
        return Outcome(passing.answer, _mark(assessment), note_after, refusal)

    def _tell(self, assessment: Assessment) -> None:
        if assessment.error == NOT_ON_RECORD and not self._explained:
            self._explained = True
            log.warning("an answer could not be checked: %s", NOT_ON_RECORD)
        try:
            if self._on_result is not None:
                self._on_result(assessment)
        except Exception as error:  # noqa: BLE001  # the user's answer matters more than the report of it
            note("check_grounding.on_result", error)


@dataclass(frozen=True, slots=True)
class _Passing:
    answer: AnswerIn
    case: Case


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _mark(assessment: Assessment) -> Mark:
    return {
        **({"response_id": assessment.response_id} if assessment.response_id else {}),
        "verifier": assessment.verifier,
        "status": assessment.status,
        "risk": assessment.risk,
        "counts": dict(assessment.counts),
    }
