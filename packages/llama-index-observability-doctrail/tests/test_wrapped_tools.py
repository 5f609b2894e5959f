"""Wrappers inside the tools of an agent that nobody records: each query is a response of its own."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool, QueryEngineTool, RetrieverTool

from llama_index.observability.doctrail import LineageQueryEngine

# The host looks at every attribute of an agent when it makes one.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


async def test_each_wrapped_query_is_a_response_that_knows_its_tool(rag, captured, asks, agent_llm):
    engine = LineageQueryEngine(rag.engine(rag.retriever(1)), lineage=captured)
    tools = [
        QueryEngineTool.from_defaults(engine, name="ask", description="answers"),
        RetrieverTool.from_defaults(rag.wrapped(1), name="search", description="finds"),
    ]
    wanted = asks(
        ("call-1", "ask", {"input": "renewal deadline"}),
        ("call-2", "search", {"input": "refunds of a purchase"}),
    )
    agent = FunctionAgent(tools=tools, llm=agent_llm(wanted, "In February."))
    result = await agent.run(user_msg=rag.question)

    told = {t.tool_calls[0].name: t for t in captured.trails}
    assert set(told) == {"ask", "search"}
    asked, searched = told["ask"], told["search"]
    assert [asked.answer, len(asked.generations)] == [rag.answer, 1]
    assert asked.involvements == {"chunk-renewal": "direct"}
    assert [r.tool_call_id for t in (asked, searched) for r in t.retrievals] == ["call-1", "call-2"]
    assert searched.answer is None
    notes = [call.tool_output.raw_output for call in result.tool_calls]
    assert notes[0].metadata["lineage"]["response_id"] == asked.response_id


async def test_a_tool_without_a_wrapper_leaves_no_trace(rag, captured, asks, agent_llm):
    rag.wrapped()
    tool = QueryEngineTool.from_defaults(
        rag.engine(rag.retriever(1)), name="ask", description="answers"
    )
    llm = agent_llm(asks(("call-1", "ask", {"input": "renewal deadline"})), "In February.")
    await FunctionAgent(tools=[tool], llm=llm).run(user_msg=rag.question)
    assert captured.trails == []


def test_a_tool_that_is_called_by_itself_knows_its_wrapped_query(rag, captured):
    retriever = rag.wrapped(1)

    def look_up(topic: str) -> str:
        """Find a text."""
        return retriever.retrieve(topic)[0].node.get_content()

    FunctionTool.from_defaults(look_up)(topic="renewal deadline")
    [trail] = captured.trails
    [call] = trail.tool_calls
    assert [call.name, call.arguments] == ["look_up", '{"topic": "renewal deadline"}']
    assert trail.question == "renewal deadline"
