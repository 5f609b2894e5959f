"""The manual API: lineage of an application that uses no framework."""

import asyncio
import contextvars
import inspect
import threading
import uuid
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core import Lineage, Settings, lineage
from doctrail_core.capture.scope import current_scope
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.manual import (
    Message,
    RetrievedChunk,
    ToolRequest,
    Usage,
    context,
    generation,
    response,
    retrieval,
    reused,
    step,
    tool,
)
from doctrail_core.testing import capture_trails

DEADLINE = "The renewal deadline for enterprise accounts is February 28th of every year."
FEES = "Late renewals cost a fee of two percent of the annual contract value."
QUESTION = "When is the renewal deadline?"


@pytest.fixture
def captured():
    with capture_trails() as captured:
        yield captured
        assert captured.open_count == 0


@pytest.fixture
def trail_of(captured):
    """The only trail, recorded without a fault."""

    def only():
        assert captured.errors == []
        assert captured.dropped == {}
        (trail,) = captured.trails
        return trail

    return only


def _found(text=DEADLINE, **more):
    return {"text": text, "chunk_id": "c1", "document_id": "contract", **more}


def _answer(captured, *chunks, prompt=f"{DEADLINE} {QUESTION}", said="February 28th."):
    with response(QUESTION, lineage=captured) as request:
        with retrieval(QUESTION, store="toy", k=3, score_kind="similarity") as search:
            search.found(chunks)
        with generation(prompt, model="m-1") as call:
            call.said(said)
    return request


# --- blocks


def test_blocks_within_a_response_are_one_trail(captured, trail_of):
    request = _answer(captured, _found(score=0.9))
    trail = trail_of()
    assert (trail.response_id, trail.framework, trail.status) == (
        request.response_id,
        "python",
        "ok",
    )
    assert (trail.question, trail.answer) == (QUESTION, "February 28th.")
    (search,) = trail.retrievals
    assert (search.retriever, search.store, search.k, search.query) == (
        "search",
        "toy",
        3,
        QUESTION,
    )
    (hit,) = search.hits
    assert (hit.chunk.chunk_id, hit.chunk.document_id, hit.score, hit.score_kind) == (
        "c1",
        "contract",
        0.9,
        "similarity",
    )
    assert trail.contexts[0].arrivals[0].state == "full"
    assert trail.involvements == {"c1": "direct"}
    assert captured.span_tree() == [
        [
            "invoke_workflow request",
            [["retrieval toy", []], ["context assembly", []], ["chat m-1", []]],
        ]
    ]


def test_the_sources_are_on_the_ledger_before_the_model_is_called(captured):
    with response(QUESTION, lineage=captured):
        with retrieval(QUESTION) as search:
            search.found([_found()])
        assert captured.entries == []
        with generation(DEADLINE) as call:
            assert [kind for kind, _ in captured.entries] == ["retrieved"]
            call.said("yes")
    assert [kind for kind, _ in captured.entries] == ["retrieved", "answered"]


def test_blocks_within_a_scope_are_one_trail(captured, trail_of):
    with captured.scope(session_id="s-1", user_id="u-1"):
        with retrieval(QUESTION) as search:
            search.found([DEADLINE])
        with generation(DEADLINE) as call:
            call.said("February 28th.")
    trail = trail_of()
    assert (trail.session_id, trail.user_id, trail.question) == ("s-1", "u-1", QUESTION)


def test_a_search_or_a_call_alone_is_a_response_of_its_own(captured):
    with retrieval(QUESTION, lineage=captured) as search:
        search.found([DEADLINE])
    with generation("hello", lineage=captured) as call:
        call.said("hi")
    assert [(len(t.retrievals), len(t.generations)) for t in captured.trails] == [(1, 0), (0, 1)]


def test_what_is_said_twice_of_a_search_is_all_of_it(captured, trail_of):
    with retrieval(QUESTION, lineage=captured) as search:
        search.found([_found()])
        search.found([RetrievedChunk(FEES, "c2", "fees")])
    assert [h.chunk.chunk_id for h in trail_of().retrievals[0].hits] == ["c1", "c2"]


def test_a_chunks_own_score_kind_counts_more_than_the_searchs(captured, trail_of):
    with retrieval(QUESTION, score_kind="similarity", lineage=captured) as search:
        search.found([_found(score=1.5, score_kind="distance"), _found(FEES, chunk_id="c2")])
    kinds = [(h.score, h.score_kind) for h in trail_of().retrievals[0].hits]
    assert kinds == [(1.5, "distance"), (None, "unknown")]


def test_a_step_that_drops_chunks_is_named(captured, trail_of):
    with response(QUESTION, lineage=captured):
        with retrieval(QUESTION) as search:
            search.found([_found(), _found(FEES, chunk_id="c2")])
        with context("shorten", reason="truncated") as choice:
            choice.kept(["c1"])
        with generation(DEADLINE) as call:
            call.said("February 28th.")
    arrivals = {a.chunk_id: a for a in trail_of().contexts[0].arrivals}
    assert arrivals["c1"].state == "full"
    assert (arrivals["c2"].reason, arrivals["c2"].reason_detail) == ("truncated", "by shorten")


def test_a_choice_that_says_nothing_drops_nothing(captured, trail_of):
    with response(QUESTION, lineage=captured):
        with retrieval(QUESTION) as search:
            search.found([_found()])
        with context("look"):
            pass
        with generation("nothing of it") as call:
            call.said("?")
    assert trail_of().contexts[0].arrivals[0].reason == "not observed"


def test_a_choice_outside_of_any_response_says_nothing(captured):
    with context("dedup", lineage=captured) as choice:
        choice.kept([_found()])
    assert (captured.trails, captured.errors) == ([], [])


def test_messages_of_a_chat_client_are_read(captured, trail_of):
    messages = [
        {"role": "developer", "content": "Answer briefly."},
        {"role": "user", "content": [{"type": "text", "text": DEADLINE}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": FEES, "tool_call_id": "t1"},
        Message("user", QUESTION),
    ]
    with generation(messages, provider="p", parameters={"temperature": 0}, lineage=captured) as c:
        c.said("ok", model="m-2", usage=Usage(7, 1, 8), finish_reasons=["stop"], message_id="r-1")
    (call,) = trail_of().generations
    assert [(m.role, m.text, m.tool_call_id) for m in call.messages] == [
        ("system", "Answer briefly.", None),
        ("user", DEADLINE, None),
        ("assistant", None, None),
        ("tool", FEES, "t1"),
        ("user", QUESTION, None),
    ]
    assert (call.model, call.provider, call.parameters) == ("m-2", "p", {"temperature": 0})
    assert (call.usage, call.finish_reasons, call.message_id) == (
        Usage(7, 1, 8),
        ("stop",),
        "r-1",
    )


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_a_prompt_of_any_shape_is_recorded_as_one_call(content):
    with capture_trails() as captured:
        with generation([{"role": "user", "content": content}], lineage=captured) as call:
            call.said("ok")
        assert captured.errors == []
        assert len(captured.trails[0].generations) == 1


def test_an_agents_way_is_one_tree(captured, trail_of):
    with response(QUESTION, lineage=captured):
        with generation(QUESTION) as call:
            call.said(None, tool_requests=[ToolRequest("search", '{"q": 1}', "t1")])
        with tool("search", arguments={"q": 1}, tool_call_id="t1") as used:
            with retrieval(QUESTION) as search:
                search.found([_found()])
            used.returned({"text": DEADLINE})
        with step("writer", given="write it") as writing:
            with generation([{"role": "tool", "content": DEADLINE, "tool_call_id": "t1"}]) as call:
                call.said("February 28th.")
            writing.answered("February 28th.")
    trail = trail_of()
    (used,), (writing,) = trail.tool_calls, trail.steps
    assert (used.tool_call_id, used.arguments, used.result) == (
        "t1",
        '{"q": 1}',
        f'{{"text": "{DEADLINE}"}}',
    )
    assert trail.retrievals[0].parent_id == used.tool_run_id
    assert trail.retrievals[0].tool_call_id == "t1"
    assert trail.generations[0].tool_requests == (ToolRequest("search", '{"q": 1}', "t1"),)
    assert trail.generations[1].parent_id == writing.step_id
    assert (writing.name, writing.input, writing.output) == (
        "writer",
        "write it",
        "February 28th.",
    )
    assert used.parent_id is writing.parent_id is None


def test_a_response_within_another_is_a_step_of_it(captured, trail_of):
    with (
        response(QUESTION, lineage=captured),
        response("sub", name="helper"),
        generation("x") as call,
    ):
        call.said("y")
    assert [(s.name, s.input) for s in trail_of().steps] == [("helper", "sub")]


# --- what goes wrong


def test_an_exception_passes_through_and_is_on_record(captured, trail_of):
    @response(lineage=captured)
    def answer(question):
        with retrieval(question) as search:
            search.found([_found()])
        with generation(DEADLINE):
            raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError):
        answer(QUESTION)
    trail = trail_of()
    assert (trail.status, trail.error) == ("error", "ZeroDivisionError: no")
    assert trail.generations[0].error == "ZeroDivisionError: no"


def test_a_chunk_that_is_none_is_told_and_costs_the_application_nothing(captured):
    request = _answer(captured, 5)
    (trail,) = captured.trails
    assert trail.response_id == request.response_id
    assert trail.retrievals[0].hits == ()
    ((where, error),) = captured.errors
    assert where == "manual.Search"
    assert "RetrievedChunk" in str(error)


def test_a_chunk_that_is_none_costs_the_others_nothing(captured):
    _answer(captured, _found(), 5, _found(FEES, chunk_id="c2"))
    (trail,) = captured.trails
    assert [hit.chunk.chunk_id for hit in trail.retrievals[0].hits] == ["c1", "c2"]
    assert len(captured.errors) == 1


def test_a_chunk_with_unknown_keys_is_told_which_there_are(captured):
    _answer(captured, {"content": DEADLINE})
    ((_, error),) = captured.errors
    assert "content" in str(error)
    assert "`text`" in str(error)


def test_found_may_be_a_generator_that_fails_halfway(captured):
    def hits():
        yield _found()
        raise KeyError("text")

    with retrieval(QUESTION, lineage=captured) as search:
        search.found(hits())
    assert [type(error) for _, error in captured.errors] == [KeyError]
    assert len(captured.trails) == 1


def test_a_decorated_call_that_returns_no_text_is_told_how_to_say_where_it_is(captured):
    @generation(lineage=captured)
    def ask(prompt):
        return 5

    assert ask("hi") == 5
    ((_, error),) = captured.errors
    assert "generation(output=...)" in str(error)
    assert captured.trails[0].generations[0].output is None


def test_calling_a_decorated_function_wrongly_is_the_functions_own_error(captured):
    @retrieval(lineage=captured)
    def search(query):
        return [query]

    with pytest.raises(TypeError, match="search"):
        search()


# --- decorators


def test_a_decorated_search_tells_query_k_and_name(captured, trail_of):
    @retrieval(score_kind="distance", lineage=captured)
    def search(question: str, k: int = 2) -> list[dict]:
        """Search."""
        return [_found(score=0.1)]

    assert search(QUESTION) == [_found(score=0.1)]
    assert (search.__name__, search.__doc__) == ("search", "Search.")
    (told,) = trail_of().retrievals
    assert (told.query, told.k, told.retriever) == (QUESTION, 2, "search")
    assert told.hits[0].score_kind == "distance"


def test_what_a_decorated_search_returns_can_be_translated(captured, trail_of):
    @retrieval(lineage=captured, chunks=lambda result: result["documents"])
    def search(query):
        return {"documents": [DEADLINE]}

    search(QUESTION)
    assert trail_of().retrievals[0].hits[0].chunk.text == DEADLINE


def test_a_decorated_application_is_one_trail(captured, trail_of):
    @retrieval()
    def search(query):
        return [_found(), _found(FEES, chunk_id="c2")]

    @context()
    def first_only(chunks):
        return chunks[:1]

    @generation(model="m-1")
    def ask(messages):
        return "February 28th."

    @tool()
    def look_up(topic):
        return first_only(search(topic))[0]["text"]

    @response(lineage=captured)
    def answer(question, session_id):
        return ask([{"role": "user", "content": look_up(question) + question}])

    assert answer(QUESTION, "s-9") == "February 28th."
    trail = trail_of()
    assert (trail.question, trail.answer, trail.session_id) == (QUESTION, "February 28th.", "s-9")
    assert trail.tool_calls[0].arguments == f'{{"topic": "{QUESTION}"}}'
    assert trail.tool_calls[0].result == DEADLINE
    arrivals = {a.chunk_id: (a.state, a.reason_detail) for a in trail.contexts[0].arrivals}
    assert arrivals == {"c1": ("full", None), "c2": ("absent", "by first_only")}


def test_a_decorated_coroutine_stays_one(captured, trail_of):
    @response(lineage=captured)
    async def answer(question):
        async with retrieval(question) as search:
            search.found([_found()])
        await asyncio.sleep(0)
        return await ask(DEADLINE)

    @generation()
    async def ask(prompt):
        return "February 28th."

    assert inspect.iscoroutinefunction(answer)
    assert asyncio.run(answer(QUESTION)) == "February 28th."
    assert trail_of().contexts[0].arrivals[0].state == "full"


@generation(model="m-1")
def _stream(prompt):
    yield from ("February", " ", "28th.")


def test_a_streamed_answer_is_the_sum_of_its_pieces(captured, trail_of):
    @response(lineage=captured)
    def answer(question):
        yield from _stream(question)

    assert list(answer(QUESTION)) == ["February", " ", "28th."]
    trail = trail_of()
    assert (trail.status, trail.answer) == ("ok", "February 28th.")
    assert trail.generations[0].output == "February 28th."


def test_of_a_stream_that_is_left_what_was_heard_is_kept(captured, trail_of):
    @response(lineage=captured)
    def answer(question):
        yield from _stream(question)

    stream = answer(QUESTION)
    assert next(stream) == "February"
    stream.close()
    trail = trail_of()
    assert (trail.status, trail.answer) == ("aborted", "February")


def test_a_generator_takes_what_is_sent_and_thrown_in(captured):
    @response(lineage=captured)
    def echo(question):
        try:
            said = yield "first"
            yield said
        except ValueError:
            yield "caught"
        return "end"

    stream = echo(QUESTION)
    assert next(stream) == "first"
    assert stream.send("second") == "second"
    assert stream.throw(ValueError) == "caught"
    with pytest.raises(StopIteration, match="end"):
        next(stream)
    assert captured.open_count == 0


async def test_an_async_generator_takes_what_is_sent_and_thrown_in(captured):
    @response(lineage=captured)
    async def echo(question):
        try:
            said = yield "first"
            yield said
        except ValueError:
            yield "caught"

    stream = echo(QUESTION)
    assert await anext(stream) == "first"
    assert await stream.asend("second") == "second"
    assert await stream.athrow(ValueError) == "caught"
    assert [piece async for piece in stream] == []
    assert captured.open_count == 0


async def test_an_async_stream_that_is_closed_is_aborted(captured, trail_of):
    @response(lineage=captured)
    async def answer(question):
        async with retrieval(question) as search:
            search.found([_found()])
        with generation(DEADLINE) as call:
            for piece in ("February", " 28th."):
                call.heard(piece)
                yield piece

    stream = answer(QUESTION)
    assert await anext(stream) == "February"
    await stream.aclose()
    trail = trail_of()
    assert (trail.status, trail.answer) == ("aborted", "February")


async def test_of_an_async_stream_that_is_left_around_another_the_answer_is_what_it_handed_on(
    captured, trail_of
):
    """Python closes the inner one later, when the response is over."""

    @generation(lineage=captured)
    async def stream_of(prompt):
        for piece in ("February", " 28th."):
            yield piece

    @response(lineage=captured)
    async def answer(question):
        async for piece in stream_of(question):
            yield piece

    stream = answer(QUESTION)
    assert await anext(stream) == "February"
    await stream.aclose()
    trail = trail_of()
    assert (trail.status, trail.answer) == ("aborted", "February")


def test_of_a_stream_that_fails_the_answer_is_what_it_handed_on(captured, trail_of):
    @response(lineage=captured)
    def answer(question):
        with generation(question) as call:
            call.said("february 28th.")
        yield "February"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(answer(QUESTION))
    trail = trail_of()
    assert (trail.status, trail.answer) == ("error", "February")


def test_a_stream_that_is_never_begun_leaves_nothing_open(captured):
    @response(lineage=captured)
    def answer(question):
        yield "never"

    del answer
    assert (captured.trails, captured.open_count) == ([], 0)


def test_the_consumer_of_a_stream_is_not_inside_of_it(captured):
    @response(lineage=captured)
    def answer(question):
        yield "a" if current_scope() else "outside"
        yield "b" if current_scope() else "outside"

    for piece in answer(QUESTION):
        assert piece in "ab"
        assert current_scope() is None


def test_streams_that_are_drawn_in_turns_do_not_mix(captured):
    @response(lineage=captured)
    def answer(question):
        with retrieval(question) as search:
            search.found([question])
        yield from _stream(question)

    streams = [answer(f"What about contract number {n}?") for n in range(3)]
    assert len(list(zip(*streams, strict=True))) == 3
    for trail in captured.trails:
        assert trail.retrievals[0].query == trail.question == trail.generations[0].messages[0].text


def test_a_block_that_is_left_in_another_context_ends_all_the_same(captured, trail_of):
    def stream():
        with response(QUESTION, lineage=captured), generation("x") as call:
            call.said("y")
            yield

    pieces = stream()
    contextvars.copy_context().run(next, pieces)
    with pytest.raises(StopIteration):
        next(pieces)
    assert trail_of().answer == "y"


def test_threads_do_not_mix(captured):
    @response(lineage=captured)
    def answer(question):
        with retrieval(question) as search:
            search.found([question])
        with generation(question) as call:
            call.said(question)

    threads = [threading.Thread(target=answer, args=(f"question {n}",)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(captured.trails) == 32
    for trail in captured.trails:
        assert trail.question == trail.answer == trail.retrievals[0].query


def test_blocks_record_into_the_processes_lineage_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCTRAIL_HOME", str(tmp_path / "home"))
    from doctrail_core import configure

    configure()
    try:
        with lineage() as opened:
            with retrieval(QUESTION) as search:
                search.found([DEADLINE])
            with generation(DEADLINE) as call:
                call.said("February 28th.")
        trail = opened.trail
        assert trail is not None
        assert trail.answer == "February 28th."
    finally:
        configure()


@pytest.mark.parametrize("make", [int, lambda n: uuid.UUID(int=n)], ids=["number", "uuid"])
def test_ids_that_are_no_texts_cost_no_record(home, make):
    one, two, three = map(make, (1, 2, 3))
    with closing(Lineage(Settings(home=home.path))) as recording:
        with recording.scope(response_id=one, user_id=two, session_id=three) as asked:
            with retrieval(QUESTION, store=two) as search:
                search.found([{"text": DEADLINE, "document_id": three}])
            with generation(DEADLINE, model=one) as call:
                call.said("On February 28th.")
            asked.reused(two)
            reused(None)
        recording.derived(two, from_=[three])
        trail = asked.trail
        assert asked.receipt is not None
    assert (trail.response_id, trail.user_id, trail.session_id) == (str(one), str(two), str(three))
    assert trail.reused == (str(two),)
    assert trail.retrievals[0].store == str(two)
    with open_ledger(home) as ledger:
        (hit,) = ledger.affected(Query(document_id=str(three)))
    assert hit.response_id == str(one)
