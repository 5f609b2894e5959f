"""What the code around marked a request with reaches its trail and its spans, also in tasks and threads."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.runnables.config import ContextThreadPoolExecutor
from opentelemetry import baggage, context

from langchain_doctrail import LineageRetriever

QUESTION = "When is the renewal deadline?"


@pytest.fixture
def openinference():
    return pytest.importorskip("openinference.instrumentation")


@pytest.fixture
def chain(rag, retriever):
    return rag(LineageRetriever.wrap(retriever))


@pytest.fixture
def config(handler):
    return {"callbacks": [handler]}


@pytest.fixture
def marked(openinference):
    return lambda number: openinference.using_attributes(
        session_id=f"session-{number}",
        user_id=f"user-{number}",
        metadata={"tenant": f"tenant-{number}"},
        tags=["gold", f"tag-{number}"],
    )


def assert_marked(captured, number=1, spans=4):
    """One response, all of whose spans bear the marks of this number."""
    (trail,) = [t for t in captured.trails if t.session_id == f"session-{number}"]
    assert trail.user_id == f"user-{number}"
    told = [
        dict(s.attributes) for s in captured.spans if f"{s.context.trace_id:032x}" == trail.trace_id
    ]
    assert len(told) == spans
    for shown in told:
        assert shown["session.id"] == shown["gen_ai.conversation.id"] == f"session-{number}"
        assert shown["user.id"] == f"user-{number}"
        assert json.loads(shown["metadata"])["tenant"] == f"tenant-{number}"
        assert shown["tag.tags"] == ("gold", f"tag-{number}")


def test_in_plain_code(chain, config, captured, marked):
    with marked(1):
        chain.invoke(QUESTION, config)
    assert_marked(captured)


async def test_in_async_code(chain, config, captured, marked):
    with marked(1):
        await chain.ainvoke(QUESTION, config)
    assert_marked(captured)


async def test_in_a_stream_that_is_read_elsewhere(chain, config, captured, marked):
    with marked(1):
        stream = chain.astream(QUESTION, config)
        await anext(stream)
    async for _ in stream:
        pass
    assert_marked(captured)


async def test_in_tasks_side_by_side(chain, config, captured, marked):
    async def ask(number):
        with marked(number):
            await chain.ainvoke(QUESTION, config)

    await asyncio.gather(*map(ask, range(20)))
    for number in range(20):
        assert_marked(captured, number)


def test_in_threads_side_by_side(chain, config, captured, marked):
    def ask(number):
        with marked(number):
            chain.invoke(QUESTION, config)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(20)))
    for number in range(20):
        assert_marked(captured, number)


def test_in_a_thread_that_got_the_context(chain, config, captured, marked):
    with marked(1), ContextThreadPoolExecutor(1) as pool:
        pool.submit(chain.invoke, QUESTION, config).result()
    assert_marked(captured)


def test_in_a_batch(chain, config, captured, marked):
    with marked(1):
        chain.batch([QUESTION, QUESTION], config)
    assert {(t.session_id, t.user_id) for t in captured.trails} == {("session-1", "user-1")}
    assert len(captured.trails) == 2


async def test_baggage_of_a_request_that_came_over_the_wire(chain, config, captured):
    arrived = baggage.set_baggage("session.id", "s-9", baggage.set_baggage("user.id", "u-9"))
    token = context.attach(arrived)
    try:
        await chain.ainvoke(QUESTION, config)
        chain.invoke(QUESTION, config)
    finally:
        context.detach(token)
    assert {(t.session_id, t.user_id) for t in captured.trails} == {("s-9", "u-9")}


def test_what_the_request_itself_says_counts_more(chain, config, captured, marked):
    with marked(1):
        chain.invoke(QUESTION, {**config, "metadata": {"session_id": "mine", "user_id": "me"}})
    (trail,) = captured.trails
    assert (trail.session_id, trail.user_id) == ("mine", "me")


async def test_what_is_suppressed_has_no_spans_but_a_trail(chain, config, captured, openinference):
    with openinference.suppress_tracing():
        await chain.ainvoke(QUESTION, config)
        chain.invoke(QUESTION, config)
    assert captured.spans == ()
    assert len(captured.trails) == 2
