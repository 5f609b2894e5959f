"""Plays scripts: the walk through the acts, for hosts that say only how each single one is done.

A stage stands for one place in the run tree; what happens inside a search, a tool or a step is played
on a stage of its own, which the host makes there.
"""

import asyncio
import copy
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Self

from doctrail_core.model import Message
from doctrail_core.testing.conformance.script import (
    Act,
    Ask,
    Fallback,
    Hang,
    Keep,
    Meet,
    Parallel,
    Passage,
    Request,
    Retry,
    ScriptedError,
    Search,
    Step,
    UseTool,
    stuffed,
)

__all__ = ["AsyncStage", "Caller", "Stage", "called_by", "hang", "pieces"]

_PATIENCE = 30.0
_Acts = tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever made the request: is told that it hangs, and knows whom it is to meet."""

    hanging: asyncio.Event | None = None
    meeting: threading.Barrier | None = None
    async_meeting: asyncio.Barrier | None = None


called_by: ContextVar[Caller] = ContextVar("doctrail_conformance_caller")


async def hang() -> None:
    """Stay here until the caller, who is told of it, stops the request."""
    hanging = called_by.get().hanging
    assert hanging is not None, "a script that hangs needs a request that is stopped"
    hanging.set()
    await asyncio.Event().wait()


def pieces(text: str) -> list[str]:
    """What a model that streams says one after the other: words."""
    words = text.split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:]


class _Place:
    """What has been found so far at one place of the request."""

    def __init__(self, request: Request) -> None:
        """Begin with nothing."""
        self.request = request
        self.found: tuple[Passage, ...] = ()

    def beside(self) -> Self:
        """Another place right here, for what may fail or happens at once: what it finds stays there."""
        return copy.copy(self)

    def prompt(self, act: Ask) -> tuple[Message, ...]:
        """What the model is to be sent."""
        return stuffed(self.request.question, self.found) if act.prompt is None else act.prompt

    def _kept(self, act: Keep) -> tuple[Passage, ...]:
        return tuple(passage for passage in self.found if passage.chunk_id in act.chunk_ids)


class Stage(_Place, ABC):
    """Plays acts in sync code. A host says how its framework does each."""

    @abstractmethod
    def search(self, act: Search) -> None:
        """Ask a retriever that does what is inside, and then fails or returns what is found."""

    @abstractmethod
    def ask(self, act: Ask) -> str:
        """Call a model that fails, or says what it says."""

    @abstractmethod
    def use_tool(self, act: UseTool) -> None:
        """Call a tool that does what is inside, and then fails or returns."""

    @abstractmethod
    def step(self, act: Step) -> str:
        """Do what is inside in a part of its own, and return what was said last."""

    def keep(self, act: Keep) -> None:
        """Drop all but these, in the framework's way where it has one; here in nobody's sight."""

    def play(self, acts: _Acts) -> str:
        """Do all this, and return what was said last."""
        said = ""
        for act in acts:
            said = self._do(act) or said
        return said

    def fallback(self, first: _Acts, otherwise: _Acts) -> str:
        """Do the first thing, and the other one where it fails."""
        try:
            return self.beside().play(first)
        except ScriptedError:
            return self.beside().play(otherwise)

    def retry(self, attempts: tuple[_Acts, ...]) -> str:
        """Try until an attempt does not fail."""
        for attempt in attempts[:-1]:
            try:
                return self.beside().play(attempt)
            except ScriptedError:
                continue
        return self.beside().play(attempts[-1])

    def parallel(self, branches: tuple[_Acts, ...]) -> str:
        """Do all of it at once."""
        with ThreadPoolExecutor(len(branches)) as pool:
            done = [pool.submit(copy_context().run, self.beside().play, b) for b in branches]
        return [future.result() for future in done][-1]

    def _do(self, act: Act) -> str | None:
        match act:
            case Ask():
                return self.ask(act)
            case Step():
                return self.step(act)
            case Parallel(branches):
                return self.parallel(branches)
            case Fallback(first, otherwise):
                return self.fallback(first, otherwise)
            case Retry(attempts):
                return self.retry(attempts)
            case _:
                return self._do_in_silence(act)

    def _do_in_silence(self, act: Search | Keep | UseTool | Meet | Hang) -> None:
        match act:
            case Search():
                self.search(act)
                self.found = act.found
            case Keep():
                self.keep(act)
                self.found = self._kept(act)
            case UseTool():
                self.use_tool(act)
            case Meet():
                meeting = called_by.get().meeting
                assert meeting is not None, "a script that meets another needs two requests"
                meeting.wait(_PATIENCE)
            case Hang():
                raise AssertionError("only async code can be stopped while it hangs")


class AsyncStage(_Place, ABC):
    """Plays acts in async code. A host says how its framework does each."""

    @abstractmethod
    async def search(self, act: Search) -> None:
        """Ask a retriever that does what is inside, and then fails or returns what is found."""

    @abstractmethod
    async def ask(self, act: Ask) -> str:
        """Call a model that does what is inside (`hang`), and then fails, or says what it says."""

    @abstractmethod
    async def use_tool(self, act: UseTool) -> None:
        """Call a tool that does what is inside, and then fails or returns."""

    @abstractmethod
    async def step(self, act: Step) -> str:
        """Do what is inside in a part of its own, and return what was said last."""

    async def keep(self, act: Keep) -> None:
        """Drop all but these, in the framework's way where it has one; here in nobody's sight."""

    async def play(self, acts: _Acts) -> str:
        """Do all this, and return what was said last."""
        said = ""
        for act in acts:
            said = await self._do(act) or said
        return said

    async def fallback(self, first: _Acts, otherwise: _Acts) -> str:
        """Do the first thing, and the other one where it fails."""
        try:
            return await self.beside().play(first)
        except ScriptedError:
            return await self.beside().play(otherwise)

    async def retry(self, attempts: tuple[_Acts, ...]) -> str:
        """Try until an attempt does not fail."""
        for attempt in attempts[:-1]:
            try:
                return await self.beside().play(attempt)
            except ScriptedError:
                continue
        return await self.beside().play(attempts[-1])

    async def parallel(self, branches: tuple[_Acts, ...]) -> str:
        """Do all of it at once."""
        return (await asyncio.gather(*(self.beside().play(b) for b in branches)))[-1]

    async def _do(self, act: Act) -> str | None:
        match act:
            case Ask():
                return await self.ask(act)
            case Step():
                return await self.step(act)
            case Parallel(branches):
                return await self.parallel(branches)
            case Fallback(first, otherwise):
                return await self.fallback(first, otherwise)
            case Retry(attempts):
                return await self.retry(attempts)
            case _:
                return await self._do_in_silence(act)

    async def _do_in_silence(self, act: Search | Keep | UseTool | Meet | Hang) -> None:
        match act:
            case Search():
                await self.search(act)
                self.found = act.found
            case Keep():
                await self.keep(act)
                self.found = self._kept(act)
            case UseTool():
                await self.use_tool(act)
            case Meet():
                meeting = called_by.get().async_meeting
                assert meeting is not None, "a script that meets another needs two requests"
                await asyncio.wait_for(meeting.wait(), _PATIENCE)
            case Hang():
                await hang()
