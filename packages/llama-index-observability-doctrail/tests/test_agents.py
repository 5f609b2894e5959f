"""An agent's run is one response, from the tool that a model asked for to the answer."""

import asyncio
import inspect

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import (
    BaseTool,
    FunctionTool,
    QueryEngineTool,
    RetrieverTool,
    ToolMetadata,
    ToolOutput,
)
from llama_index.core.tools.function_tool import sync_to_async

# The host looks at every attribute of an agent when it makes one.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


# Before llama-index-core 0.14.22 plain functions run in threads that know nothing of their caller.
KEEPS_CONTEXT = pytest.mark.skipif(
    "copy_context" not in inspect.getsource(sync_to_async), reason="the host loses the context"
)


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


async def test_tools_that_are_called_at_once_keep_what_they_found_apart(
    rag, captured, instrumented, tools, asks, agent_llm
):
    wanted = asks(
        ("call-1", "search", {"input": "renewal deadline"}),
        ("call-2", "ask", {"input": "refunds of a purchase"}),
        ("call-3", "search", {"input": "travel by train"}),
    )
    await FunctionAgent(tools=tools, llm=agent_llm(wanted, "So.")).run(user_msg=rag.question)

    [trail] = captured.trails
    found = {r.tool_call_id: [h.chunk.chunk_id for h in r.hits] for r in trail.retrievals}
    assert found == {
        "call-1": ["chunk-renewal"],
        "call-2": ["chunk-refund"],
        "call-3": ["chunk-travel"],
    }
    assert trail.involvements == {
        "chunk-renewal": "direct",
        "chunk-refund": "indirect",
        "chunk-travel": "direct",
    }
    told = [r.tool_call_id for g in trail.generations for r in g.tool_requests]
    assert told == ["call-1", "call-2", "call-3"]


@pytest.mark.parametrize("asynchronous", [True, pytest.param(False, marks=KEEPS_CONTEXT)])
async def test_a_function_that_retrieves_is_a_tool_like_others(
    rag, captured, instrumented, asks, agent_llm, asynchronous
):
    retriever = rag.retriever(1)

    def look_up(topic: str) -> str:
        """Find a text."""
        return retriever.retrieve(topic)[0].node.get_content()

    async def look_up_soon(topic: str) -> str:
        """Find a text."""
        return (await retriever.aretrieve(topic))[0].node.get_content()

    function = look_up_soon if asynchronous else look_up
    tool = FunctionTool.from_defaults(function, name="look_up")
    llm = agent_llm(asks(("call-1", "look_up", {"topic": "renewal deadline"})), "February.")
    await FunctionAgent(tools=[tool], llm=llm).run(user_msg=rag.question)

    [trail] = captured.trails
    [call], [retrieval] = trail.tool_calls, trail.retrievals
    assert [call.name, call.arguments] == ["look_up", '{"topic": "renewal deadline"}']
    assert retrieval.parent_id == call.tool_run_id
    assert trail.involvements == {"chunk-renewal": "direct"}


async def test_a_tool_that_is_only_synchronous_is_called_once(
    rag, captured, instrumented, asks, agent_llm
):
    class Plain(BaseTool):
        metadata = ToolMetadata(name="plain", description="answers")

        def __call__(self, input):  # noqa: A002  # the host's name
            rag.retriever(1).retrieve(input)
            return ToolOutput(tool_name="plain", content="found", raw_input={}, raw_output="found")

    llm = agent_llm(asks(("call-1", "plain", {"input": "renewal"})), "February.")
    await FunctionAgent(tools=[Plain()], llm=llm).run(user_msg=rag.question)
    [trail] = captured.trails
    [call], [retrieval] = trail.tool_calls, trail.retrievals
    assert [call.tool_call_id, call.result] == ["call-1", "found"]
    assert retrieval.parent_id == call.tool_run_id


async def test_a_tool_that_calls_another_one_encloses_it(
    rag, captured, instrumented, tools, asks, agent_llm
):
    async def outer(topic: str) -> str:
        """Ask the other tool."""
        return (await tools[0].acall(input=topic)).content

    llm = agent_llm(asks(("call-1", "outer", {"topic": "renewal deadline"})), "February.")
    await FunctionAgent(tools=[FunctionTool.from_defaults(outer)], llm=llm).run(user_msg="Well?")
    [trail] = captured.trails
    inside, around = trail.tool_calls
    assert [inside.name, around.name] == ["search", "outer"]
    assert [inside.parent_id, around.parent_id] == [around.tool_run_id, None]
    assert [inside.arguments, inside.tool_call_id] == ['{"input": "renewal deadline"}', None]


async def test_a_tool_that_raises_is_told_with_its_error(
    rag, captured, instrumented, asks, agent_llm
):
    def broken(topic: str) -> str:
        """Fail."""
        raise ConnectionError(f"no {topic} today")

    wanted = asks(("call-1", "broken", {"topic": "luck"}), ("call-2", "missing", {}))
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(broken)], llm=agent_llm(wanted, "Oh."))
    await agent.run(user_msg=rag.question)
    [trail] = captured.trails
    assert {c.name: c.error for c in trail.tool_calls} == {
        "broken": "ConnectionError: no luck today",
        "missing": "RuntimeError: Tool missing not found. Please select a tool that is available.",
    }
    assert [trail.status, trail.answer] == ["ok", "Oh."]


async def test_an_agent_that_a_tool_asks_is_a_step_and_what_it_read_is_indirect(
    rag, captured, instrumented, tools, asks, agent_llm
):
    inner = FunctionAgent(
        name="expert",
        tools=tools,
        llm=agent_llm(asks(("call-9", "search", {"input": "renewal deadline"})), "In February."),
    )

    async def consult(question: str) -> str:
        """Ask the expert."""
        return str(await inner.run(user_msg=question))

    llm = agent_llm(asks(("call-1", "consult", {"question": "When?"})), "The expert says February.")
    agent = FunctionAgent(name="clerk", tools=[FunctionTool.from_defaults(consult)], llm=llm)
    await agent.run(user_msg=rag.question)

    [trail] = captured.trails
    [step] = trail.steps
    searched, consulted = trail.tool_calls
    assert [step.name, step.input, step.output] == ["expert", "When?", "In February."]
    assert [step.parent_id, searched.parent_id] == [consulted.tool_run_id, step.step_id]
    assert trail.involvements == {"chunk-renewal": "indirect"}
    assert trail.answer == "The expert says February."


@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_an_agent_that_reasons_in_text_has_its_tools_told(
    rag, captured, instrumented, tools, agent_llm
):
    llm = agent_llm(
        'Thought: I look.\nAction: search\nAction Input: {"input": "renewal deadline"}\n',
        "Thought: I know.\nAnswer: In February.",
    )
    response = await ReActAgent(tools=tools, llm=llm).run(user_msg=rag.question)

    [trail] = captured.trails
    [call], [retrieval] = trail.tool_calls, trail.retrievals
    asked, answered = trail.generations
    assert trail.answer == str(response) == "In February."
    assert [call.name, call.arguments] == ["search", '{"input": "renewal deadline"}']
    assert retrieval.parent_id == call.tool_run_id
    assert all(m.tool_call_id is None for m in answered.messages)
    assert trail.involvements == {"chunk-renewal": "direct"}
    assert [a.state for a in trail.contexts[-1].arrivals] == ["full"]
    assert [g.auxiliary for g in (asked, answered)] == [False, False]


async def test_events_that_stream_change_nothing(
    rag, captured, instrumented, tools, asks, agent_llm
):
    llm = agent_llm(asks(("call-1", "search", {"input": "renewal deadline"})), "In February.")
    handler = FunctionAgent(tools=tools, llm=llm).run(user_msg=rag.question)
    names = [type(event).__name__ async for event in handler.stream_events()]
    assert {"AgentStream", "ToolCall", "ToolCallResult"} <= set(names)
    assert str(await handler) == "In February."
    [trail] = captured.trails
    assert [trail.answer, len(trail.tool_calls)] == ["In February.", 1]


async def test_a_question_may_be_a_message_or_the_end_of_a_history(
    rag, captured, instrumented, agent_llm
):
    message = ChatMessage(role="user", content="When?")
    for asked in ({"user_msg": message}, {"chat_history": [message]}):
        await FunctionAgent(tools=[], llm=agent_llm("In February.")).run(**asked)
    assert [t.question for t in captured.trails] == ["When?", "When?"]


async def test_concurrent_runs_do_not_mix(rag, captured, instrumented, tools, asks):
    names = list(rag_texts := {n.node_id: n.text for n in rag.nodes})

    def reply(messages, **kwargs):
        topic = next(m.content for m in messages if m.role == "user")
        if messages[-1].role == "tool":
            return ChatMessage(role="assistant", content=f"About: {topic}")
        return asks((f"call {topic}", "search", {"input": topic}))

    llm = MockFunctionCallingLLM(response_generator=reply, is_chat_model=True)
    agent = FunctionAgent(tools=tools, llm=llm)
    topics = [f"{number}: {rag_texts[names[number % len(names)]]}" for number in range(50)]
    await asyncio.gather(*[agent.run(user_msg=topic) for topic in topics])

    assert sorted(t.question for t in captured.trails) == sorted(topics)
    for trail in captured.trails:
        number = int(trail.question.partition(":")[0])
        assert trail.answer == f"About: {trail.question}"
        assert {r.tool_call_id for r in trail.retrievals} == {f"call {trail.question}"}
        assert trail.involvements == {names[number % len(names)]: "direct"}
        assert len(trail.generations) == 2


async def test_a_run_belongs_to_the_scope_around_it(
    rag, captured, instrumented, tools, asks, agent_llm
):
    llm = agent_llm(asks(("call-1", "search", {"input": "renewal deadline"})), "In February.")
    with captured.scope(session_id="s-1") as opened:
        await FunctionAgent(name="clerk", tools=tools, llm=llm).run(user_msg=rag.question)
    [trail] = captured.trails
    assert trail is opened.trail
    assert [s.name for s in trail.steps] == ["clerk"]
    assert [trail.session_id, trail.answer] == ["s-1", "In February."]
    assert trail.involvements == {"chunk-renewal": "direct"}


@pytest.mark.parametrize("begun", [True, False])
async def test_a_run_that_is_awaited_outside_of_its_scope_belongs_to_it(
    rag, captured, instrumented, asks, agent_llm, begun
):
    searching, go_on = asyncio.Event(), asyncio.Event()

    async def search(topic: str) -> str:
        """Find a text."""
        searching.set()
        await go_on.wait()
        return (await rag.retriever(1).aretrieve(topic))[0].node.get_content()

    llm = agent_llm(asks(("call-1", "search", {"topic": "renewal deadline"})), "In February.")
    agent = FunctionAgent(name="clerk", tools=[FunctionTool.from_defaults(search)], llm=llm)
    with captured.scope(session_id="s-1") as opened:
        handler = agent.run(user_msg=rag.question)
        if begun:
            await searching.wait()
    go_on.set()
    await handler
    [trail] = captured.trails
    assert trail is opened.trail
    assert [trail.question, trail.answer] == [rag.question, "In February."]
    assert [trail.session_id, trail.status] == ["s-1", "ok"]
    assert [c.tool_call_id for c in trail.tool_calls] == ["call-1"]
    assert trail.involvements == {"chunk-renewal": "direct"}
