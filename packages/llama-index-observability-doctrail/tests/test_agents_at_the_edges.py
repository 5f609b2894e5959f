"""What else agents do: code, limits, structure, memory that asks a model, and many at once."""

import asyncio
from types import SimpleNamespace

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.agent.workflow import (
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.memory import ChatSummaryMemoryBuffer
from llama_index.core.objects import ObjectIndex
from llama_index.core.tools import FunctionTool, QueryEngineTool, RetrieverTool, ToolSelection
from llama_index.core.workflow import WorkflowRuntimeError
from pydantic import BaseModel

from doctrail_core import suppress
from doctrail_core.graph import evidence_graph
from doctrail_core.model import ToolRequest
from llama_index.observability.doctrail import LineageQueryEngine
from llama_index.observability.doctrail.tools import as_text, requested

# The host looks at every attribute of an agent when it makes one.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]


@pytest.fixture
def search(rag):
    return RetrieverTool.from_defaults(rag.retriever(1), name="search", description="finds")


def message(**told):
    return ChatMessage(role="assistant", additional_kwargs={"tool_calls": [told]})


@pytest.mark.parametrize(
    "asked",
    [
        ChatMessage(
            role="assistant",
            blocks=[ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs='{"a": 1}')],
        ),
        message(id="c", type="function", function={"name": "f", "arguments": '{"a": 1}'}),
        message(id="c", name="f", input={"a": 1}),
        message(toolUseId="c", name="f", input={"a": 1}),
        message(tool_id="c", tool_name="f", tool_kwargs={"a": 1}),
        ChatMessage(
            role="assistant",
            additional_kwargs={
                "tool_calls": [
                    SimpleNamespace(
                        id="c", function=SimpleNamespace(name="f", arguments='{"a": 1}')
                    )
                ]
            },
        ),
    ],
)
def test_providers_ask_for_tools_in_forms_of_their_own(asked):
    assert requested(asked) == (ToolRequest("f", '{"a": 1}', "c"),)


@pytest.mark.parametrize("nonsense", [None, "x", 7, {"a": 1}, [None], ["x"], [{"id": 3}], [{}]])
def test_what_asks_for_nothing_is_no_request(nonsense):
    said = ChatMessage(role="assistant", additional_kwargs={"tool_calls": nonsense})
    assert requested(said) == ()


class Unspeakable:
    def __repr__(self):
        raise ZeroDivisionError


def test_arguments_that_json_cannot_say_are_described():
    loop: dict = {"a": 1}
    loop["self"] = loop
    for arguments in ({(1, 2): 3}, {"a": object()}, {"a": Unspeakable()}, {"a": {1}}, loop):
        assert isinstance(as_text(arguments), str)
    assert as_text({"a": "ä"}) == '{"a": "ä"}'


async def test_arguments_that_json_cannot_say_cost_the_agent_nothing(
    captured, instrumented, agent_llm
):
    asked = ChatMessage(
        role="assistant",
        additional_kwargs={
            "tool_calls": [
                ToolSelection(tool_id="c", tool_name="odd", tool_kwargs={"a": Unspeakable()})
            ]
        },
    )
    tool = FunctionTool.from_defaults(lambda a: "seen", name="odd", description="odd")
    await FunctionAgent(tools=[tool], llm=agent_llm(asked, "So."), streaming=False).run("Well?")
    [trail] = captured.trails
    assert [trail.answer, trail.tool_calls[0].tool_call_id] == ["So.", "c"]


async def test_an_agent_that_writes_code_has_its_code_told(
    rag, captured, instrumented, search, agent_llm
):
    llm = agent_llm("<execute>print(6 * 7)</execute>", "It is 42.")

    async def execute(code: str) -> str:
        return (await rag.retriever(1).aretrieve("renewal deadline"))[0].node.get_content()

    agent = CodeActAgent(code_execute_fn=execute, tools=[], llm=llm)
    await agent.run(user_msg=rag.question)
    [trail] = captured.trails
    [call], [retrieval] = trail.tool_calls, trail.retrievals
    assert [call.name, call.arguments] == ["execute", '{"code": "print(6 * 7)"}']
    assert retrieval.parent_id == call.tool_run_id
    assert [trail.answer, trail.involvements] == ["It is 42.", {"chunk-renewal": "direct"}]


async def test_an_agent_that_may_not_go_on_ends_in_an_error(
    captured, instrumented, search, asks, agent_llm
):
    wanted = asks(("call-1", "search", {"input": "renewal"}))
    agent = FunctionAgent(tools=[search], llm=agent_llm(wanted, wanted))
    with pytest.raises(WorkflowRuntimeError):
        await agent.run(user_msg="Well?", max_iterations=2)
    [trail] = captured.trails
    assert trail.status == "error"
    assert "Max iterations" in trail.error


async def test_an_agent_that_has_to_come_to_an_end_answers_with_its_last_call(
    captured, instrumented, search, asks, agent_llm
):
    wanted = asks(("call-1", "search", {"input": "renewal"}))
    agent = FunctionAgent(
        tools=[search],
        llm=agent_llm(wanted, wanted, "So far: February."),
        early_stopping_method="generate",
    )
    await agent.run(user_msg="Well?", max_iterations=2)
    [trail] = captured.trails
    assert [trail.status, trail.answer] == ["ok", "So far: February."]
    assert [g.auxiliary for g in trail.generations] == [False] * 3


async def test_a_model_that_fails_ends_the_run_in_its_error(captured, instrumented, agent_llm):
    agent = FunctionAgent(tools=[], llm=agent_llm())
    with pytest.raises(IndexError):
        await agent.run(user_msg="Well?")
    [trail] = captured.trails
    assert [trail.status, trail.question] == ["error", "Well?"]
    assert trail.error.startswith("IndexError")
    assert trail.generations[0].error.startswith("IndexError")


async def test_a_memory_that_asks_a_model_to_sum_up_prepares(
    captured, instrumented, agent_llm, rag
):
    memory = ChatSummaryMemoryBuffer.from_defaults(
        llm=rag.llm, token_limit=30, tokenizer_fn=str.split
    )
    agent = FunctionAgent(tools=[], llm=agent_llm("In February. " * 8, "Yes."))
    for question in ("When is the deadline? " * 5, "Sure? " * 10):
        await agent.run(user_msg=question, memory=memory)
    calls = [g for t in captured.trails for g in t.generations]
    assert {(g.model, g.auxiliary) for g in calls} == {(None, False), ("fake-1", True)}
    assert captured.trails[-1].answer == "Yes."


async def test_nothing_of_an_agent_is_recorded_inside_suppress(
    rag, captured, instrumented, search, asks, agent_llm
):
    llm = agent_llm(asks(("call-1", "search", {"input": "renewal"})), "February.")
    with suppress():
        await FunctionAgent(tools=[search], llm=llm).run(user_msg=rag.question)
    assert captured.trails == []


async def test_a_wrapped_engine_inside_an_agent_that_is_recorded_names_the_agents_response(
    rag, captured, instrumented, asks, agent_llm
):
    engine = LineageQueryEngine(rag.engine(), lineage=captured)
    ask = QueryEngineTool.from_defaults(engine, name="ask", description="answers")
    llm = agent_llm(asks(("call-1", "ask", {"input": "renewal"})), "February.")
    result = await FunctionAgent(tools=[ask], llm=llm).run(user_msg=rag.question)
    [trail] = captured.trails
    note = result.tool_calls[0].tool_output.raw_output.metadata["lineage"]
    assert note["response_id"] == trail.response_id
    assert len(trail.steps) == 1


async def test_a_reasoning_agent_may_be_one_of_several(
    rag, captured, instrumented, search, asks, agent_llm
):
    searching = agent_llm(
        'Thought: I look.\nAction: search\nAction Input: {"input": "renewal deadline"}\n',
        'Thought: Over.\nAction: handoff\nAction Input: {"to_agent": "writer", "reason": "r"}\n',
    )
    agents = [
        ReActAgent(name="researcher", description="finds", tools=[search], llm=searching),
        FunctionAgent(name="writer", description="writes", tools=[], llm=agent_llm("In February.")),
    ]
    await AgentWorkflow(agents=agents, root_agent="researcher").run(user_msg=rag.question)
    [trail] = captured.trails
    assert [step.name for step in trail.steps] == ["researcher", "writer"]
    assert [call.name for call in trail.tool_calls] == ["search", "handoff"]
    assert trail.answer == "In February."


async def test_an_agent_that_is_handed_back_to_is_another_step(
    rag, captured, instrumented, asks, agent_llm
):
    def to(name):
        return asks((f"to-{name}", "handoff", {"to_agent": name, "reason": "r"}))

    agents = [
        FunctionAgent(name="a", description="a", tools=[], llm=agent_llm(to("b"), "Done.")),
        FunctionAgent(name="b", description="b", tools=[], llm=agent_llm(to("a"))),
    ]
    await AgentWorkflow(agents=agents, root_agent="a").run(user_msg="Well?")
    [trail] = captured.trails
    assert [step.name for step in trail.steps] == ["a", "b", "a"]
    assert [trail.steps[-1].output, trail.answer] == ["Done.", "Done."]


async def test_a_hand_over_that_fails_leaves_the_turn_where_it_was(
    captured, instrumented, asks, agent_llm
):
    wanted = asks(("call-1", "handoff", {"to_agent": "nobody", "reason": "r"}))
    agents = [
        FunctionAgent(name="a", description="a", tools=[], llm=agent_llm(wanted, "Then I do it.")),
        FunctionAgent(name="b", description="b", tools=[], llm=agent_llm()),
    ]
    await AgentWorkflow(agents=agents, root_agent="a").run(user_msg="Well?")
    [trail] = captured.trails
    assert [step.name for step in trail.steps] == ["a"]
    assert len(trail.generations) == 2


async def test_the_evidence_holds_together_from_the_tool_request_to_the_answer(
    rag, captured, instrumented, search, asks, agent_llm
):
    ask = QueryEngineTool.from_defaults(
        rag.engine(rag.retriever(1)), name="ask", description="answers"
    )
    wanted = asks(
        ("call-1", "search", {"input": "renewal deadline"}),
        ("call-2", "ask", {"input": "refunds of a purchase"}),
    )
    llm = agent_llm(wanted, "In February.")
    await FunctionAgent(tools=[search, ask], llm=llm).run(user_msg=rag.question)
    [trail] = captured.trails
    names = {f"generation:{g.generation_id}": f"model {n}" for n, g in enumerate(trail.generations)}
    names |= {f"tool_call:{c.tool_run_id}": c.name for c in trail.tool_calls}
    names |= {f"retrieval:{r.retrieval_id}": f"for {r.tool_call_id}" for r in trail.retrievals}
    names |= {f"step:{s.step_id}": "engine" for s in trail.steps}
    names |= {f"response:{trail.response_id}": "answer"}
    edges = evidence_graph(trail).edges
    assert not any(edge.inferred for edge in edges)
    told = {
        (edge.kind, names.get(edge.source, edge.source), names.get(edge.target, edge.target))
        for edge in edges
        if edge.kind != "contains"
    }
    first, last = sorted(name for name in names.values() if name.startswith("model"))[::2]
    [inner] = {"model 0", "model 1", "model 2"} - {first, last}
    assert told >= {
        ("led_to", first, "search"),
        ("led_to", first, "ask"),
        ("led_to", "search", "for call-1"),
        ("led_to", "ask", "for call-2"),
        ("answered", inner, "engine"),
        ("answered", "engine", "ask"),
        ("shown_to", "search", last),
        ("shown_to", "ask", last),
        ("shown_to", "chunk:chunk-renewal", last),
        ("shown_to", "chunk:chunk-refund", inner),
        ("answered", last, "answer"),
    }
    assert ("shown_to", "chunk:chunk-refund", last) not in told


async def test_runs_that_nobody_waits_for_are_recorded_all_the_same(
    rag, captured, instrumented, search, asks, agent_llm
):
    llm = agent_llm(asks(("call-1", "search", {"input": "renewal"})), "February.")
    FunctionAgent(tools=[search], llm=llm).run(user_msg=rag.question)
    async with asyncio.timeout(5):
        while not captured.trails:  # noqa: ASYNC110  # the recorder tells nobody when it closes
            await asyncio.sleep(0.01)
    assert [t.answer for t in captured.trails] == ["February."]


class Deadline(BaseModel):
    """What the answer is made into."""

    month: str


async def test_what_an_answer_is_made_into_does_not_change_the_answer(
    captured, instrumented, agent_llm
):
    agent = FunctionAgent(
        tools=[],
        llm=agent_llm("In February."),
        structured_output_fn=lambda _: {"month": "February"},
    )
    result = await agent.run(user_msg="When?")
    assert result.structured_response == {"month": "February"}
    [trail] = captured.trails
    assert trail.answer == "In February."


async def test_tools_that_are_searched_for_are_tools_like_others(
    rag, captured, instrumented, search, asks, agent_llm
):
    def unused(text: str) -> str:
        """Do nothing of the kind."""
        return text

    index = ObjectIndex.from_objects(
        [search, FunctionTool.from_defaults(unused)],
        index_cls=VectorStoreIndex,
        embed_model=rag.index._embed_model,
    )
    llm = agent_llm(asks(("call-1", "search", {"input": "renewal deadline"})), "February.")
    agent = FunctionAgent(tool_retriever=index.as_retriever(similarity_top_k=2), llm=llm)
    await agent.run(user_msg=rag.question)
    [trail] = captured.trails
    [call] = trail.tool_calls
    assert [r.tool_call_id for r in trail.retrievals if r.parent_id == call.tool_run_id] == [
        "call-1"
    ] * 2
    assert trail.involvements["chunk-renewal"] == "direct"


async def test_an_answer_that_a_tool_gives_directly_is_the_answer(
    rag, captured, instrumented, asks, agent_llm
):
    ask = QueryEngineTool.from_defaults(
        rag.engine(rag.retriever(1)), name="ask", description="answers", return_direct=True
    )
    llm = agent_llm(asks(("call-1", "ask", {"input": "renewal deadline"})))
    await FunctionAgent(tools=[ask], llm=llm).run(user_msg=rag.question)
    [trail] = captured.trails
    assert [trail.answer, trail.tool_calls[0].result] == [rag.answer, rag.answer]
    assert "chunk-renewal" in trail.involvements
