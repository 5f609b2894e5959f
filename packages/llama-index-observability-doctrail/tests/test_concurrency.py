"""Many answers at once: each trail holds its own, and nothing stays behind."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from llama_index.observability.doctrail import handlers


def check(rag, count):
    questions = [f"{rag.question} ({n})" for n in range(count)]
    assert sorted(t.question for t in rag.captured.trails) == sorted(questions)
    assert len({t.response_id for t in rag.captured.trails}) == count
    for trail in rag.captured.trails:
        [retrieval] = trail.retrievals
        [generation] = trail.generations
        assert retrieval.query == trail.question
        assert trail.question in generation.messages[-1].text
        assert not generation.auxiliary
    assert rag.captured.open_count == handlers.RUNS.open_count == 0


@pytest.mark.parametrize("streaming", [False, True])
def test_eight_threads_do_not_mix(rag, streaming):
    engine = rag.engine(streaming=streaming)

    def ask(number):
        return rag.drawn(engine.query(f"{rag.question} ({number})"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(40))) == {rag.answer}
    check(rag, 40)


@pytest.mark.parametrize("streaming", [False, True])
async def test_fifty_tasks_do_not_mix(rag, streaming):
    engine = rag.engine(streaming=streaming)

    async def ask(number):
        response = await engine.aquery(f"{rag.question} ({number})")
        await asyncio.sleep(0)
        return await rag.adrawn(response)

    assert set(await asyncio.gather(*map(ask, range(50)))) == {rag.answer}
    check(rag, 50)


def test_a_stream_may_be_drawn_in_another_thread(rag):
    response = rag.engine(streaming=True).query(f"{rag.question} (0)")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(rag.drawn, response).result() == rag.answer
    check(rag, 1)


def test_every_token_may_be_drawn_in_another_thread(rag):
    response = rag.engine(streaming=True).query(f"{rag.question} (0)")
    with ThreadPoolExecutor(3) as pool:
        while pool.submit(next, response.response_gen, None).result() is not None:
            pass
    check(rag, 1)


def test_scopes_in_threads_do_not_mix(rag, instrumented):
    def ask(number):
        with rag.captured.scope(session_id=f"s{number}") as opened:
            rag.retriever().retrieve(f"{rag.question} ({number})")
            rag.llm.complete(f"{rag.question} ({number})")
        return opened.trail

    with ThreadPoolExecutor(8) as pool:
        trails = list(pool.map(ask, range(24)))
    assert [t.session_id for t in trails] == [f"s{n}" for n in range(24)]
    assert {(len(t.retrievals), len(t.generations)) for t in trails} == {(1, 1)}
    check(rag, 24)


@pytest.mark.parametrize("where", ["retrieval", "model"])
async def test_a_cancelled_query_is_aborted_and_leaves_nothing(rag, where):
    reached = asyncio.Event()

    async def hang(*args, **kwargs):
        reached.set()
        await asyncio.Event().wait()

    engine = rag.engine()
    if where == "retrieval":
        engine.retriever.base._aget_nodes_with_embeddings = hang
    else:
        engine._response_synthesizer._llm = _hanging(rag, hang)
    task = asyncio.create_task(engine.aquery(rag.question))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [trail] = rag.captured.trails
    assert trail.status == "aborted"
    assert len(trail.generations) == (where == "model")


def _hanging(rag, hang):
    from llama_index.core.llms.callbacks import llm_chat_callback

    class Hanging(type(rag.llm)):
        @llm_chat_callback()
        async def achat(self, messages, **kwargs):
            await hang()

    return Hanging()


async def test_one_failing_among_many_fails_alone(rag):
    class Picky(type(rag.llm)):
        def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
            if "(3)" in prompt:
                raise RuntimeError("not this one")
            return super().complete(prompt, formatted, **kwargs)

    rag.llm = Picky()
    engine = rag.engine()
    asked = (engine.aquery(f"{rag.question} ({n})") for n in range(8))
    await asyncio.gather(*asked, return_exceptions=True)
    assert {t.question[-3:]: t.status for t in rag.captured.trails} == {
        f"({n})": "error" if n == 3 else "ok" for n in range(8)
    }


def test_hundreds_of_answers_leave_nothing_behind(rag):
    engine = rag.engine(streaming=True)
    for number in range(300):
        response = engine.query(rag.question)
        if number % 3 == 0:
            rag.drawn(response)
        elif number % 3 == 1:
            next(response.response_gen)
        del response
    statuses = [t.status for t in rag.captured.trails]
    assert [statuses.count(s) for s in ("ok", "aborted")] == [100, 200]
    assert rag.captured.open_count == handlers.RUNS.open_count == 0
