"""How a judge's model is called: from sync and async code, in time, so many at once, within a budget."""

import asyncio
import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial

import pytest

from doctrail_core.capture.scope import suppressed
from doctrail_core.grounding.judge import Budget, Chat, JudgeVerifier, Price, Reply
from doctrail_core.grounding.judge.slots import Slots
from doctrail_core.grounding.verifier import Answer, Findings, Passage, Verifier, VerifierError
from doctrail_core.model import Usage

TEXT = "The renewal deadline for enterprise accounts is February 28th."
ANSWER = Answer(TEXT, (Passage("c1", "d1", TEXT),))
USAGE = Usage(600, 30, 630)


def judged(messages):
    """What an honest model replies."""
    data = messages[1]["content"]
    (claim,) = re.findall(r"^(C\d+-\w+): ", data, re.MULTILINE)
    (source,) = re.findall(r" source (S\d+-\w+)>>>$", data, re.MULTILINE)
    entry = {"claim": claim, "source": source, "quote": TEXT, "verdict": "supported"}
    return json.dumps({"rulings": [entry]})


async def judged_later(messages):
    await asyncio.sleep(0)
    return judged(messages)


class AsyncObject:
    async def __call__(self, messages):
        return await judged_later(messages)


MODELS = {
    "sync": judged,
    "async": judged_later,
    "reply": lambda messages: Reply(judged(messages)),
    "partial": partial(judged_later),
    "lambda that gives an awaitable": lambda messages: judged_later(messages),  # noqa: PLW0108  # no async function itself
    "object": AsyncObject(),
    "chat, sync": Chat(ask=judged),
    "chat, async": Chat(ask_later=judged_later),
    "chat, both": Chat(judged, judged_later),
}


def supported(findings):
    return [v.verdict for v in findings.verdicts] == ["supported"]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
class TestEveryKindOfModel:
    def test_is_asked_by_sync_code(self, model):
        assert supported(JudgeVerifier(model).verify(ANSWER))

    async def test_is_asked_by_sync_code_where_a_loop_is_running(self, model):
        assert supported(JudgeVerifier(model).verify(ANSWER))

    async def test_is_asked_by_async_code(self, model):
        assert supported(await JudgeVerifier(model).averify(ANSWER))

    def test_is_asked_in_one_loop_after_the_other(self, model):
        judge = JudgeVerifier(model)
        assert all(supported(asyncio.run(judge.averify(ANSWER))) for _ in range(3))


async def test_async_code_asks_in_its_own_loop_and_sync_code_in_its_own_way():
    loops = []

    async def later(messages):
        loops.append(asyncio.get_running_loop())
        return judged(messages)

    def at_once(messages):
        loops.append(None)
        return judged(messages)

    judge = JudgeVerifier(Chat(at_once, later))
    await judge.averify(ANSWER)
    judge.verify(ANSWER)
    assert loops == [asyncio.get_running_loop(), None]


def test_sync_code_always_asks_an_async_model_in_the_same_loop():
    loops = set()

    async def later(messages):
        loops.add(asyncio.get_running_loop())
        return judged(messages)

    judge = JudgeVerifier(later)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(judge.verify, [ANSWER] * 8))
    assert len(loops) == 1


async def test_async_checks_leave_the_loop_free():
    started, turns = asyncio.Event(), 0
    release = threading.Event()

    def blocks(messages):
        loop.call_soon_threadsafe(started.set)
        release.wait(20)
        return judged(messages)

    loop = asyncio.get_running_loop()
    check = asyncio.create_task(JudgeVerifier(blocks).averify(ANSWER))
    await started.wait()
    for _ in range(10):
        await asyncio.sleep(0)
        turns += 1
    assert turns == 10
    assert not check.done()
    release.set()
    assert supported(await check)


VARIABLE = ContextVar("variable", default=None)


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: Chat(ask_later=_awaited(f))])
async def test_the_model_is_called_in_the_callers_context_and_records_nothing(wrap):
    seen = []

    def model(messages):
        seen.append((VARIABLE.get(), suppressed()))
        return judged(messages)

    VARIABLE.set("request 7")
    judge = JudgeVerifier(wrap(model))
    judge.verify(ANSWER)
    await judge.averify(ANSWER)
    judge.verify_batch([ANSWER])
    assert seen == [("request 7", True)] * 3
    assert not suppressed()


def _awaited(function):
    async def later(messages):
        return function(messages)

    return later


# -- time --------------------------------------------------------------------------------------


@pytest.fixture
def stuck():
    """A model that hangs until the test is over."""
    over = threading.Event()
    yield lambda messages: over.wait(60) and judged(messages)
    over.set()


async def hangs(messages):
    await asyncio.sleep(3600)


def test_a_sync_model_that_hangs_is_left_behind(stuck):
    with pytest.raises(VerifierError, match=r"no answer within 0\.05 s"):
        JudgeVerifier(stuck, timeout=0.05).verify(ANSWER)


async def test_a_model_that_hangs_holds_up_no_async_code(stuck):
    for model in (stuck, hangs):
        with pytest.raises(VerifierError, match="no answer within"):
            await JudgeVerifier(model, timeout=0.05).averify(ANSWER)
    with pytest.raises(VerifierError, match="no answer within"):
        JudgeVerifier(hangs, timeout=0.05).verify(ANSWER)


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: Chat(ask_later=_awaited(f))])
async def test_a_model_that_wants_to_end_the_process_only_fails_the_check(wrap):
    def leaves(messages):
        raise SystemExit(3)

    judge = JudgeVerifier(wrap(leaves))
    with pytest.raises(VerifierError, match="SystemExit: 3"):
        judge.verify(ANSWER)
    with pytest.raises(VerifierError, match="SystemExit: 3"):
        await judge.averify(ANSWER)
    assert supported(JudgeVerifier(judged_later).verify(ANSWER))


def test_a_model_that_hung_gives_its_place_free(stuck):
    calls = iter([stuck, stuck, judged])

    def model(messages):
        return next(calls)(messages)

    judge = JudgeVerifier(model, timeout=1, concurrency=1)
    for _ in range(2):
        with pytest.raises(VerifierError, match="no answer"):
            judge.verify(ANSWER)
    assert supported(judge.verify(ANSWER))


async def test_a_check_that_is_cancelled_gives_its_place_free():
    inside = asyncio.Event()

    async def hangs(messages):
        inside.set()
        await asyncio.sleep(3600)

    judge = JudgeVerifier(Chat(judged, hangs), concurrency=1)
    checks = [asyncio.create_task(judge.averify(ANSWER)) for _ in range(3)]
    await inside.wait()
    for check in checks:
        check.cancel()
    outcomes = await asyncio.gather(*checks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert supported(judge.verify(ANSWER))


# -- so many at once ---------------------------------------------------------------------------


class Crowd:
    """Counts who is in at the same time, and lets nobody out before enough came or a while passed."""

    def __init__(self, expected):
        self.inside = self.most = 0
        self.lock = threading.Lock()
        self.full = threading.Event()
        self.expected = expected

    def __call__(self, messages):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside >= self.expected:
                self.full.set()
        assert self.full.wait(20)
        time.sleep(0.005)  # whoever came too many has time to show
        with self.lock:
            self.inside -= 1
        return judged(messages)


def test_no_more_calls_run_at_once_than_allowed_over_threads_and_loops():
    crowd = Crowd(expected=3)
    judge = JudgeVerifier(crowd, concurrency=3)

    async def some():
        return await asyncio.gather(*(judge.averify(ANSWER) for _ in range(4)))

    with ThreadPoolExecutor(6) as pool:
        loops = [pool.submit(asyncio.run, some()) for _ in range(3)]
        threads = [pool.submit(judge.verify, ANSWER) for _ in range(6)]
        found = [f for loop in loops for f in loop.result()] + [t.result() for t in threads]
    assert len(found) == 18
    assert all(map(supported, found))
    assert crowd.most == 3


def test_a_batch_is_asked_side_by_side_and_comes_back_in_order():
    crowd = Crowd(expected=3)
    answers = [Answer(TEXT, (Passage(f"c{number}", "d", TEXT),)) for number in range(7)]
    found = JudgeVerifier(crowd, concurrency=3).verify_batch(answers)
    assert [f.verdicts[0].evidence[0].chunk_id for f in found] == [f"c{n}" for n in range(7)]
    assert crowd.most == 3
    assert JudgeVerifier(crowd).verify_batch([]) == []


async def test_whoever_waits_longest_is_next():
    slots, order = Slots(1), []

    async def turn(number):
        async with slots.taken():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(turn, range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_turn_that_comes_with_the_cancellation_is_passed_on():
    slots = Slots(1)
    first = slots.taken()
    await first.__aenter__()
    waiting = asyncio.create_task(slots.taken().__aenter__())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)  # the ticket is called, and then
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(20), slots.taken():
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_process_judges_although_the_parents_place_was_taken(eventually):
    parent, inside, over = os.getpid(), threading.Event(), threading.Event()

    async def model(messages):
        if os.getpid() == parent:
            inside.set()
            await asyncio.to_thread(over.wait, 60)
        return judged(messages)

    judge = JudgeVerifier(model, concurrency=1)
    waiting = threading.Thread(target=judge.verify, args=(ANSWER,))
    waiting.start()
    assert inside.wait(20)
    child = os.fork()
    if child == 0:
        fine = False
        signal.alarm(60)
        try:
            fine = supported(judge.verify(ANSWER))
        finally:
            os._exit(0 if fine else 1)
    _, status = eventually(lambda: (ended := os.waitpid(child, os.WNOHANG))[0] and ended)
    assert os.waitstatus_to_exitcode(status) == 0
    over.set()
    waiting.join(20)


# -- what it costs -----------------------------------------------------------------------------


def test_tokens_and_money_are_counted():
    judge = JudgeVerifier(lambda m: Reply(judged(m), USAGE), price=Price(input=2.5, output=10))
    found = judge.verify(ANSWER)
    assert found.usage == USAGE
    assert found.cost == pytest.approx(600 * 2.5e-6 + 30 * 10e-6)


def test_what_a_provider_does_not_tell_is_not_made_up():
    found = JudgeVerifier(judged, price=Price(2.5, 10)).verify(ANSWER)
    assert (found.usage, found.cost) == (None, None)
    told = Reply("", Usage(None, 5, 5))
    assert Price(1, 1).cost(told.usage) is None


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_calls_beyond_the_budget_are_left_to_the_fallback_until_the_hour_is_over(clock):
    asked = []

    def model(messages):
        asked.append(clock.now)
        return Reply(judged(messages), USAGE)

    judge = JudgeVerifier(model, budget=Budget(calls_per_hour=2, clock=clock), price=Price(1, 1))
    assert [judge.verify(ANSWER).degraded_from for _ in range(3)] == [None, None, "judge"]
    clock.now = 3599
    degraded = judge.verify(ANSWER)
    assert (degraded.degraded_from, degraded.error) == (
        "judge",
        "the budget of the hour is used up",
    )
    assert {v.verifier for v in degraded.verdicts} == {"embedded"}
    assert supported(degraded)
    assert (degraded.usage, degraded.cost) == (None, None)
    clock.now = 3600
    assert judge.verify(ANSWER).degraded_from is None
    assert asked == [0, 0, 3600]


async def test_tokens_count_as_the_provider_tells(clock):
    judge = JudgeVerifier(
        lambda m: Reply(judged(m), Usage(5_000, 1_000)),
        budget=Budget(tokens_per_hour=12_500, clock=clock),
    )
    found = [(await judge.averify(ANSWER)).degraded_from for _ in range(4)]
    assert found == [None, None, "judge", "judge"]
    clock.now = 4000
    assert (await judge.averify(ANSWER)).degraded_from is None


def test_tokens_are_estimated_where_nobody_tells(clock):
    judge = JudgeVerifier(judged, budget=Budget(tokens_per_hour=2_000, clock=clock))
    found = [judge.verify(ANSWER).degraded_from for _ in range(10)]
    assert found[0] is None
    assert found[-1] == "judge"


def test_a_second_attempt_counts_and_what_was_spent_is_told(clock):
    judge = JudgeVerifier(
        lambda m: Reply("Yes.", USAGE),
        budget=Budget(calls_per_hour=1, clock=clock),
        price=Price(1, 1),
    )
    found = judge.verify(ANSWER)
    assert found.degraded_from == "judge"
    assert found.usage == USAGE
    assert found.cost == pytest.approx(630e-6)


def test_judges_may_share_a_budget(clock):
    budget = Budget(calls_per_hour=1, clock=clock)
    first, second = (JudgeVerifier(judged, name=n, budget=budget) for n in ("first", "second"))
    assert first.verify(ANSWER).degraded_from is None
    assert second.verify(ANSWER).degraded_from == "second"


def test_threads_together_never_exceed_a_budget():
    allowed, budget = [], Budget(calls_per_hour=50)
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda _: budget.allow(1), range(400)))
    assert sum(hold is not None for hold in allowed) == 50


class Cheap(Verifier):
    name = "cheap"
    version = "1"

    def verify(self, answer):
        return Findings(verdicts=(), usage=Usage(1, 1, 2), cost=0.5)


def test_the_fallback_may_cost_something_too(clock):
    budget = Budget(calls_per_hour=0, clock=clock)
    found = JudgeVerifier(judged, name="dear", budget=budget, fallback=Cheap()).verify(ANSWER)
    assert found.cost == 0.5
    assert (found.usage, found.degraded_from) == (Usage(1, 1, 2), "dear")


def test_the_version_tells_models_apart():
    versions = {JudgeVerifier(Chat(judged, name=name)).version for name in ("", "a", "b")}
    assert len(versions) == 3
