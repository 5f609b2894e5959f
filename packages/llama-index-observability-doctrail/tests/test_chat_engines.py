"""A turn of a chat engine is one response: its question, what was retrieved, the prompt, the answer."""

import asyncio
import gc
import threading
import time

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.memory import ChatMemoryBuffer

from llama_index.observability.doctrail import LineageRetriever, handlers

SECOND = "And for private accounts?"


def memory(*history):
    """The default memory opens a database that nobody closes."""
    return ChatMemoryBuffer.from_defaults(token_limit=2000, chat_history=list(history))


def context(rag, retriever):
    return ContextChatEngine.from_defaults(retriever, llm=rag.llm, memory=memory())


def condense_plus_context(rag, retriever):
    return CondensePlusContextChatEngine.from_defaults(retriever, llm=rag.llm, memory=memory())


def condense_question(rag, retriever):
    engine = rag.engine(retriever, streaming=True)
    return CondenseQuestionChatEngine.from_defaults(engine, llm=rag.llm, memory=memory())


def simple(rag, retriever):
    return SimpleChatEngine.from_defaults(llm=rag.llm, memory=memory())


RETRIEVING = [context, condense_plus_context, condense_question]
ALL = [*RETRIEVING, simple]


def wait_for(something, seconds=5):
    deadline = time.monotonic() + seconds
    while not something() and time.monotonic() < deadline:
        time.sleep(0.001)


async def chat(engine, question):
    return engine.chat(question).response


async def achat(engine, question):
    return (await engine.achat(question)).response


async def stream_chat(engine, question):
    """A sync stream in async code would wait for itself; a thread draws it."""

    def draw():
        threads = threading.active_count()
        said = "".join(engine.stream_chat(question).response_gen)
        # Older versions do not wait for the writer.
        wait_for(lambda: threading.active_count() == threads)
        return said

    return await asyncio.to_thread(draw)


async def astream_chat(engine, question):
    response = await engine.astream_chat(question)
    return "".join([token async for token in response.async_response_gen()])


WAYS = [chat, achat, stream_chat, astream_chat]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", RETRIEVING)
async def test_every_turn_is_one_response_with_all_its_parts(rag, instrumented, make, way):
    engine = make(rag, rag.retriever())
    for question in (rag.question, SECOND):
        assert await way(engine, question) == rag.answer
    first, second = rag.captured.trails
    for trail, question in ((first, rag.question), (second, SECOND)):
        assert trail.question == question
        assert trail.answer == rag.answer
        assert [trail.status, trail.framework] == ["ok", "llama_index"]
        assert len(trail.retrievals) == 1
        [answered] = [g for g in trail.generations if not g.auxiliary]
        assert answered.output == rag.answer
    assert first.chunk_grades["chunk-renewal"] == "in_prompt"
    assert first.involvements["chunk-renewal"] == "direct"
    assert rag.captured.open_count == handlers.RUNS.open_count == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [condense_plus_context, condense_question])
async def test_condensing_prepares_and_its_question_is_what_was_searched(
    rag, instrumented, make, way
):
    engine = make(rag, rag.retriever())
    await way(engine, rag.question)
    await way(engine, SECOND)
    first, second = rag.captured.trails
    assert [g.auxiliary for g in first.generations] == [False]
    assert [g.auxiliary for g in second.generations] == [True, False]
    assert second.retrievals[0].query == rag.answer  # the fake says the same to everything
    assert second.question == SECOND


@pytest.mark.parametrize("way", WAYS)
async def test_a_chat_without_retrieval_is_recorded_too(rag, instrumented, way):
    engine = simple(rag, None)
    await way(engine, "Hello?")
    await way(engine, SECOND)
    first, second = rag.captured.trails
    assert [first.question, second.question] == ["Hello?", SECOND]
    assert [first.retrievals, second.retrievals] == [(), ()]
    assert [g.auxiliary for g in second.generations] == [False]
    assert second.answer == rag.answer
    assert "Hello?" in str(second.generations[0].messages)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", RETRIEVING)
async def test_a_wrapped_retriever_is_enough(rag, make, way):
    engine = make(rag, rag.wrapped())
    await way(engine, rag.question)
    await way(engine, SECOND)
    assert [t.question for t in rag.captured.trails] == [rag.question, SECOND]
    assert [t.answer for t in rag.captured.trails] == [rag.answer] * 2


async def test_the_engine_that_a_chat_asks_is_a_step_of_it(rag, instrumented):
    await achat(condense_question(rag, rag.retriever()), rag.question)
    [trail] = rag.captured.trails
    [step] = trail.steps
    assert [step.name, step.output] == ["RetrieverQueryEngine", rag.answer]
    assert trail.retrievals[0].parent_id == step.step_id
    assert trail.generations[0].parent_id == step.step_id


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", ALL)
async def test_a_turn_in_a_scope_belongs_to_it(rag, instrumented, make, way):
    with rag.captured.scope(session_id="s-1") as opened:
        await way(make(rag, rag.retriever()), rag.question)
    [trail] = rag.captured.trails
    assert [trail.response_id, trail.session_id] == [opened.response_id, "s-1"]
    assert trail.answer == rag.answer


async def test_a_turn_whose_stream_is_read_after_its_scope_belongs_to_it(rag, instrumented):
    with rag.captured.scope(session_id="s-1"):
        response = await context(rag, rag.retriever()).astream_chat(rag.question)
    assert "".join([token async for token in response.async_response_gen()]) == rag.answer
    [trail] = rag.captured.trails
    assert [trail.session_id, trail.answer, trail.status] == ["s-1", rag.answer, "ok"]


def test_an_answer_whose_stream_nobody_reads_is_whole_all_the_same(rag, instrumented):
    response = context(rag, rag.retriever()).stream_chat(rag.question)
    if not response.is_writing_to_memory:
        del response
        gc.collect()
        pytest.skip("in this version nobody else draws it")
    wait_for(lambda: rag.captured.trails)
    [trail] = rag.captured.trails
    assert [trail.status, trail.answer] == ["ok", rag.answer]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("make", ALL)
def test_an_error_in_the_middle_of_a_stream_is_the_turns(rag, instrumented, make):
    rag.llm.fails_at = 1
    threads = threading.active_count()
    engine = make(rag, rag.retriever())
    with pytest.raises(RuntimeError, match="the model is gone"):
        list(engine.stream_chat(rag.question).response_gen)  # 0.14.22 to .24 draw it at once
    wait_for(lambda: threading.active_count() == threads)
    [trail] = rag.captured.trails
    assert trail.status == "error"
    assert "the model is gone" in trail.error
    assert handlers.RUNS.open_count == 0


def test_an_error_before_the_stream_is_the_turns(rag, instrumented):
    rag.llm.fails_at = 0
    with pytest.raises(RuntimeError, match="the model is gone"):
        context(rag, rag.retriever()).chat(rag.question)
    assert [t.status for t in rag.captured.trails] == ["error"]


def test_a_turn_that_is_cut_off_before_its_writer_begins_is_aborted(rag, instrumented):
    async def leave():
        response = await simple(rag, None).astream_chat(rag.question)
        response.awrite_response_to_history_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await response.awrite_response_to_history_task

    asyncio.run(leave())
    gc.collect()
    assert [t.status for t in rag.captured.trails] == ["aborted"]


async def test_turns_at_once_do_not_mix(rag, instrumented):
    async def ask(number):
        return await astream_chat(context(rag, rag.retriever()), f"{rag.question} ({number})")

    assert await asyncio.gather(*(ask(n) for n in range(5))) == [rag.answer] * 5
    assert sorted(t.question for t in rag.captured.trails) == [
        f"{rag.question} ({n})" for n in range(5)
    ]
    for trail in rag.captured.trails:
        assert [len(trail.retrievals), len(trail.generations)] == [1, 1]
        assert trail.question in str(trail.generations[0].messages)


def test_what_the_history_holds_is_in_the_prompt_of_the_next_turn(rag, instrumented):
    known = memory(ChatMessage(role="user", content="I am Ada."))
    engine = ContextChatEngine.from_defaults(rag.retriever(), llm=rag.llm, memory=known)
    engine.chat(rag.question)
    assert "I am Ada." in str(rag.captured.trails[0].generations[0].messages)


def test_the_clock_of_what_was_held_back_goes_forward(rag):
    engine = condense_plus_context(rag, LineageRetriever(rag.retriever(), lineage=rag.captured))
    engine.chat(rag.question)
    engine.chat(SECOND)
    trail = rag.captured.trails[1]
    condensing, answering = trail.generations
    assert trail.started_at <= condensing.started_at <= condensing.ended_at
    assert condensing.ended_at < trail.retrievals[0].started_at < answering.started_at
    assert condensing.ended_at > rag.captured.trails[0].ended_at
