"""Checks a share of the answers in the background, and delays none.

Invariants: `offer` never waits and never raises; what is not checked because too much was waiting is counted;
nothing that a check does is recorded as an answer of its own; a forked child begins with an empty queue.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

from doctrail_core.capture.scope import suppress
from doctrail_core.capture.sinks import FaultSink
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.grounding.checking import assess
from doctrail_core.grounding.sampling import sampled
from doctrail_core.grounding.settings import Grounding
from doctrail_core.model import Assessment, Trail

__all__ = ["CheckTally", "Worker"]

_FLAGGED = 0.5
"""From this risk on an answer is flagged; see `Verdict.score`."""
_FULL = "answers not checked, because too many were waiting"
_FAILED = "checks of answers that failed"


@dataclass(frozen=True, slots=True)
class CheckTally:
    """What became of the answers of this process: offered = left + dropped + waiting + checked + failed.

    `left` were not in the share; `checked` counts those that were skipped for want of texts, too.
    """

    offered: int = 0
    left: int = 0
    dropped: int = 0
    waiting: int = 0
    checked: int = 0
    failed: int = 0


class Worker:
    """A bounded queue of answers, and the threads that check them; they start with the first one."""

    def __init__(
        self,
        grounding: Grounding,
        found: Callable[[Trail, Assessment], None],
        faults: FaultSink,
    ) -> None:
        """Start nothing yet; `found` takes every result, in the worker's thread."""
        self._grounding = grounding
        self._found = found
        self._faults = faults
        self._closed = False
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Leave what waits to the parent, whose threads go on."""
        self._changed = threading.Condition(threading.RLock())  # a signal may offer while we do
        self._queue: deque[Trail] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._raised = 0
        self._tally = CheckTally()

    @property
    def tally(self) -> CheckTally:
        """What became of the answers so far."""
        with self._changed:
            return replace(self._tally, waiting=len(self._queue) + self._busy)

    def offer(self, trail: Trail, *, wanted: bool | None = None) -> None:
        """Take the trail if it is to be checked. Never raises, never waits."""
        try:
            chosen = wanted if wanted is not None else self._chosen(trail)
            with self._changed:
                self._count(offered=1)
                if not chosen or self._closed:
                    self._count(left=1)
                elif len(self._queue) >= self._grounding.queue_size:
                    self._count(dropped=1)
                    self._faults.count(_FULL)
                else:
                    self._queue.append(trail)
                    self._staff()
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001  # the user's answer matters more than its check
            self._faults.note("choosing an answer to check", error)

    def flush(self, timeout: float) -> bool:
        """Wait until nothing waits; False if it took longer than this many seconds."""
        deadline = monotonic() + timeout
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._queue and not self._busy, max(0.0, deadline - monotonic())
            )

    def close(self, timeout: float = 10.0) -> None:
        """Check what waits, as far as that is done in time, and count the rest."""
        self.flush(timeout)
        with self._changed:
            self._closed = True
            left = len(self._queue)
            self._queue.clear()
            self._count(dropped=left)
            self._changed.notify_all()
        if left:
            self._faults.count("answers not checked, because the process ended", left)

    def _chosen(self, trail: Trail) -> bool:
        with self._changed:
            raised = self._raised > 0
            self._raised -= raised
        grounding = self._grounding
        rate = max(grounding.sample_rate, grounding.raised_rate if raised else 0.0)
        return sampled(trail.response_id, rate) or any(rule(trail) for rule in grounding.always)

    def _staff(self) -> None:
        if len(self._threads) < min(self._grounding.workers, len(self._queue) + self._busy):
            thread = threading.Thread(target=self._work, name="doctrail-grounding", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        with suppress():
            while (trail := self._next()) is not None:
                assessment = None
                try:
                    assessment = self._check(trail)
                    self._report(trail, assessment)
                except BaseException as error:  # noqa: BLE001  # one answer must not cost the next one's check
                    self._faults.note("checking an answer", error)
                finally:
                    self._done(assessment)

    def _next(self) -> Trail | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            if not self._queue:
                return None
            self._busy += 1
            return self._queue.popleft()

    def _check(self, trail: Trail) -> Assessment:
        wait = self._grounding.backoff
        for _ in range(self._grounding.attempts - 1):
            assessment = assess(trail, self._grounding.verifier)
            if assessment.status != "failed":
                return assessment
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, wait):
                    return assessment
            wait *= 2
        return assess(trail, self._grounding.verifier)

    def _report(self, trail: Trail, assessment: Assessment) -> None:
        self._found(trail, assessment)
        if assessment.status == "failed":
            self._faults.count(_FAILED)
        if self._grounding.on_assessment is not None:
            self._grounding.on_assessment(assessment)

    def _done(self, assessment: Assessment | None) -> None:
        with self._changed:
            self._busy -= 1
            failed = assessment is None or assessment.status == "failed"
            self._count(failed=failed, checked=not failed)
            if assessment is not None and (assessment.risk or 0.0) >= _FLAGGED:
                self._raised = self._grounding.raised_for
            self._changed.notify_all()

    def _count(self, **by: int) -> None:
        counted = {name: getattr(self._tally, name) + number for name, number in by.items()}
        self._tally = replace(self._tally, **counted)
