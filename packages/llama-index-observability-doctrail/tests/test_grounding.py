"""A checked answer: the result is on the response, and what was asked for becomes of it."""

import asyncio
import copy
import gc
import json
import pickle

import pytest
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from doctrail_core import Grounding
from doctrail_core.grounding.enforcement import REFUSAL, UngroundedAnswerError
from doctrail_core.grounding.judge import JudgeVerifier
from llama_index.observability.doctrail import (
    GroundingPostprocessor,
    LineageQueryEngine,
    LineageRetriever,
    handlers,
)
from llama_index.observability.doctrail.judging import llama_index_judge

MODES = ["compact", "refine", "tree_summarize"]
SAID = "The deadline is March 15th."


@pytest.fixture
def checked(rag, verifier):
    """An engine whose answers are checked."""

    def make(*, streaming=False, mode="compact", **settings):
        return LineageQueryEngine(
            rag.engine(rag.retriever(), streaming=streaming, mode=mode),
            postprocessor=GroundingPostprocessor(verifier, **settings),
            lineage=rag.captured,
        )

    return make


def test_the_result_is_on_the_response_and_on_record(rag, verifier, checked):
    response = checked().query(rag.question)
    assert type(response) is Response
    assert str(response) == rag.answer
    note = response.metadata["grounding"]
    response_id = response.metadata["lineage"]["response_id"]
    assert note == {
        "status": "checked",
        "risk": 0.0,
        "counts": {"supported": 1},
        "verifier": "fake",
        "action": "pass",
        "response_id": response_id,
    }
    [assessment] = rag.captured.assessments
    assert note.assessment.verdicts == assessment.verdicts
    [generation] = rag.captured.trails[0].generations
    assert [assessment.response_id, assessment.generation_id] == [
        response_id,
        generation.generation_id,
    ]
    assert [e.chunk_id for e in assessment.verdicts[0].evidence] == ["chunk-renewal"]


def test_it_is_checked_against_what_arrived_and_knows_the_question(rag, verifier, checked):
    checked().query(rag.question)
    [asked] = verifier.asked
    assert asked.text == rag.answer
    assert asked.question == rag.question
    assert [p.chunk_id for p in asked.passages] == ["chunk-renewal", "chunk-support"]


async def test_an_async_query_is_checked_alike(rag, verifier, checked):
    response = await checked().aquery(rag.question)
    assert response.metadata["grounding"]["status"] == "checked"
    [asked] = verifier.asked
    assert [asked.text, len(asked.passages)] == [rag.answer, 2]
    assert len(rag.captured.assessments) == 1


def test_what_was_retrieved_and_did_not_arrive_is_nothing_to_check_by(rag, verifier):
    class FirstOnly(CustomQueryEngine):
        """Reads the first of the nodes that it found."""

        def custom_query(self, query_str: str):
            nodes = rag.retriever().retrieve(query_str)
            said = rag.llm.complete(f"{nodes[0].node.get_content()}\n\n{query_str}").text
            return Response(said, source_nodes=nodes)

    LineageQueryEngine(
        FirstOnly(), postprocessor=GroundingPostprocessor(verifier), lineage=rag.captured
    ).query(rag.question)
    [asked] = verifier.asked
    assert [p.chunk_id for p in asked.passages] == ["chunk-renewal"]


def test_where_no_model_was_seen_the_sources_of_the_response_are_what_it_is_checked_against(
    rag, verifier
):
    class Unseen(CustomQueryEngine):
        """Has a model of which LlamaIndex knows nothing."""

        def custom_query(self, query_str: str):
            return Response(rag.answer, source_nodes=rag.retriever().retrieve(query_str))

    response = LineageQueryEngine(
        Unseen(), postprocessor=GroundingPostprocessor(verifier), lineage=rag.captured
    ).query(rag.question)
    [asked] = verifier.asked
    assert [p.chunk_id for p in asked.passages] == ["chunk-renewal", "chunk-support"]
    assert [p.document_id for p in asked.passages] == ["doc_renewal", "doc_support"]
    assert response.metadata["grounding"]["risk"] == 0.0


def test_an_answer_of_which_nothing_is_known_is_skipped(rag, verifier):
    class Oracle(CustomQueryEngine):
        def custom_query(self, query_str: str):
            return "By and by."

    response = LineageQueryEngine(
        Oracle(), postprocessor=GroundingPostprocessor(verifier), lineage=rag.captured
    ).query(rag.question)
    assert response.metadata["grounding"]["status"] == "skipped"
    assert response.metadata["grounding"]["risk"] is None
    assert verifier.asked == []


# --- what becomes of it


def test_a_refusal_takes_its_place_and_what_was_said_stays_on_record(rag, wrong, checked):
    rag.llm.says = wrong
    response = checked(enforce="refuse").query(rag.question)
    assert type(response) is Response
    assert response.response == REFUSAL
    assert response.metadata["grounding"]["action"] == "refuse"
    [trail] = rag.captured.trails
    assert [trail.answer, trail.generations[0].output] == [REFUSAL, SAID]
    [assessment] = rag.captured.assessments
    assert assessment.generation_id == trail.generations[0].generation_id
    assert assessment.risk == 0.9


async def test_an_annotation_follows_the_answer(rag, wrong, checked):
    rag.llm.says = wrong
    engine = checked(enforce="annotate")
    expected = (
        f'{SAID}\n\nChecked against the sources:\n- contradicted: "{SAID}",'
        ' the source says "something else"'
    )
    assert str(engine.query(rag.question)) == expected
    assert str(await engine.aquery(rag.question)) == expected


def test_an_annotation_is_no_citation(rag, wrong):
    rag.llm.says = wrong
    LineageQueryEngine(
        rag.engine(rag.retriever()),
        postprocessor=GroundingPostprocessor(enforce="annotate"),
        lineage=rag.captured,
    ).query(rag.question)
    [trail] = rag.captured.trails
    assert 'the source says "February 28th"' in trail.answer
    assert trail.citations == ()
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"


async def test_an_error_is_raised_where_it_is_asked_for(rag, wrong, checked):
    rag.llm.says = wrong
    engine = checked(enforce="raise")
    with pytest.raises(UngroundedAnswerError) as caught:
        engine.query(rag.question)
    assert caught.value.assessment.risk == 0.9
    with pytest.raises(UngroundedAnswerError):
        await engine.aquery(rag.question)
    assert [t.status for t in rag.captured.trails] == ["error", "error"]
    assert len(rag.captured.assessments) == 2


@pytest.mark.parametrize("enforce", ["annotate", "refuse", "raise"])
def test_a_good_answer_is_not_touched(rag, checked, enforce):
    response = checked(enforce=enforce).query(rag.question)
    assert str(response) == rag.answer
    assert response.metadata["grounding"]["action"] == "pass"


def test_a_check_that_fails_lets_the_answer_pass_unless_it_was_asked_for(rag, verifier, checked):
    verifier.before = lambda: 1 / 0
    response = checked(enforce="refuse").query(rag.question)
    assert str(response) == rag.answer
    note = response.metadata["grounding"]
    assert [note["status"], note["risk"], note["action"]] == ["failed", None, "pass"]
    assert "ZeroDivisionError" in note["error"]
    strict = checked(enforce="refuse", if_unchecked="refuse").query(rag.question)
    assert str(strict) == REFUSAL


def test_an_error_of_ours_counts_as_a_check_that_failed(rag, checked, monkeypatch):
    monkeypatch.setattr("llama_index.observability.doctrail.cases.assess", lambda *_: 1 / 0)
    engine = checked(enforce="refuse")
    assert str(engine.query(rag.question)) == rag.answer
    monkeypatch.undo()


class Deadline(BaseModel):
    day: str


def structured(rag):
    class Structured(CustomQueryEngine):
        def custom_query(self, query_str: str):
            nodes = rag.wrapped().retrieve(query_str)
            return PydanticResponse(Deadline(day="March 15th"), source_nodes=nodes)

    return Structured()


@pytest.mark.parametrize("enforce", ["pass", "annotate"])
def test_a_structured_answer_keeps_its_form(rag, verifier, enforce):
    response = LineageQueryEngine(
        structured(rag), postprocessor=GroundingPostprocessor(verifier, enforce=enforce)
    ).query(rag.question)
    assert type(response) is PydanticResponse
    assert response.day == "March 15th"
    assert response.metadata["grounding"]["risk"] == 0.9


def test_a_structured_answer_that_is_to_be_refused_raises(rag, verifier):
    engine = LineageQueryEngine(
        structured(rag), postprocessor=GroundingPostprocessor(verifier, enforce="refuse")
    )
    with pytest.raises(UngroundedAnswerError):
        engine.query(rag.question)


# --- streams


@pytest.mark.parametrize("mode", MODES)
def test_tokens_pass_at_once_and_the_stream_is_checked_when_it_was_drawn(
    rag, verifier, checked, mode
):
    response = checked(streaming=True, mode=mode).query(rag.question)
    assert type(response) is StreamingResponse
    note = response.metadata["grounding"]
    assert note == {"status": "pending"}
    first = next(response.response_gen)
    assert rag.answer.startswith(first)
    assert verifier.asked == []
    assert first + "".join(response.response_gen) == rag.answer
    assert [note["status"], note["risk"]] == ["checked", 0.0]
    [asked] = verifier.asked
    assert [asked.text, len(asked.passages)] == [rag.answer, 2]
    assert [a.response_id for a in rag.captured.assessments] == [note["response_id"]]
    assert rag.captured.trails[0].answer == rag.answer


@pytest.mark.parametrize("mode", MODES)
async def test_so_is_an_async_one(rag, verifier, checked, mode):
    response = await checked(streaming=True, mode=mode).aquery(rag.question)
    assert type(response) is AsyncStreamingResponse
    note = response.metadata["grounding"]
    said = ""
    async for token in response.async_response_gen():
        assert note["status"] == "pending"
        said += token
    assert said == rag.answer
    assert note["status"] == "checked"
    [asked] = verifier.asked
    assert [asked.text, len(asked.passages)] == [rag.answer, 2]
    assert (await response.get_response()).metadata["grounding"] is note


def test_an_annotation_is_the_last_token(rag, wrong, checked):
    rag.llm.says = wrong
    tokens = list(checked(streaming=True, enforce="annotate").query(rag.question).response_gen)
    assert "".join(tokens[:-1]) == SAID
    assert tokens[-1].startswith("\n\nChecked against the sources:")
    assert rag.captured.trails[0].answer == "".join(tokens)


async def test_so_it_is_in_async_code(rag, wrong, checked):
    rag.llm.says = wrong
    response = await checked(streaming=True, enforce="annotate").aquery(rag.question)
    tokens = [token async for token in response.async_response_gen()]
    assert "".join(tokens[:-1]) == SAID
    assert tokens[-1].startswith("\n\nChecked against the sources:")


def test_of_an_answer_that_is_refused_no_token_passes(rag, wrong, checked):
    rag.llm.says = wrong
    response = checked(streaming=True, enforce="refuse").query(rag.question)
    assert list(response.response_gen) == [REFUSAL]
    assert rag.captured.trails[0].answer == REFUSAL


async def test_nor_in_async_code(rag, wrong, checked):
    rag.llm.says = wrong
    response = await checked(streaming=True, enforce="refuse").aquery(rag.question)
    assert [token async for token in response.async_response_gen()] == [REFUSAL]


def test_what_was_held_back_comes_in_its_own_pieces(rag, checked):
    free = list(checked(streaming=True).query(rag.question).response_gen)
    held = list(checked(streaming=True, enforce="refuse").query(rag.question).response_gen)
    assert held == free


def test_a_stream_raises_where_it_is_drawn(rag, wrong, checked):
    rag.llm.says = wrong
    response = checked(streaming=True, enforce="raise").query(rag.question)
    with pytest.raises(UngroundedAnswerError):
        next(response.response_gen)
    assert [t.status for t in rag.captured.trails] == ["error"]


def test_a_stream_that_breaks_off_stays_pending(rag, verifier, checked):
    response = checked(streaming=True).query(rag.question)
    next(response.response_gen)
    response.response_gen.close()
    assert response.metadata["grounding"] == {"status": "pending"}
    assert verifier.asked == []
    assert [t.status for t in rag.captured.trails] == ["aborted"]


@pytest.mark.parametrize("begun", [False, True])
async def test_an_async_stream_that_is_dropped_is_aborted_and_not_checked(
    rag, verifier, checked, begun
):
    response = await checked(streaming=True).aquery(rag.question)
    if begun:
        await anext(response.response_gen)
    await response.response_gen.aclose()
    del response
    gc.collect()
    assert verifier.asked == []
    assert [t.status for t in rag.captured.trails] == ["aborted"]


def test_a_model_that_fails_while_it_streams_is_the_users_error(rag, verifier, checked):
    rag.llm.fails_at = 2

    def draw():  # in one version the host draws the stream itself
        return list(checked(streaming=True).query(rag.question).response_gen)

    with pytest.raises(RuntimeError, match="the model is gone"):
        draw()
    assert verifier.asked == []


def test_printing_or_getting_a_streamed_response_checks_it(rag, verifier, checked):
    response = checked(streaming=True).query(rag.question)
    assert str(response.get_response()) == rag.answer
    assert response.get_response().metadata["grounding"]["status"] == "checked"
    assert len(verifier.asked) == 1


class Drawn(CustomQueryEngine):
    """Hands on a stream that it has drawn itself."""

    engine: object

    def custom_query(self, query_str: str):
        response = self.engine.query(query_str)
        response.get_response()
        return response


def test_a_stream_that_was_drawn_already_is_checked_at_once(rag, verifier, wrong):
    rag.llm.says = wrong
    response = LineageQueryEngine(
        Drawn(engine=rag.engine(rag.retriever(), streaming=True)),
        postprocessor=GroundingPostprocessor(verifier, enforce="refuse"),
        lineage=rag.captured,
    ).query(rag.question)
    assert str(response) == REFUSAL
    assert response.metadata["grounding"]["risk"] == 0.9


class Growing(CustomQueryEngine):
    """Streams ever more complete objects, as structured output does."""

    retriever: BaseRetriever

    def custom_query(self, query_str: str):
        nodes = self.retriever.retrieve(query_str)
        days = ({"day": text} for text in ("March", "March 15th"))
        return StreamingResponse(response_gen=days, source_nodes=nodes)


def test_objects_that_stream_are_never_mixed_with_text(rag, verifier):
    engine = Growing(retriever=rag.wrapped())

    def drawn(enforce):
        post = GroundingPostprocessor(verifier, enforce=enforce)
        return list(LineageQueryEngine(engine, postprocessor=post).query(rag.question).response_gen)

    assert drawn("annotate") == [{"day": "March"}, {"day": "March 15th"}]
    with pytest.raises(UngroundedAnswerError):
        drawn("refuse")


# --- by hand


def response_of(rag, said):
    return Response(said, source_nodes=rag.retriever().retrieve(rag.question))


async def test_any_response_can_be_checked_by_hand(rag, verifier):
    post = GroundingPostprocessor(verifier, enforce="refuse")
    for said, expected in [(rag.answer, rag.answer), (SAID, REFUSAL)]:
        by_hand = response_of(rag, said)
        assert post.postprocess_response(by_hand, rag.question) is by_hand
        assert str(by_hand) == expected
        assert str(await post.apostprocess_response(response_of(rag, said))) == expected
    assert verifier.asked[0].question == rag.question
    assert rag.captured.assessments == []


def test_a_recorded_response_is_checked_by_its_own_record(rag, verifier):
    engine = LineageQueryEngine(rag.engine(rag.retriever(1)), lineage=rag.captured)
    first, second = engine.query(rag.question), engine.query("Refunds?")
    second.source_nodes.clear()
    first.source_nodes.append(NodeWithScore(node=TextNode(text="never read")))
    post = GroundingPostprocessor(verifier)
    assert post.postprocess_response(second).metadata["grounding"]["risk"] == 0.9
    assert post.postprocess_response(first).metadata["grounding"]["risk"] == 0.0
    assert [[p.chunk_id for p in a.passages] for a in verifier.asked] == [
        ["chunk-refund"],
        ["chunk-renewal"],
    ]
    assert [a.response_id for a in rag.captured.assessments] == [
        second.metadata["lineage"]["response_id"],
        first.metadata["lineage"]["response_id"],
    ]


def test_of_a_scope_each_query_is_checked_by_what_it_read_itself(rag, verifier):
    engine = LineageQueryEngine(
        rag.engine(rag.retriever(1)), postprocessor=GroundingPostprocessor(verifier)
    )
    with rag.captured.scope() as opened:
        engine.query(rag.question)
        engine.query("Are refunds granted?")
    assert [[p.chunk_id for p in a.passages] for a in verifier.asked] == [
        ["chunk-renewal"],
        ["chunk-refund"],
    ]
    assert [a.response_id for a in rag.captured.assessments] == [opened.response_id] * 2


def test_a_response_of_unknown_origin_inside_a_scope_is_checked_by_what_the_scope_read(
    rag, verifier
):
    with rag.captured.scope() as opened:
        [hit] = LineageRetriever(rag.retriever(1)).retrieve(rag.question)
        said = rag.llm.complete(f"{hit.node.get_content()}\n\n{rag.question}").text
        GroundingPostprocessor(verifier).postprocess_response(Response(said))
    assert [[p.chunk_id for p in a.passages] for a in verifier.asked] == [["chunk-renewal"]]
    assert [a.response_id for a in rag.captured.assessments] == [opened.response_id]


async def test_an_answer_of_a_chat_engine_is_checked_by_what_its_turn_read(
    rag, verifier, wrong, instrumented
):
    memory = ChatMemoryBuffer.from_defaults(token_limit=2000)
    chat = ContextChatEngine.from_defaults(rag.retriever(1), llm=rag.llm, memory=memory)
    post = GroundingPostprocessor(verifier, enforce="refuse")
    with rag.captured.scope() as first:
        response = post.postprocess_response(chat.chat(rag.question), rag.question)
    assert [str(response), response.metadata["grounding"]["risk"]] == [rag.answer, 0.0]
    rag.llm.says = wrong
    with rag.captured.scope() as second:
        response = await post.apostprocess_response(await chat.achat(rag.question))
    assert [str(response), response.metadata["grounding"]["risk"]] == [REFUSAL, 0.9]
    assert [[p.chunk_id for p in a.passages] for a in verifier.asked] == [["chunk-renewal"]] * 2
    ids = [a.response_id for a in rag.captured.assessments]
    assert ids == [first.response_id, second.response_id]


def test_tokens_may_come_from_anything_that_can_be_drawn_from(rag, verifier):
    tokens = iter(["February ", "28th."])
    response = StreamingResponse(tokens, source_nodes=rag.retriever().retrieve(rag.question))
    GroundingPostprocessor(verifier).postprocess_response(response)
    assert list(response.response_gen) == ["February ", "28th."]
    assert response.metadata["grounding"]["risk"] == 0.0


async def test_a_cancelled_check_cancels_the_query(rag, verifier, checked):
    begun = asyncio.Event()

    class Slow(type(verifier)):
        async def averify(self, answer):
            begun.set()
            await asyncio.Event().wait()

    engine = LineageQueryEngine(
        rag.engine(rag.retriever()),
        postprocessor=GroundingPostprocessor(Slow()),
        lineage=rag.captured,
    )
    task = asyncio.create_task(engine.aquery(rag.question))
    await asyncio.wait_for(begun.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [t.status for t in rag.captured.trails] == ["aborted"]


@pytest.mark.parametrize("wrong", [{"enforce": "block"}, {"on": "unsupported"}, {"on": ["bad"]}])
def test_a_mistake_in_what_is_asked_for_shows_at_once(wrong):
    with pytest.raises(ValueError, match="it must be"):
        GroundingPostprocessor(**wrong)


def test_what_is_no_response_is_a_mistake(verifier):
    with pytest.raises(TypeError, match="str is no response"):
        GroundingPostprocessor(verifier).postprocess_response("an answer")


async def test_put_among_the_post_processors_of_nodes_it_says_where_it_belongs(rag, verifier):
    engine = rag.engine(rag.retriever(), node_postprocessors=[GroundingPostprocessor(verifier)])
    with pytest.raises(TypeError, match="checks answers, not nodes"):
        engine.query(rag.question)
    with pytest.raises(TypeError, match="checks answers, not nodes"):
        await engine.aquery(rag.question)


# --- promises of the wrapper


def test_a_check_leaves_no_lineage_even_when_its_judge_is_a_model_of_the_host(
    rag, verifier, checked, instrumented
):
    def judge():
        rag.retriever().retrieve("of the judge")
        rag.llm.complete("of the judge")

    verifier.before = judge
    checked().query(rag.question)
    list(checked(streaming=True).query(rag.question).response_gen)
    assert len(rag.captured.trails) == 2
    for trail in rag.captured.trails:
        assert [len(trail.retrievals), len(trail.generations)] == [1, 1]
    assert "of the judge" in rag.llm.prompts


async def test_nor_in_async_code_even_from_a_thread(rag, verifier, checked, instrumented):
    verifier.before = lambda: rag.llm.complete("of the judge")
    await checked().aquery(rag.question)
    response = await checked(streaming=True).aquery(rag.question)
    assert await rag.adrawn(response) == rag.answer
    assert [len(t.generations) for t in rag.captured.trails] == [1, 1]
    assert rag.llm.prompts.count("of the judge") == 2


async def test_a_judge_that_asks_a_model_of_the_host_leaves_no_lineage_either(rag, instrumented):
    """Its model is asked from threads and event loops of the judge's own."""
    model = type(rag.llm)(model="judge")
    judge = JudgeVerifier(llama_index_judge(model), attempts=1)
    inline = GroundingPostprocessor(judge)
    sampled = Grounding(verifier=judge, sample_rate=1.0, attempts=1)

    def ask(streaming):
        base = rag.engine(rag.retriever(), streaming=streaming)
        return LineageQueryEngine(base, postprocessor=inline, grounding=sampled)

    for streaming in (False, True):
        rag.drawn(await asyncio.to_thread(ask(streaming).query, rag.question))
        await rag.adrawn(await ask(streaming).aquery(rag.question))
    assert await asyncio.to_thread(rag.captured.flush, 20)
    assert len(model.prompts) == 8
    assert [len(t.generations) for t in rag.captured.trails] == [1] * 4
    assert {g.model for t in rag.captured.trails for g in t.generations} == {"fake-1"}
    assert [a.verifier for a in rag.captured.assessments] == ["judge"] * 8
    rag.captured.dropped.clear()  # no word of this model is a verdict


def test_a_model_in_the_place_of_a_verifier_is_refused_at_once(rag):
    with pytest.raises(TypeError, match="a chat model judges as"):
        GroundingPostprocessor(rag.llm)


async def test_a_check_in_async_code_does_not_block_the_event_loop(rag, verifier, checked):
    loop, free = asyncio.get_running_loop(), asyncio.Event()

    def wait_for_the_loop():
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(set_free(), 5), loop).result(5)

    async def set_free():
        free.set()

    verifier.before = wait_for_the_loop
    await checked().aquery(rag.question)
    assert free.is_set()


async def test_a_hundred_answers_at_once_get_each_its_own_assessment(rag, verifier, checked):
    engine = checked(streaming=True)

    async def ask(number):
        response = await engine.aquery(f"{rag.question} ({number})")
        await asyncio.sleep(0)
        assert await rag.adrawn(response) == rag.answer
        return number, response.metadata["lineage"]["response_id"], response.metadata["grounding"]

    notes = await asyncio.gather(*map(ask, range(100)))
    assert len({response_id for _, response_id, _ in notes}) == 100
    for number, response_id, note in notes:
        assert note["response_id"] == note.assessment.response_id == response_id
        trail = rag.captured.get(response_id)
        assert trail.question == f"{rag.question} ({number})"
        assert [a.response_id for a in trail.assessments] == [response_id]
        [generation] = trail.generations
        assert trail.assessments[0].generation_id == generation.generation_id
    assert sorted(a.question for a in verifier.asked) == sorted(
        f"{rag.question} ({n})" for n in range(100)
    )


class Silent(CustomQueryEngine):
    def custom_query(self, query_str: str):
        return "nothing"


def test_copies_and_pickles_keep_what_was_asked_for():
    post = GroundingPostprocessor(enforce="refuse", refusal="No.", if_unchecked="annotate")
    engine = LineageQueryEngine(Silent(), postprocessor=post)
    handlers._demand.wrapped = False
    for twin in (pickle.loads(pickle.dumps(engine)), copy.deepcopy(engine), copy.copy(engine)):  # noqa: S301  # our own
        assert twin.postprocessor.enforcement == post.enforcement
        assert twin.lineage is None
    assert handlers._demand.wrapped


def test_a_note_is_one_word_to_a_prompt_and_all_of_it_to_an_application(rag, checked):
    response = checked().query(rag.question)
    note = response.metadata["grounding"]
    assert f"{note}" == str(note) == repr(note) == "recorded"
    assert "supported" not in str(response.metadata)
    assert json.loads(json.dumps(note)) == note
    again = pickle.loads(pickle.dumps(response))  # noqa: S301  # our own
    assert again.metadata["grounding"] == note
    assert again.metadata["grounding"].assessment == note.assessment
    assert again.metadata["lineage"] == response.metadata["lineage"]
    assert copy.deepcopy(response).metadata["grounding"].assessment == note.assessment
