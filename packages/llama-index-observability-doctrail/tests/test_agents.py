"""An agent's run is one response, from the tool that a model asked for to the answer."""

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.tools import QueryEngineTool, RetrieverTool

# The host looks at every attribute of an agent when it makes one.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


@pytest.fixture
def tools(rag):
    """A tool that hands out chunks, and one that hands out an answer made of them."""
    search = RetrieverTool.from_defaults(rag.retriever(1), name="search", description="finds")
    ask = QueryEngineTool.from_defaults(
        rag.engine(rag.retriever(1)), name="ask", description="answers"
    )
    return [search, ask]


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_run_is_one_response_from_question_to_answer(
    rag, captured, instrumented, tools, asks, agent_llm, streaming
):
    wanted = asks(("call-1", "search", {"input": "renewal deadline"}))
    llm = agent_llm(wanted, "It is February 28th.")
    agent = FunctionAgent(name="clerk", tools=tools, llm=llm, streaming=streaming)
    response = await agent.run(user_msg=rag.question)

    [trail] = captured.trails
    assert str(response) == trail.answer == "It is February 28th."
    assert [trail.question, trail.status] == [rag.question, "ok"]
    [asked, answered] = trail.generations
    [request] = asked.tool_requests
    [tool] = trail.tool_calls
    [retrieval] = trail.retrievals
    assert [request.name, request.arguments] == ["search", '{"input": "renewal deadline"}']
    assert [tool.name, tool.arguments] == ["search", '{"input": "renewal deadline"}']
    ids = [request.tool_call_id, tool.tool_call_id, retrieval.tool_call_id]
    assert ids == ["call-1"] * 3
    assert retrieval.parent_id == tool.tool_run_id
    assert [m.tool_call_id for m in answered.messages if m.role == "tool"] == ["call-1"]
    assert tool.result == next(m.text for m in answered.messages if m.role == "tool")
    assert trail.involvements == {"chunk-renewal": "direct"}
    assert trail.steps == ()


async def test_an_inner_engine_is_a_step_of_its_tool_and_what_it_read_is_indirect(
    rag, captured, instrumented, tools, asks, agent_llm
):
    llm = agent_llm(asks(("call-1", "ask", {"input": "renewal deadline"})), "February.")
    await FunctionAgent(tools=tools, llm=llm).run(user_msg=rag.question)

    [trail] = captured.trails
    [tool], [step], [retrieval] = trail.tool_calls, trail.steps, trail.retrievals
    [asked, inner, answered] = trail.generations
    assert tool.result == step.output == inner.output == rag.answer
    assert [step.parent_id, retrieval.parent_id] == [tool.tool_run_id, step.step_id]
    assert [g.parent_id for g in (asked, inner, answered)] == [None, step.step_id, None]
    assert trail.involvements == {"chunk-renewal": "indirect"}
    assert trail.answer == "February."


async def test_agents_that_hand_over_are_steps(rag, captured, instrumented, tools, asks, agent_llm):
    searching = agent_llm(
        asks(("call-1", "search", {"input": "renewal deadline"})),
        asks(("call-2", "handoff", {"to_agent": "writer", "reason": "write it"})),
    )
    agents = [
        FunctionAgent(name="researcher", description="finds", tools=tools, llm=searching),
        FunctionAgent(name="writer", description="writes", tools=[], llm=agent_llm("In February.")),
    ]
    workflow = AgentWorkflow(agents=agents, root_agent="researcher")
    await workflow.run(user_msg=rag.question)

    [trail] = captured.trails
    by_id = {step.step_id: step.name for step in trail.steps}
    assert list(by_id.values()) == ["researcher", "writer"]
    assert [by_id[g.parent_id] for g in trail.generations] == ["researcher", "researcher", "writer"]
    assert [(c.name, by_id[c.parent_id]) for c in trail.tool_calls] == [
        ("search", "researcher"),
        ("handoff", "researcher"),
    ]
    assert [trail.answer, trail.steps[-1].output] == ["In February.", "In February."]
    assert trail.involvements == {"chunk-renewal": "direct"}
