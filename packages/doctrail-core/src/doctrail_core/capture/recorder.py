"""Turns events into trails: one tree of runs per response, closed and forgotten when it ended.

Invariants: an event never raises into the host, but for `NotRecordedError` where answers that cannot be put
on record are refused; before a model is called, the ids of all that was
retrieved are on the ledger; a response closes when its root has ended and neither a generation nor a
detached run of it is open, and at once when its root failed; then nothing of it stays behind.

The lock guards memory only; what is told of a response (`reports`) is told outside of it. An event may
arrive while its own thread is busy with another one, because the garbage collector closes abandoned
streams wherever it runs; it waits until that one is done.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from doctrail_core.capture.events import (
    AccessDecided,
    AnswerReused,
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
from doctrail_core.capture.receipts import NotRecordedError
from doctrail_core.capture.records import (
    chunk_record,
    cleaned,
    derivation_record,
    describe,
    generation_record,
    rerank_record,
    retrieval_record,
    step_record,
    tool_record,
)
from doctrail_core.capture.reports import Reports
from doctrail_core.capture.response import OpenResponse, OpenRun, RunKind, StartEvent
from doctrail_core.capture.scope import current_scope, suppressed
from doctrail_core.capture.sinks import FaultSink, SpanSink, StageSpan
from doctrail_core.capture.tally import Counts, Dropped, Tally
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.model import Assessment, SpanStart, StageKind, Status, Trail
from doctrail_core.text.identity import canonical_id

MAX_OPEN_RESPONSES = 10_000
"""Beyond this many, the oldest response is closed as interrupted: its host lost it."""


_REMEMBERED = 1024
"""Runs that a failed root left open and whose own end is still to come, as aborted streams do it."""


_AWAITED = 256
"""Blocks that ended before anything happened in them, while tasks begun in them may still come."""


Who = tuple[str | None, str | None]
"""A session and a user, as far as they are known."""


class _Inbox(threading.local):
    """What this thread has still to do."""

    def __init__(self) -> None:
        self.waiting = deque[Callable[[], None]]()
        self.busy = False


@dataclass(slots=True, eq=False, weakref_slot=True)
class Recorder:
    """Gathers the events of each response and hands the finished trail to the sinks."""

    reports: Reports
    faults: FaultSink
    spans: SpanSink | None
    clock: Callable[[], int]
    ambient: Callable[[], Who]
    _runs: dict[str, OpenRun] = field(default_factory=dict[str, OpenRun])
    _responses: dict[str, OpenResponse] = field(default_factory=dict[str, OpenResponse])
    _left_behind: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _awaited: dict[str, OpenRun] = field(default_factory=dict[str, OpenRun])
    _counts: Counts = field(default_factory=Counts)
    _inbox: _Inbox = field(default_factory=_Inbox)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _handlers: dict[type, Callable[[Any], None]] = field(init=False)

    def __post_init__(self) -> None:
        """Say who takes which event."""
        remake_after_fork(self)
        self._handlers = {
            RunStarted: self._run_started,
            RunEnded: self._run_ended,
            RunFailed: self._run_failed,
            RetrievalStarted: self._retrieval_started,
            RetrievalDescribed: self._retrieval_described,
            AccessDecided: self._access_decided,
            AnswerReused: self._answer_reused,
            RetrievalEnded: self._retrieval_ended,
            ContextSelected: self._context_selected,
            Reranked: self._reranked,
            PromptSent: self._prompt_sent,
            GenerationStreamed: self._generation_streamed,
            GenerationEnded: self._generation_ended,
            ToolCalled: self._tool_called,
            ToolReturned: self._tool_returned,
        }

    @property
    def open_count(self) -> int:
        """How many responses and runs are still open."""
        return len(self._responses) + len(self._runs)

    @property
    def tally(self) -> Tally:
        """How many runs began in this process, and what became of them."""
        return self._counts.tally()

    def so_far(self, run_id: str) -> Trail | None:
        """What is known of the open response that a run is part of; None if there is none."""
        run = self._runs.get(run_id)
        return None if run is None else self.reports.so_far(run.response, self.clock())

    def span_of(self, run_id: str) -> StageSpan | None:
        """The span of an open run, or of the nearest one around it that has one."""
        run = self._runs.get(run_id)
        return None if run is None else run.nearest_span()

    def assessed(self, assessment: Assessment) -> None:
        """Remember what was found about a response, if it is still open: it closes with those grades."""
        response = self._responses.get(assessment.response_id)
        if response is not None:
            response.assessments.append(assessment)

    def record(self, event: Event) -> None:
        """Take note of an event.

        Raises:
            NotRecordedError: The answer that it is part of must not be given.
        """
        self._in_turn(partial(self._take, event))

    def close_all(self) -> None:
        """Close what is still open as interrupted, so that it is on record."""
        self._in_turn(self._close_all)

    def after_fork_in_child(self) -> None:
        """Leave what is open to the parent, in whose process it goes on."""
        self._lock = threading.Lock()
        self._inbox = _Inbox()
        self._left_behind.extend(self._runs)
        self._runs, self._responses, self._awaited = {}, {}, {}
        self._counts = Counts()

    def _in_turn(self, work: Callable[[], None]) -> None:
        inbox = self._inbox
        if inbox.busy:
            inbox.waiting.append(work)
            return
        inbox.busy = True
        try:
            work()
        finally:
            self._catch_up(inbox)

    @staticmethod
    def _catch_up(inbox: _Inbox) -> None:
        """Do what came meanwhile; whose answers those are, nobody is there to be told."""
        try:
            while inbox.waiting:
                with suppress(NotRecordedError):
                    inbox.waiting.popleft()()
        finally:
            inbox.busy = False

    def _take(self, event: Event) -> None:
        try:
            self._handlers[type(event)](event)
        except NotRecordedError:
            raise
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.faults.note(f"recorder.{type(event).__name__}", error)

    def _close_all(self) -> None:
        with self._lock:
            left = list(self._responses.values())
            for response in left:
                self._forget(response)
        for response in left:
            self._interrupt(response)

    # --- starts

    def _start(self, event: StartEvent, kind: RunKind) -> OpenRun | None:
        if suppressed():
            self._suppress(event)
            return None
        at = self.clock() if event.at is None else event.at
        lost = None
        with self._lock:
            self._counts.started += 1
            if event.run_id in self._runs or event.run_id in self._responses:
                self._counts.dropped["told twice"] += 1
                self._left_behind.append(event.run_id)  # so they will tell of its end
                return None
            parent = self._parent(event)
            response = (
                parent.response if parent else OpenResponse(event.run_id, at, event.framework)
            )
            run = OpenRun(event, kind, parent, response, at)
            if parent is None:
                response.root = run
                lost = self._oldest_beyond_limit()
                self._responses[event.run_id] = response
            elif response.framework == "python":
                response.framework = event.framework
            self._runs[event.run_id] = response.runs[event.run_id] = run
            response.begun += 1
            if kind == "generation":
                response.open_generations.add(event.run_id)
        self._concern(run, event)
        if lost is not None:
            self.faults.count("responses that never ended")
            self._interrupt(lost)
        run.span = self._open_span(run)
        if run.span is not None and kind == "generation":
            outer = None if run.span.suppressed else run.outer_span()
            response.prompted_in[event.run_id] = outer or run.span
        return run

    def _suppress(self, event: StartEvent) -> None:
        with self._lock:
            self._counts.started += 1
            self._counts.dropped["suppressed"] += 1
            self._left_behind.append(event.run_id)

    def _parent(self, event: StartEvent) -> OpenRun | None:
        parent = self._runs.get(event.parent_id) if event.parent_id else None
        scope = current_scope() if parent is None else None
        if scope is None:
            return parent
        return self._runs.get(scope.run_id) or self._reopened(scope.run_id, event)

    def _reopened(self, root_id: str, event: StartEvent) -> OpenRun | None:
        """The root of a block that ended before the task that is only now beginning."""
        if not (isinstance(event, RunStarted) and event.detached):
            return None
        root = self._awaited.pop(root_id, None)
        if root is not None:
            root.span = None  # it has ended
            self._counts.dropped["no search and no model call"] -= root.response.begun
            self._runs[root_id] = root.response.runs[root_id] = root
            self._responses[root_id] = root.response
        return root

    def _oldest_beyond_limit(self) -> OpenResponse | None:
        if len(self._responses) < MAX_OPEN_RESPONSES:
            return None
        oldest = next(iter(self._responses.values()))
        self._forget(oldest)
        return oldest

    def _open_span(self, run: OpenRun) -> StageSpan | None:
        if self.spans is None:
            return None
        start, response = run.start, run.response
        opened = SpanStart(
            _stage_kind(run),
            _stage_name(run),
            run.run_id,
            run.started,
            start.span,
            response.session_id,
            response.user_id,
            response.response_id,
        )
        outer = run.outer_span()
        return outer.child(opened) if outer else self.spans.root(opened)

    def _run_started(self, event: RunStarted) -> None:
        run = self._start(event, "run")
        if run is not None:
            response = run.response
            response.checks = response.checks or event.checks
            response.check = event.check if response.check is None else response.check
            if event.detached:
                run.response.detached.add(event.run_id)
            if run.parent is None:
                response.service = cleaned(event.service)
                self._ask(run.response, event.question)
            elif run.parent_id is None and run.response.asked_inside is None:
                run.response.asked_inside = cleaned(event.question)

    def _retrieval_started(self, event: RetrievalStarted) -> None:
        self._start(event, "retrieval")

    def _prompt_sent(self, event: PromptSent) -> None:
        run = self._start(event, "generation")
        if run is None:
            return
        response = run.response
        self._derived(response, event.carried)
        told = [] if event.auxiliary else [chunk_record(chunk) for chunk in event.carried]
        with self._lock:
            response.told.update((chunk.chunk_id, chunk) for chunk in told)
            new = response.new_sources()
        if new:
            self.reports.sources_known(response, run.started)
        else:
            self.reports.insist(response)

    def _tool_called(self, event: ToolCalled) -> None:
        self._start(event, "tool")

    def _concern(self, run: OpenRun, event: StartEvent) -> None:
        """Note whose the response is: as the host tells it, else as the code around it was marked."""
        response = run.response
        if not isinstance(event, ToolCalled):
            response.session_id = response.session_id or event.session_id
            response.user_id = response.user_id or event.user_id
        if run.parent_id is None and not (response.session_id and response.user_id):
            session_id, user_id = self.ambient()  # the outermost run may be a block around the mark
            response.session_id = response.session_id or session_id
            response.user_id = response.user_id or user_id

    @staticmethod
    def _ask(response: OpenResponse, question: str | None) -> None:
        """Take note of the question, where it is told; what is told later is more exact."""
        if question is not None:
            response.question = cleaned(question)

    # --- what happens within

    def _retrieval_described(self, event: RetrievalDescribed) -> None:
        run = self._runs.get(event.run_id)
        if run is not None and run.kind == "retrieval":
            run.described = event

    def _access_decided(self, event: AccessDecided) -> None:
        run = self._runs.get(event.run_id)
        if run is None or run.kind != "retrieval":
            self.faults.count("decisions on access without their search")
            return
        self.reports.configured(event.configurations)
        with self._lock:
            run.response.decided_in(run, event.decisions)

    def _answer_reused(self, event: AnswerReused) -> None:
        run = self._runs.get(event.run_id)
        if run is None:
            self.faults.count("answers reused outside of a response")
        else:
            self._reuse(run.response, event.response_id)

    def _reuse(self, response: OpenResponse, response_id: str) -> None:
        earlier = canonical_id(response_id)
        if earlier not in (*response.reused, canonical_id(response.response_id)):
            response.reused[earlier] = None
            self.reports.reused(response, earlier)

    def _heard(self, response: OpenResponse, ended: GenerationEnded) -> None:
        """Note whose message this is; the host's cache may have that of an earlier response."""
        if ended.message_id is None:
            return
        if not ended.cached:
            self.reports.messages.heard(ended.message_id, response.response_id)
        elif earlier := self.reports.messages.first_in(ended.message_id):
            self._reuse(response, earlier)

    def _generation_streamed(self, event: GenerationStreamed) -> None:
        run = self._runs.get(event.run_id)
        if run is not None:
            run.streamed = event.output
            _ = run.reference  # while whoever else writes its span still has it open

    def _context_selected(self, event: ContextSelected) -> None:
        run = self._runs.get(event.run_id)
        if run is not None:
            run.response.selected(event)

    def _reranked(self, event: Reranked) -> None:
        run = self._runs.get(event.run_id)
        if run is None:
            self.faults.count("reranked outside of a response")
            return
        record = rerank_record(run, event, self.clock() if event.at is None else event.at)
        run.response.reranks.append(record)
        if outer := run.nearest_span():
            outer.rerank(record, event.span)

    # --- ends

    def _end(self, run_id: str, at: int | None) -> tuple[OpenRun, int] | None:
        """Take the run out of the tree; None (and counted) if it is not there any more."""
        with self._lock:
            run = self._runs.pop(run_id, None)
            if run is not None:
                run.response.runs.pop(run_id, None)
                run.response.open_generations.discard(run_id)
                run.response.being_recorded += 1
        if run is None:
            if run_id not in self._left_behind and not suppressed():
                self.faults.count("events after their run had ended")
            return None
        return run, self.clock() if at is None else at

    def _retrieval_ended(self, event: RetrievalEnded) -> None:
        if ended := self._end(event.run_id, event.at):
            run, at = ended
            try:
                self._retrieval_over(run, event.chunks, at, None)
            finally:
                self._recorded(run, at)

    def _retrieval_over(
        self, run: OpenRun, chunks: Sequence[RetrievedChunk], at: int, error: BaseException | None
    ) -> None:
        retrieval = retrieval_record(run, chunks, at, error, self._hash_in(run))
        run.response.retrievals.append(retrieval)
        if retrieval.access:
            self.reports.decided(run.response, retrieval)
        self._derived(run.response, chunks)
        if run.span is not None:
            run.span.end(retrieval, at=at)

    def _derived(self, response: OpenResponse, chunks: Sequence[RetrievedChunk]) -> None:
        """Note what the chunks' documents were made from."""
        try:
            for derivation in filter(None, map(derivation_record, chunks)):
                response.derivations[derivation] = None
                self.reports.derived(derivation)
        except Exception as error:  # noqa: BLE001  # metadata may be anything; the search itself matters more
            self.faults.note("derived documents", error)

    def _generation_ended(self, event: GenerationEnded) -> None:
        if ended := self._end(event.run_id, event.at):
            run, at = ended
            try:
                self._heard(run.response, event)
                self._generation_over(run, at, event, None)
            finally:
                self._recorded(run, at)

    def _generation_over(
        self, run: OpenRun, at: int, ended: GenerationEnded | None, error: BaseException | None
    ) -> None:
        generation = generation_record(run, at, ended, describe(error))
        run.response.generations.append(generation)
        if run.span is not None:
            run.span.end(generation, at=at)

    def _tool_returned(self, event: ToolReturned) -> None:
        if ended := self._end(event.run_id, event.at):
            run, at = ended
            try:
                self._tool_over(run, event, at, None)
            finally:
                self._recorded(run, at)

    def _tool_over(
        self, run: OpenRun, returned: ToolReturned | None, at: int, error: BaseException | None
    ) -> None:
        call = tool_record(run, returned, at, error, self._hash_in(run))
        run.response.tool_calls.append(call)
        if run.span is not None:
            run.span.end(call, at=at)

    def _step_over(
        self, run: OpenRun, output: str | None, at: int, error: BaseException | None
    ) -> None:
        step = step_record(run, output, at, error, self._hash_in(run))
        run.response.steps.append(step)
        if run.span is not None:
            run.span.end(step, at=at)

    def _hash_in(self, run: OpenRun) -> Callable[[str], str]:
        return partial(self.reports.query_hash_in, run.response)

    def _run_ended(self, event: RunEnded) -> None:
        if ended := self._end(event.run_id, event.at):
            run, at = ended
            try:
                if run.decides:
                    self._response_ended(run.response, event)
                self._over(run, at, None, event.output)
            finally:
                self._recorded(run, at)

    def _response_ended(self, response: OpenResponse, event: RunEnded) -> None:
        self._ask(response, event.question)
        response.output = cleaned(event.output)
        if event.interrupted:
            response.status = "interrupted"
        elif event.abandoned and response.open_generations:
            # The consumer left; the model is drained behind its back.
            response.status = "aborted"
            response.output = response.heard_by_then()

    def _run_failed(self, event: RunFailed) -> None:
        if ended := self._end(event.run_id, event.at):
            run, at = ended
            try:
                self._over(run, at, event.error, event.output)
                if run.decides:
                    self._response_failed(run.response, event)
            finally:
                self._recorded(run, at)

    def _response_failed(self, response: OpenResponse, event: RunFailed) -> None:
        self._ask(response, event.question)
        response.status = "error" if isinstance(event.error, Exception) else "aborted"
        response.error = describe(event.error)
        response.output = cleaned(event.output)
        response.output = response.heard_by_then()

    def _over(
        self, run: OpenRun, at: int, error: BaseException | None, output: str | None = None
    ) -> None:
        """Record a run of any kind of which no more is known than that it is over."""
        if run.kind == "retrieval":
            self._retrieval_over(run, (), at, error)
        elif run.kind == "tool":
            self._tool_over(run, None, at, error)
        elif run.kind == "generation":
            self._generation_over(run, at, None, error)
        elif run.parent is not None:
            self._step_over(run, output, at, error)

    # --- closing

    def _recorded(self, run: OpenRun, at: int) -> None:
        """Close the response if this was the last thing it waited for."""
        response = run.response
        with self._lock:
            response.being_recorded -= 1
            if run.decides:
                response.ended = at
            response.detached.discard(run.run_id)
            open_still = response.open_generations or response.detached
            waiting = (
                response.ended is None
                or (open_still and response.error is None)
                or response.being_recorded
            )
            if waiting or self._responses.get(response.response_id) is not response:
                return
            self._forget(response)
            self._await_tasks(response)
        self._complete(response, response.status)

    def _await_tasks(self, response: OpenResponse) -> None:
        """Keep the root of a block in which nothing has happened yet, for a while."""
        if response.framework == "python" and not (response.is_an_answer or response.error):
            self._awaited[response.response_id] = response.root
            if len(self._awaited) > _AWAITED:
                del self._awaited[next(iter(self._awaited))]

    def _interrupt(self, response: OpenResponse) -> None:
        """Complete a response whose end nobody has told; so there is nobody to refuse it to."""
        with suppress(NotRecordedError):
            self._complete(response, "interrupted")

    def _complete(self, response: OpenResponse, status: Status) -> None:
        at = self.clock() if response.ended is None else response.ended
        recorded = 0
        why: Dropped = "could not be recorded"
        try:
            self.reports.complete(response, status, at)
            if response.is_an_answer:
                recorded = response.recorded
            else:
                why = "no search and no model call"
        except NotRecordedError:
            raise
        except Exception as error:  # noqa: BLE001  # one response must not cost the next one's record
            self.faults.note("completing a response", error)
            response.unrecorded["response"] = error
            self.reports.insist(response)
        finally:
            with self._lock:
                self._counts.recorded += recorded
                self._counts.dropped[why] += response.begun - recorded

    def _forget(self, response: OpenResponse) -> None:
        self._responses.pop(response.response_id, None)
        for run_id in response.runs:
            self._runs.pop(run_id, None)
            self._left_behind.append(run_id)


def _stage_kind(run: OpenRun) -> StageKind:
    if run.kind != "run":
        return run.kind
    if isinstance(run.start, RunStarted) and run.start.agent:
        return "agent"
    return "request" if run.parent is None else "step"


def _stage_name(run: OpenRun) -> str:
    start = run.start
    if isinstance(start, PromptSent):
        return start.model or ""
    return start.retriever if isinstance(start, RetrievalStarted) else start.name
