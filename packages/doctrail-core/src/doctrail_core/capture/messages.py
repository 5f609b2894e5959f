"""Which response each message of a model was first heard in: a host's cache may give it again later."""

import threading
from collections import OrderedDict

from doctrail_core.capture.sinks import FaultSink, HistorySource
from doctrail_core.durable.forks import remake_after_fork

__all__ = ["Messages"]

_REMEMBERED = 64
"""Those that may not be in the trail store yet; it has all others."""


class Messages:
    """The latest messages, by their ids; older ones, and those of other processes, are looked up."""

    def __init__(self, history: HistorySource, faults: FaultSink) -> None:
        """Remember nothing yet."""
        self._history = history
        self._faults = faults
        self._first: OrderedDict[str, str] = OrderedDict()
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Another thread may have held it."""
        self._lock = threading.RLock()  # the garbage collector may close a stream in here

    def heard(self, message_id: str, response_id: str) -> None:
        """A model gave this message."""
        with self._lock:
            self._first.setdefault(message_id, response_id)
            if len(self._first) > _REMEMBERED:
                self._first.popitem(last=False)

    def first_in(self, message_id: str) -> str | None:
        """The response that a message was first heard in. Never raises."""
        known = self._first.get(message_id)
        if known is not None:
            return known
        try:
            return self._history.heard_in(message_id)
        except Exception as error:  # noqa: BLE001  # where it came from stays unknown
            self._faults.note("looking up a cached message", error)
            return None
