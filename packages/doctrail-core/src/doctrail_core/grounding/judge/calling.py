"""Asks a chat from sync and from async code, in any thread and event loop.

A call records no lineage, keeps to a time limit, and counts against one bound of calls at a time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from inspect import isawaitable
from threading import Lock, Thread
from typing import Any, TypeVar

from doctrail_core.capture.scope import suppress
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.grounding.judge.chat import Chat, ChatMessage, Reply
from doctrail_core.grounding.judge.slots import Slots
from doctrail_core.grounding.verifier import VerifierError

__all__ = ["Caller"]

_T = TypeVar("_T")
_LONGEST_ERROR = 500


class Caller:
    """Asks one chat.

    A sync function that does not return in time cannot be stopped: it is left behind in its thread.
    """

    def __init__(self, chat: Chat, *, timeout: float, concurrency: int) -> None:
        self._chat = chat
        self._timeout = timeout
        self._slots = Slots(concurrency)

    def ask(self, messages: list[ChatMessage]) -> Reply:
        """Ask, and block until there is a reply; also where an event loop is running.

        Raises:
            VerifierError: There was none, or not in time.
        """
        return _BACKGROUND.run(self._asked(messages, blocking=True))

    async def ask_later(self, messages: list[ChatMessage]) -> Reply:
        """Ask without blocking the event loop; see `ask`."""
        return await self._asked(messages, blocking=False)

    async def _asked(self, messages: list[ChatMessage], *, blocking: bool) -> Reply:
        async with self._slots.taken():
            with suppress():
                limit = asyncio.timeout(self._timeout)
                try:
                    async with limit:
                        return _reply(await self._said(messages, blocking=blocking))
                except (Exception, SystemExit) as error:  # which would end the background loop
                    raise VerifierError(
                        f"no answer within {self._timeout:g} s" if limit.expired() else _told(error)
                    ) from error

    async def _said(self, messages: list[ChatMessage], *, blocking: bool) -> object:
        ask, ask_later = self._chat.ask, self._chat.ask_later
        if ask is not None and (blocking or ask_later is None):
            said: object = await asyncio.wrap_future(_in_thread(ask, messages))
        else:
            said = ask_later and ask_later(messages)
        return await said if isawaitable(said) else said


def _reply(said: object) -> Reply:
    if isinstance(said, str):
        return Reply(said)
    if isinstance(said, Reply):
        return said
    raise TypeError(f"the judge's model returned {type(said).__name__}, neither a text nor a Reply")


def _told(error: BaseException) -> str:
    return f"the judge's model failed: {type(error).__name__}: {error}"[:_LONGEST_ERROR]


def _in_thread(function: Callable[..., object], *given: object) -> "Future[object]":
    """Call it in a thread of its own: one that hangs takes nobody else's."""
    future: Future[object] = Future()
    future.set_running_or_notify_cancel()  # from here on it cannot be taken back

    def call() -> None:
        try:
            future.set_result(function(*given))
        except BaseException as error:  # noqa: BLE001  # raised where the future is awaited
            future.set_exception(error)

    Thread(target=copy_context().run, args=(call,), name="doctrail-judge", daemon=True).start()
    return future


class _Background:
    """An event loop in a thread of its own, for sync code that has async things to do.

    It stays, so that clients that keep connections open find the loop in which they opened them.
    """

    def __init__(self) -> None:
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread stayed in the parent."""
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # whoever waited was interrupted
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(
                    target=self._loop.run_forever, name="doctrail-judge-loop", daemon=True
                ).start()
            return self._loop


_BACKGROUND = _Background()
