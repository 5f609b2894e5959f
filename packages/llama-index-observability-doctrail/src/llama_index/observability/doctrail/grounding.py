"""Checks an answer before it is handed on, and has the result on the response.

LlamaIndex has post-processors of nodes, which come before the answer, and none of responses. So this
is called with a response: by `LineageQueryEngine`, by a step of a workflow, or by the application.

An answer is checked against what its model was seen to read; where nobody saw that, against the
nodes that the response names as its sources. Nothing that a check does is recorded as lineage.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    closing,
    nullcontext,
)
from typing import Any, Literal, NoReturn, TypeVar

from llama_index.core.schema import QueryType

from doctrail_core import suppress
from doctrail_core.grounding.checking import embedded, unchecked
from doctrail_core.grounding.enforcement import (
    REFUSAL,
    Action,
    Enforcement,
    UngroundedAnswerError,
)
from doctrail_core.grounding.verifier import Verifier, refuse_others
from doctrail_core.model import Assessment, VerdictKind
from llama_index.observability.doctrail.cases import Case, Checked, case_of
from llama_index.observability.doctrail.handlers import RUNS

__all__ = ["GroundingPostprocessor", "UngroundedAnswerError"]

_R = TypeVar("_R", bound=Checked)


class GroundingPostprocessor:
    """Checks responses; `response.metadata["grounding"]` then says what was found.

    Tokens of a stream pass at once, and it is checked when the last one has; unless an answer may be
    refused: then the whole of it is held back until it was checked.

    Args:
        verifier: Who checks; default the embedded one, which needs no model.
        enforce: What becomes of an answer that is not grounded: `annotate` adds a paragraph that says so,
            `refuse` puts the refusal in its place, `raise` an `UngroundedAnswerError`. A
            structured answer, in whose place no refusal fits, is never annotated, and raises where it is
            to be refused.
        on: The verdicts on a claim that count as not grounded.
        if_unchecked: What becomes of an answer that could not be checked.
        refusal: What is said instead of an answer that is refused.
    """

    def __init__(
        self,
        verifier: Verifier | None = None,
        *,
        enforce: Literal["annotate", "refuse", "raise"] | None = None,
        on: Sequence[VerdictKind] = ("contradicted",),
        if_unchecked: Action = "pass",
        refusal: str = REFUSAL,
    ) -> None:
        """Check nothing yet.

        Raises:
            TypeError: The verifier is none.
            ValueError: `enforce`, `on` or `if_unchecked` is not among its choices.
        """
        refuse_others(verifier)
        self.verifier = verifier or embedded()
        self.enforcement = Enforcement(
            action=enforce or "pass",
            on=tuple(on),
            if_unchecked=if_unchecked,
            refusal=refusal,
        )

    def postprocess_response(self, response: _R, query: QueryType | None = None) -> _R:
        """Check a response, and hand it on.

        Args:
            response: What an engine returned.
            query: What it was asked, where that is not on record.

        Raises:
            UngroundedAnswerError: It is not to be handed on, and that is to be an error.
            TypeError: It is nothing that could be checked here.
        """
        case = case_of(response, query)
        if not self._follows(case):
            self._conclude(case, self._assess(case))
        return response

    async def apostprocess_response(self, response: _R, query: QueryType | None = None) -> _R:
        """Check a response without blocking the event loop; see `postprocess_response`."""
        case = case_of(response, query)
        if not self._follows(case):
            self._conclude(case, await self._aassess(case))
        return response

    def postprocess_nodes(self, *_: object, **__: object) -> NoReturn:
        """Say that it was put where it sees no answers.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "GroundingPostprocessor checks answers, not nodes: take it out of node_postprocessors and"
            " use LineageQueryEngine(engine, postprocessor=GroundingPostprocessor())"
        )

    apostprocess_nodes = postprocess_nodes

    def _follows(self, case: Case) -> bool:
        """Have a stream checked when it was drawn; False where the whole answer is there already."""
        said = case.said
        if said is not None:
            case.heard.took(said)
            return False
        source = case.response.response_gen
        steps: Any = self._atokens if isinstance(source, AsyncIterable) else self._tokens
        case.response.response_gen = steps(source, case)
        return True

    def _tokens(self, source: Iterable[Any], case: Case) -> Generator[Any]:
        held: list[Any] = []
        with _closing(source):
            for token in source:
                case.heard.took(token)
                if self.enforcement.holds_back:
                    held.append(token)
                else:
                    yield token
        yield from self._rest(case, self._assess(case), held)

    async def _atokens(self, source: AsyncIterable[Any], case: Case) -> AsyncGenerator[Any]:
        held: list[Any] = []
        async with _aclosing(source):
            async for token in source:
                case.heard.took(token)
                if self.enforcement.holds_back:
                    held.append(token)
                else:
                    yield token
        for token in self._rest(case, await self._aassess(case), held):
            yield token

    def _rest(self, case: Case, assessment: Assessment, held: list[Any]) -> Iterator[Any]:
        """What is still to be said when a stream was checked."""
        said = self._settle(case, assessment)
        if said is None:
            yield from held
        else:
            yield said if self.enforcement.holds_back else self.enforcement.note(assessment)

    def _conclude(self, case: Case, assessment: Assessment) -> None:
        said = self._settle(case, assessment)
        if said is not None:
            case.replace(said)

    def _settle(self, case: Case, assessment: Assessment) -> str | None:
        """Put down what was found; returns what takes the answer's place, if anything does."""
        action = self.enforcement.decide(assessment)
        case.note.settle(assessment, action)
        case.record(assessment)
        if action == "raise" or (action == "refuse" and not case.is_text):
            raise UngroundedAnswerError(assessment)
        if action == "pass" or not case.is_text:
            return None
        return self.enforcement.enforce(case.text, assessment)

    def _assess(self, case: Case) -> Assessment:
        try:
            with suppress():
                return case.assess(self.verifier)
        except Exception as error:  # noqa: BLE001  # `if_unchecked` says what then
            return self._failed(case, error)

    async def _aassess(self, case: Case) -> Assessment:
        try:
            with suppress():
                return await case.aassess(self.verifier)
        except Exception as error:  # noqa: BLE001  # likewise
            return self._failed(case, error)

    def _failed(self, case: Case, error: Exception) -> Assessment:
        RUNS.fault("grounding", error)
        return unchecked(self.verifier, error, status="failed", response_id=case.response_id)


def _closing(source: Any) -> AbstractContextManager[object]:
    return closing(source) if hasattr(source, "close") else nullcontext()


def _aclosing(source: Any) -> AbstractAsyncContextManager[object]:
    return aclosing(source) if hasattr(source, "aclose") else nullcontext()
