"""What is told of a response: to the ledger before a model is called, and to all when it is complete.

In the order of worth: ledger, trail store, spans. One that fails costs the others nothing, and the user's
answer only where that was asked for: then `NotRecordedError` is raised when all else is done.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from doctrail_core.capture.assembly import with_arrivals
from doctrail_core.capture.carrying import Earlier
from doctrail_core.capture.messages import Messages
from doctrail_core.capture.receipts import NotRecordedError
from doctrail_core.capture.records import (
    access_body,
    generation_record,
    retrieval_record,
    step_record,
    tool_record,
    utc,
)
from doctrail_core.capture.redaction import redact
from doctrail_core.capture.response import OpenResponse, OpenRun
from doctrail_core.capture.sessions import Past, Sessions
from doctrail_core.capture.settings import Settings
from doctrail_core.capture.sinks import Checks, FaultSink, LedgerSink, TrailSink
from doctrail_core.model import (
    CarriedChunk,
    Derivation,
    EntryKind,
    Generation,
    PolicyConfiguration,
    Receipt,
    Retrieval,
    Status,
    Step,
    ToolCall,
    Trail,
)
from doctrail_core.model.trail import arrived_in
from doctrail_core.text.citations import citations

_LEFT_OPEN = "never ended"
_MOST_BEHIND = 256
"""So many chunks that were behind earlier answers are recorded, those of the latest: in a conversation of
hundreds of turns, every one would bring along whatever was retrieved in it."""
_NOTED = 10_000
_LEFT_OUT = "chunks behind answers of long ago, not recorded again"


@dataclass(frozen=True, slots=True)
class Closed:
    """A response that is complete: its trail with all texts, what is kept of it, and who may check it.

    Attributes:
        receipt: None if it could not be put on record.
    """

    trail: Trail
    kept: Trail
    receipt: Receipt | None
    checks: Checks | None
    check: bool | None


@dataclass(slots=True, eq=False)
class Reports:
    """Makes the trail of a response, as far as it is known, and hands it on."""

    settings: Settings
    ledger: LedgerSink
    trails: TrailSink
    sessions: Sessions
    messages: Messages
    faults: FaultSink
    query_hash: Callable[[str], str]
    closed: Callable[["Closed"], None]
    _noted: OrderedDict[Hashable, None] = field(default_factory=OrderedDict[Hashable, None])
    """What was put on record once and need not be again, the latest."""

    def configured(self, policies: Iterable[PolicyConfiguration]) -> None:
        """Put policies on record when this process first decides by them."""
        for policy in policies:
            body = {"what": "access policy", **asdict(policy)}
            self._note_once(
                (os.getpid(), policy), "configured", body
            )  # each process says it itself

    def decided(self, response: OpenResponse, retrieval: Retrieval) -> None:
        """Put on record what a search was allowed to hand on, before it does."""
        search = len(response.retrievals)
        for decision in retrieval.access:
            body = access_body(decision, retrieval, search, self.settings.content)
            self._note("access", body, response)

    def derived(self, derivation: Derivation) -> None:
        """Put on record what a document was made from."""
        body = {"document": derivation.document_id, "from": list(derivation.sources)}
        self._note_once(derivation, "derived", body)

    def reused(self, response: OpenResponse, earlier: str) -> None:
        """Put on record that a response gives the answer of an earlier one."""
        self._note("reused", {"of": earlier}, response)

    def _note_once(self, what: Hashable, event: str, body: Mapping[str, Any]) -> None:
        if what in self._noted:
            return
        self._noted[what] = None
        if len(self._noted) > _NOTED:
            self._noted.popitem(last=False)
        if not self._note(event, body):
            self._noted.pop(what, None)

    def sources_known(self, response: OpenResponse, at: int) -> None:
        """Put on record what was retrieved so far.

        Raises:
            NotRecordedError: It cannot be, and then the answer is not wanted.
        """
        retrieved = response.retrieved()
        carried = tuple(
            CarriedChunk(chunk, "artifact")
            for chunk_id, chunk in response.told.items()
            if chunk_id not in retrieved
        )
        known = self._trail(response, "interrupted", at, carried=carried, beginning=True)
        if not self._put_on_ledger("retrieved", redact(known, self.settings.content), response):
            response.on_record.clear()  # it is tried again before the next call
        self.insist(response)

    def complete(self, response: OpenResponse, status: Status, at: int) -> None:
        """Match arrivals, complete the ledger, keep the trail, end the spans.

        Raises:
            NotRecordedError: It cannot be put on record, and then the answer is not wanted.
        """
        for run in list(response.runs.values()):
            self._left_open(run, at)
        response.mark_preparations()
        trail = None
        if response.is_an_answer:
            past = self._past(response)
            trail = self._trail(response, status, at, turn=past.turn)
            trail = self._with_citations(self._with_arrivals(trail, response, past))
            kept = redact(trail, self.settings.content)
            receipt = self._put_on_ledger("answered", kept, response)
            self._keep(kept, response)
            self._remember(trail)
            self.closed(Closed(trail, kept, receipt, response.checks, response.check))
        self._end_root_span(response, trail, at)
        self.insist(response)

    def insist(self, response: OpenResponse) -> None:
        """Let no answer be given that could not be put on record, if that is asked for.

        Raises:
            NotRecordedError: This is such an answer.
        """
        if self.settings.when_unrecorded == "refuse" and response.status not in (
            "error",
            "aborted",
        ):
            for error in response.unrecorded.values():
                raise NotRecordedError(response.response_id, _reason(error)) from error

    def so_far(self, response: OpenResponse, at: int) -> Trail:
        """What is known of a response that is still open, with what arrived in its prompts."""
        session = response.session_id
        past = self.sessions.known(session) if session else Past()
        trail = self._trail(response, "interrupted", at, turn=past.turn)
        steps = (*trail.steps, *self._steps_under_way(response, at))
        return self._with_arrivals(replace(trail, steps=steps), response, past)

    def _steps_under_way(self, response: OpenResponse, at: int) -> Iterator[Step]:
        """The runs that have yet to end, for what is inside of them says so by their names."""
        query_hash = partial(self.query_hash_in, response)
        for run in list(response.runs.values()):
            if run.kind == "run" and run.parent is not None:
                yield step_record(run, None, at, None, query_hash)

    def query_hash_in(self, response: OpenResponse, query: str) -> str:
        """The query's hash; most responses ask one question three times over."""
        known = response.query_hashes.get(query)
        if known is None:
            known = response.query_hashes[query] = self.query_hash(query)
        return known

    def _left_open(self, run: OpenRun, at: int) -> None:
        """A run that the host began and never ended, as cancelled tasks leave them."""
        response, query_hash = run.response, partial(self.query_hash_in, run.response)
        stage: Retrieval | Generation | ToolCall | Step | None = None
        if run.kind == "generation":
            stage = generation_record(run, None, None, _LEFT_OPEN)
            response.generations.append(stage)
        elif run.kind == "retrieval":
            stage = replace(retrieval_record(run, (), at, None, query_hash), error=_LEFT_OPEN)
            response.retrievals.append(stage)
            self.decided(response, stage)
        elif run.kind == "tool":
            stage = replace(tool_record(run, None, at, None, query_hash), error=_LEFT_OPEN)
            response.tool_calls.append(stage)
        elif run.parent is not None:
            stage = replace(step_record(run, None, at, None, query_hash), error=_LEFT_OPEN)
            response.steps.append(stage)
        if stage is not None and run.span is not None:
            run.span.end(stage, at=at)

    def _end_root_span(self, response: OpenResponse, trail: Trail | None, at: int) -> None:
        root = response.root
        if root.span is None:
            return
        for context in trail.contexts if trail else ():
            if trail and context.arrivals:
                around = response.prompted_in.get(context.generation_id, root.span)
                around.context(context, trail)
        if root.kind == "run":
            root.span.end(trail, at=at, error=response.error)

    def _put_on_ledger(
        self, kind: EntryKind, trail: Trail, response: OpenResponse
    ) -> Receipt | None:
        try:
            receipt = self.ledger.append(kind, trail)
        except Exception as error:  # noqa: BLE001  # a full disk must not cost the user the answer
            self.faults.note("ledger", error)
            response.unrecorded["sources"] = error
            return None
        response.unrecorded.pop("sources", None)  # each time, all that are known by then
        return receipt

    def _note(
        self, event: str, body: Mapping[str, Any], response: OpenResponse | None = None
    ) -> bool:
        try:
            self.ledger.note(event, body, response_id=response.response_id if response else None)
        except Exception as error:  # noqa: BLE001  # likewise
            self.faults.note("ledger", error)
            if response is not None:
                response.unrecorded[event] = error
            return False
        return True

    def _keep(self, trail: Trail, response: OpenResponse) -> None:
        try:
            self.trails.append(trail)
        except Exception as error:  # noqa: BLE001  # likewise
            self.faults.note("trail store", error)
            response.unrecorded["texts"] = error

    def _trail(
        self,
        response: OpenResponse,
        status: Status,
        at: int,
        *,
        turn: int | None = None,
        carried: tuple[CarriedChunk, ...] = (),
        beginning: bool = False,
    ) -> Trail:
        asked = response.asked()
        root = response.root
        written = root.reference_by_now if beginning else root.reference
        return Trail(
            response_id=response.response_id,
            status=status,
            started_at=utc(response.started),
            ended_at=utc(at),
            query_hash=self.query_hash_in(response, asked),
            question=asked,
            answer=response.answered(),
            session_id=response.session_id,
            user_id=response.user_id,
            trace_id=written.trace_id if written else None,
            service=response.service or self.settings.service,
            framework=response.framework,
            error=response.error,
            retrievals=tuple(response.retrievals),
            generations=tuple(response.generations),
            tool_calls=tuple(response.tool_calls),
            steps=tuple(response.steps),
            carried=carried,
            assessments=tuple(response.assessments),
            turn=turn,
            derivations=tuple(response.derivations),
            reused=tuple(response.reused),
            reranks=tuple(response.reranks),
        )

    def _with_arrivals(self, trail: Trail, response: OpenResponse, past: Past) -> Trail:
        """The trail, once its prompts were searched for its own chunks and those of earlier turns."""
        earlier = Earlier(past, response.told.values(), response.named_apart)
        try:
            found = with_arrivals(trail, response.selections, response.asked(), earlier)
        except Exception as error:  # noqa: BLE001  # the ledger entry matters more than the match
            self.faults.note("arrival", error)
            return trail
        carried = self._bounded(found.carried)
        return found if carried is found.carried else replace(found, carried=carried)

    def _with_citations(self, trail: Trail) -> Trail:
        """The trail, with the sources that its answer names."""
        if not trail.answer:
            return trail
        try:
            found = citations(trail.answer, trail.chunks, arrived_in(trail.contexts))
        except Exception as error:  # noqa: BLE001  # likewise
            self.faults.note("citations", error)
            return trail
        return replace(trail, citations=found) if found else trail

    def _past(self, response: OpenResponse) -> Past:
        if response.session_id is None:
            return Past()
        continued = bool(response.told) or any(
            message.role == "assistant" for g in response.generations for message in g.messages
        )
        return self.sessions.enter(response.session_id, continued=continued)

    def _bounded(self, carried: tuple[CarriedChunk, ...]) -> tuple[CarriedChunk, ...]:
        """All whose text was in a prompt, and of those behind earlier answers the latest."""
        if len(carried) <= _MOST_BEHIND:
            return carried
        behind = [each for each in carried if each.through is not None]
        if len(behind) <= _MOST_BEHIND:
            return carried
        self.faults.count(_LEFT_OUT, len(behind) - _MOST_BEHIND)
        present = [each for each in carried if each.through is None]
        return *present, *behind[-_MOST_BEHIND:]

    def _remember(self, trail: Trail) -> None:
        try:
            self.sessions.remember(trail)
        except Exception as error:  # noqa: BLE001  # the answer is on record; a later turn may miss it
            self.faults.note("remembering a turn", error)


def _reason(error: Exception) -> str:
    # What the operating system says holds no content; who knows about others.
    return str(error) if isinstance(error, OSError) else type(error).__name__
