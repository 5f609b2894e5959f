"""One span per stage, with the attributes of several families from the same record.

Parents are explicit: nothing is attached to the ambient context across callbacks, which may never end.
A span of ours is made only when it is over, or when another one needs it as parent: by then it is
settled whether another instrumentation has written one for the same run. Nothing is built for a span that
nobody records, and whatever is written passes through `Spans.put`.
"""

import threading
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
from doctrail_core.telemetry.stages import (
    Assembly,
    Attributes,
    Family,
    Stage,
    Written,
    error_type,
    was_stopped,
    writable,
)
from doctrail_core.text.identity import clean_text

__all__ = ["Mask", "Spans", "StageSpan"]

Mask = Callable[[str, AttributeValue], AttributeValue | None]
"""Gets the name and the value of each attribute; what it returns is written instead, None drops it."""

REDACTED = "__REDACTED__"

# What the mask is given that is no attribute.
_NAME = "span.name"
_DESCRIPTION = "status.description"

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
        fault: Is told of an error of the mask, of who says what is elsewhere, or of ours.
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
        self.fault = fault

    def root(self, start: SpanStart) -> "StageSpan":
        """Begin the first span of a response, under the ambient span, if any."""
        return StageSpan(self, start, otel.get_current(), suppressed=ambient.suppressed())

    def assessed(self, trail: Trail, assessment: Assessment) -> None:
        """Write the span of a check, linked to the generation whose output was checked.

        It is a trace of its own: the answer's spans may have ended long ago, and OpenInference asks of feedback
        that comes later for exactly one link to what it is about. Of a response that left no trace, as where
        tracing was suppressed, a check leaves none either.
        """
        if trail.trace_id is None or ambient.suppressed():
            return
        evaluation = Evaluation(trail, assessment)
        start = SpanStart(
            "step",
            f"grounding {assessment.verifier}",
            "",
            nanoseconds(assessment.started_at),
            session_id=trail.session_id,
            user_id=trail.user_id,
            response_id=trail.response_id,
        )
        checked = evaluation.checked
        links = [Link(_context_of(checked, remote=True))] if checked else None
        span = self.start(start, otel.Context(), links)
        ended = nanoseconds(assessment.ended_at)
        with self.ending(span, ended):
            if span.is_recording():
                self.write(span, evaluation, start, {})
                if genai.write in self.families:
                    told = self.masked(writable(genai.result(evaluation)))
                    span.add_event(sc.GENAI_EVALUATION, told, ended)
                self.put_status(span, evaluation.error)

    def start(
        self, start: SpanStart, around: otel.Context, links: Sequence[Link] | None = None
    ) -> Span:
        """Make a span of ours, in this context.

        Samplers and processors are the application's. Where one of them raises there is no span, nor any inside
        of it.
        """
        try:
            return self.tracer.start_span(
                self._name(start, start.name),
                context=around,
                kind=_KINDS.get(start.kind, SpanKind.INTERNAL),
                links=links,
                start_time=start.at,
            )
        except Exception as error:  # noqa: BLE001  # what is on record must not depend on it
            self.fault("spans", error)
            return trace.INVALID_SPAN

    @contextmanager
    def ending(self, span: Span, at: int) -> Generator[None]:
        """End the span after this block; what fails in it, or in a processor, costs no more than the span."""
        try:
            try:
                yield
            finally:
                span.end(at)
        except Exception as error:  # noqa: BLE001  # likewise
            self.fault("spans", error)

    def rename(self, span: Span, start: SpanStart, name: str) -> None:
        """Name a span after what is known of it by now."""
        span.update_name(self._name(start, name))

    def _name(self, start: SpanStart, name: str) -> str:
        operation = _OPERATIONS.get(start.kind)
        name = str(self.masked({_NAME: clean_text(name)}).get(_NAME, ""))
        return f"{operation} {name}".strip() if operation else name

    @property
    def fills_gaps(self) -> bool:
        """Whether what another instrumentation writes is left to it."""
        return self._elsewhere is not None

    def found_elsewhere(self, start: SpanStart) -> SpanReference | None:
        """The span of this run that is not ours to write."""
        if self._elsewhere is None:
            return None
        if start.elsewhere is not None:
            return start.elsewhere
        try:
            return self._elsewhere(start.run_id)
        except Exception as error:  # noqa: BLE001  # rather twice than not at all
            self.fault("asking for the spans of others", error)
            return None

    def write(self, span: Span, stage: Stage, start: SpanStart, common: Attributes) -> None:
        """Write the attributes of a stage."""
        into = Written(core=dict(common))
        for family in self.families:
            try:
                family(stage, start, self.shown, into)
            except Exception as error:  # noqa: BLE001  # one family must not cost the others
                self.fault("spans", error)
        self.put(span, into.attributes())

    def put(self, span: Span, attributes: Attributes) -> None:
        """Write attributes; all pass through here."""
        span.set_attributes(self.masked(attributes))

    def put_status(self, span: Span, error: str | None, *, finished: bool = True) -> None:
        """The kind of an error always; what it says, which may quote anything, only with all texts.

        What somebody stopped, or is not finished, is neither good nor an error.
        """
        if error is None:
            if finished:
                span.set_status(StatusCode.OK)
            return
        self.put(span, {sc.ERROR_TYPE: error_type(error)})
        if was_stopped(error):
            return
        message = error.partition(":")[2].strip() if self.shown.anything else ""
        told = self.masked({_DESCRIPTION: message} if message else {}).get(_DESCRIPTION)
        span.set_status(StatusCode.ERROR, None if told is None else clean_text(str(told)))

    def masked(self, attributes: Attributes) -> Attributes:
        """The attributes as the user's mask lets them pass; one that it fails on is not shown."""
        if self._mask is None:
            return attributes
        kept: dict[str, AttributeValue | None] = {}
        for name, value in attributes.items():
            try:
                passed = self._mask(name, value)
            except Exception as error:  # noqa: BLE001  # what cannot be masked is hidden
                self.fault("span mask", error)
                passed = REDACTED
            kept[name] = passed
        return writable(kept)


class StageSpan:
    """The span of a stage that is under way: ours, or that of another instrumentation."""

    __slots__ = ("_around", "_reference", "_settling", "_span", "_spans", "_start")

    def __init__(
        self, spans: Spans, start: SpanStart, around: otel.Context, *, suppressed: bool
    ) -> None:
        """Begin it in this context."""
        self._spans = spans
        self._start = start
        self._around = around
        self._settling = threading.RLock()  # children may be begun in several threads at once
        self._reference: SpanReference | None = None
        self._span = trace.INVALID_SPAN if suppressed else self._elsewhere()

    @property
    def suppressed(self) -> bool:
        """Whether nothing of it is to be seen."""
        return self._span is trace.INVALID_SPAN

    @property
    def settled(self) -> bool:
        """Whether it is known who writes it."""
        return self._span is not None

    @property
    def reference(self) -> SpanReference | None:
        """Which span it is; None where no tracing is set up."""
        if self._reference is None:
            self._reference = SpanReference.of(self._settled().get_span_context())
        return self._reference

    def child(self, start: SpanStart) -> "StageSpan":
        """Begin the span of a stage inside this one."""
        around = ambient.marked(self._inside())
        suppressed = self.suppressed or ambient.suppressed()
        return StageSpan(self._spans, start, around, suppressed=suppressed)

    def current(self) -> AbstractContextManager[None]:
        """Be inside this span: those that the code of the block opens are its children."""
        return _inside(self._settled())

    def context(self, context: Context, trail: Trail) -> None:
        """Write the span of a context assembly inside this one; it is known only afterwards."""
        if self._settled().get_span_context().trace_flags.sampled:
            start, end = _assembly_time(context, trail)
            told = self._step("context assembly", start, trail)
            self._write_inside(told, Assembly.of(context, trail), end)

    def rerank(self, rerank: Rerank, elsewhere: SpanReference | None) -> None:
        """Write the span of a reranker's call inside this one; it is known only afterwards."""
        if ambient.suppressed():
            return
        if elsewhere is None or not self._spans.fills_gaps:
            start, end = nanoseconds(rerank.started_at), nanoseconds(rerank.ended_at)
            self._write_inside(self._step(f"rerank {rerank.by}", start), rerank, end)

    def end(self, stage: Ended | None, *, at: int, error: str | None = None) -> None:
        """Write the stage's attributes and end the span at `at` (ns since the epoch)."""
        span = self._settled()
        with self._spans.ending(span, max(at, self._start.at)):
            if span.is_recording():
                self._write(span, stage, error)

    def _write(self, span: Span, stage: Ended | None, error: str | None) -> None:
        start, finished = self._start, True
        if isinstance(stage, Trail):
            start, finished = _meant_for(stage, start), stage.status == "ok"
        elif isinstance(stage, Retrieval) and stage.store:
            self._spans.rename(span, start, stage.store)
        elif isinstance(stage, Generation) and stage.model and not start.name:
            self._spans.rename(span, start, stage.model)  # which only the answer named
        if stage is not None:
            self._spans.write(span, stage, start, ambient.marks(self._around))
            error = stage.error
        if stage is not None or error is not None:
            self._spans.put_status(span, error, finished=finished)

    def _step(self, name: str, at: int, trail: Trail | None = None) -> SpanStart:
        told = replace(self._start, kind="step", name=name, at=at, elsewhere=None)
        return told if trail is None else _meant_for(trail, told)

    def _write_inside(self, told: SpanStart, stage: Stage, end: int) -> None:
        inside = self._inside()
        if self.suppressed:
            return
        span = self._spans.start(told, inside)
        with self._spans.ending(span, max(told.at, end)):
            if span.is_recording():
                self._spans.write(span, stage, told, ambient.marks(self._around))
                self._spans.put_status(span, None)

    def _settled(self) -> Span:
        """The span, made now if nobody else has written it."""
        if self._span is None:
            with self._settling:
                if self._span is None:
                    self._span = self._elsewhere() or self._spans.start(self._start, self._around)
        return self._span

    def _elsewhere(self) -> Span | None:
        written = self._spans.found_elsewhere(self._start)
        return None if written is None else NonRecordingSpan(_context_of(written, remote=False))

    def _inside(self) -> otel.Context:
        return trace.set_span_in_context(self._settled(), self._around)


def _meant_for(trail: Trail, start: SpanStart) -> SpanStart:
    """With session and user, which may have been told only inside of the request."""
    return replace(start, session_id=trail.session_id, user_id=trail.user_id)


@contextmanager
def _inside(span: Span) -> Generator[None]:
    """Have this span be the ambient one.

    Nothing is detached: the former context is set again, which cannot fail, and only where this one is still
    current, so that a generator that is closed elsewhere disturbs nobody.
    """
    before = otel.get_current()
    here, ours = trace.get_current_span(before).get_span_context(), span.get_span_context()
    if here.span_id == ours.span_id or not ours.is_valid:
        yield  # it is the ambient one, perhaps as the object of somebody who writes to it; or it is none
        return
    inside = trace.set_span_in_context(span, before)
    otel.attach(inside)
    try:
        yield
    finally:
        if otel.get_current() is inside:
            otel.attach(before)


def _context_of(span: SpanReference, *, remote: bool) -> SpanContext:
    flags = TraceFlags.SAMPLED if span.sampled else TraceFlags.DEFAULT
    return SpanContext(
        int(span.trace_id, 16), int(span.span_id, 16), remote, trace_flags=TraceFlags(flags)
    )


def _assembly_time(context: Context, trail: Trail) -> tuple[int, int]:
    """From the end of what came last before it to the model's call, in ns since the epoch."""
    called = next(
        g.started_at for g in trail.generations if g.generation_id == context.generation_id
    )
    before = (*trail.retrievals, *trail.reranks, *trail.generations)
    ends = [b.ended_at for b in before if b.ended_at is not None and b.ended_at <= called]
    return nanoseconds(max(ends, default=called)), nanoseconds(called)


def nanoseconds(moment: datetime) -> int:
    """Since the epoch, to the microsecond."""
    return round(moment.timestamp() * 1e6) * 1000
