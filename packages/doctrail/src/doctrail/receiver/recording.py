"""Puts the answers of received traces on record, each once.

Invariant: a span leaves the inbox only when its answer is on stable storage; what is on record already,
since the application itself or an earlier attempt put it there, is not recorded again.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from doctrail.errors import UsageError
from doctrail.receiver.inbox import ROOM, Inbox, Taken
from doctrail_core import NotRecordedError
from doctrail_core.durable.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from opentelemetry.trace import TracerProvider

    from doctrail.receiver.span import ReceivedSpan
    from doctrail.receiver.translation import Response
    from doctrail_core import Lineage, Settings
    from doctrail_core.capture.events import Event
    from doctrail_core.capture.settings import Spans
    from doctrail_core.durable.home import Home
    from doctrail_core.durable.lease import Lease
    from doctrail_core.grounding.settings import Grounding
    from doctrail_core.model import SpanReference
    from doctrail_core.trails.store import TrailReading

__all__ = ["Outcome", "Recording", "in_words", "recording"]

Outcome = Literal["recorded", "on record before", "too late", "no answer", "set aside"]
"""What becomes of answers; of spans that come after their answer was recorded; of traces without any answer,
and of those that we fail to understand."""

_NO_ANSWER = str(uuid.UUID(int=0))


@dataclass(slots=True)
class Recording:
    """Turns traces of the inbox into answers of a lineage.

    Attributes:
        lineage: Its settings must have `durability` strict and `when_unrecorded` refuse: else it would not
            be known when the inbox may forget.
        outcomes: What became of what was taken from the inbox so far.
    """

    lineage: "Lineage"
    inbox: Inbox
    translate: "Callable[[Sequence[ReceivedSpan]], Sequence[Response]]"
    outcomes: Counter[Outcome] = field(default_factory=Counter["Outcome"])
    _claimed: dict[str, str] = field(default_factory=dict[str, str])

    def record(self, trace_ids: Iterable[str]) -> Iterator[str]:
        """Record what waits of these traces, one after the other; yields each that is done with.

        Raises:
            NotRecordedError: The store takes nothing; what was not yielded waits in the inbox.
            StoreError: Likewise, or it cannot be read.
        """
        self._claimed.clear()
        with self._on_record() as trails:
            for trace_id in trace_ids:
                try:
                    self._record(trace_id, trails)
                except (NotRecordedError, StoreError, OSError):
                    raise
                except Exception as error:  # noqa: BLE001  # it waits in the inbox for the next start, and must not cost the others
                    self.lineage.fault("recording a received trace", error)
                    self.outcomes["set aside"] += 1
                yield trace_id

    def _record(self, trace_id: str, trails: "TrailReading | None") -> None:
        while not self._record_some(trace_id, trails):
            pass

    def _record_some(self, trace_id: str, trails: "TrailReading | None") -> bool:
        """Record a trace, or the first of it, where it is large beyond measure; returns whether that was all."""
        taken = self.inbox.take(trace_id)
        known = _in_trace(trace_id, trails)
        ours = _answer_id(trace_id)
        if any(not response_id.startswith(ours) for response_id in known):
            self.outcomes["on record before"] += 1
        else:
            self._record_new(taken, ours, known, trails)
        self.inbox.forget(trace_id, [span.span_id for span in taken.spans])
        return taken.is_all

    def _record_new(
        self, taken: Taken, ours: str, known: Collection[str], trails: "TrailReading | None"
    ) -> None:
        late = _beneath(taken)
        if late:
            self.outcomes["too late"] += len(late)
        spans = [span for span in taken.spans if span.span_id not in late]
        responses = self.translate(spans)
        if spans and not responses:
            self.outcomes["no answer"] += 1
        for response in responses:
            told = _apart(response, ours) if taken.known else response
            told = self._by_own_id(told, ours, trails)
            if told.response_id in known or _is_known(told.response_id, trails):
                self.outcomes["on record before"] += 1
            else:
                self._put(told.events)
                self._claimed[told.response_id] = told.trace_id
                self.outcomes["recorded"] += 1

    def _by_own_id(
        self, response: "Response", ours: str, trails: "TrailReading | None"
    ) -> "Response":
        """The response; by an id of its own trace where the one that it claims is of another trace's answer."""
        trail = trails.get(response.response_id) if trails else None
        holder = trail.trace_id if trail else self._claimed.get(response.response_id)
        if holder in (None, response.trace_id):
            return response
        return _behind(response, ours)

    def _put(self, events: "Sequence[Event]") -> None:
        # What cannot be recorded on the way is tried again with what follows; the last event decides.
        *before, last = events
        for event in before:
            with suppress(NotRecordedError):
                self.lineage.record(event)
        self.lineage.record(last)

    @contextmanager
    def _on_record(self) -> "Generator[TrailReading | None]":
        """The trails, with those that were put there until now; None where there are none yet."""
        from doctrail_core.durable.errors import NothingRecordedError
        from doctrail_core.durable.home import Home
        from doctrail_core.trails import open_trails

        # Asking for any answer has those of all processes moved there; flushing would await the checks, too.
        self.lineage.get(_NO_ANSWER)
        settings = self.lineage.settings
        home = Home(settings.home.absolute(), settings.database)
        opened: AbstractContextManager[TrailReading | None] = nullcontext()
        with suppress(NothingRecordedError):
            opened = open_trails(home, drain=False)
        with opened as trails:
            yield trails


def _in_trace(trace_id: str, trails: "TrailReading | None") -> Collection[str]:
    """The answers of the trace that are on record."""
    if trails is None:
        return ()
    return [summary.response_id for summary in trails.responses(trace_id=trace_id)]


def _is_known(response_id: str, trails: "TrailReading | None") -> bool:
    return trails is not None and trails.get(response_id) is not None


def _answer_id(trace_id: str) -> str:
    """What the ids of answers begin with that the trace gave their ids."""
    return str(uuid.UUID(trace_id))


def _beneath(taken: Taken) -> set[str]:
    """The spans that belong to answers that are on record: what was recorded stays as it is."""
    parents = {span.span_id: span.parent_id for span in taken.spans}
    beneath: set[str] = set()
    for span_id in parents if taken.known else ():
        path: list[str] = []
        above: str | None = span_id
        while above in parents and above not in beneath and above not in path:
            path.append(above)
            above = parents[above]
        if above in taken.known or above in beneath:
            beneath.update(path)
    return beneath


def _apart(response: "Response", taken_id: str) -> "Response":
    """The response of a trace that has one on record already, by an id of its own."""
    if response.response_id != taken_id:
        return response
    return _behind(response, f"{taken_id}:late")


def _behind(response: "Response", beginning: str) -> "Response":
    """The response, by the id of its first span behind this."""
    spans = (getattr(event, "span", None) for event in response.events)
    first: SpanReference | None = next(filter(None, spans), None)
    if first is None:
        return response
    new_id = f"{beginning}:{first.span_id}"
    events = [_renamed(event, response.response_id, new_id) for event in response.events]
    return replace(response, response_id=new_id, events=events)


def _renamed(event: "Event", old_id: str, new_id: str) -> "Event":
    named = [name for name in ("run_id", "parent_id") if getattr(event, name, None) == old_id]
    return replace(event, **dict.fromkeys(named, new_id))


@contextmanager
def recording(
    settings: "Settings",
    name: str,
    grounding: "Grounding | None" = None,
    *,
    spans: "TracerProvider | None" = None,
    lasting: bool = True,
) -> "Generator[Recording]":
    """What puts received answers on record in a home; one process at a time has the inbox of this name.

    Args:
        settings: Those of the home; when it records, and which spans it writes, is not theirs to say.
        name: Of the inbox.
        grounding: Which answers are checked, and by whom.
        spans: Who takes the spans of what nobody wrote spans of; None for none.
        lasting: Whether what is left in the inbox waits for the next time; if not, it may be of any size.

    Raises:
        UsageError: Another process has it.
        StoreError: It cannot be opened.
        OSError: The home cannot be made.
    """
    from doctrail.receiver.translation import translate
    from doctrail_core import Lineage
    from doctrail_core.durable.filesystem import check_is_local
    from doctrail_core.durable.home import Home
    from doctrail_core.durable.lease import Lease

    written: Spans = "missing" if spans else "none"
    told = replace(settings, spans=written, durability="strict", when_unrecorded="refuse")
    home = Home(settings.home.absolute())
    check_is_local(home.path)
    home.ensure()
    path = home.path / f"{name}.db"
    with _held(Lease(home.path / f"{name}.lock"), home), ExitStack() as opened:
        if not lasting:
            _remove(path)  # what a process left that was killed
            opened.callback(_remove, path)
        inbox = opened.enter_context(closing(Inbox(path, room=ROOM if lasting else None)))
        lineage = Lineage(told, tracer_provider=spans, grounding=grounding)
        opened.callback(lineage.close)
        yield Recording(lineage, inbox, translate)


@contextmanager
def _held(lease: "Lease", home: "Home") -> "Generator[None]":
    if not lease.take():
        raise UsageError(f"process {lease.holder()} does the same in {home.path} already")
    try:
        yield
    finally:
        lease.release()


def _remove(database: "Path") -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def in_words(outcomes: "Mapping[Outcome, int]") -> Iterator[str]:
    """What became of what was received, a line for each kind of it."""
    told: dict[Outcome, str] = {
        "recorded": "answers were put on record",
        "on record before": "answers were on record before",
        "too late": "spans came after their answer was recorded, and changed nothing",
        "no answer": "traces hold no answer that is understood",
        "set aside": "traces could not be understood; `doctrail doctor` says more",
    }
    yield from (f"{outcomes[kind]:,} {words}." for kind, words in told.items() if outcomes[kind])
