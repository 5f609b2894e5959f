import asyncio
import copy
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel, FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough

from doctrail_core.model import Trail
from langchain_doctrail import LineageCallbackHandler

QUESTION = "When is the renewal deadline?"
ANSWER = "On February 28th."


class BrokenRetriever(BaseRetriever):
    failures: int = 99

    def _get_relevant_documents(self, query, *, run_manager):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the store is away")
        return [Document("Found at last.", id="late")]


class SlowModel(FakeListChatModel):
    async def _agenerate(self, *args, **kwargs):
        await asyncio.sleep(60)


class BrokenModel(FakeListChatModel):
    def _call(self, *args, **kwargs):
        raise ConnectionError("the model is away")


def assert_whole(trail: Trail | None, status="ok"):
    assert trail is not None
    assert trail.status == status
    assert trail.question == QUESTION
    assert trail.answer == ANSWER
    assert trail.framework == "langchain"
    (retrieval,) = trail.retrievals
    assert (retrieval.query, retrieval.retriever) == (QUESTION, "VectorStoreRetriever")
    assert len(retrieval.hits) == 2
    (generation,) = trail.generations
    assert [m.role for m in generation.messages] == ["system", "user"]
    (context,) = trail.contexts
    assert [arrival.state for arrival in context.arrivals] == ["full", "full"]


def test_an_unchanged_chain_gets_its_whole_trail(rag, retriever, handler):
    answer = rag(retriever).invoke(QUESTION, {"callbacks": [handler]})
    assert answer.content == ANSWER
    assert_whole(handler.last)
    assert handler.get(handler.last.response_id) == handler.last


async def test_async_calls_get_the_same_trail(rag, retriever, handler):
    await rag(retriever).ainvoke(QUESTION, {"callbacks": [handler]})
    assert_whole(handler.last)


def test_streams_get_the_same_trail_and_stay_streams(rag, retriever, handler):
    chain = rag(retriever) | StrOutputParser()
    pieces = list(chain.stream(QUESTION, {"callbacks": [handler]}))
    assert len(pieces) > 5
    assert "".join(pieces) == ANSWER
    assert_whole(handler.last)


async def test_async_streams_get_the_same_trail_and_stay_streams(rag, retriever, handler):
    chain = rag(retriever) | StrOutputParser()
    pieces = [piece async for piece in chain.astream(QUESTION, {"callbacks": [handler]})]
    assert len(pieces) > 5
    assert_whole(handler.last)


def test_completion_models_are_recorded(retriever, handler):
    chain = (
        {"context": retriever, "question": RunnablePassthrough()}
        | PromptTemplate.from_template("{context}\n{question}")
        | FakeListLLM(responses=[ANSWER])
    )
    assert chain.invoke(QUESTION, {"callbacks": [handler]}) == ANSWER
    trail = handler.last
    assert trail.answer == ANSWER
    assert trail.generations[0].messages[0].role == "user"
    assert trail.question == QUESTION


def test_chunks_that_the_formatter_drops_are_absent(rag, retriever, handler):
    chain = rag(retriever, formatter=lambda documents: documents[0].page_content)
    chain.invoke(QUESTION, {"callbacks": [handler]})
    states = [arrival.state for arrival in handler.last.contexts[0].arrivals]
    assert states == ["full", "absent"]


def test_batches_do_not_mix(rag, retriever, handler, captured):
    chain = rag(retriever | RunnableLambda(lambda found: found), EchoModel(responses=[]))
    questions = [f"question {number}?" for number in range(100)]
    answers = chain.batch(questions, {"callbacks": [handler], "max_concurrency": 16})
    assert_each_question_has_its_own_trail(questions, answers, captured)


async def test_async_batches_do_not_mix(rag, retriever, handler, captured):
    chain = rag(retriever, EchoModel(responses=[]))
    questions = [f"question {number}?" for number in range(100)]
    answers = await chain.abatch(questions, {"callbacks": [handler]})
    assert_each_question_has_its_own_trail(questions, answers, captured)


def assert_each_question_has_its_own_trail(questions, answers, captured):
    assert [answer.content for answer in answers] == questions
    assert sorted(t.question for t in captured.trails) == sorted(questions)
    for trail in captured.trails:
        assert trail.answer == trail.question
        assert [r.query for r in trail.retrievals] == [trail.question]
        assert len(trail.generations) == 1


class EchoModel(FakeListChatModel):
    def _call(self, messages, *args, **kwargs):
        return messages[-1].content


def test_threads_share_one_handler(rag, retriever, handler, captured):
    chain = rag(retriever, EchoModel(responses=[]))
    questions = [f"question {number}?" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda q: chain.invoke(q, {"callbacks": [handler]}), questions))
    assert_each_question_has_its_own_trail(questions, answers, captured)


@pytest.mark.parametrize("last", [RunnablePassthrough(), StrOutputParser()])
def test_a_stream_left_early_is_aborted(last, rag, retriever, handler):
    stream = (rag(retriever) | last).stream(QUESTION, {"callbacks": [handler]})
    next(stream)
    stream.close()
    trail = handler.last
    assert trail.status == "aborted"
    assert (len(trail.retrievals), len(trail.generations)) == (1, 1)


async def test_an_async_stream_left_early_is_aborted(rag, retriever, handler):
    async for _ in rag(retriever).astream(QUESTION, {"callbacks": [handler]}):
        break
    async with asyncio.timeout(10):
        while handler.last is None or handler._open.open_count:
            gc.collect()  # the event loop closes abandoned generators when they are collected
            await asyncio.sleep(0)
    trail = handler.last
    assert trail.status == "aborted"
    assert (len(trail.retrievals), len(trail.generations)) == (1, 1)


async def test_a_cancelled_call_is_aborted(rag, retriever, handler):
    call = asyncio.create_task(
        rag(retriever, SlowModel(responses=[])).ainvoke(QUESTION, {"callbacks": [handler]})
    )
    while not handler.lineage.entries:  # noqa: ASYNC110  # nobody tells when the model is called
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert handler.last.status == "aborted"
    assert handler.last.generations[0].ended_at is None


async def test_a_call_cancelled_while_it_searches_leaves_nothing_open(rag, captured):
    asked = asyncio.Event()

    class Slow(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            raise AssertionError

        async def _aget_relevant_documents(self, query, *, run_manager):
            asked.set()
            await asyncio.sleep(60)

    handler = LineageCallbackHandler(captured)
    call = asyncio.create_task(rag(Slow()).ainvoke(QUESTION, {"callbacks": [handler]}))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (captured.open_count, handler._open.open_count) == (0, 0)


async def test_a_timed_out_stream_is_aborted(rag, retriever, handler):
    async def consume():
        chain = rag(retriever, SlowModel(responses=[ANSWER], sleep=60))
        async for _ in chain.astream(QUESTION, {"callbacks": [handler]}):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consume(), 0.2)
    assert handler.last.status == "aborted"


def test_an_error_of_the_retriever_is_on_the_trail(rag, handler):
    with pytest.raises(ConnectionError):
        rag(BrokenRetriever()).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    assert trail.status == "error"
    assert trail.retrievals[0].error == "ConnectionError: the store is away"
    assert trail.generations == ()


def test_an_error_of_the_model_is_on_the_trail(rag, retriever, handler):
    with pytest.raises(ConnectionError):
        rag(retriever, BrokenModel(responses=[])).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    assert trail.status == "error"
    assert trail.generations[0].error == "ConnectionError: the model is away"


def test_a_retried_retriever_shows_both_attempts(rag, handler):
    retriever = BrokenRetriever(failures=1).with_retry(
        stop_after_attempt=2, wait_exponential_jitter=False
    )
    rag(retriever).invoke(QUESTION, {"callbacks": [handler]})
    first, second = handler.last.retrievals
    assert first.error == "ConnectionError: the store is away"
    assert [hit.chunk.chunk_id for hit in second.hits] == ["late"]


def test_after_a_fallback_the_answer_is_the_one_that_was_given(rag, retriever, handler):
    model = BrokenModel(responses=[]).with_fallbacks([FakeListChatModel(responses=[ANSWER])])
    rag(retriever, model).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    assert (trail.status, trail.answer) == ("ok", ANSWER)
    assert [bool(g.error) for g in trail.generations] == [True, False]


def test_two_chains_in_parallel_are_one_response_with_two_generations(rag, retriever, handler):
    both = RunnableParallel(a=rag(retriever), b=rag(retriever))
    both.invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    assert (len(trail.retrievals), len(trail.generations)) == (2, 2)
    assert trail.question == QUESTION


def test_the_question_of_a_stream_is_learned_at_its_end(retriever, handler):
    chain = (
        RunnablePassthrough.assign(context=(lambda asked: asked["question"].upper()) | retriever)
        | ChatPromptTemplate.from_template("{context} {question}")
        | FakeListChatModel(responses=[ANSWER])
    )
    list(chain.stream({"question": QUESTION}, {"callbacks": [handler]}))
    assert handler.last.question == QUESTION


def test_session_and_user_come_from_configurable_or_metadata(rag, retriever, handler):
    chain = rag(retriever)
    configurable = {"session_id": "s-1", "user_id": "u-1"}
    chain.invoke(QUESTION, {"callbacks": [handler], "configurable": configurable})
    assert (handler.last.session_id, handler.last.user_id) == ("s-1", "u-1")
    chain.invoke(QUESTION, {"callbacks": [handler], "metadata": {"thread_id": "t-2"}})
    assert (handler.last.session_id, handler.last.user_id) == ("t-2", None)


def test_the_run_id_that_the_user_chose_is_the_response_id(rag, retriever, handler):
    run_id = "01890000-0000-7000-8000-000000000001"
    rag(retriever).invoke(QUESTION, {"callbacks": [handler], "run_id": run_id})
    assert handler.last.response_id == run_id


def test_the_message_that_the_user_holds_names_its_generation(rag, retriever, handler):
    answer = rag(retriever).invoke(QUESTION, {"callbacks": [handler]})
    assert handler.last.generations[0].message_id == answer.id
    *_, last = rag(retriever).stream(QUESTION, {"callbacks": [handler]})
    assert handler.last.generations[0].message_id == last.id


def test_a_handler_on_model_and_call_records_once(rag, retriever, handler):
    model = FakeListChatModel(responses=[ANSWER], callbacks=[handler])
    rag(retriever, model).invoke(QUESTION, {"callbacks": [handler]})
    assert_whole(handler.last)


def test_calls_without_retrieval_or_model_leave_no_trail(handler, captured):
    RunnableLambda(str.upper).invoke("nothing to see", {"callbacks": [handler]})
    assert captured.trails == []


def test_callbacks_after_their_run_ended_change_nothing(rag, retriever, handler, captured):
    rag(retriever).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    run_id = trail.retrievals[0].retrieval_id
    handler.on_retriever_end([Document("too late")], run_id=run_id)
    handler.on_chain_end("too late", run_id=trail.response_id)
    assert captured.trails == [trail]
    assert captured.dropped == {"events after their run had ended": 1}


def test_unknown_payloads_are_noted_and_never_raise(captured):
    handler = LineageCallbackHandler(captured)
    run_id = "01890000-0000-7000-8000-000000000001"
    handler.on_chat_model_start(None, [["not a message"]], run_id=run_id)
    handler.on_llm_end(None, run_id=run_id)
    handler.on_custom_event("doctrail.retrieval", None, run_id=run_id)
    assert [where for where, _ in captured.errors] == [
        "langchain.on_chat_model_start",
        "langchain.on_llm_end",
        "langchain.on_custom_event",
    ]
    captured.errors.clear()


def test_a_failing_recorder_leaves_the_answer_intact(rag, retriever, captured, monkeypatch):
    handler = LineageCallbackHandler(captured)
    monkeypatch.setattr(captured, "record", lambda event: 1 / 0)
    answer = rag(retriever).invoke(QUESTION, {"callbacks": [handler]})
    assert answer.content == ANSWER
    assert {type(error) for _, error in captured.errors} == {ZeroDivisionError}
    captured.errors.clear()


def test_a_copied_handler_is_the_handler(handler):
    assert copy.deepcopy(handler) is handler
    assert copy.copy(handler) is handler


def test_only_the_default_handler_can_be_pickled(handler):
    travelled = pickle.loads(pickle.dumps(LineageCallbackHandler()))  # noqa: S301  # our own bytes
    assert isinstance(travelled, LineageCallbackHandler)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(handler)


def test_prompts_are_taken_as_they_are_when_sent(rag, retriever, handler):
    """A model that changes its messages afterwards does not change the record."""

    class Vandal(FakeListChatModel):
        def _call(self, messages, *args, **kwargs):
            for message in messages:
                message.content = "overwritten"
            return ANSWER

    rag(retriever, Vandal(responses=[])).invoke(QUESTION, {"callbacks": [handler]})
    assert handler.last.generations[0].messages[1].text == QUESTION


def test_tools_are_recorded_with_their_retrievals(retriever, handler):
    from langchain_core.tools import create_retriever_tool

    tool = create_retriever_tool(retriever, "search", "Searches the contracts.")

    def agent(question):
        call = {"name": "search", "args": {"query": question}, "id": "call-1", "type": "tool_call"}
        message = tool.invoke(call)
        return GenericFakeChatModel(messages=iter([AIMessage(ANSWER)])).invoke([message])

    RunnableLambda(agent).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    (call,) = trail.tool_calls
    assert (call.name, call.tool_call_id) == ("search", "call-1")
    assert trail.retrievals[0].tool_call_id == "call-1"
    assert trail.generations[0].messages[0].role == "tool"
    assert {arrival.state for arrival in trail.contexts[0].arrivals} == {"full"}


def test_many_threads_of_one_chain_leave_nothing_open(retriever, handler, captured):
    """User code that starts threads of its own inside a step."""

    def search_everywhere(question):
        found = []
        config = {"callbacks": None}
        threads = [
            threading.Thread(target=lambda: found.extend(retriever.invoke(question, config)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return str(len(found))

    chain = RunnableLambda(search_everywhere) | FakeListChatModel(responses=[ANSWER])
    chain.invoke(QUESTION, {"callbacks": [handler]})
    assert captured.last.answer == ANSWER
