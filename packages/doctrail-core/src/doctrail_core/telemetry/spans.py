"""One span per stage, with the attributes of several families from the same record.

Parents are explicit: nothing is attached to the ambient context across callbacks, which may never end.
A span of ours is made only when it is over, or when another one needs it as parent: by then it is
settled whether another instrumentation has written one for the same run. Nothing is built for a span that
nobody records, and whatever is written passes through `Spans.put`.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TracerProvider,
)
from opentelemetry.util.types import AttributeValue

from doctrail_core.model import (
    Assessment,
    Context,
    Generation,
    Rerank,
    Retrieval,
    SpanReference,
    SpanStart,
    Step,
    ToolCall,
    Trail,
)
from doctrail_core.telemetry import ambient, genai
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import Evaluation
from doctrail_core.telemetry.stages import Assembly, Attributes, Family, Stage, Written

__all__ = ["Mask", "Spans", "StageSpan"]

Mask = Callable[[str, AttributeValue], AttributeValue | None]
"""Gets the name and the value of each attribute; what it returns is written instead, None drops it."""

REDACTED = "__REDACTED__"

Ended = Trail | Step | Retrieval | Generation | ToolCall

_KINDS = {"retrieval": SpanKind.CLIENT, "generation": SpanKind.CLIENT}
_OPERATIONS = {
    "request": sc.OPERATION_WORKFLOW,
    "agent": sc.OPERATION_AGENT,
    "retrieval": sc.OPERATION_RETRIEVAL,
    "generation": sc.OPERATION_CHAT,
    "tool": sc.OPERATION_TOOL,
}


class Spans:
    """Opens the spans of stages.

    Args:
        tracer_provider: Where spans go; default the global provider.
        shown: Which texts they carry beside ids.
        families: Who writes attributes, in this order.
        elsewhere: Says which span another instrumentation has open for a run; None to write all ourselves.
        mask: Has the last word on every attribute.
        fault: Is told of an error of the mask.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        *,
        shown: Shown,
        families: Sequence[Family],
        elsewhere: Callable[[str], SpanReference | None] | None,
        mask: Mask | None,
        fault: Callable[[str, BaseException], None],
    ) -> None:
        """Open none yet."""
        self.tracer = trace.get_tracer("doctrail", tracer_provider=tracer_provider)
        self.shown = shown
        self.families = families
        self._elsewhere = elsewhere
        self._mask = mask
        self._fault = fault

    def root(self, start: SpanStart) -> "StageSpan":
        """Begin the first span of a response, under the ambient span, if any."""
        return StageSpan(self, start, otel.get_current(), suppressed=ambient.suppressed())

    def assessed(self, trail: Trail, assessment: Assessment) -> None:
        """Write the span of a check, linked to the generation whose output was checked.

        It is a trace of its own: the answer's spans may have ended long ago, and OpenInference asks of feedback
        that comes later for exactly one link to what it is about.
        """
        evaluation = Evaluation(trail, assessment)
        start = SpanStart(
            "step",
            f"grounding {assessment.verifier}",
            "",
            nanoseconds(assessment.started_at),
            session_id=trail.session_id,
            user_id=trail.user_id,
        )
        checked = evaluation.checked
        span = self.start(start, otel.Context(), [Link(_context_of(checked))] if checked else None)
        ended = nanoseconds(assessment.ended_at)
        if span.is_recording():
            self.write(span, evaluation, start, {})
            if genai.write in self.families:
                span.add_event(sc.GENAI_EVALUATION, self.masked(genai.result(evaluation)), ended)
            self.put_status(span, evaluation.error)
        span.end(ended)

    def start(
        self, start: SpanStart, around: otel.Context, links: Sequence[Link] | None = None
    ) -> Span:
        """Make a span of ours, in this context."""
        return self.tracer.start_span(
            self._name(start, start.name),
            context=around,
            kind=_KINDS.get(start.kind, SpanKind.INTERNAL),
            links=links,
            start_time=start.at,
        )

    def rename(self, span: Span, start: SpanStart, name: str) -> None:
        """Name a span after what is known of it by now."""
        span.update_name(self._name(start, name))

    def _name(self, start: SpanStart, name: str) -> str:
        operation = _OPERATIONS.get(start.kind)
        if self._mask is not None:
            name = str(self.masked({"span.name": name}).get("span.name", ""))
        return f"{operation} {name}".strip() if operation else name

    @property
    def fills_gaps(self) -> bool:
        """Whether what another instrumentation writes is left to it."""
        return self._elsewhere is not None

    def found_elsewhere(self, start: SpanStart) -> SpanReference | None:
        """The span of this run that is not ours to write."""
        if self._elsewhere is None:
            return None
        return start.elsewhere or self._elsewhere(start.run_id)

    def write(self, span: Span, stage: Stage, start: SpanStart, common: Attributes) -> None:
        """Write the attributes of a stage."""
        into = Written(core=dict(common))
        for family in self.families:
            family(stage, start, self.shown, into)
        self.put(span, into.attributes())

    def put(self, span: Span, attributes: Attributes) -> None:
        """Write attributes; all pass through here."""
        span.set_attributes(self.masked(attributes))

    def put_status(self, span: Span, error: str | None) -> None:
        """The kind of an error always; what it says, which may quote anything, only with all texts."""
        if error is None:
            span.set_status(StatusCode.OK)
            return
        kind, _, message = error.partition(":")
        self.put(span, {sc.ERROR_TYPE: kind})
        told = {"status.description": message.strip()} if self.shown.errors else {}
        description = self.masked({k: v for k, v in told.items() if v}).get("status.description")
        span.set_status(StatusCode.ERROR, None if description is None else str(description))

    def masked(self, attributes: Attributes) -> Attributes:
        """The attributes as the user's mask lets them pass; one that it fails on is not shown."""
        if self._mask is None:
            return attributes
        kept: Attributes = {}
        for name, value in attributes.items():
            try:
                passed = self._mask(name, value)
            except Exception as error:  # noqa: BLE001  # what cannot be masked is hidden
                self._fault("span mask", error)
                passed = REDACTED
            if passed is not None:
                kept[name] = passed
        return kept


class StageSpan:
    """The span of a stage that is under way: ours, or that of another instrumentation."""

    __slots__ = ("_around", "_span", "_spans", "_start")

    def __init__(
        self, spans: Spans, start: SpanStart, around: otel.Context, *, suppressed: bool
    ) -> None:
        """Begin it in this context."""
        self._spans = spans
        self._start = start
        self._around = around
        self._span: Span | None = None
        if suppressed:
            self._span = trace.INVALID_SPAN
        elif (written := spans.found_elsewhere(start)) is not None:
            self._span = NonRecordingSpan(_context_of(written))

    @property
    def reference(self) -> SpanReference | None:
        """Which span it is; None where no tracing is set up."""
        context = self._settled().get_span_context()
        if not context.is_valid:
            return None
        return SpanReference(
            trace.format_trace_id(context.trace_id),
            trace.format_span_id(context.span_id),
            context.trace_flags.sampled,
        )

    def child(self, start: SpanStart) -> "StageSpan":
        """Begin the span of a stage inside this one."""
        suppressed = self._span is trace.INVALID_SPAN or ambient.suppressed()
        return StageSpan(self._spans, start, self._inside(), suppressed=suppressed)

    def current(self) -> AbstractContextManager[None]:
        """Be inside this span: those that the code of the block opens are its children."""
        return _inside(self._settled())

    def context(self, context: Context, trail: Trail) -> None:
        """Write the span of a context assembly inside this one; it is known only afterwards."""
        if self._settled().get_span_context().trace_flags.sampled:
            start, end = _assembly_time(context, trail)
            self._write_inside("context assembly", start, Assembly.of(context, trail), end)

    def rerank(self, rerank: Rerank, elsewhere: SpanReference | None) -> None:
        """Write the span of a reranker's call inside this one; it is known only afterwards."""
        if elsewhere is None or not self._spans.fills_gaps:
            start, end = nanoseconds(rerank.started_at), nanoseconds(rerank.ended_at)
            self._write_inside(f"rerank {rerank.by}", start, rerank, end)

    def end(self, stage: Ended | None, *, at: int, error: str | None = None) -> None:
        """Write the stage's attributes and end the span at `at` (ns since the epoch)."""
        span, start = self._settled(), self._start
        if span.is_recording():
            if isinstance(stage, Trail):  # which of them it is for may have been told inside of it
                start = replace(start, session_id=stage.session_id, user_id=stage.user_id)
            elif isinstance(stage, Retrieval) and stage.store:
                self._spans.rename(span, start, stage.store)
            if stage is not None:
                self._spans.write(span, stage, start, ambient.marks(self._around))
                error = stage.error
            if stage is not None or error is not None:
                self._spans.put_status(span, error)
        span.end(at)

    def _write_inside(self, name: str, start: int, stage: Stage, end: int) -> None:
        if self._span is trace.INVALID_SPAN:
            return
        session_id, user_id = self._start.session_id, self._start.user_id
        told = SpanStart("step", name, "", start, None, session_id, user_id)
        span = self._spans.start(told, self._inside())
        if span.is_recording():
            self._spans.write(span, stage, told, ambient.marks(self._around))
            self._spans.put_status(span, None)
        span.end(end)

    def _settled(self) -> Span:
        """The span, made now if nobody else has written it."""
        if self._span is None:
            written = self._spans.found_elsewhere(self._start)
            if written is None:
                self._span = self._spans.start(self._start, self._around)
            else:
                self._span = NonRecordingSpan(_context_of(written))
        return self._span

    def _inside(self) -> otel.Context:
        return trace.set_span_in_context(self._settled(), self._around)


@contextmanager
def _inside(span: Span) -> Generator[None]:
    """Have this span be the ambient one.

    Nothing is detached: the former context is set again, which cannot fail, and only where this one is still
    current, so that a generator that is closed elsewhere disturbs nobody.
    """
    before = otel.get_current()
    inside = trace.set_span_in_context(span, before)
    otel.attach(inside)
    try:
        yield
    finally:
        if otel.get_current() is inside:
            otel.attach(before)


def _context_of(span: SpanReference) -> SpanContext:
    flags = TraceFlags.SAMPLED if span.sampled else TraceFlags.DEFAULT
    return SpanContext(
        int(span.trace_id, 16), int(span.span_id, 16), is_remote=True, trace_flags=TraceFlags(flags)
    )


def _assembly_time(context: Context, trail: Trail) -> tuple[int, int]:
    """From the end of the last retrieval to the model's call, in ns since the epoch."""
    called = next(
        g.started_at for g in trail.generations if g.generation_id == context.generation_id
    )
    ends = [r.ended_at for r in trail.retrievals if r.ended_at <= called]
    return nanoseconds(max(ends, default=called)), nanoseconds(called)


def nanoseconds(moment: datetime) -> int:
    """Since the epoch, to the microsecond."""
    return round(moment.timestamp() * 1e6) * 1000
