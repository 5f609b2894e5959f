"""The composition root: settings become a recorder with its spans, ledger and trail store.

A `Lineage` is what an adapter is handed. One per process is enough (`default_lineage`); several may
share a home folder.
"""

import atexit
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from doctrail_core.capture.events import AnswerReused, Event, RunEnded, RunFailed, RunStarted
from doctrail_core.capture.messages import Messages
from doctrail_core.capture.receipts import Receipts
from doctrail_core.capture.recorder import Recorder
from doctrail_core.capture.redaction import redact, redact_assessment, redact_diagnosis
from doctrail_core.capture.reports import Closed, Reports
from doctrail_core.capture.scope import (
    Scope,
    acting_for,
    current_scope,
    entered,
    traced_elsewhere,
)
from doctrail_core.capture.sessions import Sessions
from doctrail_core.capture.settings import Settings
from doctrail_core.capture.sinks import FaultSink, LedgerSink, SpanSink, TrailSink
from doctrail_core.capture.tally import Tally
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.model import Assessment, Derivation, Diagnosis, EntryKind, Receipt, Trail
from doctrail_core.text.identity import as_name, canonical_id, keyed_hash

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from doctrail_core.grounding.settings import Grounding
    from doctrail_core.grounding.worker import Worker
    from doctrail_core.telemetry.spans import Mask

log = logging.getLogger("doctrail")


class Storage(Protocol):
    """Where an installation keeps its records: a folder, or memory in tests."""

    @property
    def ledger(self) -> LedgerSink:
        """Takes the facts."""
        ...

    @property
    def trails(self) -> TrailSink:
        """Takes the texts."""
        ...

    @property
    def faults(self) -> FaultSink:
        """Counts what went wrong."""
        ...

    def key(self) -> bytes:
        """The installation's secret for query hashes."""
        ...

    def get(self, response_id: str) -> Trail | None:
        """A trail that was kept."""
        ...

    def session(
        self, session_id: str, *, limit: int, known: Collection[str], unmoved: bool
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, but for those that are known."""
        ...

    def heard_in(self, message_id: str) -> str | None:
        """The first response that a model gave this message in."""
        ...

    def flush(self, timeout: float) -> bool:
        """Wait until all that was appended can be read by others; False if it took too long."""
        ...

    def close(self) -> None:
        """Give up files and threads. What was appended stays safe."""
        ...


class Lineage:
    """Records where answers come from.

    Args:
        settings: What to keep and where; default `Settings.load()`.
        tracer_provider: Where spans go; default the global OpenTelemetry provider.
        clock: Nanoseconds since the epoch.
        storage: Where records go; default the folder `settings.home`.
        grounding: Which answers are checked against what arrived, and by whom; default none.
        span_mask: Gets name and value of every attribute of our spans, and returns what is written instead;
            None drops it. Where it raises, `__REDACTED__` is written.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        tracer_provider: "TracerProvider | None" = None,
        clock: Callable[[], int] = time.time_ns,
        storage: Storage | None = None,
        grounding: "Grounding | None" = None,
        span_mask: "Mask | None" = None,
    ) -> None:
        """Open nothing yet: files and threads come with the first record."""
        self.settings = settings or Settings.load()
        self._storage = storage or _folder(self.settings)
        self._last: Trail | None = None
        self._receipts = Receipts()
        self._reports = Reports(
            settings=self.settings,
            ledger=self._storage.ledger,
            trails=self._storage.trails,
            sessions=Sessions(self._storage, self._storage.faults),
            messages=Messages(self._storage, self._storage.faults),
            faults=self._storage.faults,
            query_hash=self._query_hash,
            closed=self._closed,
        )
        self._spans = _spans(self.settings, tracer_provider, span_mask, self._storage.faults.note)
        self._clock = clock
        self._recorder = Recorder(self._reports, self._storage.faults, self._spans, clock, _who)
        self._grounding = grounding
        self._workers: dict[Grounding, Worker] = {}
        self._hiring = threading.RLock()  # the garbage collector may close a stream in here
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Another thread may have held it."""
        self._hiring = threading.RLock()

    def record(self, event: Event) -> None:
        """Take note of an event; thread-safe.

        Raises:
            NotRecordedError: The answer that it is part of must not be given: it cannot be put on record,
                and `Settings.when_unrecorded` is `refuse`. Nothing else is ever raised.
        """
        self._recorder.record(event)

    def fault(self, where: str, error: BaseException) -> None:
        """Note an error that an adapter swallowed: logged once, counted, shown by `doctrail doctor`."""
        self._storage.faults.note(where, error)

    def now(self) -> int:
        """The time by the recorder's clock, for events that are reported late (ns since the epoch)."""
        return self._clock()

    @property
    def last(self) -> Trail | None:
        """The trail that closed last in this process; under concurrency ask `get` instead."""
        return self._last

    @property
    def open_count(self) -> int:
        """How many responses and runs are still open; 0 when nothing is running."""
        return self._recorder.open_count

    @property
    def tally(self) -> Tally:
        """How many runs began in this process, and what became of them."""
        return self._recorder.tally

    def get(self, response_id: str) -> Trail | None:
        """The trail of a response, also of other processes with the same home.

        Raises:
            StoreError: The trail store cannot be read.
        """
        if self._last is not None and self._last.response_id == response_id:
            return self._last
        return self._storage.get(response_id)

    def receipt(self, response_id: str) -> Receipt | None:
        """What proves to its holder that an answer is on record.

        Args:
            response_id: A response that closed in this process, not too long ago.

        Returns:
            None also where the answer could not be put on record.
        """
        receipt = self._receipts.get(response_id)
        return receipt and replace(receipt, origin=self._storage.ledger.origin)

    def so_far(self, run_id: str) -> Trail | None:
        """What is known of the open response that a run is part of, with what arrived in its prompts.

        Args:
            run_id: The response or any run of it that has begun and not ended; the host's own id.

        Returns:
            The trail as if it were interrupted now; None where no such run is open.
        """
        return self._recorder.so_far(run_id)

    def within(self, run_id: str) -> AbstractContextManager[None]:
        """Be inside the span of an open run: spans that the code of the block opens are its children.

        Args:
            run_id: The run; the host's own id. Where it is not open, or has no span, nothing happens.
        """
        try:
            span = self._recorder.span_of(run_id)
            return nullcontext() if span is None else span.current()
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.fault("spans", error)
            return nullcontext()

    def checks(self, grounding: "Grounding") -> "Worker":
        """Who checks answers in this way, in the background; the same one for equal settings."""
        from doctrail_core.grounding.worker import Worker

        with self._hiring:
            if grounding not in self._workers:
                worker = Worker(grounding, self._found, self._storage.faults)
                self._workers[grounding] = worker
            return self._workers[grounding]

    def flag(self, response_id: str) -> bool:
        """Have an answer checked in any case, as one that a user complained about.

        Returns:
            Whether it is on record; if not, there is nothing to check.

        Raises:
            StoreError: The trail store cannot be read.
        """
        trail = self.get(response_id)
        if trail is not None:
            self._checks().offer(trail, wanted=True)
        return trail is not None

    def assessed(self, assessment: Assessment, trail: Trail | None = None) -> None:
        """Put on record what a verifier found about a response: ledger, trail store, span. Never raises.

        Args:
            assessment: What it found.
            trail: The response, where it is at hand, such as one that is still open.
        """
        try:
            about = self._on_record(assessment.response_id, trail)
            kept = redact_assessment(assessment, self.settings.content)
            kept = replace(kept, response_id=about.response_id)
            about = replace(about, assessments=(*about.assessments, kept))
            self._put("assessed", about, partial(self._storage.trails.append_assessment, kept))
            self._recorder.assessed(kept)
            if self._last is not None and self._last.response_id == about.response_id:
                self._last = replace(self._last, assessments=(*self._last.assessments, kept))
            if self._spans is not None:
                self._spans.assessed(about, kept)
        except Exception as error:  # noqa: BLE001  # the answer is on record; its check is not
            self.fault("recording an assessment", error)

    def diagnosed(self, diagnosis: Diagnosis, trail: Trail | None = None) -> None:
        """Put on record whose fault a response was. Never raises.

        Args:
            diagnosis: Whose fault, and why.
            trail: The response, where it is at hand.
        """
        try:
            about = self._on_record(diagnosis.response_id, trail)
            kept = redact_diagnosis(diagnosis, self.settings.content)
            kept = replace(kept, response_id=about.response_id)
            about = replace(about, diagnoses=(*about.diagnoses, kept))
            self._put("diagnosed", about, partial(self._storage.trails.append_diagnosis, kept))
            if self._last is not None and self._last.response_id == about.response_id:
                self._last = replace(self._last, diagnoses=(*self._last.diagnoses, kept))
        except Exception as error:  # noqa: BLE001  # likewise
            self.fault("recording a diagnosis", error)

    def derived(self, document_id: str, *, from_: Iterable[str]) -> None:
        """Put on record what a document was made from, such as a summary from reports. Never raises.

        Whoever asks which answers a source affects is told of those that had the document made from it.

        Args:
            document_id: The document that was made.
            from_: The documents that it was made from.
        """
        try:
            made, *sources = map(_document, (document_id, *from_))
            self._reports.derived(Derivation(made, tuple(dict.fromkeys(sources))))
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            self.fault("recording a derived document", error)

    @contextmanager
    def scope(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        response_id: str | None = None,
        question: str | None = None,
        check: bool | None = None,
    ) -> "Generator[OpenTrail]":
        """Group everything that happens inside into one response; a block inside another is part of it.

        Args:
            session_id: The conversation it belongs to.
            user_id: Who asked.
            response_id: Its id, where the application has one; must be unique.
            question: What the user asked, where the first query does not say it.
            check: Whether the answer is to be checked; default the sampling decides.
        """
        run_id = as_name(response_id) or str(uuid.uuid4())
        who = (as_name(session_id), user := as_name(user_id))
        started = RunStarted(run_id, None, "request", "python", question, *who, check=check)
        outer = current_scope()
        if outer is not None and outer.lineage is not self:
            outer = None  # it groups calls for somebody else
        opened = OpenTrail(self, outer.response_id if outer else run_id)
        self.record(started)
        try:
            inside = Scope(self, opened.response_id, run_id)
            with entered(inside), acting_for(user), self.within(run_id):
                yield opened
        except BaseException as error:
            self.record(RunFailed(run_id, error))
            raise
        self.record(RunEnded(run_id, opened.answer))

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all answers that wait for it are checked, and all that was recorded can be read by others.

        Args:
            timeout: Seconds to wait.

        Returns:
            Whether it was done in time; if not, nothing is lost, it is only not readable yet.
        """
        deadline = time.monotonic() + timeout
        checked = [worker.flush(_left(deadline)) for worker in list(self._workers.values())]
        return self._storage.flush(_left(deadline)) and all(checked)

    def close(self) -> None:
        """Put open responses on record as interrupted, check what waits, give up files and threads."""
        self._recorder.close_all()
        for worker in list(self._workers.values()):
            worker.close()
        self._storage.close()

    def _query_hash(self, text: str) -> str:
        return keyed_hash(self._storage.key(), text)

    def _closed(self, closed: Closed) -> None:
        self._last = closed.kept
        if closed.receipt is not None:
            self._receipts.keep(closed.trail.response_id, closed.receipt)
        if closed.checks is not None:
            closed.checks.offer(closed.trail, wanted=closed.check)
        elif closed.check or self._grounding is not None:
            self._checks().offer(closed.trail, wanted=closed.check)

    def _checks(self) -> "Worker":
        """Who checks answers that nobody else was named for."""
        from doctrail_core.grounding.settings import Grounding

        return self.checks(self._grounding or Grounding())

    def _found(self, trail: Trail, assessment: Assessment) -> None:
        self.assessed(assessment, trail)

    def _on_record(self, response_id: str, trail: Trail | None) -> Trail:
        """The response that something was found about, as far as it is kept.

        Raises:
            LookupError: There is none of that id.
        """
        about = trail or self.get(response_id)
        if about is None:
            raise LookupError("something was found about a response that is not on record")
        return redact(about, self.settings.content)

    def _put(self, kind: EntryKind, about: Trail, keep: Callable[[], None]) -> None:
        """Ledger first, then trail store; one that fails does not cost the other."""
        try:
            self._storage.ledger.append(kind, about)
        except Exception as error:  # noqa: BLE001  # a full disk must not cost what can still be kept
            self._storage.faults.note("ledger", error)
        keep()


@dataclass(slots=True)
class OpenTrail:
    """A response while it happens. Set `answer` where no model's output is the answer."""

    lineage: Lineage
    response_id: str
    answer: str | None = None

    def reused(self, response_id: str) -> None:
        """Say that the answer, or a part of it, is that of an earlier response, as a cache gave it.

        Args:
            response_id: The earlier response. Whatever its answer came from is behind this one, too.
        """
        if (earlier := as_name(response_id)) is not None:
            self.lineage.record(AnswerReused(self.response_id, earlier))

    @property
    def trail(self) -> Trail | None:
        """The finished trail; None while the (outermost) block is open, or if nothing was seen."""
        return self.lineage.get(self.response_id)

    @property
    def receipt(self) -> Receipt | None:
        """What proves that the answer is on record; None while the (outermost) block is open, or if it is not."""
        return self.lineage.receipt(self.response_id)

    def why(self) -> str:
        """Say where the answer came from."""
        trail = self.trail
        return (
            trail.why()
            if trail
            else (
                f"Nothing is on record for response {self.response_id}: it is still open, or nothing"
                " was seen in it."
            )
        )


class _Default:
    """The lineage of this process, made when first asked for."""

    def __init__(self) -> None:
        self._make: Callable[[], Lineage] = Lineage
        self._made: Lineage | None = None
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()  # the garbage collector may close a stream in here

    def get(self) -> Lineage:
        with self._lock:
            if self._made is None:
                made = self._make()
                if self._made is None:  # it may have been asked for, and made, while we made it
                    self._made = made
                    atexit.register(made.close)
            return self._made

    def replace(self, make: Callable[[], Lineage]) -> None:
        with self._lock:
            made, self._made, self._make = self._made, None, make
        if made is not None:
            atexit.unregister(made.close)
            made.close()


_default = _Default()


def _document(raw: object) -> str:
    name = as_name(raw)
    if name is None:
        raise TypeError("a document's id is a text or a number")
    return canonical_id(name)


def default_lineage() -> Lineage:
    """The lineage of this process, made from the environment unless `configure` was called."""
    return _default.get()


def configure(
    settings: Settings | None = None,
    *,
    tracer_provider: "TracerProvider | None" = None,
    grounding: "Grounding | None" = None,
    span_mask: "Mask | None" = None,
) -> Lineage:
    """Choose the settings of the process's lineage; the one in use so far is closed."""
    made = partial(
        Lineage,
        settings,
        tracer_provider=tracer_provider,
        grounding=grounding,
        span_mask=span_mask,
    )
    _default.replace(made)
    return _default.get()


@contextmanager
def lineage(
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    response_id: str | None = None,
    question: str | None = None,
    check: bool | None = None,
) -> Generator[OpenTrail]:
    """Group everything that happens inside into one response of the process's lineage.

    See `Lineage.scope` for the arguments.
    """
    opened = default_lineage().scope(
        session_id=session_id,
        user_id=user_id,
        response_id=response_id,
        question=question,
        check=check,
    )
    with opened as trail:
        yield trail


_explained: set[str] = set()


def swallow(where: str, error: BaseException, recording: Callable[[], Lineage]) -> None:
    """Note an error of ours that an adapter kept from the user's chain. Never raises.

    Where there is no lineage to note it, its settings are wrong, and that is the error to show, once.
    """
    try:
        into = recording()
    except Exception as trouble:  # likewise kept from the user's chain
        if str(trouble) not in _explained:
            _explained.add(str(trouble))
            log.exception("doctrail cannot record")
    else:
        into.fault(where, error)


def _spans(
    settings: Settings,
    provider: "TracerProvider | None",
    mask: "Mask | None",
    fault: Callable[[str, BaseException], None],
) -> SpanSink | None:
    if settings.spans == "none":
        return None
    from doctrail_core.telemetry import backends, doctrail, genai, openinference
    from doctrail_core.telemetry.content import Shown
    from doctrail_core.telemetry.spans import Spans

    modules = {"backends": backends, "openinference": openinference, "genai": genai}
    chosen = [module.write for name, module in modules.items() if name in settings.span_families]
    return Spans(
        provider,
        shown=Shown.load(
            os.environ,
            texts=settings.span_content and settings.content == "full",
            hashes=settings.content != "off",
        ),
        families=(doctrail.write, *chosen),
        elsewhere=traced_elsewhere if settings.spans == "missing" else None,
        mask=mask,
        fault=fault,
    )


def _who() -> tuple[str | None, str | None]:
    from doctrail_core.telemetry.ambient import who

    return who()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _folder(settings: Settings) -> Storage:
    from doctrail_core.audit.watch import Watch
    from doctrail_core.folder import Folder

    strict = settings.durability == "strict"
    folder = Folder(settings.home, strict=strict, database=settings.database)
    folder.watched_by(Watch(folder.home, folder.ledger, folder.faults))
    return folder
