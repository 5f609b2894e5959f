"""Every way in which a call of LangChain's can begin and end leaves one whole trail, and nothing open."""

import asyncio
import gc
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langchain_core.tools import tool
from opentelemetry import trace

from langchain_doctrail import LineageCallbackHandler, LineageRetriever

QUESTION = "When is the renewal deadline?"
ANSWER = "On February 28th."


class PickyModel(SimpleChatModel):
    """Fails on questions that it does not like."""

    @property
    def _llm_type(self):
        return "picky"

    def _call(self, messages, *args, **kwargs):
        if "bad" in messages[-1].content:
            raise ConnectionError("the model is away")
        return f"answer to {messages[-1].content}"


class HangingModel(FakeListChatModel):
    async def _agenerate(self, *args, **kwargs):
        await asyncio.Event().wait()


class BlockModel(GenericFakeChatModel):
    """Streams content blocks, as Anthropic's models do."""

    def _stream(self, *args, **kwargs):
        for piece in ("On ", "February ", "28th."):
            block = {"type": "text", "text": piece, "index": 0}
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=[block]))
            yield chunk


class HangingRetriever(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        raise KeyboardInterrupt

    async def _aget_relevant_documents(self, query, *, run_manager):
        await asyncio.Event().wait()


def says(text, **kwargs):
    return FakeListChatModel(responses=[text], **kwargs)


async def until(condition):
    """Let the event loop and the garbage collector do their work until this holds."""
    async with asyncio.timeout(60):
        while not condition():
            gc.collect()
            await asyncio.sleep(0)


async def cancelled(call, begun):
    """Cancel a call once it has begun, and wait for its end."""
    task = asyncio.create_task(call)
    async with asyncio.timeout(10):
        while not begun():  # noqa: ASYNC110  # nobody tells when it has
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def only(captured):
    (trail,) = captured.trails
    return trail


@pytest.fixture
def config(handler) -> RunnableConfig:
    return {"callbacks": [handler]}


@pytest.fixture(autouse=True)
def nothing_stays_attached(caplog):
    """However a request ends, the span around it is the one from before, and nothing failed to be so."""
    yield
    assert not trace.get_current_span().get_span_context().is_valid
    assert [r.getMessage() for r in caplog.records if "detach" in r.getMessage()] == []


# --- streams that their consumer leaves


@pytest.mark.parametrize("last", [RunnablePassthrough(), StrOutputParser()], ids=type)
def test_the_answer_of_a_stream_left_early_is_what_had_been_said(
    last, rag, retriever, config, captured
):
    stream = (rag(retriever) | last).stream(QUESTION, config)
    next(stream)
    next(stream)
    stream.close()
    trail = only(captured)
    assert (trail.status, trail.answer) == ("aborted", "On")
    assert len(trail.contexts[0].arrivals) == 2


def test_a_stream_that_is_collected_is_left_early_too(rag, retriever, config, captured):
    stream = rag(retriever).stream(QUESTION, config)
    next(stream)
    del stream
    gc.collect()
    assert (only(captured).status, only(captured).answer) == ("aborted", "O")


def test_content_blocks_that_were_streamed_are_kept_as_text(rag, retriever, config, captured):
    stream = rag(retriever, BlockModel(messages=iter([]))).stream(QUESTION, config)
    next(stream)
    next(stream)
    stream.close()
    assert only(captured).answer == "On February "


async def test_an_async_stream_left_early_keeps_what_had_been_said(
    rag, retriever, config, captured
):
    stream = (rag(retriever) | StrOutputParser()).astream(QUESTION, config)
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    await until(lambda: captured.trails)
    trail = only(captured)
    assert (trail.status, trail.answer) == ("aborted", "On")
    assert trail.generations[0].output == "On"
    assert len(trail.retrievals) == 1


async def test_a_stream_that_times_out_keeps_what_had_been_said(rag, retriever, config, captured):
    class Stuck(FakeListChatModel):
        async def _astream(self, *args, **kwargs):
            yield ChatGenerationChunk(message=AIMessageChunk("On "))
            await asyncio.Event().wait()

    async def consume():
        async for _ in rag(retriever, Stuck(responses=[])).astream(QUESTION, config):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consume(), 0.3)
    assert (only(captured).status, only(captured).answer) == ("aborted", "On ")


async def test_events_left_early_are_an_aborted_response(rag, retriever, config, captured):
    events = rag(retriever).astream_events(QUESTION, config, version="v2")
    async for event in events:
        if event["event"] == "on_chat_model_stream":
            break
    await events.aclose()
    assert only(captured).status == "aborted"


async def test_streams_that_were_never_started_leave_nothing(rag, retriever, config, captured):
    chain = rag(retriever)
    unused = [chain.stream(QUESTION, config), chain.astream(QUESTION, config)]
    del unused
    gc.collect()
    assert captured.trails == []


def test_two_streams_drawn_in_turns_are_two_responses(rag, retriever, config, captured):
    streams = [rag(retriever, says(text)).stream(text, config) for text in ("one", "two")]
    for _ in range(3):
        for stream in streams:
            next(stream)
    for stream in streams:
        stream.close()
    assert [(t.question, t.answer) for t in captured.trails] == [("one", "one"), ("two", "two")]


def test_a_chain_called_between_the_pieces_of_a_stream_is_a_response_of_its_own(
    rag, retriever, config, captured
):
    stream = rag(retriever).stream(QUESTION, config)
    next(stream)
    rag(retriever, says("other")).invoke("other?", config)
    assert "".join(piece.content for piece in stream) == ANSWER[1:]
    assert [(t.question, t.answer) for t in captured.trails] == [
        ("other?", "other"),
        (QUESTION, ANSWER),
    ]


# --- calls that are cancelled or run out of time


async def test_a_call_that_runs_out_of_time_is_aborted(rag, retriever, config, captured):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await rag(retriever, HangingModel(responses=[])).ainvoke(QUESTION, config)
    trail = only(captured)
    assert (trail.status, trail.answer) == ("aborted", None)
    assert trail.generations[0].error == "never ended"


async def test_a_cancelled_sibling_closes_with_its_chain(rag, retriever, config, captured):
    chain = RunnableParallel(
        search=HangingRetriever(), model=rag(retriever, HangingModel(responses=[]))
    )
    await cancelled(chain.ainvoke(QUESTION, config), lambda: captured.entries)
    trail = only(captured)
    assert trail.status == "aborted"
    assert {r.error for r in trail.retrievals} == {None, "never ended"}


@pytest.mark.parametrize("called", [HangingModel(responses=[]), HangingRetriever()], ids=type)
async def test_what_is_called_bare_and_cancelled_closes_when_langchain_lets_go_of_it(
    called, config, captured
):
    """LangChain tells nothing of that end."""
    await cancelled(called.ainvoke(QUESTION, config), lambda: captured.open_count)
    await until(lambda: not captured.open_count)
    trail = only(captured)
    assert (trail.status, trail.error) == ("aborted", "CancelledError")


async def test_a_bare_tool_that_is_cancelled_leaves_nothing_open(config, captured, handler):
    @tool
    async def slow(query: str) -> str:
        """Search slowly."""
        await asyncio.Event().wait()
        return query

    await cancelled(slow.ainvoke(QUESTION, config), lambda: captured.open_count)
    await until(lambda: not captured.open_count)
    assert handler._open.open_count == 0
    assert captured.trails == []


def test_a_bare_retriever_that_is_interrupted_leaves_nothing_open(config, captured):
    with pytest.raises(KeyboardInterrupt):
        HangingRetriever().invoke(QUESTION, config)
    gc.collect()
    assert only(captured).status == "aborted"


async def test_a_bare_call_that_goes_on_is_left_alone(retriever, config, captured):
    """Collecting garbage meanwhile closes nothing that may still end."""

    class Slow(FakeListChatModel):
        async def _agenerate(self, *args, **kwargs):
            for _ in range(3):
                gc.collect()
                await asyncio.sleep(0)
            return await super()._agenerate(*args, **kwargs)

    await Slow(responses=[ANSWER]).ainvoke(QUESTION, config)
    assert (only(captured).status, only(captured).answer) == ("ok", ANSWER)


def test_an_interrupt_from_the_keyboard_is_aborted_and_raised(rag, retriever, config, captured):
    class Interrupted(FakeListChatModel):
        def _call(self, *args, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rag(retriever, Interrupted(responses=[])).invoke(QUESTION, config)
    assert only(captured).status == "aborted"


# --- several attempts


def test_a_chain_with_a_fallback_is_one_response(rag, retriever, config, captured):
    """LangChain gives the attempts no parent where the fallback is outermost."""
    chain = rag(retriever, PickyModel()).with_fallbacks([rag(retriever)])
    chain.invoke("bad", config)
    trail = only(captured)
    assert (trail.status, trail.answer) == ("ok", ANSWER)
    assert [g.error for g in trail.generations] == ["ConnectionError: the model is away", None]


async def test_a_chain_with_a_fallback_is_one_response_in_async_code_too(
    rag, retriever, config, captured
):
    chain = rag(retriever, PickyModel()).with_fallbacks([rag(retriever)])
    await chain.ainvoke("bad", config)
    assert [bool(g.error) for g in only(captured).generations] == [True, False]


@pytest.mark.parametrize("by", ["stream", "astream"])
async def test_a_stream_with_a_fallback_is_one_response(by, rag, retriever, config, captured):
    chain = rag(retriever, PickyModel()).with_fallbacks([rag(retriever)])
    if by == "stream":
        assert list(chain.stream("bad", config))
    else:
        assert [piece async for piece in chain.astream("bad", config)]
    trail = only(captured)
    assert (trail.status, trail.answer) == ("ok", ANSWER)
    assert len(trail.generations) == 2


def test_a_retried_chain_shows_both_attempts(rag, retriever, config, captured):
    failures = iter([ValueError("no answer")])

    def parse(message):
        for failure in failures:
            raise failure
        return message.content

    chain = (rag(retriever) | parse).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    assert chain.invoke(QUESTION, config) == ANSWER
    trail = only(captured)
    assert (trail.status, len(trail.retrievals), len(trail.generations)) == ("ok", 2, 2)


def test_a_retried_model_shows_both_attempts(rag, retriever, config, captured):
    class Flaky(FakeListChatModel):
        failures: list = [ConnectionError("away")]  # noqa: RUF012  # pydantic copies it

        def _call(self, *args, **kwargs):
            if self.failures:
                raise self.failures.pop()
            return super()._call(*args, **kwargs)

    model = Flaky(responses=[ANSWER]).with_retry(wait_exponential_jitter=False)
    rag(retriever, model).invoke(QUESTION, config)
    assert [g.error for g in only(captured).generations] == ["ConnectionError: away", None]


# --- many at a time


def test_batches_that_return_their_exceptions_have_a_trail_each(rag, retriever, config, captured):
    chain = rag(retriever, PickyModel()) | StrOutputParser()
    answers = chain.batch(["good", "bad", "fine"], config, return_exceptions=True)
    assert [isinstance(answer, str) for answer in answers] == [True, False, True]
    assert {t.question: t.status for t in captured.trails} == {
        "good": "ok",
        "bad": "error",
        "fine": "ok",
    }


async def test_async_batches_that_return_their_exceptions_have_a_trail_each(
    rag, retriever, config, captured
):
    chain = rag(retriever, PickyModel())
    await chain.abatch(["good", "bad"], config, return_exceptions=True)
    done = chain.abatch_as_completed(["fine", "very bad"], config, return_exceptions=True)
    assert len([each async for each in done]) == 2
    assert {t.question: t.status for t in captured.trails} == {
        "good": "ok",
        "bad": "error",
        "fine": "ok",
        "very bad": "error",
    }


# --- answers side by side


def test_two_answers_given_side_by_side_are_one_answer_with_both(
    rag, retriever, store, config, captured
):
    other = store.as_retriever(search_kwargs={"k": 3})
    both = RunnableParallel(
        long=rag(retriever, says("By February.")),
        short=rag(other, says("February 28th.")) | StrOutputParser(),
        question=RunnablePassthrough(),
    )
    both.invoke(QUESTION, config)
    trail = only(captured)
    assert sorted(trail.answer.split("\n\n")) == ["By February.", "February 28th."]
    assert set(trail.involvements.values()) == {"direct"}
    assert len(trail.involvements) == 3


def test_answers_that_are_mapped_over_questions_are_all_there(rag, retriever, config, captured):
    chain = rag(retriever, PickyModel()) | StrOutputParser()
    chain.map().invoke(["one", "two"], config)
    assert only(captured).answer == "answer to one\n\nanswer to two"


def test_what_goes_through_a_chain_beside_the_answer_is_no_answer(rag, retriever, config, captured):
    chain = RunnablePassthrough.assign(reply=(lambda asked: asked["ask"]) | rag(retriever))
    chain.invoke({"ask": QUESTION, "earlier": [AIMessage("What else?")]}, config)
    assert only(captured).answer == ANSWER


# --- other ways to run a chain


async def test_events_and_logs_are_recorded_like_streams(rag, retriever, config, captured):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # older ways are deprecated
        async for _ in rag(retriever).astream_events(QUESTION, config, version="v1"):
            pass
        async for _ in rag(retriever).astream_log(QUESTION, config):
            pass
    async for _ in rag(retriever).astream_events(QUESTION, config, version="v2"):
        pass
    assert [(t.status, t.answer, t.question) for t in captured.trails] == [
        ("ok", ANSWER, QUESTION)
    ] * 3


async def test_transforms_are_recorded_like_streams(rag, retriever, config, captured):
    async def questions():
        yield QUESTION

    chain = rag(retriever) | StrOutputParser()
    assert "".join(chain.transform(iter([QUESTION]), config)) == ANSWER
    pieces = [piece async for piece in chain.atransform(questions(), config)]
    assert "".join(pieces) == ANSWER
    assert [(t.status, t.answer, t.question) for t in captured.trails] == [
        ("ok", ANSWER, QUESTION)
    ] * 2


def test_chains_called_inside_a_generator_belong_to_its_response(rag, retriever, config, captured):
    def ask(questions):
        for question in questions:
            yield from (rag(retriever) | StrOutputParser()).stream(question)

    assert "".join(RunnableGenerator(ask).stream(QUESTION, config)) == ANSWER
    trail = only(captured)
    assert (trail.answer, len(trail.retrievals), len(trail.generations)) == (ANSWER, 1, 1)


def test_chains_in_langchains_own_threads_belong_to_the_response(rag, retriever, config, captured):
    def ask_twice(question):
        with ContextThreadPoolExecutor(2) as pool:
            answers = pool.map(lambda _: rag(retriever).invoke(question).content, range(2))
            return " ".join(answers)

    RunnableLambda(ask_twice).invoke(QUESTION, config)
    trail = only(captured)
    assert (len(trail.retrievals), len(trail.generations)) == (2, 2)


async def test_a_chain_in_a_thread_of_the_event_loop_belongs_to_the_response(
    rag, retriever, config, captured
):
    async def ask(question):
        return (await asyncio.to_thread(rag(retriever).invoke, question)).content

    await RunnableLambda(ask).ainvoke(QUESTION, config)
    assert len(only(captured).generations) == 1


def test_a_plain_thread_pool_loses_the_context_so_its_calls_stand_alone(
    rag, retriever, config, captured
):
    """A known limit: LangChain's context does not follow; with a handler there is a trail at least."""

    def ask(question):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(rag(retriever).invoke, question, config).result().content

    RunnableLambda(ask).invoke(QUESTION, config)
    assert [(t.answer, len(t.retrievals)) for t in captured.trails] == [(ANSWER, 1)]


@pytest.mark.parametrize("how", ["handler", "child"])
def test_a_call_that_is_given_callbacks_inside_a_step_belongs_to_the_response(
    how, rag, retriever, handler, captured
):
    def ask(question, config: RunnableConfig):
        passed = {"callbacks": [handler]} if how == "handler" else config
        return rag(retriever).invoke(question, passed).content

    RunnableLambda(ask).invoke(QUESTION, {"callbacks": [handler]})
    trail = only(captured)
    assert (trail.question, trail.answer, len(trail.retrievals)) == (QUESTION, ANSWER, 1)


def test_what_a_finished_step_left_running_is_a_response_of_its_own(
    rag, retriever, config, captured
):
    """Its thread has the context of a response that is long closed."""
    may_ask = threading.Event()
    left: list[threading.Thread] = []

    def leave_behind(question):
        def later():
            may_ask.wait(10)
            rag(retriever, says("late")).invoke("later?", config)

        left.append(threading.Thread(target=later))
        left[0].start()
        return question

    (RunnableLambda(leave_behind) | rag(retriever)).invoke(QUESTION, config)
    may_ask.set()
    left[0].join(10)
    assert [t.question for t in captured.trails] == [QUESTION, "later?"]


def test_a_token_costs_other_handlers_nothing_and_ours_keeps_order(rag, retriever, captured):
    heard = []

    class Listening(BaseCallbackHandler):
        def on_llm_new_token(self, token, **kwargs):
            heard.append(token)

    handlers = [LineageCallbackHandler(captured), Listening()]
    stream = rag(LineageRetriever.wrap(retriever)).stream(QUESTION, {"callbacks": handlers})
    for _ in range(4):
        next(stream)
    stream.close()
    assert only(captured).answer == "".join(heard) == ANSWER[:4]


# --- graphs


@pytest.fixture
def graph(retriever):
    graphs = pytest.importorskip("langgraph.graph")

    class State(TypedDict, total=False):
        question: str
        documents: list
        answer: str

    async def look_up(state):
        return {"documents": await retriever.ainvoke(state["question"])}

    async def write(state):
        said = ""
        async for piece in says(ANSWER, sleep=0.001).astream(str(state["documents"])):
            said += piece.content
        return {"answer": said}

    builder = graphs.StateGraph(State)
    builder.add_sequence([look_up, write])
    builder.set_entry_point("look_up")
    return builder.compile()


@pytest.mark.parametrize("by", ["aclose", "garbage"])
async def test_a_graphs_stream_left_early_is_aborted_with_what_was_said(
    by, graph, config, captured, handler
):
    stream = graph.astream({"question": QUESTION}, config, stream_mode="messages")
    await anext(stream)
    await anext(stream)
    if by == "aclose":
        await stream.aclose()
    del stream
    await until(lambda: captured.trails and not handler._open.open_count)
    trail = only(captured)
    assert (trail.status, len(trail.retrievals)) == ("aborted", 1)
    assert ANSWER.startswith(trail.answer)
    assert trail.answer


async def test_events_of_a_graph_left_early_are_an_aborted_response(graph, config, captured):
    events = graph.astream_events({"question": QUESTION}, config, version="v2")
    async for event in events:
        if event["event"] == "on_chat_model_stream":
            break
    await events.aclose()
    await until(lambda: captured.trails)
    assert (only(captured).status, only(captured).question) == ("aborted", QUESTION)


async def test_a_graph_that_runs_out_of_time_is_aborted(graph, config, captured):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(graph.ainvoke({"question": QUESTION}, config), 0.01)
    assert {t.status for t in captured.trails} <= {"aborted"}


def test_a_graphs_stream_that_was_never_started_leaves_nothing(graph, config, captured):
    stream = graph.stream({"question": QUESTION}, config)
    del stream
    gc.collect()
    assert captured.trails == []
