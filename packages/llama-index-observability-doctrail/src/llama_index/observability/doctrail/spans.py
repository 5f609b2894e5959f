"""The open spans of LlamaIndex that matter for lineage, and the tree that they stand in.

LlamaIndex tells of its work in spans, each with the id of the one that encloses it. A span that
stands alone is the root of a tree, and the tree reports to one lineage. Outside of `lineage()`, and
without an instrumentor, a tree holds back what it would report until a wrapped retriever takes part,
so that the way to that retriever is on record too; if none does, all of it is forgotten.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
)
from llama_index.core.chat_engine.types import BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.evaluation.base import BaseEvaluator
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.tools import BaseTool
from llama_index.core.workflow import Workflow

import doctrail_core
from doctrail_core.capture.events import (
    AccessDecided,
    AnswerReused,
    ContextSelected,
    Event,
    Reranked,
    RetrievalDescribed,
    RetrievedChunk,
    RunStarted,
)
from doctrail_core.model import Message, RankedChunk, SpanReference
from llama_index.observability.doctrail.describe import inner
from llama_index.observability.doctrail.note import LineageNote
from llama_index.observability.doctrail.ranking import Ranking
from llama_index.observability.doctrail.refusals import refused
from llama_index.observability.doctrail.sessions import tagged_session
from llama_index.observability.doctrail.steps import step_kind
from llama_index.observability.doctrail.streams import Stream

if TYPE_CHECKING:
    from doctrail_core import Lineage
    from doctrail_core.capture.sinks import Checks
    from doctrail_core.grounding.settings import Grounding

__all__ = ["FRAMEWORK", "UUID_LENGTH", "Agent", "Call", "Kind", "Span", "Tree", "kind_of"]

FRAMEWORK = "llama_index"

Kind = Literal[
    "query",
    "chat",
    "writing",
    "retrieval",
    "postprocessing",
    "synthesis",
    "responding",
    "llm",
    "workflow",
    "tool",
    "turn",
    "housekeeping",
    "step",
]
"""`writing` follows a streamed chat answer to its end, in a thread or task of its own; `responding` is
a synthesizer at work on bare texts."""

UUID_LENGTH = 36
"""A span's id is `Class.method-<uuid>`."""

_HOSTS: Mapping[Kind, tuple[type, tuple[str, ...]]] = {
    "query": (BaseQueryEngine, ("query", "aquery", "_query", "_aquery")),
    "chat": (BaseChatEngine, ("chat", "achat", "stream_chat", "astream_chat")),
    "writing": (
        StreamingAgentChatResponse,
        ("write_response_to_history", "awrite_response_to_history"),
    ),
    "retrieval": (BaseRetriever, ("retrieve", "aretrieve")),
    "tool": (BaseTool, ("__call__", "call", "acall")),
    "postprocessing": (BaseNodePostprocessor, ("_postprocess_nodes", "_apostprocess_nodes")),
    "synthesis": (BaseSynthesizer, ("synthesize", "asynthesize")),
    "responding": (BaseSynthesizer, ("get_response", "aget_response")),
    "llm": (
        BaseLLM,
        tuple(
            f"{a}{s}{m}" for a in ("", "a") for s in ("", "stream_") for m in ("chat", "complete")
        ),
    ),
}
_METHODS: dict[str, list[tuple[Kind, type]]] = {"run": [("workflow", Workflow)]}
for _kind, (_host, _names) in _HOSTS.items():
    for _name in _names:
        _METHODS.setdefault(_name, []).append((_kind, _host))


def kind_of(span_id: str, instance: object, arguments: Mapping[str, Any]) -> Kind | None:
    """What kind of step a span is, if it is one that matters."""
    if instance is None:
        return step_kind(arguments)
    for kind, host in _METHODS.get(_method(span_id), ()):
        if isinstance(instance, host):
            return kind
    return None


def _method(span_id: str) -> str:
    return span_id[span_id.rfind(".") + 1 : -UUID_LENGTH - 1]


_SYNTHESIZES = ("synthesis", "responding")
_SYNTHESIZING_CHATS = (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
)
_ANSWERS = (*_SYNTHESIZES, "workflow", "turn", "step", "tool")


@dataclass(slots=True, eq=False)
class Call:
    """An LLM call that has not ended.

    Attributes:
        deltas: What a streamed answer has brought so far.
        returned: Whether the LLM's method has returned; then the tokens are still to come.
        stream: Gives the generator that brings them, while it exists.
    """

    run_id: str
    messages: tuple[Message, ...]
    deltas: list[str] = field(default_factory=list[str])
    returned: bool = False
    stream: Callable[[], Any] = lambda: None

    @property
    def is_drawn(self) -> bool:
        """Whether its generator is at work right now."""
        stream = self.stream()
        return bool(getattr(stream, "gi_running", False) or getattr(stream, "ag_running", False))


@dataclass(slots=True, eq=False)
class Tree:
    """What happens below one root span, and who records it; None: nobody yet.

    Attributes:
        grounding: How its answer is to be checked in the background, if its lineage is not to say.
        session: The session and the user that it was begun for, as far as told.
        waiting: The recorder's names for tool calls that wait for somebody's answer, by their ids.
    """

    response_id: str
    lineage: "Lineage | None"
    scope_id: str | None
    grounding: "Grounding | None" = None
    session: tuple[str | None, str | None] = field(default_factory=tagged_session)
    held: list[tuple[int, Event]] = field(default_factory=list[tuple[int, Event]])
    calls: "dict[str, Span]" = field(default_factory=dict[str, "Span"])
    streams: list[Stream] = field(default_factory=list[Stream])
    awaiting: "list[Span]" = field(default_factory=list["Span"])
    notes: list[LineageNote] = field(default_factory=list[LineageNote])
    waiting: dict[str, str] = field(default_factory=dict[str, str])

    def record(self, event: Event) -> None:
        """Report it, or hold it until it is known whether to."""
        if self.lineage is None:
            self.held.append((time.monotonic_ns(), event))
        else:
            _tell(self.lineage, event)

    def checks(self) -> "Checks | None":
        """Who checks its answer, where that is said here."""
        if self.lineage is None or self.grounding is None:
            return None
        return self.lineage.checks(self.grounding)

    def lasted(self, since: int) -> tuple[int, int]:
        """When something began that is over now, and now; while that is held back, by a clock of our own."""
        now = time.monotonic_ns()
        late = 0 if self.lineage is None else self.lineage.now() - now
        return since + late, now + late

    def moment(self, ticks: int) -> int | None:
        """The time of something that is told late; None where it is held back anyway."""
        if self.lineage is None:
            return None
        return self.lineage.now() - (time.monotonic_ns() - ticks)

    def go_live(self, lineage: "Lineage | None") -> None:
        """From now on report to this lineage, if to none so far; first what was held."""
        if self.lineage is None:
            self.lineage = lineage or doctrail_core.default_lineage()
            now, ticks = self.lineage.now(), time.monotonic_ns()
            for then, event in self.held:
                _tell(self.lineage, _timed(event, now - (ticks - then)))
            self.held.clear()


def _tell(lineage: "Lineage", event: Event) -> None:
    """Record it. LlamaIndex would swallow a refusal, so it is kept for who wraps the engine."""
    try:
        lineage.record(event)
    except doctrail_core.NotRecordedError as error:
        refused(event, error)


def _timed(event: Event, at: int) -> Event:
    """The event, which is told late, with the time at which it happened."""
    if isinstance(event, Reranked):
        return replace(event, started=at - ((event.at or 0) - event.started), at=at)
    untimed = isinstance(event, AccessDecided | AnswerReused | ContextSelected | RetrievalDescribed)
    return event if untimed else replace(event, at=at)


@dataclass(slots=True)
class Agent:
    """The agent whose turn it is in a run of several, and what it said last."""

    run_id: str
    name: str
    said: str | None = None


@dataclass(slots=True, eq=False)
class Span:
    """An open span of a kind that matters; other spans stand for the one that encloses them.

    Attributes:
        run_id: The name under which the recorder knows it, if it does.
        query: What it was asked, or works for.
        offered: The chunks that a post-processor was given.
        given: The same ones as it was given them.
        ranking: What the ranking of chunks that goes on in it, or in a step that no span shows, says of itself.
        found: The nodes that were retrieved inside of it, in every state that they had.
        found_at: When the latest of them were.
        answers: What engines and synthesizers inside of it answered.
        retrieved: Whether anything was retrieved inside of it.
        returned: Whether its method has returned; then its answer is still to be drawn.
        call: The LLM call that it makes.
        told: Whether its LLM call, or the one it is part of, is on record.
        handed_on: Whether an LLM call inside of it is on record.
        call_id: The id that a model gave to this tool call.
        cut: Whether it was cancelled at its work.
        others: Ids of the host's spans that have returned a stream, and that this one stands for.
        over: Whether it has ended; a stream that began in it may still be drawn.
        agent: The agent whose turn it is.
        written: The span that another instrumentation has written for it.
    """

    span_id: str
    kind: Kind
    instance: object
    parent: "Span | None"
    tree: Tree
    arguments: Mapping[str, Any]
    began: int = field(default_factory=time.monotonic_ns)
    run_id: str | None = None
    query: str | None = None
    offered: tuple[str, ...] | None = None
    given: tuple[RankedChunk, ...] = ()
    ranking: Ranking | None = None
    found: dict[str, list[RetrievedChunk]] = field(default_factory=dict[str, list[RetrievedChunk]])
    found_at: int = 0
    answers: list[str] = field(default_factory=list[str])
    retrieved: bool = False
    returned: bool = False
    call: Call | None = None
    told: bool = False
    handed_on: bool = False
    call_id: str | None = None
    cut: bool = False
    others: list[str] = field(default_factory=list[str])
    over: bool = False
    agent: Agent | None = None
    written: SpanReference | None = None

    @property
    def own_id(self) -> str:
        """The part of the span's id that is unique."""
        return self.span_id[-UUID_LENGTH:]

    @property
    def is_told(self) -> bool:
        """Whether its LLM call, or the one that it is part of, is on record."""
        return self.told or (self.parent is not None and self.parent.told)

    def mark_told(self) -> None:
        """Its LLM call is on record; those around it need not be told any more."""
        self.told = True
        span = self.parent
        while span is not None and span.kind == "llm":
            span.handed_on = True
            span = span.parent

    def stands_for(self, kind: Kind, instance: object) -> bool:
        """Whether such a span right inside of this one is only another step of the same."""
        if kind == "responding":
            return self.kind in _SYNTHESIZES
        if self.kind != kind:
            return False
        if kind == "tool":
            return self._is_call_of(instance)
        return self.instance is instance or inner(self.instance) is instance

    def _is_call_of(self, tool: object) -> bool:
        """Whether this step calls this tool, or the tool hands the call on to itself."""
        if self.instance is None:
            self.instance = tool
        return self.instance is tool or getattr(self.instance, "base_tool", None) is tool

    def enclosing_run(self) -> str | None:
        """The recorder's name for the nearest enclosing span that it knows, or for the scope."""
        span = self.parent
        while span is not None and span.run_inside() is None:
            span = span.parent
        return span.run_inside() if span else self.tree.scope_id

    def run_inside(self) -> str | None:
        """The recorder's name for what happens in here; a step of the user's own is told only now."""
        if self.over:
            return None
        if self.kind == "step" and self.run_id is None:
            self.tell(_method(self.span_id))
        return self.agent.run_id if self.agent else self.run_id

    def tell(
        self, name: str, question: str | None = None, *, detached: bool = False, agent: bool = False
    ) -> None:
        """Report it as a run."""
        self.run_id, around = self.own_id, self.enclosing_run()
        self.tree.record(
            RunStarted(
                self.own_id,
                around,
                name,
                FRAMEWORK,
                question,
                *self.tree.session,
                detached=detached,
                checks=self.tree.checks(),
                agent=agent,
                span=self.written,
            )
        )

    def has_check(self, kind: Kind, instance: object) -> bool:
        """Whether this is an engine that an evaluator made to check what the engine here answered."""
        if kind != "query" or self.kind != "query" or type(instance) is type(self.instance):
            return False
        parts = list(getattr(self.instance, "__dict__", {}).values())
        evaluates = any(isinstance(part, BaseEvaluator) for part in parts)
        return evaluates and not any(part is instance for part in parts)

    @property
    def known(self) -> Mapping[str, Sequence[RetrievedChunk]]:
        """What was retrieved before, as far as this place could know of it."""
        around = self._retrieved_around()
        return around.found if around else {}

    @property
    def known_since(self) -> int:
        """When the latest of that was retrieved."""
        around = self._retrieved_around()
        return around.found_at if around else self.began

    def _retrieved_around(self) -> "Span | None":
        span = self.parent
        while span is not None and not span.found:
            span = span.parent
        return span

    def mark_retrieved(self, chunks: Iterable[RetrievedChunk]) -> None:
        """Let the enclosing spans know what they got; a retriever is all that knows of its inner ones."""
        span, hands_on, now = self.parent, True, time.monotonic_ns()
        while span is not None:
            span.retrieved, span.found_at = True, now
            for chunk in chunks if hands_on else ():
                span.found.setdefault(chunk.chunk_id or "", []).append(chunk)
            hands_on = hands_on and span.kind != "retrieval"
            span = span.parent

    def mark_cut(self) -> None:
        """Let this span and the enclosing ones know that it is cancelled at its work."""
        span: Span | None = self
        while span is not None:
            span.cut = True
            span = span.parent

    def prepares(self, messages: Iterable[Message]) -> bool:
        """Whether an LLM call in this place prepares the answer instead of giving it."""
        place = self.parent
        while place is not None and place.kind == "llm":
            place = place.parent
        if place is None or place.kind in _ANSWERS:
            return False
        if place.kind == "chat" and place.remembers(messages):
            return True
        return place.kind not in ("query", "chat") or place.awaits_its_context()

    def remembers(self, messages: Iterable[Message]) -> bool:
        """Whether a chat engine of the host's own calls a model for its memory, not for the answer."""
        own = type(self.instance).__module__.startswith("llama_index.core.")
        asked = self.query if own else None
        return bool(asked) and not any(asked in (message.text or "") for message in messages)

    def awaits_its_context(self) -> bool:
        """Whether this engine has others answer, or has yet to retrieve."""
        if self.returned:  # what is left is to draw the answer
            return False
        parts = getattr(self.instance, "__dict__", {}).values()
        if isinstance(self.instance, _SYNTHESIZING_CHATS):
            return True
        if any(isinstance(part, BaseSynthesizer | BaseEvaluator) for part in parts):
            return True
        retrieves = any(isinstance(part, BaseRetriever | BaseQueryEngine) for part in parts)
        return retrieves and not self.retrieved
