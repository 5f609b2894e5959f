"""Checks an answer before it is handed on, and has the result on the response.

LlamaIndex has post-processors of nodes, which come before the answer, and none of responses. So this
is called with a response: by `LineageQueryEngine`, by a step of a workflow, or by the application.

An answer is checked against what its model was seen to read; where nobody saw that, against the
nodes that the response names as its sources. Nothing that a check does is recorded as lineage.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn, TypeVar

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType

from doctrail_core import Trail, suppress
from doctrail_core.grounding.checking import aassess, assess, check, embedded
from doctrail_core.grounding.enforcement import (
    REFUSAL,
    Action,
    Enforcement,
    UngroundedAnswerError,
)
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import Assessment, AssessmentStatus, VerdictKind
from doctrail_core.text.identity import clean_text
from llama_index.observability.doctrail.handlers import RUNS
from llama_index.observability.doctrail.hits import chunks
from llama_index.observability.doctrail.note import GroundingNote, LineageNote
from llama_index.observability.doctrail.places import Place
from llama_index.observability.doctrail.streams import Heard

__all__ = ["GroundingPostprocessor"]

_R = TypeVar(
    "_R",
    bound=Response
    | PydanticResponse
    | StreamingResponse
    | AsyncStreamingResponse
    | AgentChatResponse,
)


class GroundingPostprocessor:
    """Checks responses; `response.metadata["grounding"]` then says what was found.

    Tokens of a stream pass at once, and it is checked when the last one has; unless an answer may be
    refused: then the whole of it is held back until it was checked.

    Args:
        verifier: Who checks; default the embedded one, which needs no model.
        enforce: What becomes of an answer that is not grounded: `annotate` adds a paragraph that says so,
            `refuse` puts the refusal in its place, `raise` an `UngroundedAnswerError`. A structured answer, which no refusal could take the place of, is
            never annotated, and raises where it is to be refused.
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
        """Check nothing yet."""
        self.verifier = verifier
        self.enforcement = Enforcement(
            action=enforce or "pass", on=tuple(on), if_unchecked=if_unchecked, refusal=refusal
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
        case = _case(response, query)
        if not self._follows(case):
            self._conclude(case, self._assess(case))
        return response

    async def apostprocess_response(self, response: _R, query: QueryType | None = None) -> _R:
        """Check a response without blocking the event loop; see `postprocess_response`."""
        case = _case(response, query)
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

    def _follows(self, case: "_Case") -> bool:
        """Have a stream checked when it was drawn; False where the whole answer is there already."""
        response = case.response
        is_stream = isinstance(response, StreamingResponse | AsyncStreamingResponse)
        said = response.response_txt if is_stream else _said(response)
        if said is not None:
            case.heard.took(said)
            return False
        source: Any = response.response_gen
        steps: Any = self._atokens if isinstance(source, AsyncGenerator) else self._tokens
        response.response_gen = steps(source, case)
        return True

    def _tokens(self, source: Generator[Any], case: "_Case") -> Generator[Any]:
        held: list[Any] = []
        with closing(source):
            for token in source:
                case.heard.took(token)
                if self.enforcement.holds_back:
                    held.append(token)
                else:
                    yield token
        yield from self._rest(case, self._assess(case), held)

    async def _atokens(self, source: AsyncGenerator[Any], case: "_Case") -> AsyncGenerator[Any]:
        held: list[Any] = []
        async with aclosing(source):
            async for token in source:
                case.heard.took(token)
                if self.enforcement.holds_back:
                    held.append(token)
                else:
                    yield token
        for token in self._rest(case, await self._aassess(case), held):
            yield token

    def _rest(self, case: "_Case", assessment: Assessment, held: list[Any]) -> Iterator[Any]:
        """What is still to be said when a stream was checked."""
        said = self._settle(case, assessment)
        if said is None:
            yield from held
        else:
            yield said if self.enforcement.holds_back else self.enforcement.note(assessment)

    def _conclude(self, case: "_Case", assessment: Assessment) -> None:
        said = self._settle(case, assessment)
        if said is not None:
            case.replace(said)

    def _settle(self, case: "_Case", assessment: Assessment) -> str | None:
        """Put down what was found; returns what takes the answer's place, if anything does."""
        action = self.enforcement.decide(assessment)
        case.note.settle(assessment, action)
        case.record(assessment)
        if action == "raise" or (action == "refuse" and not case.is_text):
            raise UngroundedAnswerError(assessment)
        if action == "pass" or not case.is_text:
            return None
        return self.enforcement.enforce(case.text, assessment)

    def _assess(self, case: "_Case") -> Assessment:
        try:
            with suppress():
                return case.assess(self.verifier)
        except Exception as error:  # noqa: BLE001  # `if_unchecked` says what then
            return self._failed(error)

    async def _aassess(self, case: "_Case") -> Assessment:
        try:
            with suppress():
                return await case.aassess(self.verifier)
        except Exception as error:  # noqa: BLE001  # likewise
            return self._failed(error)

    def _failed(self, error: Exception) -> Assessment:
        RUNS.fault("grounding", error)
        return _without_verdicts(self.verifier, "failed", f"{type(error).__name__}: {error}")


@dataclass(slots=True, eq=False)
class _Case:
    """A response that is checked, and what it can be checked against."""

    response: Any
    question: str | None
    place: Place | None
    note: GroundingNote = field(default_factory=GroundingNote)
    heard: Heard = field(default_factory=Heard)
    trail: Trail | None = None

    @property
    def text(self) -> str:
        """The answer, as far as it was said."""
        return self.heard.text

    @property
    def is_text(self) -> bool:
        """Whether a text can take its place."""
        return not isinstance(self.response, PydanticResponse) and self.heard.is_text

    def assess(self, verifier: Verifier | None) -> Assessment:
        """Check it."""
        trail = self._read()
        return self._check(verifier) if trail is None else assess(trail, verifier)

    async def aassess(self, verifier: Verifier | None) -> Assessment:
        """Check it without blocking the event loop."""
        trail = self._read()
        if trail is None:
            return await asyncio.to_thread(self._check, verifier)
        return await aassess(trail, verifier)

    def record(self, assessment: Assessment) -> None:
        """Put it on record, if this is what its response answers."""
        if self.place is not None and self.place.is_answer and self.trail is not None:
            self.place.lineage.assessed(assessment, self.trail)

    def replace(self, said: str) -> None:
        """Put another answer in its place."""
        streamed = isinstance(self.response, StreamingResponse | AsyncStreamingResponse)
        setattr(self.response, "response_txt" if streamed else "response", said)

    def _read(self) -> Trail | None:
        """The response with what its model was seen to read; None where no model was seen."""
        known = self.place.trail() if self.place else None
        if known is None or all(g.auxiliary for g in known.generations):
            return None
        self.trail = known
        asked = self.question or known.question
        return replace(known, answer=clean_text(self.text), question=asked, citations=())

    def _check(self, verifier: Verifier | None) -> Assessment:
        """Check it against the sources that it names itself."""
        nodes: Sequence[NodeWithScore] = self.response.source_nodes
        if not nodes:
            return _without_verdicts(
                verifier, "skipped", "nothing is known of what it was made from"
            )
        sources = [
            {"text": c.text, "chunk_id": c.chunk_id, "document_id": c.document_id}
            for c in chunks(nodes, None)
        ]
        return check(self.text, sources, self.question, verifier=verifier)


_CHECKED = (
    Response,
    PydanticResponse,
    StreamingResponse,
    AsyncStreamingResponse,
    AgentChatResponse,
)


def _case(response: Any, query: QueryType | None) -> _Case:
    if not isinstance(response, _CHECKED):
        raise TypeError(f"{type(response).__name__} is no response that can be checked")
    question = query.query_str if isinstance(query, QueryBundle) else query
    if response.metadata is None:
        response.metadata = {}
    recorded = response.metadata.get("lineage")
    place = recorded.place if isinstance(recorded, LineageNote) else None
    case = _Case(response, question, place or RUNS.place(active_span_id.get()))
    response.metadata["grounding"] = case.note
    return case


def _said(response: Response | PydanticResponse | AgentChatResponse) -> str:
    return "" if response.response is None else str(response)


def _without_verdicts(verifier: Verifier | None, status: AssessmentStatus, why: str) -> Assessment:
    now, by = datetime.now(UTC), verifier or embedded()
    return Assessment(
        response_id="",
        verifier=by.name,
        version=by.version,
        status=status,
        started_at=now,
        ended_at=now,
        error=why,
    )
