"""Takes spans in, and puts the answers of complete traces on record behind the senders' back.

Invariants: when `receive` returns, the spans are safe; one trace that cannot be recorded does not hold up
the others; while nothing can be recorded, everything waits in the inbox.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from doctrail.receiver.assembling import Assembling, Waits
from doctrail.receiver.recording import Recording
from doctrail.receiver.span import ReceivedSpan

__all__ = ["Door"]

_PAUSE = 0.5
_RESPITE = 5.0
"""Seconds after which a store that does not work is tried again."""
_AT_ONCE = 200


class Door:
    """The inbox, what assembles its traces, and the thread that records them."""

    def __init__(
        self,
        recording: Recording,
        waits: Waits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up what an earlier process left in the inbox; the thread begins with `open`."""
        self._recording = recording
        self._inbox = recording.inbox
        self._clock = clock
        self._assembling = Assembling(waits or Waits(), self._inbox.missing)
        self._arriving = threading.Lock()
        self._ready: deque[str] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="doctrail-door", daemon=True)
        self._arrived(self._inbox.traces())

    def open(self) -> None:
        """Begin to record."""
        self._thread.start()

    def check_room(self) -> None:
        """See `Inbox.check_room`."""
        self._inbox.check_room()

    def receive(self, spans: Iterable[ReceivedSpan]) -> None:
        """Keep the spans; they are safe when it returns. See `Inbox.put` for what it raises."""
        self._arrived(self._inbox.put(spans))

    def fault(self, where: str, error: BaseException) -> None:
        """See `Lineage.fault`."""
        self._recording.lineage.fault(where, error)

    def record_complete(self) -> None:
        """Record the traces that are complete by now. Never raises; waits where a store does not work."""
        with self._arriving:
            self._ready.extend(self._assembling.complete(self._clock()))
        while self._ready and not self._stop.is_set():
            try:
                self._record(list(islice(self._ready, _AT_ONCE)))
                self._inbox.tidy()
            except Exception as error:  # noqa: BLE001  # everything waits in the inbox, and is tried again
                self.fault("recording received answers", error)
                self._stop.wait(_RESPITE)

    def _record(self, trace_ids: list[str]) -> None:
        for _ in self._recording.record(trace_ids):
            self._ready.popleft()
            if self._stop.is_set():
                return

    def close(self, timeout: float = 10.0) -> None:
        """Record no more; what was not recorded waits in the inbox."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _arrived(self, trace_ids: Iterable[str]) -> None:
        now = self._clock()
        with self._arriving:
            for trace_id in trace_ids:
                self._assembling.arrived(trace_id, now)

    def _work(self) -> None:
        while not self._stop.wait(_PAUSE):
            self.record_complete()
