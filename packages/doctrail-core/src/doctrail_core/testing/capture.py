"""Catch the trails of a block, without files and without waiting."""

import itertools
import threading
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.grounding.settings import Grounding
from doctrail_core.model import Assessment, Diagnosis, EntryKind, Receipt, Trail
from doctrail_core.text.identity import content_hash

FIRST_TICK = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
TICK = 1_000_000_000


class TickingClock:
    """One second later at every look, so that times in snapshots stay the same."""

    def __init__(self) -> None:
        """Begin at 2026-01-01T00:00:00Z."""
        self._lock = threading.Lock()
        self._now = FIRST_TICK - TICK

    def __call__(self) -> int:
        """Nanoseconds since the epoch."""
        with self._lock:
            self._now += TICK
            return self._now


class CountingIds(IdGenerator):
    """Trace and span ids 1, 2, 3, ..., so that they stay the same in snapshots."""

    def __init__(self) -> None:
        """Begin at 1."""
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    def generate_trace_id(self) -> int:
        """The next trace id."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """The next span id."""
        return next(self._spans)


@dataclass
class MemoryFaults:
    """Keeps every swallowed error, for tests to assert that there was none."""

    errors: list[tuple[str, BaseException]] = field(default_factory=list[tuple[str, BaseException]])
    counted: dict[str, int] = field(default_factory=dict[str, int])

    def note(self, where: str, error: BaseException) -> None:
        """Keep the error."""
        self.errors.append((where, error))

    def count(self, what: str, number: int = 1) -> None:
        """Count what was dropped."""
        self.counted[what] = self.counted.get(what, 0) + number


@dataclass
class MemoryLedger:
    """Keeps what was put on record, in order."""

    entries: list[tuple[EntryKind, Trail]] = field(default_factory=list[tuple[EntryKind, Trail]])
    origin: str | None = None
    events: list[tuple[str, Mapping[str, Any], str | None]] = field(
        default_factory=list[tuple[str, Mapping[str, Any], str | None]]
    )

    def append(self, kind: EntryKind, trail: Trail) -> Receipt:
        """Keep the fact."""
        self.entries.append((kind, trail))
        return Receipt(
            origin=None,
            writer="memory",
            counter=len(self.entries) - 1,
            response_id=trail.response_id,
            answer_hash=content_hash(trail.answer) if trail.answer else trail.answer_hash,
            time=trail.ended_at,
        )

    def note(self, event: str, body: Mapping[str, Any], *, response_id: str | None = None) -> None:
        """Keep the event."""
        self.events.append((event, body, response_id))


@dataclass
class MemoryTrails:
    """Keeps finished trails, in the order they closed."""

    closed: list[Trail] = field(default_factory=list[Trail])
    assessments: list[Assessment] = field(default_factory=list[Assessment])
    diagnoses: list[Diagnosis] = field(default_factory=list[Diagnosis])

    def append(self, trail: Trail) -> None:
        """Keep the trail."""
        self.closed.append(trail)

    def append_assessment(self, assessment: Assessment) -> None:
        """Keep what was found."""
        self.assessments.append(assessment)

    def append_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Keep whose fault it was."""
        self.diagnoses.append(diagnosis)

    def get(self, response_id: str) -> Trail | None:
        """The latest trail of that id, with what was said about it."""
        found = next((t for t in reversed(self.closed) if t.response_id == response_id), None)
        return found and replace(
            found,
            assessments=tuple(a for a in self.assessments if a.response_id == response_id),
            diagnoses=tuple(d for d in self.diagnoses if d.response_id == response_id),
        )


@dataclass
class MemoryStorage:
    """Keeps everything in memory under a fixed key."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    trails: MemoryTrails = field(default_factory=MemoryTrails)
    faults: MemoryFaults = field(default_factory=MemoryFaults)

    def key(self) -> bytes:
        """A key that is no secret."""
        return bytes(32)

    def get(self, response_id: str) -> Trail | None:
        """The latest trail of that id."""
        return self.trails.get(response_id)

    def session(
        self,
        session_id: str,
        *,
        limit: int,
        known: Collection[str],
        unmoved: bool,  # noqa: ARG002  # nothing waits to be moved
    ) -> Sequence[Trail]:
        """The latest trails of a session that are not known."""
        latest = [t for t in self.trails.closed if t.session_id == session_id][-limit:]
        return [trail for trail in latest if trail.response_id not in known]

    def heard_in(self, message_id: str) -> str | None:
        """The first response that has a message of this id."""
        having = (
            t.response_id
            for t in self.trails.closed
            if any(g.message_id == message_id for g in t.generations)
        )
        return next(having, None)

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  # memory needs no waiting
        """Nothing to wait for."""
        return True

    def close(self) -> None:
        """Nothing to give up."""


class CapturedLineage(Lineage):
    """A lineage in memory."""

    def __init__(
        self, settings: Settings | None = None, grounding: Grounding | None = None
    ) -> None:
        """Record with these settings (default: everything, no texts on spans, no checks)."""
        self.storage = MemoryStorage()
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(id_generator=CountingIds(), shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        super().__init__(
            settings or Settings(),
            tracer_provider=self.tracer_provider,
            clock=TickingClock(),
            storage=self.storage,
            grounding=grounding,
        )

    @property
    def trails(self) -> list[Trail]:
        """The trails that closed, in order."""
        return self.storage.trails.closed

    @property
    def assessments(self) -> list[Assessment]:
        """What checks found, in order; `flush` waits for those in the background."""
        return self.storage.trails.assessments

    @property
    def entries(self) -> list[tuple[EntryKind, Trail]]:
        """What went on the ledger, in order."""
        return self.storage.ledger.entries

    @property
    def events(self) -> list[tuple[str, Mapping[str, Any], str | None]]:
        """The events that went on the ledger beside, in order: kind, body, response."""
        return self.storage.ledger.events

    @property
    def errors(self) -> list[tuple[str, BaseException]]:
        """Errors that were swallowed; a healthy adapter leaves none."""
        return self.storage.faults.errors

    @property
    def dropped(self) -> dict[str, int]:
        """What was dropped, counted by reason."""
        return self.storage.faults.counted

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that ended, in order."""
        return self._exporter.get_finished_spans()

    def span_tree(self) -> list[Any]:
        """The ended spans as `[name, [children]]`, for assertions on their shape."""
        spans = sorted(self.spans, key=lambda span: span.start_time or 0)
        known = {_id(span) for span in spans}

        def below(parent: int | None) -> list[Any]:
            return [[s.name, below(_id(s))] for s in spans if _parent(s, known) == parent]

        return below(None)


def _id(span: ReadableSpan) -> int:
    return span.context.span_id if span.context else 0


def _parent(span: ReadableSpan, known: set[int]) -> int | None:
    return span.parent.span_id if span.parent and span.parent.span_id in known else None


@contextmanager
def capture_trails(
    settings: Settings | None = None, grounding: Grounding | None = None
) -> Generator[CapturedLineage]:
    """Yield a lineage in memory to hand to an adapter; look at its `trails` afterwards."""
    captured = CapturedLineage(settings, grounding)
    try:
        yield captured
    finally:
        captured.close()
        captured.tracer_provider.shutdown()
