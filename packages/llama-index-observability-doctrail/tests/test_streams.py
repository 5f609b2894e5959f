"""A stream ends once, whoever draws it or does not, and stays what the host made it."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Generator

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever

from llama_index.observability.doctrail import LineageQueryEngine, LineageRetriever, handlers

MODES = ["compact", "tree_summarize"]


def test_the_response_keeps_its_type_and_its_laziness(rag):
    response = rag.engine(streaming=True).query(rag.question)
    assert type(response) is StreamingResponse
    assert isinstance(response.response_gen, Generator)
    tokens = list(response.response_gen)
    assert "".join(tokens) == rag.answer


@pytest.mark.parametrize("mode", MODES)
def test_tokens_come_one_by_one_as_they_came_without_us(rag, mode):
    wrapped = list(rag.engine(streaming=True, mode=mode).query(rag.question).response_gen)
    handlers._demand.wrapped = False
    plain = list(
        rag.engine(rag.retriever(), streaming=True, mode=mode).query(rag.question).response_gen
    )
    assert wrapped == plain


def test_nothing_leaks_into_whoever_draws_the_tokens(rag):
    response = rag.engine(streaming=True).query(rag.question)
    for _ in response.response_gen:
        assert active_span_id.get() is None


@pytest.mark.parametrize("draw", [str, lambda r: str(r.get_response())])
def test_the_host_may_draw_it_itself(rag, draw):
    assert draw(rag.engine(streaming=True).query(rag.question)) == rag.answer
    assert [t.status for t in rag.captured.trails] == ["ok"]


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_that_is_closed_early_is_aborted_with_what_came(rag, mode):
    response = rag.engine(streaming=True, mode=mode).query(rag.question)
    next(response.response_gen)
    response.response_gen.close()
    [trail] = rag.captured.trails
    assert trail.status == "aborted"
    assert trail.answer is not None
    assert rag.answer.startswith(trail.answer[:4])
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_that_is_dropped_early_is_aborted(rag, mode):
    response = rag.engine(streaming=True, mode=mode).query(rag.question)
    next(response.response_gen)
    del response
    gc.collect()
    assert [t.status for t in rag.captured.trails] == ["aborted"]


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_that_is_never_begun_is_aborted_when_it_is_dropped(rag, mode):
    response = rag.engine(streaming=True, mode=mode).query(rag.question)
    assert rag.captured.trails == []
    del response
    gc.collect()
    [trail] = rag.captured.trails
    assert trail.status == "aborted"
    assert len(trail.retrievals) == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_error_in_the_middle_reaches_the_user_and_the_record(rag, mode):
    rag.llm.fails_at = 1
    with pytest.raises(RuntimeError, match="the model is gone"):
        rag.drawn(rag.engine(streaming=True, mode=mode).query(rag.question))
    [trail] = rag.captured.trails
    assert trail.status == "error"
    assert [g.error for g in trail.generations] == ["RuntimeError: the model is gone"]


def test_an_error_thrown_in_by_the_consumer_ends_it(rag):
    response = rag.engine(streaming=True).query(rag.question)
    next(response.response_gen)
    with pytest.raises(ZeroDivisionError):
        response.response_gen.throw(ZeroDivisionError())
    assert [t.status for t in rag.captured.trails] == ["error"]


def test_streams_that_are_drawn_in_turns_do_not_mix(rag):
    questions = [f"{rag.question} ({n})" for n in range(5)]
    engine = rag.engine(streaming=True)
    open_streams = [(q, engine.query(q).response_gen) for q in questions]
    while open_streams:
        open_streams = [(q, s) for q, s in open_streams if next(s, None) is not None]
    assert sorted(t.question for t in rag.captured.trails) == questions
    for trail in rag.captured.trails:
        assert trail.answer == rag.answer
        assert [len(trail.retrievals), len(trail.generations)] == [1, 1]
        assert trail.question in trail.generations[0].messages[-1].text


@pytest.mark.parametrize("mode", MODES)
async def test_an_async_response_keeps_its_type(rag, mode):
    response = await rag.engine(streaming=True, mode=mode).aquery(rag.question)
    assert type(response) is AsyncStreamingResponse
    assert isinstance(response.response_gen, AsyncGenerator)
    async for _ in response.async_response_gen():
        pass
    assert str(await response.get_response()) == rag.answer


@pytest.mark.parametrize("mode", MODES)
async def test_an_async_stream_that_is_closed_early_is_aborted(rag, mode):
    response = await rag.engine(streaming=True, mode=mode).aquery(rag.question)
    await anext(response.response_gen)
    await response.response_gen.aclose()
    assert [t.status for t in rag.captured.trails] == ["aborted"]


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_an_async_stream_that_is_dropped_is_aborted(rag, mode, begun):
    async def leave():
        response = await rag.engine(streaming=True, mode=mode).aquery(rag.question)
        if begun:
            await anext(response.response_gen)

    asyncio.run(leave())
    gc.collect()
    assert [t.status for t in rag.captured.trails] == ["aborted"]


async def test_a_cancelled_consumer_aborts_the_stream(rag):
    reached = asyncio.Event()

    async def consume():
        response = await rag.engine(streaming=True).aquery(rag.question)
        async for _ in response.async_response_gen():
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    deadline = (
        time.monotonic() + 5
    )  # the loop closes what was left open, one generator after another
    while not rag.captured.trails and time.monotonic() < deadline:
        gc.collect()
        await asyncio.sleep(0)
    assert [t.status for t in rag.captured.trails] == ["aborted"]


async def test_async_streams_that_are_drawn_at_once_do_not_mix(rag):
    async def ask(number):
        response = await rag.engine(streaming=True).aquery(f"{rag.question} ({number})")
        said = ""
        async for token in response.async_response_gen():
            said += token
            await asyncio.sleep(0)
        return said

    said = await asyncio.gather(*(ask(n) for n in range(5)))
    assert said == [rag.answer] * 5
    for trail in rag.captured.trails:
        assert [len(trail.retrievals), len(trail.generations)] == [1, 1]
        assert trail.question in trail.generations[0].messages[-1].text


class OwnStreamingEngine(CustomQueryEngine):
    """Makes its streaming response itself, without a synthesizer."""

    retriever: BaseRetriever
    llm: object

    def custom_query(self, query_str: str):
        nodes = self.retriever.retrieve(query_str)
        context = "\n".join(n.node.get_content() for n in nodes)
        pieces = self.llm.stream_complete(f"{context}\n\nAnswer: {query_str}")
        return StreamingResponse(response_gen=(piece.delta for piece in pieces))


def test_a_streaming_response_of_the_users_own_making_is_followed(rag):
    engine = OwnStreamingEngine(retriever=rag.wrapped(), llm=rag.llm)
    response = engine.query(rag.question)
    assert rag.captured.trails == []
    assert rag.drawn(response) == rag.answer
    [trail] = rag.captured.trails
    assert trail.status == "ok"
    assert trail.answer == rag.answer
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"


class Shouting(CustomQueryEngine):
    """Draws from the stream of an engine inside to make its own."""

    engine: object

    def custom_query(self, query_str: str):
        inner = self.engine.query(query_str)
        return StreamingResponse(response_gen=(t.upper() for t in inner.response_gen))


def test_a_stream_made_of_another_is_one_answer(rag):
    response = Shouting(engine=rag.engine(streaming=True)).query(rag.question)
    assert rag.drawn(response) == rag.answer.upper()
    [trail] = rag.captured.trails
    assert trail.answer == rag.answer.upper()
    assert [g.auxiliary for g in trail.generations] == [False]


class Draining(CustomQueryEngine):
    """Draws the stream of an engine inside, and answers when it is over."""

    engine: object

    def custom_query(self, query_str: str):
        return str(self.engine.query(query_str)).upper()


def test_a_stream_that_is_drawn_inside_of_the_query_belongs_to_it(rag):
    Draining(engine=rag.engine(streaming=True)).query(rag.question)
    [trail] = rag.captured.trails
    assert trail.answer == rag.answer.upper()
    assert trail.status == "ok"
    assert [g.auxiliary for g in trail.generations] == [False]


class Forgetting(CustomQueryEngine):
    """Begins a stream and answers something else."""

    engine: object

    def custom_query(self, query_str: str):
        self.left = self.engine.query(query_str).response_gen
        next(self.left)
        return "never mind"

    left: object = None


def test_a_stream_left_open_by_an_answer_ends_with_it_and_can_still_be_drawn(rag):
    engine = Forgetting(engine=rag.engine(streaming=True, mode="tree_summarize"))
    engine.query(rag.question)
    [trail] = rag.captured.trails
    assert trail.answer == "never mind"
    assert rag.captured.open_count == handlers.RUNS.open_count == 0
    assert "".join(engine.left) in rag.answer


class Nothing(BaseRetriever):
    def _retrieve(self, query_bundle):
        return []


def test_an_empty_retrieval_streams_its_empty_response(rag):
    nothing = LineageRetriever(Nothing(), lineage=rag.captured)
    engine = rag.engine(nothing, streaming=True)
    assert rag.drawn(engine.query(rag.question)) == "Empty Response"
    [trail] = rag.captured.trails
    assert trail.answer == "Empty Response"
    assert trail.retrievals[0].hits == ()


def test_a_stream_that_outlives_its_engine_wrapper_is_marked_complete_at_its_end(rag):
    response = LineageQueryEngine(rag.engine(streaming=True)).query(rag.question)
    note = response.metadata["lineage"]
    assert note["complete"] is False
    rag.drawn(response)
    assert note["complete"] is True


def test_a_model_that_streams_on_its_own_inside_a_scope_is_part_of_it(rag, instrumented):
    with rag.captured.scope() as opened:
        rag.retriever().retrieve(rag.question)
        said = "".join(piece.delta for piece in rag.llm.stream_complete("Answer!"))
    assert said == rag.answer
    [generation] = opened.trail.generations
    assert generation.output == rag.answer


@pytest.mark.parametrize("begun", [False, True])
def test_a_model_stream_that_nobody_draws_is_aborted(rag, instrumented, begun):
    stream = rag.llm.stream_complete("Answer!")
    if begun:
        next(stream)
    del stream
    gc.collect()
    assert [t.status for t in rag.captured.trails] == ["aborted"]


async def test_an_async_model_stream_is_one_call_however_often_it_is_told(rag, instrumented):
    with rag.captured.scope() as opened:
        stream = await rag.llm.astream_chat([ChatMessage(role="user", content="Hello?")])
        said = [piece.delta async for piece in stream]
    assert "".join(said) == rag.answer
    [generation] = opened.trail.generations
    assert generation.output == rag.answer


class HandingOn(CustomQueryEngine):
    """Looks at the whole stream before it hands the response on."""

    engine: object

    def custom_query(self, query_str: str):
        response = self.engine.query(query_str)
        response.get_response()
        return response


def test_a_stream_that_was_drawn_before_it_is_handed_on_has_its_text(rag):
    response = HandingOn(engine=rag.engine(streaming=True)).query(rag.question)
    assert str(response) == rag.answer
    [trail] = rag.captured.trails
    assert trail.answer == rag.answer
    assert trail.status == "ok"


def test_an_error_of_ours_at_the_end_of_a_stream_is_counted_only(rag, instrumented, monkeypatch):
    def fail(*args):
        raise ZeroDivisionError

    response = rag.engine(streaming=True).query(rag.question)
    monkeypatch.setattr(handlers.RUNS, "_finish", fail)
    assert rag.drawn(response) == rag.answer
    assert {where for where, _ in rag.captured.errors} == {"llama_index.stream"}
    rag.captured.errors.clear()
    rag.captured._recorder.close_all()


def test_an_error_of_ours_when_a_model_stream_is_lost_is_counted_only(
    rag, instrumented, monkeypatch
):
    stream = rag.llm.stream_complete("Answer!")
    monkeypatch.setattr(handlers.RUNS, "_cut", lambda *args: 1 / 0)
    del stream
    gc.collect()
    monkeypatch.undo()
    assert [where for where, _ in rag.captured.errors] == ["llama_index.llm stream"]
    rag.captured.errors.clear()
    rag.captured._recorder.close_all()
    handlers.RUNS._open.clear()
    handlers.RUNS._streaming.clear()


class Growing(CustomQueryEngine):
    """Streams ever more complete objects, as structured output does."""

    retriever: BaseRetriever

    def custom_query(self, query_str: str):
        self.retriever.retrieve(query_str)
        return StreamingResponse(response_gen=({"day": text} for text in ("Feb", "Feb 28")))


def test_of_objects_that_grow_the_last_one_is_the_answer(rag):
    response = Growing(retriever=rag.wrapped()).query(rag.question)
    assert list(response.response_gen) == [{"day": "Feb"}, {"day": "Feb 28"}]
    assert rag.captured.trails[0].answer == "{'day': 'Feb 28'}"


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_that_was_begun_in_a_scope_may_be_drawn_after_it(rag, instrumented, mode):
    with rag.captured.scope(session_id="s-1") as opened:
        response = rag.engine(streaming=True, mode=mode).query(rag.question)
    assert rag.drawn(response) == rag.answer
    [trail] = rag.captured.trails
    assert trail is opened.trail
    assert [trail.answer, trail.status, trail.session_id] == [rag.answer, "ok", "s-1"]
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"


@pytest.mark.parametrize("mode", MODES)
async def test_so_may_an_async_one(rag, instrumented, mode):
    with rag.captured.scope():
        response = await rag.engine(streaming=True, mode=mode).aquery(rag.question)
    assert await rag.adrawn(response) == rag.answer
    [trail] = rag.captured.trails
    assert [trail.answer, trail.status] == [rag.answer, "ok"]


@pytest.mark.parametrize("begun", [False, True])
def test_one_that_is_dropped_after_its_scope_is_aborted(rag, instrumented, begun):
    with rag.captured.scope():
        response = rag.engine(streaming=True).query(rag.question)
    if begun:
        next(response.response_gen)
    del response
    gc.collect()
    [trail] = rag.captured.trails
    assert trail.status == "aborted"
    assert len(trail.retrievals) == 1
