"""A thread of ours in somebody else's process.

It begins with the first thing to do, never keeps the interpreter from ending, and begins anew in a
forked child.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from doctrail_core.durable.forks import remake_after_fork

__all__ = ["Background"]

_GLANCE = 0.25
"""Seconds between looks at how much has come."""


class Background:
    """Does its work each time that there is something to do, and a moment has passed for more to come."""

    def __init__(self, name: str, work: Callable[[], None], *, linger: float = 0.0) -> None:
        self._name = name
        self._work = work
        self._linger = linger
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._starting = threading.Lock()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    def wake(self) -> None:
        """Say that there is something to do."""
        if not self._news.is_set():
            self._news.set()
        if self._thread is None:
            self._start()

    def stop(self, timeout: float) -> bool:
        """Have the thread end after what it is doing, and wait for that, once; False if it did not in time."""
        timeout = 0.0 if self._stop.is_set() else timeout
        self._stop.set()
        self._news.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def rest(self, seconds: float) -> bool:
        """Wait, as part of the work; True, and early, if it is to end."""
        return self._stop.wait(seconds)

    def gather(self, seconds: float, enough: Callable[[], bool]) -> bool:
        """Let more come, as part of the work, until that is enough; False, and early, if it is to end.

        It looks now and then instead of being woken by each: that would cost more than what comes.
        """
        deadline = time.monotonic() + seconds
        while not enough() and (left := deadline - time.monotonic()) > 0:
            if self._stop.wait(min(left, _GLANCE)):
                return False
        self._news.clear()
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stop.is_set():
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            # An interpreter that is going down starts no threads, and its exit drains the spool; one
            # that has too many may start this with the next record.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while self._news.wait() and not self._stop.wait(self._linger):
            self._news.clear()
            self._work()
