"""One span per stage, with OpenInference and GenAI attributes from the same record.

Parents are explicit: nothing is attached to the ambient context, because callbacks may never end.
Nothing is built for a span that nobody records. Ids by default, texts by choice. Of long document
lists the first `MAX_DOCUMENTS` are flattened and all go into one JSON attribute; the core attributes
are written last, so the span's attribute limit can never evict them or the best ranks.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue
from pydantic_core import to_json

from doctrail_core.model import (
    Arrival,
    Assessment,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    Retrieval,
    StageKind,
    ToolCall,
    Trail,
)
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.evaluation import write_evaluation

MAX_DOCUMENTS = 16

Stage = Trail | Retrieval | Generation | ToolCall
Attributes = dict[str, AttributeValue]

_SPAN_KINDS = {
    "request": SpanKind.INTERNAL,
    "retrieval": SpanKind.CLIENT,
    "generation": SpanKind.CLIENT,
    "tool": SpanKind.INTERNAL,
}
_OPERATIONS = {
    "retrieval": sc.OPERATION_RETRIEVAL,
    "generation": sc.OPERATION_CHAT,
    "tool": sc.OPERATION_TOOL,
}


class Spans:
    """Opens the spans of stages."""

    def __init__(self, tracer_provider: TracerProvider | None, *, content: bool) -> None:
        """Use this provider, else the global one; `content` puts texts beside the ids."""
        self.tracer = trace.get_tracer("doctrail", tracer_provider=tracer_provider)
        self.content = content

    def root(self, kind: StageKind, name: str, *, at: int) -> "StageSpan":
        """Open the first span of a response, under the ambient span, if any."""
        return self.open(kind, name, None, at)

    def open(self, kind: StageKind, name: str, parent: OtelContext | None, at: int) -> "StageSpan":
        """Open a span under this parent."""
        operation = _OPERATIONS.get(kind)
        span = self.tracer.start_span(
            f"{operation} {name}".strip() if operation else name,
            context=parent,
            kind=_SPAN_KINDS[kind],
            start_time=at,
        )
        return StageSpan(self, span)

    def assessed(self, trail: Trail, assessment: Assessment) -> None:
        """Write the span of a check, linked to the generation whose output was checked."""
        write_evaluation(self.tracer, trail, assessment)


class StageSpan:
    """One open span of a stage."""

    def __init__(self, spans: Spans, span: Span) -> None:
        """Stand for this span."""
        self._spans = spans
        self._span = span

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, or None where no tracing is set up."""
        context = self._span.get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    @property
    def span_id(self) -> str | None:
        """16 hex digits, or None where no tracing is set up."""
        context = self._span.get_span_context()
        return trace.format_span_id(context.span_id) if context.is_valid else None

    @property
    def _as_parent(self) -> OtelContext:
        return trace.set_span_in_context(self._span)

    def child(self, kind: StageKind, name: str, *, at: int) -> "StageSpan":
        """Open the span of a stage inside this one."""
        return self._spans.open(kind, name, self._as_parent, at)

    def context(self, context: Context, trail: Trail) -> None:
        """Write the span of a context assembly inside this one; it is known only afterwards."""
        if not self._span.is_recording():
            return
        start, end = _assembly_time(context, trail)
        span = self._spans.tracer.start_span(
            "context assembly", context=self._as_parent, start_time=start
        )
        span.set_attributes(_context(context, trail.chunks, content=self._spans.content))
        span.set_status(StatusCode.OK)
        span.end(end)

    def end(self, stage: Stage | None, *, at: int, error: BaseException | None = None) -> None:
        """Write the stage's attributes and end the span at `at` (ns since the epoch)."""
        if self._span.is_recording():
            if stage is not None:
                self._span.set_attributes(_attributes(stage, content=self._spans.content))
            self._set_status(stage, error)
        self._span.end(at)

    def _set_status(self, stage: Stage | None, error: BaseException | None) -> None:
        """The type of an error always; its message, which may quote anything, only with texts."""
        if error is not None:
            self._span.set_attribute(sc.ERROR_TYPE, type(error).__qualname__)
            told = str(error) if self._spans.content else None
            self._span.set_status(StatusCode.ERROR, told)
        elif stage is not None:
            self._span.set_status(StatusCode.ERROR if stage.error else StatusCode.OK)


def _attributes(stage: Stage, *, content: bool) -> Attributes:
    if isinstance(stage, Retrieval):
        return _retrieval(stage, content=content)
    if isinstance(stage, Generation):
        return _generation(stage, content=content)
    if isinstance(stage, ToolCall):
        return _tool(stage, content=content)
    return _request(stage, content=content)


def _request(trail: Trail, *, content: bool) -> Attributes:
    texts = _texts(trail.question, trail.answer) if content else {}
    documents = [d.document_id for d in trail.documents]
    return texts | _present(
        {
            sc.DOCUMENT_IDS: documents[:MAX_DOCUMENTS],
            sc.FRAMEWORK: trail.framework,
            sc.SERVICE: trail.service,
            sc.QUERY_HASH: trail.query_hash,
            sc.STATUS: trail.status,
            sc.SESSION_ID: trail.session_id,
            sc.GENAI_CONVERSATION_ID: trail.session_id,
            sc.USER_ID: trail.user_id,
            sc.RESPONSE_ID: trail.response_id,
            sc.SPAN_KIND: sc.CHAIN,
        }
    )


def _retrieval(retrieval: Retrieval, *, content: bool) -> Attributes:
    first = retrieval.hits[:MAX_DOCUMENTS]
    documents = _documents(sc.RETRIEVAL_DOCUMENTS, ((h.chunk, h.score) for h in first), content)
    texts: Attributes = {}
    if content:
        texts = _texts(retrieval.query, None) | _present(
            {
                sc.GENAI_RETRIEVAL_QUERY: retrieval.query,
                sc.RETRIEVAL_FILTERS: _json(retrieval.filters),
            }
        )
    return (
        documents
        | texts
        | _present(
            {
                sc.RETRIEVAL_HITS: _json([_hit(hit) for hit in retrieval.hits]),
                sc.GENAI_RETRIEVAL_DOCUMENTS: _json([_scored_id(hit) for hit in retrieval.hits]),
                sc.RETRIEVAL_SEARCH_TYPE: retrieval.search_type,
                sc.QUERY_HASH: retrieval.query_hash,
                sc.GENAI_DATA_SOURCE_ID: retrieval.store,
                sc.GENAI_RETRIEVAL_TOP_K: retrieval.k,
                sc.GENAI_OPERATION: sc.OPERATION_RETRIEVAL,
                sc.SPAN_KIND: sc.RETRIEVER,
            }
        )
    )


def _context(context: Context, chunks: Mapping[str, Chunk], *, content: bool) -> Attributes:
    arrived = sorted(
        (a for a in context.arrivals if a.state != "absent"),
        key=lambda a: (a.order is None, a.order),
    )
    offered = [chunks[a.chunk_id] for a in context.arrivals[:MAX_DOCUMENTS]]
    kept = [chunks[a.chunk_id] for a in arrived[:MAX_DOCUMENTS]]
    return (
        _documents(sc.INPUT_DOCUMENTS, ((chunk, None) for chunk in offered), content)
        | _documents(sc.OUTPUT_DOCUMENTS, ((chunk, None) for chunk in kept), content)
        | _present(
            {
                sc.CONTEXT_ARRIVALS: _json([_arrival(a) for a in context.arrivals]),
                sc.CONTEXT_PROMPT_LENGTH: context.prompt_length,
                sc.CONTEXT_UNEXPLAINED: context.unexplained_length,
                sc.SPAN_KIND: sc.CHAIN,
            }
        )
    )


def _generation(generation: Generation, *, content: bool) -> Attributes:
    usage = generation.usage
    texts: Attributes = {}
    if content:
        answer = (Message("assistant", generation.output),) if generation.output else ()
        texts = _messages(sc.LLM_INPUT_MESSAGES, generation.messages) | _messages(
            sc.LLM_OUTPUT_MESSAGES, answer
        )
        texts |= _texts(None, generation.output)
    return texts | _present(
        {
            sc.LLM_INVOCATION_PARAMETERS: _json(generation.parameters) if content else None,
            sc.LLM_TOKENS_PROMPT: usage and usage.input_tokens,
            sc.LLM_TOKENS_COMPLETION: usage and usage.output_tokens,
            sc.LLM_TOKENS_TOTAL: usage and usage.total_tokens,
            sc.GENAI_INPUT_TOKENS: usage and usage.input_tokens,
            sc.GENAI_OUTPUT_TOKENS: usage and usage.output_tokens,
            sc.GENAI_FINISH_REASONS: list(generation.finish_reasons) or None,
            sc.GENAI_RESPONSE_ID: generation.message_id,
            sc.LLM_PROVIDER: generation.provider,
            sc.GENAI_PROVIDER: generation.provider,
            sc.LLM_MODEL_NAME: generation.model,
            sc.GENAI_REQUEST_MODEL: generation.model,
            sc.AUXILIARY: generation.auxiliary or None,
            sc.GENAI_OPERATION: sc.OPERATION_CHAT,
            sc.SPAN_KIND: sc.LLM,
        }
    )


def _tool(call: ToolCall, *, content: bool) -> Attributes:
    texts = _texts(call.arguments, call.result) if content else {}
    return texts | _present(
        {
            sc.TOOL_PARAMETERS: call.arguments if content else None,
            sc.TOOL_NAME: call.name,
            sc.GENAI_TOOL_NAME: call.name,
            sc.GENAI_TOOL_CALL_ID: call.tool_call_id,
            sc.GENAI_OPERATION: sc.OPERATION_TOOL,
            sc.SPAN_KIND: sc.TOOL,
        }
    )


def _documents(
    prefix: str,
    found: Iterable[tuple[Chunk, float | None]],
    content: bool,  # noqa: FBT001
) -> Attributes:
    attributes: Attributes = {}
    for index, (chunk, score) in enumerate(found):
        attributes[sc.item(prefix, index, sc.DOCUMENT_ID)] = chunk.chunk_id
        if score is not None:
            attributes[sc.item(prefix, index, sc.DOCUMENT_SCORE)] = score
        if content and chunk.text is not None:
            attributes[sc.item(prefix, index, sc.DOCUMENT_CONTENT)] = chunk.text
    return attributes


def _messages(prefix: str, messages: Iterable[Message]) -> Attributes:
    attributes: Attributes = {}
    for index, message in enumerate(messages):
        attributes[sc.item(prefix, index, sc.MESSAGE_ROLE)] = message.role
        attributes[sc.item(prefix, index, sc.MESSAGE_CONTENT)] = message.text or ""
    return attributes


def _texts(told: str | None, said: str | None) -> Attributes:
    attributes: Attributes = {}
    if told is not None:
        attributes |= {sc.INPUT_VALUE: told, sc.INPUT_MIME_TYPE: sc.TEXT}
    if said is not None:
        attributes |= {sc.OUTPUT_VALUE: said, sc.OUTPUT_MIME_TYPE: sc.TEXT}
    return attributes


def _hit(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    return _present(
        {
            "chunk_id": chunk.chunk_id,
            "document_id": chunk.document_id,
            "index": chunk.index,
            "score": hit.score,
            "score_kind": hit.score_kind if hit.score is not None else None,
            "content_hash": chunk.content_hash,
        }
    )


def _scored_id(hit: Hit) -> dict[str, Any]:
    return _present({"id": hit.chunk.chunk_id, "score": hit.score})


def _arrival(arrival: Arrival) -> dict[str, Any]:
    return _present(
        {
            "chunk_id": arrival.chunk_id,
            "state": arrival.state,
            "coverage": arrival.coverage,
            "order": arrival.order,
            "share": arrival.share,
            "reason": arrival.reason,
        }
    )


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is there; absent values are never written as something else."""
    return {name: value for name, value in values.items() if value is not None}


def _json(value: object) -> str | None:
    return None if value is None else to_json(value).decode()


def _assembly_time(context: Context, trail: Trail) -> tuple[int, int]:
    """From the end of the last retrieval to the model's call, in ns since the epoch."""
    called = next(
        g.started_at for g in trail.generations if g.generation_id == context.generation_id
    )
    ends = [r.ended_at for r in trail.retrievals if r.ended_at <= called]
    return _nanoseconds(max(ends, default=called)), _nanoseconds(called)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
