"""Which session a response belongs to, and what its later turns owe to the earlier ones."""

import json
import os
import subprocess
import sys

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import create_retriever_tool

from doctrail_core.capture.events import PromptSent
from langchain_doctrail import LineageRetriever

QUESTION = "When is the renewal deadline?"
RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th."
ANSWER = "Enterprise accounts have to renew their contract by February 28th, every single year."

DEPRECATED_IN_USE = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.deprecation.LangChainDeprecationWarning"
)


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun):
        named = {"id": "chunk-renewal", "metadata": {"document_id": "doc_renewal"}}
        return [Document(RENEWAL, **named)] if "renewal" in query else []


# --- which session


@pytest.mark.parametrize("key", ["thread_id", "session_id", "conversation_id"])
@pytest.mark.parametrize("place", ["configurable", "metadata"])
async def test_the_session_is_found_wherever_it_is_configured(handler, rag, retriever, key, place):
    chain, config = rag(retriever), {"callbacks": [handler], place: {key: "s-1"}}
    chain.invoke(QUESTION, config)
    await chain.ainvoke(QUESTION, config)
    list(chain.stream(QUESTION, config))
    assert [piece async for piece in chain.astream(QUESTION, config)]
    chain.batch([QUESTION] * 2, config)
    await chain.abatch([QUESTION] * 2, config)
    assert [trail.session_id for trail in handler.lineage.trails] == ["s-1"] * 8


def test_each_item_of_a_batch_may_be_of_another_session(handler, rag, retriever):
    configs = [{"callbacks": [handler], "configurable": {"session_id": f"s-{n}"}} for n in range(3)]
    rag(retriever).batch([QUESTION] * 3, configs)
    assert sorted(trail.session_id for trail in handler.lineage.trails) == ["s-0", "s-1", "s-2"]


@pytest.mark.parametrize("key", ["thread_id", "session_id", "conversation_id"])
async def test_so_it_is_for_agents(handler, scripted, key):
    agents = pytest.importorskip("langchain.agents")
    config = {"callbacks": [handler], "configurable": {key: "s-1", "user_id": "u-1"}}
    asked = {"messages": [("human", QUESTION)]}
    agents.create_agent(scripted("So."), []).invoke(asked, config)
    await agents.create_agent(scripted("So."), []).ainvoke(asked, config)
    found = [(trail.session_id, trail.user_id) for trail in handler.lineage.trails]
    assert found == [("s-1", "u-1")] * 2


# --- turns of a chain with history


def with_history(retriever, answers, histories):
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Use:\n{context}"), MessagesPlaceholder("history"), ("human", "{question}")]
    )
    context = (lambda asked: asked["question"]) | retriever | format_docs
    chain = (
        RunnablePassthrough.assign(context=context) | prompt | FakeListChatModel(responses=answers)
    )
    return RunnableWithMessageHistory(
        chain,
        lambda session_id: histories.setdefault(session_id, InMemoryChatMessageHistory()),
        input_messages_key="question",
        history_messages_key="history",
    )


def format_docs(documents):
    return "\n\n".join(document.page_content for document in documents)


@DEPRECATED_IN_USE
@pytest.mark.parametrize("wrap", [False, True])
async def test_what_reached_a_turn_only_through_an_earlier_answer_is_traced_to_its_retrieval(
    handler, wrap
):
    retriever = LineageRetriever.wrap(Shelf()) if wrap else Shelf()
    chain = with_history(retriever, [ANSWER, *["I see."] * 6], {})
    config = {"callbacks": [handler], "configurable": {"session_id": "s-1"}}
    chain.invoke({"question": "What about the renewal?"}, config)
    for turn in range(2, 8):
        ask = {"question": f"Sure, for the {turn}th time?"}
        await chain.ainvoke(ask, config) if turn % 2 else chain.invoke(ask, config)
    trails = handler.lineage.trails
    assert [(trail.session_id, trail.turn) for trail in trails] == [("s-1", n) for n in range(1, 8)]
    (carried,) = trails[6].carried
    assert (carried.chunk.chunk_id, carried.carried_by) == ("chunk-renewal", "answer")
    assert (carried.response_id, carried.turn) == (trails[0].response_id, 1)
    assert carried.through == trails[0].response_id
    assert trails[6].involvements == {"chunk-renewal": "indirect"}
    assert [document.document_id for document in trails[6].documents] == ["doc_renewal"]


@DEPRECATED_IN_USE
def test_other_sessions_bring_nothing(handler):
    chain = with_history(Shelf(), [ANSWER, "I see."], {})
    for session in ("s-1", "s-2"):
        config = {"callbacks": [handler], "configurable": {"session_id": session}}
        chain.invoke({"question": "What about the renewal?" if session == "s-1" else "Hm?"}, config)
    assert handler.last.carried == ()
    assert handler.last.turn == 1


# --- turns of an agent with a checkpointer


def agent_of(scripted, calls, saver, response_format="content_and_artifact", *, search=True, **own):
    agents = pytest.importorskip("langchain.agents")
    look_up = create_retriever_tool(
        LineageRetriever.wrap(Shelf()), "look_up", "Look up.", response_format=response_format
    )
    asks = [calls(("look_up", "call-1", {"query": "renewal"}))] if search else []
    model = scripted(*asks, "By February 28th.", *["I see."] * 10)
    return agents.create_agent(model, [look_up], checkpointer=saver, **own)


def converse(agent, handler, turns):
    config = {"callbacks": [handler], "configurable": {"thread_id": "t-1"}}
    for turn in turns:
        agent.invoke({"messages": [("human", f"Question {turn}?")]}, config)


@pytest.mark.parametrize(
    ("response_format", "by"), [("content_and_artifact", "artifact"), ("content", "text")]
)
def test_a_chunk_that_is_still_in_the_prompt_is_traced_to_the_turn_that_retrieved_it(
    handler, scripted, calls, response_format, by
):
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    agent = agent_of(scripted, calls, memory.InMemorySaver(), response_format)
    converse(agent, handler, range(1, 8))
    trails = handler.lineage.trails
    assert [trail.turn for trail in trails] == list(range(1, 8))
    assert trails[0].carried == ()
    for trail in trails[1:]:
        assert trail.retrievals == ()
        (carried,) = trail.carried
        assert (carried.chunk.chunk_id, carried.chunk.document_id) == (
            "chunk-renewal",
            "doc_renewal",
        )
        assert (carried.carried_by, carried.turn) == (by, 1)
        assert carried.response_id == trails[0].response_id
        assert [(a.chunk_id, a.state) for a in trail.contexts[0].arrivals] == [
            ("chunk-renewal", "full")
        ]
        assert trail.involvements == {"chunk-renewal": "direct"}


def test_artifacts_of_this_turns_own_tool_calls_are_not_told_as_carried(
    handler, scripted, calls, monkeypatch
):
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    told, record = [], handler.lineage.record
    monkeypatch.setattr(
        handler.lineage, "record", lambda event: told.append(event) or record(event)
    )
    converse(agent_of(scripted, calls, memory.InMemorySaver()), handler, [1, 2])
    prompts = [event for event in told if isinstance(event, PromptSent)]
    carried = [[chunk.chunk_id for chunk in prompt.carried] for prompt in prompts]
    assert carried == [[], [], ["chunk-renewal"]]


def test_a_handler_that_knows_nothing_of_earlier_turns_finds_the_artifacts(
    handler, captured, scripted, calls
):
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    from doctrail_core.testing import capture_trails
    from langchain_doctrail import LineageCallbackHandler

    saver = memory.InMemorySaver()
    with capture_trails() as elsewhere:
        converse(agent_of(scripted, calls, saver), LineageCallbackHandler(elsewhere), [1])
    converse(agent_of(scripted, calls, saver, search=False), handler, [2])
    (carried,) = handler.last.carried
    assert (carried.chunk.chunk_id, carried.chunk.document_id) == ("chunk-renewal", "doc_renewal")
    assert (carried.carried_by, carried.response_id, carried.turn) == ("artifact", None, None)


def test_a_search_that_repeats_an_earlier_one_is_this_turns(handler, scripted, calls):
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    agent = agent_of(scripted, calls, memory.InMemorySaver())
    converse(agent, handler, [1])
    converse(agent_of(scripted, calls, agent.checkpointer), handler, [2])
    assert [r.query for r in handler.last.retrievals] == ["renewal"]
    assert handler.last.involvements == {"chunk-renewal": "direct"}


def test_ids_of_a_wrapped_retriever_survive_the_checkpoint(handler, scripted, calls):
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    saver = memory.InMemorySaver()
    agent = agent_of(scripted, calls, saver)
    converse(agent, handler, [1])
    state = agent.get_state({"configurable": {"thread_id": "t-1"}}).values
    (message,) = [m for m in state["messages"] if m.type == "tool"]
    (document,) = message.artifact
    metadata = document.metadata if isinstance(document, Document) else document["metadata"]
    assert metadata["doctrail_chunk_id"] == "chunk-renewal"


def test_what_waited_for_a_human_is_carried_into_the_response_that_goes_on(
    handler, scripted, calls
):
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    types = pytest.importorskip("langgraph.types")
    agents = pytest.importorskip("langchain.agents")
    from langchain_core.tools import tool

    @tool
    def approve(query: str) -> str:
        """Ask somebody."""
        return types.interrupt(query)

    look_up = create_retriever_tool(
        Shelf(), "look_up", "Look up.", response_format="content_and_artifact"
    )
    model = scripted(
        calls(("look_up", "call-1", {"query": "renewal"})),
        calls(("approve", "call-2", {"query": "ok?"})),
        "By February 28th.",
    )
    agent = agents.create_agent(model, [look_up, approve], checkpointer=memory.InMemorySaver())
    config = {"callbacks": [handler], "configurable": {"thread_id": "t-1"}}
    agent.invoke({"messages": [("human", QUESTION)]}, config)
    agent.invoke(types.Command(resume="yes"), config)
    waited, went_on = handler.lineage.trails
    assert (waited.status, waited.turn, went_on.status, went_on.turn) == ("interrupted", 1, "ok", 2)
    (carried,) = went_on.carried
    assert (carried.chunk.chunk_id, carried.response_id) == ("chunk-renewal", waited.response_id)
    assert went_on.involvements == {"chunk-renewal": "direct"}


# --- the next process

PROCESS = """
import json, sys
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import create_retriever_tool
from langgraph.checkpoint.sqlite import SqliteSaver

import doctrail_core
from langchain_doctrail import LineageCallbackHandler, LineageRetriever


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun):
        return [Document("RENEWAL", id="chunk-renewal", metadata={"document_id": "doc_renewal"})]


class FakeModel(BaseChatModel):
    lines: list

    @property
    def _llm_type(self):
        return "fake"

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self.lines.pop(0))])


response_format, *turns = sys.argv[1:]
call = {"name": "look_up", "args": {"query": "renewal"}, "id": "call-1"}
lines = [AIMessage("", tool_calls=[call])] * ("1" in turns)
lines += [AIMessage("By February 28th.") for _ in turns]
tool = create_retriever_tool(
    LineageRetriever.wrap(Shelf()), "look_up", "Look up.", response_format=response_format
)
with SqliteSaver.from_conn_string("checkpoints.db") as saver:
    agent = create_agent(FakeModel(lines=lines), [tool], checkpointer=saver)
    handler = LineageCallbackHandler()
    config = {"callbacks": [handler], "configurable": {"thread_id": "t-1"}}
    for turn in turns:
        agent.invoke({"messages": [("human", f"Question {turn}?")]}, config)
trail = handler.last
print(json.dumps({
    "id": trail.response_id,
    "turn": trail.turn,
    "retrievals": len(trail.retrievals),
    "carried": [[c.chunk.chunk_id, c.carried_by, c.response_id, c.turn] for c in trail.carried],
    "involvements": trail.involvements,
}))
doctrail_core.default_lineage().close()
"""


@pytest.mark.parametrize(
    ("response_format", "by"), [("content_and_artifact", "artifact"), ("content", "text")]
)
def test_a_new_process_traces_a_chunk_to_the_turn_of_another_one(tmp_path, response_format, by):
    pytest.importorskip("langchain.agents")
    pytest.importorskip("langgraph.checkpoint.sqlite")

    def converse(*turns):
        program = PROCESS.replace("RENEWAL", RENEWAL)
        result = subprocess.run(
            [sys.executable, "-c", program, response_format, *turns],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "DOCTRAIL_HOME": str(tmp_path / "home")},
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    first, _, seventh = converse("1"), converse("2", "3", "4", "5", "6"), converse("7")
    assert (first["turn"], first["retrievals"], first["carried"]) == (1, 1, [])
    assert (seventh["turn"], seventh["retrievals"]) == (7, 0)
    assert seventh["carried"] == [["chunk-renewal", by, first["id"], 1]]
    assert seventh["involvements"] == {"chunk-renewal": "direct"}
