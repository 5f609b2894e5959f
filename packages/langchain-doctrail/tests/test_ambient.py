"""Inside a scope nobody has to pass callbacks."""

import asyncio

from langchain_core.language_models import FakeListChatModel
from langchain_core.tools import tool

from doctrail_core import suppress
from langchain_doctrail import LineageCallbackHandler, LineageRetriever

QUESTION = "When is the renewal deadline?"


def test_separate_calls_become_one_response(retriever, captured):
    with captured.scope(session_id="s-1", user_id="u-1") as opened:
        found = retriever.invoke(QUESTION)
        prompt = "\n".join(document.page_content for document in found)
        FakeListChatModel(responses=["On February 28th."]).invoke(prompt)
    (trail,) = captured.trails
    assert opened.trail == trail
    assert (trail.session_id, trail.user_id) == ("s-1", "u-1")
    assert (trail.question, trail.answer) == (QUESTION, "On February 28th.")
    assert [arrival.state for arrival in trail.contexts[0].arrivals] == ["full", "full"]
    assert trail.framework == "langchain"


async def test_concurrent_scopes_do_not_mix(rag, retriever, captured):
    async def ask(question):
        with captured.scope(session_id=question):
            await rag(LineageRetriever.wrap(retriever)).ainvoke(question)

    questions = [f"question {number}?" for number in range(30)]
    await asyncio.gather(*map(ask, questions))
    assert len(captured.trails) == 30
    for trail in captured.trails:
        assert [r.query for r in trail.retrievals] == [trail.session_id]
        assert all(hit.score is not None for hit in trail.retrievals[0].hits)


def test_a_passed_handler_is_not_doubled(rag, retriever, captured):
    with captured.scope():
        rag(retriever).invoke(QUESTION, {"callbacks": [LineageCallbackHandler(captured)]})
    (trail,) = captured.trails
    assert (len(trail.retrievals), len(trail.generations)) == (1, 1)
    assert captured.dropped == {}


def test_streams_and_tools_are_seen(rag, retriever, captured):
    @tool
    def search(query: str) -> str:
        """Search."""
        return str(len(retriever.invoke(query)))

    with captured.scope():
        search.invoke(QUESTION)
        list(rag(retriever).stream(QUESTION))
    (trail,) = captured.trails
    assert [call.name for call in trail.tool_calls] == ["search"]
    assert (len(trail.retrievals), len(trail.generations)) == (2, 1)


def test_outside_of_a_scope_nothing_is_recorded(rag, retriever, captured):
    with captured.scope():
        pass
    rag(retriever).invoke(QUESTION)
    assert captured.trails == []


def test_suppressed_calls_leave_nothing(rag, retriever, captured):
    with captured.scope(), suppress():
        rag(retriever).invoke(QUESTION)
    assert captured.trails == []
    assert captured.dropped == {}
