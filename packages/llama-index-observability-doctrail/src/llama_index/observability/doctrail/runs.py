"""From spans and LLM events to what the recorder is told; nothing is kept of what has ended.

A span ends once: by returning, by an exception or, where its answer streams, with the last token or
with whoever drew them. The same goes for LLM calls. With the root of a tree goes all that is left
below it.
"""

import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import AgentChatResponse, StreamingAgentChatResponse
from llama_index.core.instrumentation.events.rerank import ReRankStartEvent

import doctrail_core
from doctrail_core.capture.events import (
    AccessDecided,
    Event,
    GenerationStreamed,
    PromptSent,
    RunEnded,
    RunFailed,
)
from doctrail_core.capture.scope import Scope, current_scope, suppressed
from doctrail_core.model import Message, SpanReference
from llama_index.observability.doctrail import agents, calls, contexts, neighbours
from llama_index.observability.doctrail.note import LineageNote
from llama_index.observability.doctrail.places import Place
from llama_index.observability.doctrail.spans import (
    FRAMEWORK,
    UUID_LENGTH,
    Call,
    Kind,
    Span,
    Tree,
    kind_of,
)
from llama_index.observability.doctrail.streams import Stream, follow, follow_chat

if TYPE_CHECKING:
    from doctrail_core import Lineage
    from doctrail_core.grounding.settings import Grounding

__all__ = ["Runs"]

_Arguments = Mapping[str, Any]


class Instrumentor(Protocol):
    """Has everything recorded, and maybe checked."""

    grounding: "Grounding | None"

    @property
    def lineage(self) -> "Lineage":
        """Where it records."""
        ...


class Runs:
    """The open spans of the process.

    Args:
        recording: Who has everything recorded; None to record only what a scope or a wrapped
            retriever is part of.
    """

    def __init__(self, recording: "Callable[[], Instrumentor | None]") -> None:
        """Know of nothing yet."""
        self._recording = recording
        self._open: dict[str, Span] = {}
        self._streaming: dict[str, Span] = {}
        self._elsewhere: dict[str, SpanReference] = {}

    @property
    def open_count(self) -> int:
        """How many spans are kept; 0 when nothing is running."""
        return len(self._open) + len(self._streaming) + len(self._elsewhere)

    def fault(self, hook: str, error: BaseException) -> None:
        """Count an error of ours: the host swallows it, or must not see it."""
        from doctrail_core.composition import swallow

        swallow(
            f"{FRAMEWORK}.{hook}",
            error,
            lambda: self._lineage() or doctrail_core.default_lineage(),
        )

    def note(self, span_id: str | None, response: object) -> None:
        """Write onto the response where it is on record, if the span's answer is."""
        span = self._open.get(span_id or "")
        if span is not None and isinstance(response, _RESPONSES):
            note = LineageNote(response_id=span.tree.response_id, complete=False)
            note.place = self.place(span_id)
            span.tree.notes.append(note)
            if response.metadata is None:
                response.metadata = {}
            response.metadata["lineage"] = note

    def place(self, span_id: str | None) -> Place | None:
        """Where in a response a span is at work: in the nearest run that answers, or in the scope."""
        span = self._open.get(span_id or "")
        while span is not None and not (span.kind in _ANSWERING and span.run_id):
            span = span.parent
        if span is not None and span.run_id and span.tree.lineage is not None:
            whole = span.parent is None
            return Place(span.tree.lineage, span.tree.response_id, span.run_id, is_answer=whole)
        scope = None if suppressed() else current_scope()
        if scope is None:
            return None
        return Place(
            cast("Lineage", scope.lineage), scope.response_id, scope.run_id, is_answer=True
        )

    def decided(self, span_id: str | None, decided: AccessDecided) -> None:
        """It was decided which of what a running search found may go on."""
        span = self._open.get(span_id or "")
        if span is not None and span.kind == "retrieval" and span.run_id:
            span.tree.record(replace(decided, run_id=span.run_id))

    def scope(self, span_id: str | None) -> Scope | None:
        """The response that a span is part of; what is told of it is held where its tree holds the rest."""
        span = self._open.get(span_id or "")
        run_id = span and (span.run_inside() or span.enclosing_run())
        return Scope(span.tree, span.tree.response_id, run_id) if span and run_id else None

    def written(self, run_id: str) -> SpanReference | None:
        """The span that another instrumentation has written for a run, where that was not known at its start."""
        return self._elsewhere.get(run_id)

    def _known_elsewhere(self, span: Span, span_id: str) -> None:
        """A span began that is only another step of this one; others may have theirs for that step."""
        if span.written is None and span.run_id is not None:
            span.written = neighbours.written(span_id)
            if span.written is not None:
                self._elsewhere[span.run_id] = span.written

    def inside(self, span_id: str | None) -> AbstractContextManager[None]:
        """Have what the code in here opens, such as a database's client, be part of the span of this run.

        Other instrumentations see to that for searches that they write themselves, and those are part of what
        is around the search.
        """
        span = self._open.get(span_id or "")
        if span is None or span.tree.lineage is None:
            return nullcontext()
        theirs = span.kind == "retrieval" and neighbours.any_listens()
        run_id = span.enclosing_run() if theirs else span.run_id
        return nullcontext() if run_id is None else span.tree.lineage.within(run_id)

    # --- spans: never raises

    def begin(
        self, span_id: str, arguments: _Arguments, instance: object, parent_id: str | None
    ) -> None:
        """A span begins."""
        try:
            self._enter(span_id, arguments, instance, parent_id)
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.fault("span_enter", error)

    def end(self, span_id: str, result: Any) -> None:
        """A span returned."""
        try:
            self._exit(span_id, result)
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.fault("span_exit", error)

    def fail(self, span_id: str, error: BaseException) -> None:
        """A span ended by an exception."""
        try:
            self._drop(span_id, error)
        except Exception as fault:  # noqa: BLE001  # lineage never breaks the user's chain
            self.fault("span_drop", fault)

    def _enter(
        self, span_id: str, arguments: _Arguments, instance: object, parent_id: str | None
    ) -> None:
        if span_id in self._open:  # told by a list of handlers that has changed meanwhile
            return
        parent = self._open.get(parent_id) if parent_id else None
        kind = kind_of(span_id, instance, arguments)
        if kind is None or (parent is not None and parent.stands_for(kind, instance)):
            if parent is not None:
                self._open[span_id] = parent
                if kind is not None:
                    self._known_elsewhere(parent, span_id)
            return
        if parent is not None and parent.has_check(kind, instance):
            # Nobody is told of this tree.
            parent, tree = None, Tree(span_id[-UUID_LENGTH:], None, None)
        else:
            tree = parent.tree if parent else self._plant(span_id, kind)
        if tree is not None and not suppressed():
            span = self._open[span_id] = Span(span_id, kind, instance, parent, tree, arguments)
            span.written = neighbours.written(span_id)
            if kind in _ENTERED:
                _ENTERED[kind](span, arguments)

    def _exit(self, span_id: str, result: Any) -> None:
        if isinstance(result, StreamingAgentChatResponse):
            self._await_writing(span_id, result)
            return
        around = self._open.get(span_id)
        span = self._take(span_id)
        if span is None:
            if isinstance(result, _STREAMING):
                self._await_drawing(span_id, around)
            return
        try:
            self._returned(span, result)
        except Exception:
            self._finish(span, None, None)
            raise

    def _drop(self, span_id: str, error: BaseException) -> None:
        span = self._take(span_id)
        if span is None:
            return
        if span.call is not None:
            self._call_over(span, RunFailed(span.call.run_id, error))
        elif span.kind == "llm" and not (span.is_told or span.handed_on):
            self._tell_call(span, RunFailed(span.own_id, error))
        if span.kind == "writing":
            self._written(span, error)
        else:
            self._finish(span, None, agents.error_of(error))

    def cut(self, span_id: str | None) -> None:
        """A step is cancelled at its work; the host lets it return, and then its run."""
        span = self._open.get(span_id or "")
        if span is not None and not (span.kind == "workflow" and span.span_id == span_id):
            span.mark_cut()

    def _lineage(self) -> "Lineage | None":
        scope = current_scope()
        if scope is not None:
            return cast("Lineage", scope.lineage)
        recording = self._recording()
        return recording.lineage if recording else None

    def _plant(self, root_id: str, kind: Kind) -> Tree | None:
        """A tree for a root span, unless there is nobody whom it could ever concern."""
        lineage, scope = self._lineage(), current_scope()
        is_only_a_part = kind in ("writing", "responding", "postprocessing") and scope is None
        if is_only_a_part or (
            lineage is None and kind not in ("query", "chat", "retrieval", "tool")
        ):
            return None
        response_id = scope.response_id if scope else root_id[-UUID_LENGTH:]
        recording = self._recording()
        grounding = recording.grounding if recording else None
        return Tree(response_id, lineage, scope.run_id if scope else None, grounding)

    def _take(self, span_id: str) -> Span | None:
        """Take a span out; None for one that only stood for another."""
        span = self._open.pop(span_id, None)
        return span if span is not None and span.span_id == span_id else None

    def _await_drawing(self, span_id: str, around: Span | None) -> None:
        """Another span goes on to stand for one that returned a stream, which may be drawn inside of it."""
        if around is not None and around.kind != "llm" and not around.over:
            self._open[span_id] = around
            around.others.append(span_id)

    def _returned(self, span: Span, result: Any) -> None:
        if span.kind == "retrieval":
            self._end(span, contexts.retrieved(span, result))
        elif span.kind == "postprocessing":
            self._end(span, contexts.postprocessed(span, result))
        elif span.kind == "llm":
            self._await_tokens(span, result)
        elif span.kind == "writing":
            self._written(span, None)
        elif span.kind == "tool":
            self._end(span, agents.tool_ended(span, result))
        elif span.kind == "workflow":
            self._run_over(span, result)
        elif span.kind == "turn":
            agents.turn_over(span, result)
            self._end(span, None)
        elif span.kind in ("step", "housekeeping"):
            self._finish(span, None, agents.CANCELLED if span.cut else None)
        else:
            self._settle(span, result)

    def _run_over(self, span: Span, result: Any) -> None:
        """A workflow ended; without a result where its user has cancelled it."""
        if result is not None:
            given = agents.outcome(result)
            if isinstance(given, Generator | AsyncGenerator):
                span.tree.calls.clear()  # a model's own stream: whoever draws it ends the call
            self._settle(span, given)
        else:
            agents.end_turns(span, agents.CANCELLED)
            self._end(span, agents.cancelled(span))

    def _settle(self, span: Span, result: Any) -> None:
        """An engine or a synthesizer returned; an answer that streams is not at its end yet."""
        stream = follow(result, span.span_id, span.tree.streams)
        if stream is None:
            self._finish(span, _answer(result), None)
        elif stream.ended:
            self._finish(span, stream.text, None)
        else:
            self._await_stream(span, stream)

    def _await_stream(self, span: Span, stream: Stream) -> None:
        def over(text: str, error: BaseException | None) -> None:
            try:
                if self._take(span.span_id) is not None:
                    self._finish(span, text, error)
            except Exception as fault:  # noqa: BLE001  # it would surface where the tokens are drawn
                self._forget(span)
                self.fault("stream", fault)

        span.returned = True
        self._open[span.span_id] = span
        span.tree.awaiting.append(span)
        if stream not in span.tree.streams:
            span.tree.streams.append(stream)
        stream.whenever_over.append(over)

    def _await_writing(self, span_id: str, response: StreamingAgentChatResponse) -> None:
        """A chat method returned; its writer, which may be at its end already, has the answer."""
        span = self._open.get(span_id)
        if span is None or span.span_id != span_id:
            self._open.pop(span_id, None)
        elif stream := follow_chat(response, span_id):
            self._await_stream(span, stream)
        else:
            # A writer that was cancelled before it began tells nobody.
            weakref.finalize(response, self._left_unwritten, span).atexit = False

    def _written(self, writing: Span, error: BaseException | None) -> None:
        """The writer of a chat answer is done, and so is the chat's turn."""
        chat = writing.parent
        if chat is not None and chat.kind == "chat" and self._take(chat.span_id) is not None:
            said = cast("Any", writing.instance).response  # older versions leave it empty
            self._finish(chat, said or None, error)

    def _left_unwritten(self, chat: Span) -> None:
        try:
            if self._take(chat.span_id) is not None:
                self._finish(chat, None, GeneratorExit())
        except Exception as fault:  # noqa: BLE001  # there is nobody left to raise to
            self.fault("chat stream", fault)

    def _finish(self, span: Span, output: str | None, error: BaseException | None) -> None:
        agents.end_turns(span, error)
        if output and span.parent is not None and span.kind in ("query", "synthesis"):
            span.parent.answers.append(output.strip())
        if span.run_id is None:
            self._end(span, None)
        elif error is None:
            self._end(span, RunEnded(span.run_id, output))
        else:
            self._end(span, RunFailed(span.run_id, error))

    def _end(self, span: Span, event: Event | None) -> None:
        tree = span.tree
        if span.parent is None:
            for calling in list(tree.calls.values()):
                self._lose(calling)
        span.over = True
        self._forget(span)
        if event is not None:
            tree.record(event)
        self._elsewhere.pop(span.run_id or "", None)
        if span.parent is None:
            for left in tree.awaiting:
                self._forget(left)
            for note in tree.notes:
                note["complete"] = not isinstance(event, RunFailed)

    def _forget(self, span: Span) -> None:
        for span_id in (span.span_id, *span.others):
            self._open.pop(span_id, None)

    # --- LLM calls

    def call_started(self, event: calls.LLMStart) -> None:
        """A model is called. Of a call that is told several times, the outermost counts."""
        span = self._open.get(event.span_id or "")
        if span is None or span.kind != "llm" or span.told:
            return
        told = span.is_told
        span.mark_told()
        messages = calls.messages(event)
        if told or self._is_repeated(span, messages):
            return
        span.call = Call(event.id_, messages)
        span.tree.calls[span.span_id] = span
        span.tree.record(
            PromptSent(
                run_id=event.id_,
                parent_id=span.enclosing_run(),
                messages=messages,
                framework=FRAMEWORK,
                model=calls.model(event),
                provider=calls.provider(event),
                parameters=calls.parameters(event),
                auxiliary=span.prepares(messages),
                session_id=span.tree.session[0],
                user_id=span.tree.session[1],
                span=neighbours.written(event.span_id or "") or span.written,
            )
        )

    @staticmethod
    def _tell_call(span: Span, event: Event) -> None:
        """Tell of a call that no event told of: its class leaves out the host's callback."""
        messages = calls.passed(span.arguments)
        span.mark_told()
        span.tree.record(
            PromptSent(
                run_id=span.own_id,
                parent_id=span.enclosing_run(),
                messages=messages,
                framework=FRAMEWORK,
                model=calls.model_of(span.instance),
                auxiliary=span.prepares(messages),
                session_id=span.tree.session[0],
                user_id=span.tree.session[1],
                at=span.tree.moment(span.began),
                span=span.written,
            )
        )
        span.tree.record(event)

    def ranking_began(self, event: ReRankStartEvent) -> None:
        """A step says that it ranks."""
        span = self._open.get(event.span_id or "")
        if span is not None:
            contexts.ranking_began(span, event)

    def call_progressed(self, event: calls.LLMProgress) -> None:
        """A piece of a streamed answer came."""
        span = self._calling(event.span_id)
        if span is not None and span.call is not None:
            span.call.deltas.append(event.response.delta or "")

    def call_ended(self, event: calls.LLMEnd) -> None:
        """The model has answered."""
        span = self._calling(event.span_id)
        if span is not None and span.call is not None:
            said = calls.answered(span.call.run_id, event.response, span.call.deltas)
            self._call_over(span, said)

    def call_failed(self, span_id: str | None, error: BaseException) -> None:
        """A streamed answer broke off."""
        span = self._calling(span_id)
        if span is not None:
            self._cut(span, error)

    def _is_repeated(self, span: Span, messages: tuple[Message, ...]) -> bool:
        """Whether the same LLM calls itself for the stream that it has already returned."""
        return any(
            other.instance is span.instance
            and other.call is not None
            and other.call.is_drawn
            and other.call.messages == messages
            for other in list(self._streaming.values())
        )

    def _calling(self, span_id: str | None) -> Span | None:
        span = self._open.get(span_id or "")
        return span if span is not None and span.span_id == span_id and span.call else None

    def _await_tokens(self, span: Span, result: Any) -> None:
        """An LLM's method returned; of a stream, the tokens are still to come."""
        if span.call is None:
            if not (span.is_told or span.handed_on):
                self._tell_call(span, calls.returned(span.own_id, result))
            self._end(span, None)
            return
        span.call.returned = True
        self._open[span.span_id] = span
        if isinstance(result, Generator | AsyncGenerator):
            stream = cast("Any", result)
            self._streaming[span.span_id] = span
            span.call.stream = weakref.ref(stream)
            # One that is never begun tells nobody that it is gone.
            weakref.finalize(stream, self._lose, span).atexit = False

    def _lose(self, span: Span) -> None:
        """End a call that nobody waits for any more."""
        try:
            self._cut(span, GeneratorExit())
        except Exception as fault:  # noqa: BLE001  # there is nobody left to raise to
            self.fault("llm stream", fault)

    def _cut(self, span: Span, error: BaseException) -> None:
        """End a call that will not end by itself; what came of the answer is kept."""
        call = span.call
        if call is None:
            return
        left_by_reader = not isinstance(error, Exception) and span.parent is not None
        if left_by_reader and call.deltas:
            self._call_over(span, calls.answered(call.run_id, None, call.deltas))
            return
        if call.deltas:
            span.tree.record(GenerationStreamed(call.run_id, "".join(call.deltas)))
        self._call_over(span, RunFailed(call.run_id, error))

    def _call_over(self, span: Span, event: Event) -> None:
        call, span.call = span.call, None
        span.tree.calls.pop(span.span_id, None)
        span.tree.record(event)
        if call is not None and call.returned:
            self._open.pop(span.span_id, None)
            self._streaming.pop(span.span_id, None)


_ENTERED: Mapping[Kind, Callable[[Span, _Arguments], None]] = {**contexts.ENTERED, **agents.ENTERED}
_ANSWERING = ("query", "chat", "workflow")
_STREAMING = (Generator, AsyncGenerator, StreamingResponse, AsyncStreamingResponse)
_RESPONSES = (Response, StreamingResponse, AsyncStreamingResponse, PydanticResponse)


def _answer(result: Any) -> str | None:
    if isinstance(result, Response | AgentChatResponse):
        return result.response
    return str(result) if isinstance(result, str | PydanticResponse) else None
