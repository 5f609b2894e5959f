"""Many requests: all at once, or one after the other for long."""

import asyncio
import gc
import time
import tracemalloc
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from pydantic_core import from_json, to_json

from doctrail_core import Lineage
from doctrail_core.testing.capture import capture_trails
from doctrail_core.testing.conformance.caller import in_tasks, in_threads
from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.scenario import Record
from doctrail_core.testing.conformance.script import Ask, Passage, Request, Search

__all__ = ["Delivery", "Soaked", "crowd", "numbered", "soak"]

_PATIENCE = 120.0
_LOOKS = 5
_BETWEEN_LOOKS = 0.2
Delivery = Literal["whole", "streamed", "left"]


def numbered(number: int, delivery: Delivery = "whole") -> Request:
    """A request that no other one is like, but for one passage that all find."""
    own = Passage(
        f"The secret of number {number} is {number * 7919}.", f"own-{number}", f"doc_{number}", 0.75
    )
    shared = Passage("What everybody may know is no secret to anyone.", "shared", "doc_shared", 0.5)
    question = f"What is the secret of number {number}?"
    acts = (Search(question, (own, shared)), Ask(f"It is {number * 7919}, said {number}."))
    return Request(question, acts, f"session-{number}", f"user-{number}", delivery)


def crowd(host: Host, count: int, deliveries: Sequence[Delivery]) -> Record:
    """So many requests at once: in threads, in tasks, and in batches, sync and async.

    Those in threads and tasks are delivered in each of these ways.
    """
    share = count // 4
    mixed = [numbered(n, deliveries[n % len(deliveries)]) for n in range(2 * share)]
    whole = [numbered(n) for n in range(2 * share, 4 * share)]
    with capture_trails() as lineage:

        def tasks() -> list[str]:
            return asyncio.run(in_tasks(host, mixed[share:], lineage))

        def abatch() -> list[str]:
            return asyncio.run(host.abatch(whole[share:], lineage))

        ways: tuple[Callable[[], list[str]], ...] = (
            lambda: in_threads(host, mixed[:share], lineage),
            tasks,
            lambda: host.batch(whole[:share], lineage),
            abatch,
        )
        with ThreadPoolExecutor(len(ways)) as pool:
            done = [pool.submit(way) for way in ways]
        outcomes = [outcome for future in done for outcome in future.result()]
        left_open = lineage.open_count + host.open_count()
    return Record((*mixed, *whole), outcomes, lineage, left_open)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What many requests, one after the other, left in memory.

    `growth` is in bytes per request, after a warm-up.
    """

    growth: float
    left_open: int


def _fill_string_cache() -> None:
    """Have the JSON parser remember as many short strings as it ever will, which looks like a leak."""
    from_json(to_json([str(uuid.uuid4()) for _ in range(60_000)]))


def soak(host: Host, requests: Sequence[Request], lineage: Lineage, count: int) -> Soaked:
    """Make these requests in turn, `count` in all, every other one in async code."""
    warm_up = max(count // 4, 200)  # what is remembered of the latest answers is full by then
    with asyncio.Runner() as runner:

        def ask(number: int) -> None:
            request = requests[number % len(requests)]
            if request.stopped or number // len(requests) % 2:
                runner.run(in_tasks(host, [request], lineage))
            else:
                in_threads(host, [request], lineage)

        def kept() -> int:
            """The least of some looks: the thread that moves records may still hold the latest ones."""
            looks: list[int] = []
            for _ in range(_LOOKS):
                assert lineage.flush(_PATIENCE), (
                    "what is on its way into the stores is in memory, too"
                )
                gc.collect()
                looks.append(tracemalloc.get_traced_memory()[0])
                time.sleep(_BETWEEN_LOOKS)
            return min(looks)

        tracemalloc.start()
        try:
            _fill_string_cache()
            for number in range(warm_up):
                ask(number)
            before = kept()
            for number in range(warm_up, warm_up + count):
                ask(number)
            growth = kept() - before
        finally:
            tracemalloc.stop()
    return Soaked(growth / count, lineage.open_count + host.open_count())
