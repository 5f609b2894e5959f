"""Whoever makes the requests of a script, in threads or tasks, and what they get."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from contextvars import copy_context
from itertools import islice

from doctrail_core import Lineage
from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.script import Request
from doctrail_core.testing.conformance.stage import Caller, called_by

__all__ = ["acall", "call", "in_tasks", "in_threads"]


def in_threads(
    host: Host, requests: Sequence[Request], lineage: Lineage, threads: int = 8
) -> list[str]:
    """Make the requests in so many threads, and tell what each came to."""
    meeting = threading.Barrier(2)

    def one(request: Request) -> str:
        called_by.set(Caller(meeting=meeting))
        return call(host, request, lineage)

    if len(requests) == 1:
        return [copy_context().run(one, requests[0])]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, requests))


async def in_tasks(host: Host, requests: Sequence[Request], lineage: Lineage) -> list[str]:
    """Make the requests in a task each, and tell what each came to."""
    meeting = asyncio.Barrier(2)

    async def one(request: Request) -> str:
        called_by.set(Caller(asyncio.Event(), async_meeting=meeting))
        return await acall(host, request, lineage)

    return list(await asyncio.gather(*map(one, requests)))


def call(host: Host, request: Request, lineage: Lineage) -> str:
    """Make a request in sync code; what it came to is the answer, or what was raised."""
    try:
        return _answer(host, request, lineage)
    except Exception as error:  # noqa: BLE001  # whatever comes out of a chain is told
        return _raised(error)


async def acall(host: Host, request: Request, lineage: Lineage) -> str:
    """Make a request in async code; what it came to is the answer, or what was raised."""
    try:
        if request.stopped:
            return await _stopped(host, request, lineage)
        return await _aanswer(host, request, lineage)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # likewise
        return _raised(error)


def _answer(host: Host, request: Request, lineage: Lineage) -> str:
    if request.delivery == "whole":
        return host.ask(request, lineage)
    drawn = 1 if request.delivery == "left" else None
    with closing(host.stream(request, lineage)) as stream:
        return "".join(islice(stream, drawn))


async def _aanswer(host: Host, request: Request, lineage: Lineage) -> str:
    if request.delivery == "whole":
        return await host.aask(request, lineage)
    said = ""
    async with aclosing(host.astream(request, lineage)) as stream:
        async for piece in stream:
            said += piece
            if request.delivery == "left":
                break
    return said


async def _stopped(host: Host, request: Request, lineage: Lineage) -> str:
    hanging = called_by.get().hanging
    assert hanging is not None
    if request.stopped == "cancelled":
        task = asyncio.create_task(host.aask(request, lineage))
        await hanging.wait()
        task.cancel()
        return await task
    async with asyncio.timeout(None) as limit:

        async def over() -> None:
            await hanging.wait()
            limit.reschedule(asyncio.get_running_loop().time())

        watching = asyncio.create_task(over())
        try:
            return await host.aask(request, lineage)
        finally:
            watching.cancel()


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
