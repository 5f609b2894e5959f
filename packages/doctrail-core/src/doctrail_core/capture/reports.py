"""What is told of a response: to the ledger before a model is called, and to all when it is complete.

In the order of worth: ledger, trail store, spans. One that fails costs neither the user's answer nor
the others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from doctrail_core.capture.assembly import assemble, settled
from doctrail_core.capture.records import (
    generation_record,
    retrieval_record,
    step_record,
    tool_record,
    utc,
)
from doctrail_core.capture.redaction import redact
from doctrail_core.capture.response import OpenResponse, OpenRun
from doctrail_core.capture.settings import Settings
from doctrail_core.capture.sinks import FaultSink, LedgerSink, TrailSink
from doctrail_core.model import Context, EntryKind, Status, Trail

_LEFT_OPEN = "never ended"


@dataclass(slots=True, eq=False)
class Reports:
    """Makes the trail of a response, as far as it is known, and hands it on."""

    settings: Settings
    ledger: LedgerSink
    trails: TrailSink
    faults: FaultSink
    query_hash: Callable[[str], str]
    closed: Callable[[Trail], None]

    def sources_known(self, response: OpenResponse, at: int) -> None:
        """Put on record what was retrieved so far."""
        known = self._trail(response, "interrupted", at, ())
        self._put_on_ledger("retrieved", redact(known, self.settings.content))

    def complete(self, response: OpenResponse, status: Status, at: int) -> None:
        """Match arrivals, complete the ledger, keep the trail, end the spans."""
        for run in list(response.runs.values()):
            self._left_open(run, at)
        trail = None
        if response.is_an_answer:
            trail = self._trail(response, status, at, self._contexts(response))
            kept = redact(trail, self.settings.content)
            self._put_on_ledger("answered", kept)
            self._keep(kept)
            self.closed(kept)
        self._end_root_span(response, trail, at)

    def query_hash_in(self, response: OpenResponse, query: str) -> str:
        """The query's hash; most responses ask one question three times over."""
        known = response.query_hashes.get(query)
        if known is None:
            known = response.query_hashes[query] = self.query_hash(query)
        return known

    def _left_open(self, run: OpenRun, at: int) -> None:
        """A run that the host began and never ended, as cancelled tasks leave them."""
        response, query_hash = run.response, partial(self.query_hash_in, run.response)
        stage = None
        if run.kind == "generation":
            stage = generation_record(run, None, None, _LEFT_OPEN)
            response.generations.append(stage)
        elif run.kind == "retrieval":
            stage = replace(retrieval_record(run, (), at, None, query_hash), error=_LEFT_OPEN)
            response.retrievals.append(stage)
        elif run.kind == "tool":
            stage = replace(tool_record(run, None, at, None, query_hash), error=_LEFT_OPEN)
            response.tool_calls.append(stage)
        elif run.parent is not None:
            step = step_record(run, None, at, None, query_hash)
            response.steps.append(replace(step, error=_LEFT_OPEN))
        if stage is not None and run.span is not None:
            run.span.end(stage, at=at)

    def _end_root_span(self, response: OpenResponse, trail: Trail | None, at: int) -> None:
        root = response.root
        if root.span is None:
            return
        for context in trail.contexts if trail else ():
            if trail and context.arrivals:
                root.span.context(context, trail)
        if root.kind == "run":
            root.span.end(trail, at=at)

    def _put_on_ledger(self, kind: EntryKind, trail: Trail) -> None:
        try:
            self.ledger.append(kind, trail)
        except Exception as error:  # noqa: BLE001  # a full disk must not cost the user the answer
            self.faults.note("ledger", error)

    def _keep(self, trail: Trail) -> None:
        try:
            self.trails.append(trail)
        except Exception as error:  # noqa: BLE001  # likewise
            self.faults.note("trail store", error)

    def _trail(
        self, response: OpenResponse, status: Status, at: int, contexts: tuple[Context, ...]
    ) -> Trail:
        asked = response.asked()
        span = response.root.span
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
            trace_id=span.trace_id if span else None,
            service=self.settings.service,
            framework=response.framework,
            error=response.error,
            retrievals=tuple(response.retrievals),
            contexts=contexts,
            generations=tuple(response.generations),
            tool_calls=tuple(response.tool_calls),
            steps=tuple(response.steps),
        )

    def _contexts(self, response: OpenResponse) -> tuple[Context, ...]:
        try:
            return settled(
                assemble(generation, response.retrievals, response.selections, response.asked())
                for generation in response.generations
                if not generation.auxiliary
            )
        except Exception as error:  # noqa: BLE001  # the ledger entry matters more than the match
            self.faults.note("arrival", error)
            return ()
