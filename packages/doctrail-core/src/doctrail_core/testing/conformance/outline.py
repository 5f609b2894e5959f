"""A trail, and the spans of it, as texts that are the same in every run and under every framework.

They hold what happened, in order and as a tree. They leave out ids of runs, times, hashes, and what
names a framework's classes.

Hosts differ in what they say of what was stopped: that it failed, that it is over, or nothing. So a
run that was stopped and one that never ended look alike (unfinished), and where the reader of a stream
left, neither is told.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from doctrail_core.model import (
    Arrival,
    Chunk,
    Generation,
    Hit,
    Retrieval,
    SourceDocument,
    Step,
    ToolCall,
    ToolRequest,
    Trail,
)

__all__ = ["outline", "span_outline"]

_Record = Retrieval | Generation | ToolCall | Step
_LONGEST = 72
_STOPPED = ("never ended", "CancelledError", "GeneratorExit")


def outline(
    trail: Trail,
    ledger: Iterable[str] = (),
    *,
    in_order: bool = True,
    drawn: str | None = None,
) -> str:
    """The trail and the kinds of its ledger entries as a text.

    Args:
        trail: What to tell.
        ledger: The kinds of the entries that were made of it, in order.
        in_order: Whether the order of what happened side by side counts; else it is sorted.
        drawn: What the reader of a stream got before leaving. Of an answer that begins with it no
            more counts: hosts differ in how much more of it they draw.
    """
    return "\n".join(_Outline(trail, in_order=in_order, drawn=drawn).lines(ledger))


class _Outline:
    def __init__(self, trail: Trail, *, in_order: bool, drawn: str | None) -> None:
        self._trail = trail
        self._in_order = in_order
        self._drawn = drawn
        self._contexts = {context.generation_id: context for context in trail.contexts}
        self._chunks = {h.chunk.chunk_id: h.chunk for r in trail.retrievals for h in r.hits}
        self._chunks |= trail.chunks

    def lines(self, ledger: Iterable[str]) -> Iterator[str]:
        trail = self._trail
        yield f"{trail.status} {_quoted(trail.question)} -> {self._said(trail.answer)}"
        if trail.session_id or trail.user_id:
            yield f"  for {trail.user_id} in {trail.session_id}"
        if trail.status != "aborted":
            yield from _indented(_failure(trail.error))
        yield from _indented(self._below(None))
        behind = [f"behind it: {self._source(document)}" for document in trail.documents]
        yield from _indented(self._ordered(behind))
        yield f"  ledger: {', '.join(ledger)}"

    def _below(self, parent_id: str | None) -> Iterator[str]:
        trail = self._trail
        runs: Sequence[_Record] = (
            *trail.retrievals,
            *trail.generations,
            *trail.tool_calls,
            *trail.steps,
        )
        own = sorted((r for r in runs if r.parent_id == parent_id), key=lambda run: run.started_at)
        for text in self._ordered(["\n".join(self._run(run)) for run in own]):
            yield from text.split("\n")

    def _ordered(self, told: list[str]) -> list[str]:
        return told if self._in_order else sorted(told)

    def _run(self, run: _Record) -> Iterator[str]:
        match run:
            case Retrieval():
                within = "inner search" if run.enclosing_id else "search"
                called = f" for {run.tool_call_id}" if run.tool_call_id else ""
                yield f"{within} {_quoted(run.query)}{called}"
                yield from _indented(self._below(run.retrieval_id))
                yield from _indented(map(self._hit, run.hits))
            case Generation():
                use = "auxiliary model" if run.auxiliary else "model"
                yield f"{use} {run.model} says {self._said(run.output)}"
                yield from _indented(map(_request, run.tool_requests))
                yield from _indented(self._arrivals(run))
                yield from _indented(self._below(run.generation_id))
            case ToolCall():
                called = f" as {run.tool_call_id}" if run.tool_call_id else ""
                arguments = _plain_json(run.arguments)
                yield f"tool {run.name}({arguments}){called} returns {_quoted(run.result)}"
                yield from _indented(self._below(run.tool_run_id))
            case Step():
                yield f"step {run.name} {_quoted(run.input)} says {self._said(run.output)}"
                yield from _indented(self._below(run.step_id))
        if self._drawn is None:
            yield from _indented(_failure(run.error))

    def _hit(self, hit: Hit) -> str:
        chunk = hit.chunk
        document = _name(chunk.document_id, chunk.document_id_origin == "given")
        score = "" if hit.score is None else f", {hit.score_kind} {hit.score:g}"
        return f"found {self._name(chunk)} of {document}{score}"

    def _arrivals(self, generation: Generation) -> list[str]:
        context = self._contexts.get(generation.generation_id)
        return self._ordered([self._arrival(a) for a in context.arrivals]) if context else []

    def _arrival(self, arrival: Arrival) -> str:
        share = f" {arrival.coverage:.0%}" if arrival.state == "partial" else ""
        why = f", {arrival.reason}" if arrival.reason else ""
        chunk = self._chunks.get(arrival.chunk_id)
        name = self._name(chunk) if chunk else arrival.chunk_id
        return f"{name}: {arrival.state}{share}{why}"

    def _source(self, document: SourceDocument) -> str:
        how = {self._trail.involvements.get(chunk.chunk_id) for chunk in document.chunks}
        involved = "direct" if "direct" in how else "indirect" if "indirect" in how else ""
        given = document.chunks[0].document_id_origin == "given"
        return f"{_name(document.document_id, given)} {document.grade} {involved}".rstrip()

    @staticmethod
    def _name(chunk: Chunk) -> str:
        if chunk.chunk_id_origin == "given":
            return _name(chunk.chunk_id, given=True)
        return f"({_quoted((chunk.text or '')[:24])})"

    def _said(self, text: str | None) -> str:
        if text and self._drawn and text.startswith(self._drawn):
            return f"{_quoted(self._drawn)}..."
        return _quoted(text)


def span_outline(trail: Trail, spans: Iterable[ReadableSpan], *, in_order: bool = True) -> str:
    """The spans of a trail as a tree of what they stand for; a failed one ends with `!`."""
    known = {span.context.span_id: span for span in spans if span.context}

    def below(parent: int | None) -> str:
        own = {i: span for i, span in known.items() if _parent(span, known) == parent}
        started = sorted(own, key=lambda span_id: own[span_id].start_time or 0)
        told = ["\n".join((stage(own[i]), *_indented(below(i).splitlines()))) for i in started]
        return "\n".join(told if in_order else sorted(told))

    def stage(span: ReadableSpan) -> str:
        failed = span.status.status_code is StatusCode.ERROR and trail.status != "aborted"
        return _stage(span) + ("!" if failed else "")

    return below(None)


def _parent(span: ReadableSpan, known: dict[int, ReadableSpan]) -> int | None:
    return span.parent.span_id if span.parent and span.parent.span_id in known else None


def _stage(span: ReadableSpan) -> str:
    told = span.attributes or {}
    if told.get("openinference.span.kind") == "RERANKER":
        return "rerank"
    operation = str(told.get("gen_ai.operation.name", ""))
    if operation in ("retrieval", "chat"):
        return operation
    if operation == "execute_tool" or span.name == "context assembly":
        return span.name
    is_step = told and "doctrail.response.status" not in told
    return f"step {span.name.removeprefix('invoke_agent ')}" if is_step else "request"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _failure(error: str | None) -> Iterator[str]:
    if error is not None:
        yield "unfinished" if error.startswith(_STOPPED) else f"failed: {error}"


def _request(request: ToolRequest) -> str:
    called = f" as {request.tool_call_id}" if request.tool_call_id else ""
    return f"chooses {request.name}({_plain_json(request.arguments)}){called}"


def _plain_json(text: str | None) -> str:
    """Arguments, however the host spaces and sorts them."""
    try:
        return json.dumps(json.loads(text or ""), sort_keys=True)
    except ValueError:
        return _quoted(text)


def _name(identifier: str, given: bool) -> str:  # noqa: FBT001  # one word for a fact
    return _short(identifier) if given else "(no id)"


def _quoted(text: str | None) -> str:
    return "nothing" if not text else repr(_short(text))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
