"""All that an adapter can say to the recorder.

An adapter translates what its host does into these and hands them to `Lineage.record`. Run ids are
the host's own, unique within the process; `parent_id` is None for a root. Every payload is a
snapshot: hosts mutate their objects later. Times come from the recorder's clock, except where an
event carries `at` (nanoseconds since the epoch), for events that are reported late.

`span`, in the events that begin something, is the span that somebody else has written for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from doctrail_core.model import (
    AbsenceReason,
    AccessDecision,
    Message,
    PolicyConfiguration,
    RankedChunk,
    ScoreKind,
    SpanReference,
    ToolRequest,
    Usage,
)

if TYPE_CHECKING:
    from doctrail_core.capture.sinks import Checks


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A chain, engine, agent or node began. A run without a parent is a response of its own.

    One with a parent is a step of it; tell only of those that a person would look for.

    Attributes:
        question: The user's question, where the input tells it; for a step, its input.
        framework: The adapter's name for its host, such as `langchain`.
        detached: Whether it runs in a task of its own, which may outlive the block that it was begun
            in; the response is not over before it is.
        checks: Who checks the answer, instead of whom the lineage has for that.
        check: Whether this answer is to be checked; None leaves it to the sampling.
        agent: Whether it chooses by itself what to do next.
        service: The application that it happened in, where that is another than the one that tells.
    """

    run_id: str
    parent_id: str | None
    name: str
    framework: str
    question: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    at: int | None = None
    detached: bool = False
    checks: "Checks | None" = None
    check: bool | None = None
    agent: bool = False
    span: SpanReference | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run returned. `question` corrects what was known when it began (streams tell late).

    `interrupted` says that the host ended normally without an answer, waiting for a human;
    `abandoned` that its consumer may have left its stream, with `output` as far as it was drawn.
    """

    run_id: str
    output: str | None = None
    question: str | None = None
    interrupted: bool = False
    abandoned: bool = False
    at: int | None = None


@dataclass(frozen=True, slots=True)
class RunFailed:
    """Any run (also a retrieval, a generation, a tool) ended by an exception.

    `output` is what it had handed on by then, where it is a stream.
    """

    run_id: str
    error: BaseException
    question: str | None = None
    at: int | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class RetrievalStarted:
    """A retriever was asked."""

    run_id: str
    parent_id: str | None
    retriever: str
    query: str
    framework: str
    session_id: str | None = None
    user_id: str | None = None
    at: int | None = None
    span: SpanReference | None = None


@dataclass(frozen=True, slots=True)
class RetrievalDescribed:
    """What a host's hooks do not tell of a running retrieval: its parameters and its scores.

    `scores` are by chunk id, as the chunks of `RetrievalEnded` name themselves.
    """

    run_id: str
    k: int | None = None
    filters: Any = None
    search_type: str | None = None
    store: str | None = None
    retriever: str | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    score_kind: ScoreKind = "unknown"


@dataclass(frozen=True, slots=True)
class RetrievedChunk:
    """A chunk as the host returned it; ids that it does not have are None and will be derived.

    `text` is None where it is not told, as instrumentations do that hide texts.
    `metadata` may hold anything; it is copied, made JSON and bounded by the recorder at once.
    `document_id` None means: look into the metadata (`document_id`, `doc_id`, `source`, ...).
    `derived_from` names documents that the chunk's was made from, beside those that its metadata names.
    """

    text: str | None
    chunk_id: str | None = None
    document_id: str | None = None
    index: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    score: float | None = None
    score_kind: ScoreKind = "unknown"
    derived_from: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AccessDecided:
    """It was decided which of what a running retrieval found may go on; the rest does not.

    It is told before `RetrievalEnded`, whose chunks are those that were released.
    """

    run_id: str
    decisions: Sequence[AccessDecision]
    configurations: Sequence[PolicyConfiguration] = ()


@dataclass(frozen=True, slots=True)
class RetrievalEnded:
    """A retriever returned these, best first."""

    run_id: str
    chunks: Sequence[RetrievedChunk]
    at: int | None = None


@dataclass(frozen=True, slots=True)
class ContextSelected:
    """A step between retrieval and prompt kept only these chunks: the others were not meant to arrive.

    `run_id` is the run in which it happened; `by` names the step, `reason` what it does. It chose
    `among` these; None: among all that had been retrieved by then.
    """

    run_id: str
    kept: Sequence[str]
    by: str
    reason: AbsenceReason = "filtered"
    among: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Reranked:
    """A step between retrieval and prompt scored or ordered chunks anew; what it dropped, `ContextSelected` tells.

    `run_id` is the run in which it happened, from `started` to `at` (nanoseconds since the epoch). `given` and
    `kept` are best first.
    """

    run_id: str
    by: str
    started: int
    given: Sequence[RankedChunk]
    kept: Sequence[RankedChunk]
    query: str | None = None
    model: str | None = None
    top_k: int | None = None
    at: int | None = None
    span: SpanReference | None = None


@dataclass(frozen=True, slots=True)
class PromptSent:
    """A model was called with these messages. `auxiliary` calls prepare, they do not answer.

    `carried` are chunks that the host keeps with these messages, from this turn or from earlier ones:
    they say whose text it is, not that it is there.
    """

    run_id: str
    parent_id: str | None
    messages: Sequence[Message]
    framework: str
    model: str | None = None
    provider: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    auxiliary: bool = False
    session_id: str | None = None
    user_id: str | None = None
    carried: Sequence[RetrievedChunk] = ()
    at: int | None = None
    span: SpanReference | None = None


@dataclass(frozen=True, slots=True)
class GenerationStreamed:
    """What a running call had said when its stream was broken off: its own end may never be told."""

    run_id: str
    output: str


@dataclass(frozen=True, slots=True)
class AnswerReused:
    """An answer, or a model's part in it, was not made now: a cache gave that of an earlier response."""

    run_id: str
    response_id: str


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """A model answered. `model`, when the response names one, is more exact than the request's.

    `cached` says that no model was asked: the host's cache had the message from an earlier call.
    """

    run_id: str
    output: str | None
    model: str | None = None
    usage: Usage | None = None
    finish_reasons: Sequence[str] = ()
    message_id: str | None = None
    tool_requests: Sequence[ToolRequest] = ()
    at: int | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool was called."""

    run_id: str
    parent_id: str | None
    name: str
    framework: str
    arguments: str | None = None
    tool_call_id: str | None = None
    at: int | None = None
    span: SpanReference | None = None


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool returned."""

    run_id: str
    result: str | None = None
    tool_call_id: str | None = None
    at: int | None = None


Event = (
    RunStarted
    | RunEnded
    | RunFailed
    | RetrievalStarted
    | RetrievalDescribed
    | AccessDecided
    | AnswerReused
    | RetrievalEnded
    | ContextSelected
    | Reranked
    | PromptSent
    | GenerationStreamed
    | GenerationEnded
    | ToolCalled
    | ToolReturned
)
