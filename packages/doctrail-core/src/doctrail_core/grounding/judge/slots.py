"""So many at a time, over all threads and event loops of the process."""

from asyncio import CancelledError, wrap_future
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from threading import Lock

from doctrail_core.durable.forks import remake_after_fork

__all__ = ["Slots"]


class Slots:
    """A bound that whoever waits for it waits in its own event loop; first come, first served."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Begin anew: whoever held a slot, or waited for one, stayed in the parent."""
        self._lock = Lock()
        self._free = self._number
        self._waiting: deque[Future[None]] = deque()

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Hold a slot, once there is one."""
        ticket = self._ticket()
        try:
            await wrap_future(ticket)
        except CancelledError:
            if not ticket.cancel():  # it was this one's turn just then
                self._pass_on()
            raise
        try:
            yield
        finally:
            self._pass_on()

    def _ticket(self) -> "Future[None]":
        ticket: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
                ticket.set_result(None)
            else:
                self._waiting.append(ticket)
        return ticket

    def _pass_on(self) -> None:
        with self._lock:
            while self._waiting:
                following = self._waiting.popleft()
                if following.set_running_or_notify_cancel():
                    following.set_result(None)
                    return
            self._free += 1
