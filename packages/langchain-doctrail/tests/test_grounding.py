"""`chain | check_grounding()`: the answer stays what it is, and what was found of it is on record."""

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from types import MappingProxyType

import pytest
from langchain_core.callbacks import StdOutCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough

from doctrail_core import Grounding, suppress
from doctrail_core.grounding.judge import JudgeVerifier
from doctrail_core.grounding.sampling import sampled
from doctrail_core.grounding.verifier import VerifierError
from doctrail_core.testing import capture_trails
from langchain_doctrail import (
    LineageCallbackHandler,
    UngroundedAnswerError,
    check_grounding,
    langchain_judge,
)

QUESTION = "When is the renewal deadline?"
RIGHT = "The renewal deadline is February 28th."
WRONG = "The renewal deadline is March 15th."
REFUSED = "I cannot answer this from the sources that I have."


def says(*texts):
    return FakeListChatModel(responses=list(texts))


@pytest.fixture
def config(handler):
    return {"callbacks": [handler]}


def mark(message):
    return message.response_metadata["doctrail"]


# --- what comes out


def test_a_message_stays_a_message_and_bears_the_result(rag, retriever, verifier, handler, config):
    chain = rag(retriever, says(WRONG))
    answer = (chain | check_grounding(verifier)).invoke(QUESTION, config)
    assert type(answer) is AIMessage
    assert answer.text == WRONG
    assert mark(answer) == {
        "response_id": handler.last.response_id,
        "verifier": "fake",
        "status": "checked",
        "risk": 0.9,
        "counts": {"contradicted": 1},
    }


def test_a_text_stays_that_text(rag, retriever, verifier, config):
    plain = rag(retriever, says(WRONG)) | StrOutputParser()
    answer = (plain | check_grounding(verifier)).invoke(QUESTION, config)
    assert answer == WRONG
    assert type(answer) is type(plain.invoke(QUESTION))


def test_what_is_beside_the_answer_stays(rag, retriever, verifier, config):
    chain = RunnableParallel(context=retriever, question=RunnablePassthrough()).assign(
        answer=itemgetter("question") | rag(retriever, says(WRONG)) | StrOutputParser()
    )
    answer = (chain | check_grounding(verifier)).invoke(QUESTION, config)
    assert list(answer) == ["context", "question", "answer"]
    assert answer["answer"] == WRONG
    assert all(isinstance(document, Document) for document in answer["context"])


def test_an_output_in_which_no_answer_can_be_told_passes(verifier, config):
    chain = RunnableLambda(lambda number: {"count": number}) | check_grounding(verifier)
    assert chain.invoke(3, config) == {"count": 3}
    assert verifier.asked == []


def test_the_input_is_not_changed(rag, retriever, verifier, config):
    given = {"answer": AIMessage(WRONG, id="m-1"), "context": []}
    check = check_grounding(verifier, enforce="refuse")
    out = (RunnableLambda(lambda _: given) | check).invoke(QUESTION, config)
    assert given["answer"].text == WRONG
    assert given["answer"].response_metadata == {}
    assert out["answer"] is not given["answer"]
    assert out["answer"].id == "m-1"


# --- what is checked, and where it is on record


def test_an_answer_is_checked_against_what_arrived_in_its_prompt(
    rag, store, verifier, handler, config
):
    chain = rag(
        store.as_retriever(search_kwargs={"k": 3}),
        says(RIGHT),
        lambda documents: documents[0].page_content,
    )
    (chain | check_grounding(verifier)).invoke(QUESTION, config)
    (asked,) = verifier.asked
    (first, *_) = handler.last.retrievals[0].hits
    assert asked.text == RIGHT
    assert asked.question == QUESTION
    assert [passage.chunk_id for passage in asked.passages] == [first.chunk.chunk_id]


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "batch", "abatch"])
async def test_the_result_is_on_the_responses_trail(
    how, rag, retriever, verifier, handler, config, captured
):
    results = []
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, on_result=results.append)
    match how:
        case "invoke":
            chain.invoke(QUESTION, config)
        case "ainvoke":
            await chain.ainvoke(QUESTION, config)
        case "stream":
            list(chain.stream(QUESTION, config))
        case "astream":
            [piece async for piece in chain.astream(QUESTION, config)]
        case "batch":
            chain.batch([QUESTION], config)
        case "abatch":
            await chain.abatch([QUESTION], config)
    trail = handler.get(handler.last.response_id)
    assert [a.risk for a in trail.assessments] == [0.9]
    assert list(trail.assessments) == results
    assert trail.assessments[0].generation_id == trail.generations[0].generation_id
    assert [kind for kind, _ in captured.entries] == ["retrieved", "assessed", "answered"]
    assert captured.open_count == 0


def test_each_of_several_answers_side_by_side_is_checked_against_its_own_prompt(
    rag, store, verifier, handler, config
):
    def only(name):
        return RunnableLambda(
            lambda _: [d for d in store.similarity_search(QUESTION, 3) if d.id == f"chunk-{name}"]
        )

    both = RunnableParallel(
        renewal=rag(only("renewal"), says("One.")) | check_grounding(verifier),
        refund=RunnableLambda(rag(only("refund"), says("Two.")).invoke) | check_grounding(verifier),
    )
    both.invoke(QUESTION, config)
    read = {asked.text: [p.chunk_id for p in asked.passages] for asked in verifier.asked}
    assert read == {"One.": ["chunk-renewal"], "Two.": ["chunk-refund"]}
    assert len(handler.get(handler.last.response_id).assessments) == 2


def test_an_answer_that_is_made_again_is_checked_against_its_own_prompt(
    rag, store, verifier, handler, config
):
    found = iter([store.similarity_search("x", 3)[:1], store.similarity_search("x", 3)[1:]])
    lines = says(WRONG, RIGHT)
    chain = rag(RunnableLambda(lambda _: next(found)), lines) | check_grounding(
        verifier, enforce="raise"
    )
    again = chain.with_retry(
        retry_if_exception_type=(UngroundedAnswerError,), wait_exponential_jitter=False
    )
    assert again.invoke(QUESTION, config).text == RIGHT
    assert [(a.text, len(a.passages)) for a in verifier.asked] == [(WRONG, 1), (RIGHT, 2)]
    assert [a.risk for a in handler.get(handler.last.response_id).assessments] == [0.9, 0.1]


def test_settings_name_the_verifier_and_who_is_told(rag, retriever, verifier, config):
    results = []
    settings = Grounding(verifier=verifier, sample_rate=0.0, on_assessment=results.append)
    (rag(retriever, says(WRONG)) | check_grounding(settings)).invoke(QUESTION, config)
    assert [assessment.risk for assessment in results] == [0.9]


async def test_a_hundred_answers_at_once_each_have_their_own_result(
    rag, retriever, verifier, handler, captured
):
    def line(number):
        return f"In {number} days, by March."

    def build(number):
        return rag(retriever, says(line(number))) | check_grounding(verifier)

    async def ask(number):
        return await build(number).ainvoke(f"question {number}?", {"callbacks": [handler]})

    def ask_in_thread(number):
        return build(number).invoke(f"question {number}?", {"callbacks": [handler]})

    answers = await asyncio.gather(*map(ask, range(100)))
    with ThreadPoolExecutor(16) as pool:
        answers += pool.map(ask_in_thread, range(100, 200))
    assert len(captured.trails) == 200
    for number, answer in enumerate(answers):
        trail = handler.get(mark(answer)["response_id"])
        (assessment,) = trail.assessments
        assert trail.question == f"question {number}?"
        assert assessment.verdicts[0].claim.text == trail.answer == line(number)


def test_a_batch_has_one_result_for_each(rag, retriever, verifier, handler, config):
    chain = rag(retriever, says(WRONG, RIGHT)) | check_grounding(verifier)
    answers = chain.batch([QUESTION] * 2, {**config, "max_concurrency": 1})
    assert [mark(answer)["risk"] for answer in answers] == [0.9, 0.1]
    assert len({mark(answer)["response_id"] for answer in answers}) == 2


def test_a_scope_is_enough(rag, retriever, verifier, captured):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier)
    with captured.scope() as opened:
        answer = chain.invoke(QUESTION)
    assert mark(answer)["response_id"] == opened.response_id
    assert [a.risk for a in captured.get(opened.response_id).assessments] == [0.9]


def test_a_check_by_itself_in_a_scope_knows_what_happened_before(retriever, verifier, captured):
    with captured.scope() as opened:
        found = retriever.invoke(QUESTION)
        said = says(WRONG).invoke("\n".join(document.page_content for document in found))
        check_grounding(verifier).invoke(said)
    assert [len(asked.passages) for asked in verifier.asked] == [2]
    assert len(captured.get(opened.response_id).assessments) == 1


def test_an_inner_chains_check_belongs_to_the_response_around_it(
    rag, retriever, verifier, handler, config
):
    inner = rag(retriever, says(WRONG)) | check_grounding(verifier)
    outer = RunnableLambda(inner.invoke) | StrOutputParser()
    assert outer.invoke(QUESTION, config) == WRONG
    assert len(handler.get(handler.last.response_id).assessments) == 1


def test_a_check_in_the_middle_of_a_chain_hands_tokens_on(rag, retriever, verifier, config):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier) | StrOutputParser()
    assert chain.invoke(QUESTION, config) == WRONG
    assert [piece for piece in pieces_of(chain, config) if piece] == list(WRONG)


def test_a_chain_can_still_be_described(rag, retriever, verifier):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier)
    assert "check_grounding" in [node.name for node in chain.get_graph().nodes.values()]
    assert chain.get_input_schema().model_json_schema()
    assert chain.get_output_schema().model_json_schema()
    assert "GroundingCheck" in repr(chain)


# --- where no handler listens


def test_without_a_handler_the_chain_around_it_records_itself(rag, retriever, verifier, captured):
    chain = check_grounding(verifier).around(rag(retriever, says(WRONG)), lineage=captured)
    assert mark(chain.invoke(QUESTION))["risk"] == 0.9
    inside_of_others = RunnableLambda(str.strip) | chain | StrOutputParser()
    assert inside_of_others.invoke(QUESTION, {"callbacks": [StdOutCallbackHandler()]}) == WRONG
    assert "".join(piece.text for piece in chain.stream(QUESTION)) == WRONG
    for trail in captured.trails:
        assert [a.risk for a in captured.get(trail.response_id).assessments] == [0.9]
    assert [len(trail.generations) for trail in captured.trails] == [1, 1, 1]


async def test_around_a_chain_a_handler_that_listens_is_the_one_that_records(
    rag, retriever, verifier, config, captured
):
    with capture_trails() as other:
        chain = check_grounding(verifier).around(rag(retriever, says(WRONG)), lineage=other)
        chain.invoke(QUESTION, config)
        await chain.ainvoke(QUESTION, config)
        chain.batch([QUESTION] * 2, config)
        RunnableLambda(chain.invoke).invoke(QUESTION, config)
        (chain | StrOutputParser()).invoke(QUESTION, config)
        assert other.trails == []
    assert [len(trail.generations) for trail in captured.trails] == [1] * 6


def test_around_a_chain_an_open_scope_decides_where_it_is_recorded(
    rag, retriever, verifier, captured
):
    with capture_trails() as other:
        chain = check_grounding(verifier).around(rag(retriever, says(WRONG)), lineage=other)
        with captured.scope():
            chain.invoke(QUESTION)
        assert other.trails == []
    assert [len(trail.generations) for trail in captured.trails] == [1]


def test_without_a_handler_the_documents_beside_the_answer_count(retriever, verifier):
    chain = RunnableParallel(context=retriever, question=RunnablePassthrough()).assign(
        answer=lambda _: WRONG
    )
    results = []
    (chain | check_grounding(verifier, on_result=results.append)).invoke(QUESTION)
    (asked,) = verifier.asked
    assert (asked.text, asked.question) == (WRONG, QUESTION)
    assert {p.chunk_id for p in asked.passages} <= {
        "chunk-renewal",
        "chunk-refund",
        "chunk-support",
    }
    assert len(asked.passages) == 2
    assert [assessment.status for assessment in results] == ["checked"]


def test_a_check_by_itself_reads_the_documents_beside_the_answer(
    documents, verifier, config, captured
):
    given = {"context": documents, "answer": WRONG, "question": QUESTION}
    assert check_grounding(verifier).invoke(given, config) == given
    assert [len(asked.passages) for asked in verifier.asked] == [3]
    assert captured.entries == []


async def test_with_neither_the_answer_passes_and_what_to_do_is_said_once(
    rag, retriever, verifier, caplog
):
    results = []
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, on_result=results.append)
    answers = [chain.invoke(QUESTION), await chain.ainvoke(QUESTION)]
    assert [answer.text for answer in answers] == [WRONG, WRONG]
    assert mark(answers[0]) == {
        "verifier": "fake",
        "status": "skipped",
        "risk": None,
        "counts": {},
    }
    assert verifier.asked == []
    assert [assessment.status for assessment in results] == ["skipped", "skipped"]
    assert len(caplog.records) == 1
    assert "LineageCallbackHandler" in caplog.text
    assert "check_grounding().around(chain)" in caplog.text


# --- streams


def pieces_of(chain, config):
    return list(chain.stream(QUESTION, config))


def test_the_first_token_is_out_before_the_check_runs(rag, retriever, verifier, config):
    stream = (rag(retriever, says(WRONG)) | check_grounding(verifier)).stream(QUESTION, config)
    first = next(stream)
    assert first.text == WRONG[0]
    assert verifier.asked == []
    rest = list(stream)
    assert len(verifier.asked) == 1
    assert [piece.text for piece in (first, *rest)] == [*WRONG, ""]


async def test_the_first_token_is_out_before_the_check_runs_in_async_code(
    rag, retriever, verifier, config
):
    chain = rag(retriever, says(WRONG)) | StrOutputParser() | check_grounding(verifier)
    stream = chain.astream(QUESTION, config)
    assert await anext(stream) == WRONG[0]
    assert verifier.asked == []
    assert "".join([piece async for piece in stream]) == WRONG[1:]
    assert len(verifier.asked) == 1


def test_the_pieces_of_a_message_add_up_to_one_with_the_result(rag, retriever, verifier, config):
    first, *rest = pieces_of(rag(retriever, says(WRONG)) | check_grounding(verifier), config)
    whole = first
    for piece in rest:
        whole += piece
    assert type(whole) is AIMessageChunk
    assert whole.text == WRONG
    assert whole.id == first.id
    assert mark(whole)["risk"] == 0.9


def test_the_pieces_of_a_text_are_the_chains_own(rag, retriever, verifier, config):
    plain = rag(retriever, says(WRONG)) | StrOutputParser()
    assert pieces_of(plain | check_grounding(verifier), config) == list(WRONG)


def test_the_pieces_of_a_mapping_pass_as_they_come(rag, retriever, verifier, config):
    chain = RunnableParallel(context=retriever, question=RunnablePassthrough()).assign(
        answer=itemgetter("question") | rag(retriever, says(WRONG)) | StrOutputParser()
    )
    pieces = pieces_of(chain | check_grounding(verifier), config)
    assert [p["answer"] for p in pieces if "answer" in p] == list(WRONG)
    assert len(verifier.asked) == 1
    assert verifier.asked[0].text == WRONG


def test_a_whole_message_in_a_stream_bears_the_result(retriever, verifier, config):
    def answer(question):
        found = retriever.invoke(question)
        return GenericFakeChatModel(messages=iter([WRONG])).invoke(found[0].page_content)

    (message,) = pieces_of(RunnableLambda(answer) | check_grounding(verifier), config)
    assert type(message) is AIMessage
    assert mark(message)["risk"] == 0.9


async def test_a_stream_that_is_left_is_not_checked(rag, retriever, verifier, config, captured):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier)
    for _ in chain.stream(QUESTION, config):
        break
    stream = chain.astream(QUESTION, config)
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(10):
        while captured.open_count:  # noqa: ASYNC110  # LangChain closes it in a task of its own
            await asyncio.sleep(0)
    assert verifier.asked == []
    assert [trail.status for trail in captured.trails] == ["aborted", "aborted"]


async def test_events_show_the_tokens_and_the_check(rag, retriever, verifier, config):
    chain = rag(retriever, says(WRONG)) | StrOutputParser() | check_grounding(verifier)
    events = [event async for event in chain.astream_events(QUESTION, config, version="v2")]
    shown = [e for e in events if e["name"] == "check_grounding"]
    assert [e["event"] for e in shown][:1] == ["on_chain_start"]
    assert [e["event"] for e in shown][-1:] == ["on_chain_end"]
    assert "".join(e["data"]["chunk"] for e in shown if e["event"] == "on_chain_stream") == WRONG


def test_two_checks_one_behind_the_other_both_find_their_answer(
    rag, retriever, verifier, fake_verifier, handler, config
):
    second = fake_verifier()
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier) | check_grounding(second)
    assert mark(chain.invoke(QUESTION, config))["risk"] == 0.9
    first, *rest = pieces_of(chain, config)
    whole = first
    for piece in rest:
        whole += piece
    assert whole.text == WRONG
    assert mark(whole)["response_id"] == handler.last.response_id
    assert [len(asked.passages) for asked in second.asked] == [2, 2]
    assert len(handler.get(handler.last.response_id).assessments) == 2


# --- enforcing


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_refusal_takes_the_place_of_the_answer(
    how, rag, retriever, verifier, config, handler
):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, enforce="refuse")
    match how:
        case "invoke":
            answers = [chain.invoke(QUESTION, config)]
        case "ainvoke":
            answers = [await chain.ainvoke(QUESTION, config)]
        case "stream":
            answers = pieces_of(chain, config)
        case "astream":
            answers = [piece async for piece in chain.astream(QUESTION, config)]
    (answer,) = answers
    assert type(answer) is (AIMessageChunk if "stream" in how else AIMessage)
    assert answer.text == REFUSED
    assert mark(answer)["counts"] == {"contradicted": 1}
    assert handler.last.answer == REFUSED
    assert handler.last.generations[0].output == WRONG


def test_a_refusal_keeps_the_type_of_the_output(rag, retriever, verifier, config):
    check = check_grounding(verifier, enforce="refuse", refusal="Ask a person.")
    text = rag(retriever, says(WRONG)) | StrOutputParser()
    named = RunnableParallel(question=RunnablePassthrough(), answer=text)
    assert (text | check).invoke(QUESTION, config) == "Ask a person."
    assert (named | check).invoke(QUESTION, config) == {
        "question": QUESTION,
        "answer": "Ask a person.",
    }
    assert pieces_of(text | check, config) == ["Ask a person."]


def test_nothing_of_a_refused_message_is_left(verifier, config, retriever):
    def answer(question):
        found = retriever.invoke(question)
        says("x").invoke(found[0].page_content)
        call = {"name": "pay", "args": {}, "id": "c"}
        return AIMessage(WRONG, tool_calls=[call], additional_kwargs={"reasoning": WRONG}, id="m")

    refused = (RunnableLambda(answer) | check_grounding(verifier, enforce="refuse")).invoke(
        QUESTION, config
    )
    assert WRONG not in repr(refused)
    assert refused.tool_calls == []
    assert refused.id == "m"


@pytest.mark.parametrize("raising", [{"enforce": "raise"}, {"enforce": "refuse", "refusal": None}])
async def test_an_answer_may_be_an_error(raising, rag, retriever, verifier, config, handler):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, **raising)
    with pytest.raises(UngroundedAnswerError) as raised:
        chain.invoke(QUESTION, config)
    assert raised.value.assessment.risk == 0.9
    with pytest.raises(UngroundedAnswerError):
        await chain.ainvoke(QUESTION, config)
    with pytest.raises(UngroundedAnswerError):
        pieces_of(chain, config)
    assert handler.last.status == "error"
    assert len(handler.last.assessments) == 1


def test_what_may_be_handed_on_is_streamed_in_its_own_pieces(rag, retriever, verifier, config):
    text = rag(retriever, says(RIGHT)) | StrOutputParser()
    stream = (text | check_grounding(verifier, enforce="refuse")).stream(QUESTION, config)
    assert next(stream) == RIGHT[0]
    assert len(verifier.asked) == 1  # nothing is out before
    assert "".join(stream) == RIGHT[1:]


def test_an_annotated_answer_says_what_is_wrong_with_it(rag, retriever, verifier, config):
    text = rag(retriever, says(WRONG)) | StrOutputParser()
    check = check_grounding(verifier, enforce="annotate")
    annotated = (text | check).invoke(QUESTION, config)
    assert annotated.startswith(f'{WRONG}\n\nChecked against the sources:\n- contradicted: "')
    assert 'the source says "February 28th"' in annotated
    stream = (text | check).stream(QUESTION, config)
    assert next(stream) == WRONG[0]
    assert verifier.asked[1:] == []
    assert WRONG[0] + "".join(stream) == annotated


def test_a_message_of_blocks_is_annotated_by_one_more(retriever, verifier, config):
    blocks = [{"type": "text", "text": WRONG}]

    def answer(question):
        says("x").invoke(retriever.invoke(question)[0].page_content)
        return AIMessage(blocks)

    check = check_grounding(verifier, enforce="annotate")
    annotated = (RunnableLambda(answer) | check).invoke(QUESTION, config)
    assert annotated.content[:1] == blocks
    assert "contradicted" in annotated.content[1]["text"]
    assert verifier.asked[0].text == WRONG


def test_what_is_enforced_is_chosen_by_verdict(rag, retriever, verifier, config):
    text = rag(retriever, says(WRONG)) | StrOutputParser()
    check = check_grounding(verifier, enforce="refuse", on=["unsupported"])
    assert (text | check).invoke(QUESTION, config) == WRONG


@pytest.mark.parametrize(
    "wrong", [{"enforce": "deny"}, {"on": "contradicted"}, {"on": ["wrong"]}, {"if_unchecked": "x"}]
)
def test_mistakes_are_found_where_they_are_made(wrong):
    with pytest.raises(ValueError, match="must be"):
        check_grounding(**{"enforce": "refuse"} | wrong)


def test_a_model_is_no_verifier_yet():
    with pytest.raises(TypeError, match="a chat model judges as JudgeVerifier"):
        check_grounding(says(RIGHT))


# --- when something goes wrong


@pytest.mark.parametrize("failure", [VerifierError("the judge is out"), ZeroDivisionError("bug")])
async def test_a_check_that_fails_costs_nobody_the_answer(
    failure, rag, retriever, config, handler, failing
):
    chain = rag(retriever, says(WRONG)) | check_grounding(failing(*[failure] * 3))
    answers = [chain.invoke(QUESTION, config), await chain.ainvoke(QUESTION, config)]
    streamed = pieces_of(chain, config)
    assert [answer.text for answer in answers] == [WRONG, WRONG]
    assert "".join(piece.text for piece in streamed) == WRONG
    assert {mark(answer)["status"] for answer in answers} == {"failed"}
    assert mark(answers[0])["risk"] is None
    (assessment,) = handler.get(mark(answers[0])["response_id"]).assessments
    assert str(failure) in assessment.error


def test_whoever_asks_for_it_gets_no_answer_that_could_not_be_checked(
    rag, retriever, config, failing
):
    def check(**choices):
        return check_grounding(failing(VerifierError("out")), if_unchecked="refuse", **choices)

    text = rag(retriever, says(RIGHT)) | StrOutputParser()
    assert (text | check(enforce="refuse")).invoke(QUESTION, config) == REFUSED
    assert pieces_of(text | check(enforce="refuse"), config) == [REFUSED]
    assert (text | check(enforce="refuse")).invoke(QUESTION) == REFUSED  # nobody listens
    with pytest.raises(UngroundedAnswerError):
        (text | check(enforce="raise")).invoke(QUESTION, config)
    with pytest.raises(UngroundedAnswerError, match="no answer can be told"):
        (RunnableLambda(lambda _: 3) | check(enforce="refuse")).invoke(QUESTION, config)


def test_whoever_is_told_cannot_break_the_chain(rag, retriever, verifier, handler, captured):
    def on_result(assessment):
        raise RuntimeError("mine")

    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, on_result=on_result)
    assert chain.invoke(QUESTION, {"callbacks": [handler]}).text == WRONG
    ((where, error),) = captured.errors
    assert (where, str(error)) == ("langchain.check_grounding.on_result", "mine")
    captured.errors.clear()


def test_the_chains_own_errors_are_unchanged(rag, retriever, verifier, config, scripted):
    failing = rag(retriever, scripted(ConnectionError("gone"), ConnectionError("gone")))
    chain = failing | check_grounding(verifier, enforce="refuse", if_unchecked="refuse")
    with pytest.raises(ConnectionError, match="gone"):
        chain.invoke(QUESTION, config)
    with pytest.raises(ConnectionError, match="gone"):
        pieces_of(chain, config)
    assert verifier.asked == []


def test_an_error_of_ours_costs_nobody_the_answer(
    rag, retriever, verifier, config, captured, monkeypatch
):
    def broken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr("langchain_doctrail.grounding.case_of", broken)
    results = []
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, on_result=results.append)
    assert mark(chain.invoke(QUESTION, config))["status"] == "skipped"
    assert [assessment.error for assessment in results] == ["RuntimeError: ours"]
    assert [where for where, _ in captured.errors] == ["langchain.check_grounding"]
    captured.errors.clear()


async def test_an_error_of_ours_within_a_check_is_a_check_that_failed(
    rag, retriever, verifier, config, captured, monkeypatch
):
    def broken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr("langchain_doctrail.cases.assess", broken)
    monkeypatch.setattr("langchain_doctrail.cases.aassess", broken)
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier)
    answers = [chain.invoke(QUESTION, config), await chain.ainvoke(QUESTION, config)]
    assert [mark(answer)["status"] for answer in answers] == ["failed", "failed"]
    (assessment,) = captured.get(mark(answers[0])["response_id"]).assessments
    assert assessment.error == "RuntimeError: ours"
    assert [where for where, _ in captured.errors] == ["langchain.check_grounding"] * 2
    captured.errors.clear()


class Hostile(dict):
    def get(self, *_):
        raise ZeroDivisionError


def test_an_output_that_cannot_even_be_looked_at_passes(verifier):
    output = Hostile(answer=WRONG)
    assert (RunnableLambda(lambda _: output) | check_grounding(verifier)).invoke(3) is output


@pytest.mark.parametrize(
    "output",
    [
        None,
        3,
        "",
        [],
        {},
        MappingProxyType({"answer": WRONG}),
        {"answer": {"answer": WRONG}},
        {"answer": None, "output": 3},
        [WRONG],
        AIMessage("", tool_calls=[{"name": "search", "args": {}, "id": "c"}]),
        Document(WRONG),
    ],
    ids=repr,
)
async def test_whatever_a_chain_returns_passes(output, verifier, config):
    chain = RunnableLambda(lambda _: output) | check_grounding(verifier, enforce="refuse")
    assert chain.invoke(QUESTION, config) is output
    assert await chain.ainvoke(QUESTION, config) is output
    assert [piece is output for piece in chain.stream(QUESTION, config)] == [True]
    assert verifier.asked == []


# --- what a request says


def test_a_request_may_do_without_the_check(rag, retriever, verifier, handler):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier)
    config = {"callbacks": [handler], "metadata": {"doctrail_check": False}}
    assert "doctrail" not in chain.invoke(QUESTION, config).response_metadata
    assert verifier.asked == []


def test_a_request_cannot_do_without_what_is_enforced(rag, retriever, verifier, handler):
    chain = rag(retriever, says(WRONG)) | check_grounding(verifier, enforce="refuse")
    config = {"callbacks": [handler], "metadata": {"doctrail_check": False}}
    assert chain.invoke(QUESTION, config).text == REFUSED


# --- a judge that is a chain itself


async def test_what_a_judge_calls_is_no_part_of_the_answer(
    rag, retriever, config, captured, fake_verifier
):
    class Judge(fake_verifier):
        def verify(self, answer):
            says("0.9").invoke("Is it true?")
            return super().verify(answer)

        async def averify(self, answer):
            await (ChatPromptTemplate.from_template("{x}") | says("0.9")).ainvoke({"x": "True?"})
            return super().verify(answer)

    chain = rag(retriever, says(WRONG)) | check_grounding(Judge())
    chain.invoke(QUESTION, config)
    await chain.ainvoke(QUESTION, config)
    with captured.scope():
        chain.invoke(QUESTION)
    events = [e async for e in chain.astream_events(QUESTION, config, version="v2")]
    assert [len(trail.generations) for trail in captured.trails] == [1] * 4
    assert [e["event"] for e in events].count("on_chat_model_start") == 1


async def test_a_model_of_langchain_may_judge(rag, retriever, config, handler, captured):
    judge = JudgeVerifier(langchain_judge(says("That is no JSON.")))
    chain = rag(retriever, says(WRONG)) | check_grounding(judge)
    answers = [chain.invoke(QUESTION, config), await chain.ainvoke(QUESTION, config)]
    assert [answer.text for answer in answers] == [WRONG, WRONG]
    assert [mark(answer)["status"] for answer in answers] == ["failed", "failed"]
    assert [len(trail.generations) for trail in captured.trails] == [1, 1]


def test_inside_suppress_nothing_is_recorded(rag, retriever, verifier, config, captured):
    with suppress():
        (rag(retriever, says(WRONG)) | check_grounding(verifier)).invoke(QUESTION, config)
    assert captured.trails == []


# --- the share that a handler checks


def test_the_sampled_check_delays_no_answer(rag, retriever, captured, fake_verifier):
    opened, begun = threading.Event(), threading.Event()

    class Waiting(fake_verifier):
        def verify(self, answer):
            begun.set()
            assert opened.wait(10)
            return super().verify(answer)

    handler = LineageCallbackHandler(
        captured, grounding=Grounding(verifier=Waiting(), sample_rate=1.0)
    )
    answer = rag(retriever, says(WRONG)).invoke(QUESTION, {"callbacks": [handler]})
    assert answer.text == WRONG
    assert begun.wait(10)  # it has begun, elsewhere, and the answer is out
    assert handler.last.assessments == ()
    opened.set()
    assert captured.flush(10)
    assert [a.risk for a in handler.get(handler.last.response_id).assessments] == [0.9]


@pytest.mark.parametrize(("rate", "metadata", "checked"), [
    (1.0, {}, 1),
    (0.0, {}, 0),
    (0.0, {"doctrail_check": True}, 1),
    (1.0, {"doctrail_check": False}, 0),
    (1.0, {"doctrail_check": "no"}, 1),
])  # fmt: skip
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_a_request_has_the_last_word_on_the_sampling(
    rate, metadata, checked, how, rag, retriever, verifier, captured
):
    grounding = Grounding(verifier=verifier, sample_rate=rate)
    handler = LineageCallbackHandler(captured, grounding=grounding)
    config = {"callbacks": [handler], "metadata": metadata}
    chain = rag(retriever, says(WRONG))
    list(chain.stream(QUESTION, config)) if how == "stream" else chain.invoke(QUESTION, config)
    assert captured.flush(10)
    assert len(verifier.asked) == checked


def test_an_answer_that_a_user_complains_about_is_checked(rag, retriever, verifier, captured):
    grounding = Grounding(verifier=verifier, sample_rate=0.0)
    handler = LineageCallbackHandler(captured, grounding=grounding)
    rag(retriever, says(WRONG)).invoke(QUESTION, {"callbacks": [handler]})
    assert handler.flag(handler.last.response_id)
    assert not handler.flag("of somebody else")
    assert captured.flush(10)
    assert len(verifier.asked) == 1


async def test_the_sampled_share_is_the_same_wherever_it_is_asked(
    rag, retriever, verifier, captured
):
    handler = LineageCallbackHandler(
        captured, grounding=Grounding(verifier=verifier, sample_rate=0.3, raised_rate=0.0)
    )
    chain = rag(retriever, says(RIGHT))
    await chain.abatch([f"question {number}?" for number in range(60)], {"callbacks": [handler]})
    assert captured.flush(30)
    expected = {t.question for t in captured.trails if sampled(t.response_id, 0.3)}
    assert {asked.question for asked in verifier.asked} == expected
    assert 0 < len(expected) < 60


def test_a_handler_without_a_lineage_of_its_own_keeps_its_settings_when_it_is_pickled():
    handler = LineageCallbackHandler(grounding=Grounding(sample_rate=0.5))
    copied = pickle.loads(pickle.dumps(handler))  # noqa: S301  # our own
    assert copied._grounding == Grounding(sample_rate=0.5)


async def test_a_hundred_sampled_answers_at_once_each_get_their_own_result(
    rag, retriever, verifier, captured
):
    handler = LineageCallbackHandler(
        captured, grounding=Grounding(verifier=verifier, sample_rate=1.0, workers=4)
    )

    async def ask(number):
        chain = rag(retriever, says(f"In {number} days, by March."))
        await chain.ainvoke(f"question {number}?", {"callbacks": [handler]})

    await asyncio.gather(*map(ask, range(100)))
    assert captured.flush(30)
    assert len(captured.trails) == 100
    for trail in captured.trails:
        (assessment,) = captured.get(trail.response_id).assessments
        assert assessment.verdicts[0].claim.text == trail.answer
        assert trail.question.split()[1].strip("?") in trail.answer


def test_a_verifier_that_cannot_be_told_apart_is_refused_at_once(fake_verifier):
    class Unhashable(fake_verifier):
        __hash__ = None

    with pytest.raises(TypeError, match="Unhashable"):
        LineageCallbackHandler(grounding=Grounding(verifier=Unhashable()))


# --- with the verifier that comes along


def test_a_wrong_date_is_contradicted_by_the_chunk_that_has_the_right_one(
    rag, store, handler, config
):
    wrong = "The contract renewal deadline for enterprise accounts is March 15th."
    chain = rag(store.as_retriever(search_kwargs={"k": 3}), says(wrong)) | check_grounding()
    answer = chain.invoke(QUESTION, config)
    assert mark(answer)["counts"] == {"contradicted": 1}
    trail = handler.get(handler.last.response_id)
    (verdict,) = trail.assessments[0].verdicts
    (evidence, *_) = verdict.evidence
    source = trail.chunks[evidence.chunk_id]
    assert source.document_id == "doc_renewal"
    assert source.text[evidence.start : evidence.end] == "February 28th"


def test_a_right_answer_is_supported(rag, store, config):
    right = "The contract renewal deadline for enterprise accounts is February 28th."
    chain = rag(store.as_retriever(search_kwargs={"k": 3}), says(right)) | check_grounding(
        enforce="refuse", if_unchecked="refuse"
    )
    answer = chain.invoke(QUESTION, config)
    assert (answer.text, mark(answer)["counts"]) == (right, {"supported": 1})
