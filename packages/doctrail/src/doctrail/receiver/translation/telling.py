"""The events of a response, in an order in which they may have happened.

Invariants: a run begins before what is inside of it begins and ends after that; the response ends last; of
what ended and what began at the same moment, the end comes first. Each event says when it happened by the
sender's clock, which may differ from the order where those disagree.
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation.attributes import flat, name, text
from doctrail.receiver.translation.reading import framework
from doctrail.receiver.translation.runs import Choice, Run, Runs, reference
from doctrail_core.capture.events import (
    ContextSelected,
    Event,
    GenerationEnded,
    GenerationStreamed,
    PromptSent,
    Reranked,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import RankedChunk
from doctrail_core.text.identity import canonical_id, clean_text, identify

__all__ = ["tell"]

_END, _STEP, _START = range(3)
_STOPPED = ("CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit")
_LONGEST = 2000
_KIND = re.compile(r"\w{1,100}")


@dataclass(slots=True, eq=False)
class _Moment:
    """Something that happened, and how much has to happen before."""

    at: int
    order: int
    key: str
    events: Sequence[Event]
    awaited: int = 0
    then: list["_Moment"] = field(default_factory=list["_Moment"])

    def before(self, other: "_Moment") -> None:
        self.then.append(other)
        other.awaited += 1

    def __lt__(self, other: "_Moment") -> bool:
        return (self.at, self.order, self.key) < (other.at, other.order, other.key)


def tell(told: Runs, response_id: str, trace_id: str, trace_run: str) -> list[Event]:
    """Tell of these runs as of the response with this id.

    Args:
        told: The runs.
        response_id: The id of the first of them.
        trace_id: Their trace.
        trace_run: What the ids of all other runs begin with.
    """
    return list(_Telling(told, response_id, trace_id, trace_run).events())


@dataclass(slots=True)
class _Telling:
    told: Runs
    response_id: str
    trace_id: str
    trace_run: str

    def events(self) -> Iterator[Event]:
        moments = self._moments()
        ready = [moment for moment in moments if not moment.awaited]
        heapq.heapify(ready)
        while ready:
            moment = heapq.heappop(ready)
            yield from moment.events
            for later in moment.then:
                later.awaited -= 1
                if not later.awaited:
                    heapq.heappush(ready, later)

    def _moments(self) -> list[_Moment]:
        starts, ends = dict[Run, _Moment](), dict[Run, _Moment]()
        root = self.told.told[0]
        for run in self.told.told:
            node = run.node
            start = starts[run] = _Moment(node.start, _START, node.span_id, [self._started(run)])
            end = ends[run] = _Moment(node.end, _END, node.span_id, list(self._ended(run)))
            start.before(end)
            if run.parent is not None:
                starts[run.parent].before(start)
                start.before(ends[run.parent])
                end.before(ends[root])
        steps = [self._step(each, starts, ends) for each in self.told.choices]
        return [*starts.values(), *ends.values(), *steps]

    def _step(self, each: Choice, starts: dict[Run, _Moment], ends: dict[Run, _Moment]) -> _Moment:
        node = each.node
        step = _Moment(node.end, _STEP, node.span_id, list(self._chosen(each)))
        starts[each.run].before(step)
        step.before(ends[each.run])
        return step

    def _run_id(self, run: Run) -> str:
        return self.response_id if run.parent is None else f"{self.trace_run}:{run.node.span_id}"

    # --- starts

    def _started(self, run: Run) -> Event:
        told, run_id = run.operation, self._run_id(run)
        parent = None if run.parent is None else self._run_id(run.parent)
        host, at = self._framework(run), run.node.start
        span = reference(run.node, self.trace_id)
        session, user = _id(told.session_id), _id(told.user_id)
        if run.kind == "retrieval":
            return RetrievalStarted(
                run_id,
                parent,
                told.name or "retriever",
                told.asked or "",
                host,
                session,
                user,
                at,
                span,
            )
        if run.kind == "generation":
            return PromptSent(
                run_id,
                parent,
                told.messages,
                host,
                model=told.model,
                provider=told.provider,
                parameters=told.parameters,
                auxiliary=run.preparing,
                session_id=session,
                user_id=user,
                at=at,
                span=span,
            )
        if run.kind == "tool":
            call = told.tool_call_id
            return ToolCalled(run_id, parent, told.name or "tool", host, told.asked, call, at, span)
        return RunStarted(
            run_id,
            parent,
            self._name(run),
            host,
            question=self._question(run),
            session_id=session,
            user_id=user,
            at=at,
            agent=run.is_agent,
            span=span,
            service=_service(run.node.span),
        )

    def _framework(self, run: Run) -> str:
        """Of the nearest span that was received; where none was, of the first that was."""
        around: Run | None = run
        while around is not None and around.node.span is None:
            around = around.parent
        spans = (each.node.span for each in self.told.told)
        span = around.node.span if around else next(filter(None, spans), None)
        return framework(span) if span else "otlp"

    @staticmethod
    def _name(run: Run) -> str:
        span = run.node.span
        return run.operation.name or (span.name if span else "") or "request"

    def _question(self, run: Run) -> str | None:
        """What was asked; of an agent that did not tell, what its model was first told by the user."""
        if run.operation.asked is not None or run.parent is not None:
            return run.operation.asked
        leaves = [each for each in self.told.told if each.kind != "run"]
        first = min(leaves, key=lambda each: (each.node.start, each.node.span_id), default=None)
        if first is None or first.kind != "generation":
            return None
        said = [message.text for message in first.operation.messages if message.role == "user"]
        return said[-1] if said else None

    # --- ends

    def _ended(self, run: Run) -> Iterator[Event]:
        told, run_id, at = run.operation, self._run_id(run), run.node.end
        error = _error(run.node.span)
        if run.kind == "retrieval" and any((told.k is not None, told.filters, told.store)):
            yield RetrievalDescribed(run_id, k=told.k, filters=told.filters, store=told.store)
        if error is not None:
            if run.kind == "generation" and told.said:
                yield GenerationStreamed(run_id, told.said)
            output = told.said if run.kind == "run" else None
            yield RunFailed(run_id, error, at=at, output=output)
        elif run.kind == "retrieval":
            yield RetrievalEnded(run_id, told.documents, at=at)
        elif run.kind == "generation":
            yield self._answered(run)
        elif run.kind == "tool":
            yield ToolReturned(run_id, told.said, told.tool_call_id, at)
        else:
            yield RunEnded(run_id, told.said, at=at)

    def _answered(self, run: Run) -> Event:
        told = run.operation
        return GenerationEnded(
            self._run_id(run),
            told.said,
            model=told.answered_by,
            usage=told.usage,
            finish_reasons=told.finish_reasons,
            message_id=told.message_id,
            tool_requests=told.tool_requests,
            at=run.node.end,
        )

    # --- steps between

    def _chosen(self, each: Choice) -> Iterator[Event]:
        told, run_id = each.node.operation, self._run_id(each.run)
        given, kept = _ranked(told.given), _ranked(told.documents)
        by = told.name or "reranker"
        if told.kind == "rerank":
            yield Reranked(
                run_id,
                by,
                each.node.start,
                given,
                kept,
                query=told.asked,
                model=told.model,
                top_k=told.k,
                at=each.node.end,
                span=reference(each.node, self.trace_id),
            )
        among = [chunk.chunk_id for chunk in given]
        left = [chunk.chunk_id for chunk in kept]
        if among and set(left) <= set(among):
            yield ContextSelected(run_id, left, by, among=among)


def _ranked(chunks: Sequence[RetrievedChunk]) -> list[RankedChunk]:
    return [RankedChunk(_chunk_id(chunk), chunk.score) for chunk in chunks]


def _chunk_id(found: RetrievedChunk) -> str:
    """The id that the recorder gives it."""
    return identify(found.text, chunk_id=found.chunk_id, metadata=found.metadata).chunk_id


def _id(told: str | None) -> str | None:
    return None if told is None else canonical_id(told)


def _service(span: ReceivedSpan | None) -> str | None:
    named = span.resource.get("service.name") if span else None
    return named if isinstance(named, str) else None


def _error(span: ReceivedSpan | None) -> BaseException | None:
    """What went wrong, as an exception of the same name."""
    if span is None or span.status != "error":
        return None
    raised = [event.attributes for event in span.events if event.name == "exception"]
    told = flat(raised[-1] if raised else {})
    kind = name(told.get("exception.type")) or name(span.attributes.get("error.type")) or "Error"
    message = text(told.get("exception.message")) or _first_line(span.status_message)
    kind = kind.rpartition(".")[2]
    base = BaseException if kind in _STOPPED else Exception
    made = cast("type[BaseException]", type(_class(kind), (base,), {}))
    return made(clean_text(message[:_LONGEST]))


def _class(kind: str) -> str:
    return kind if _KIND.fullmatch(kind) else "Error"


def _first_line(message: str) -> str:
    """What a status says, without the traceback that some add to it."""
    return message.partition("Traceback (most recent call last)")[0].strip()
