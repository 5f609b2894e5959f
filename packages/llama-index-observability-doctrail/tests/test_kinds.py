"""Agents are told as agents; engines and workflows of one's own are not. All are told for whom they work."""

import asyncio
import threading
from contextvars import copy_context

import pytest
from llama_index.core.agent.workflow import (
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from llama_index_instrumentation.dispatcher import instrument_tags
from opentelemetry import baggage
from opentelemetry import context as otel

# The host looks at every attribute of an agent when it makes one, and uses what it deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
]


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


def kinds(captured):
    return {s.name: s.attributes["openinference.span.kind"] for s in captured.spans}


def agent(cls, llm, name="clerk", **kwargs):
    if cls is CodeActAgent:
        kwargs["code_execute_fn"] = lambda code: code
    return cls(name=name, description=name, tools=[], llm=llm, streaming=False, **kwargs)


@pytest.mark.parametrize("cls", [FunctionAgent, ReActAgent, CodeActAgent])
async def test_an_agent_is_told_as_one(rag, captured, agent_llm, cls):
    said = "Thought: I know.\nAnswer: In February." if cls is ReActAgent else "In February."
    await agent(cls, agent_llm(said)).run(user_msg=rag.question)
    assert kinds(captured)["invoke_agent clerk"] == "AGENT"
    assert list(kinds(captured).values()).count("AGENT") == 1


async def test_of_several_agents_each_is_told_as_one(rag, captured, asks, agent_llm):
    wanted = asks(("call-1", "handoff", {"to_agent": "clerk", "reason": "It knows."}))
    porter = agent(FunctionAgent, agent_llm(wanted), "porter", can_handoff_to=["clerk"])
    clerk = agent(FunctionAgent, agent_llm("In February."))
    workflow = AgentWorkflow(agents=[porter, clerk], root_agent="porter")
    await workflow.run(user_msg=rag.question)
    agents = {name for name, kind in kinds(captured).items() if kind == "AGENT"}
    assert {"invoke_agent porter", "invoke_agent clerk"} < agents
    assert len(agents) == 3


class Own(Workflow):
    """An agent by name only."""

    @step
    async def answer(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=str(await ev.get("engine").aquery("When?")))


async def test_engines_and_workflows_of_ones_own_are_none(rag, captured):
    await Own().run(engine=rag.engine())
    assert kinds(captured)["invoke_workflow Own"] == "CHAIN"
    assert "AGENT" not in kinds(captured).values()


# --- for whom


@pytest.fixture
def marked():
    """The code around is marked as OpenInference's `using_session` and OpenTelemetry's baggage mark it."""
    around = otel.set_value("session.id", "s-1", baggage.set_baggage("user.id", "u-1"))
    token = otel.attach(otel.set_value("metadata", '{"tenant": "t-1"}', around))
    yield
    otel.detach(token)


def assert_marked(captured):
    [trail] = captured.trails
    assert (trail.session_id, trail.user_id) == ("s-1", "u-1")
    for span in captured.spans:
        told = {n: span.attributes[n] for n in ("session.id", "user.id", "metadata")}
        assert told == {"session.id": "s-1", "user.id": "u-1", "metadata": '{"tenant": "t-1"}'}


def test_a_query_belongs_to_who_is_marked_around_it(rag, captured, marked):
    rag.engine().query(rag.question)
    assert_marked(captured)


def test_a_query_in_a_loop_of_its_own_does_too(rag, captured, marked):
    asyncio.run(rag.engine().aquery(rag.question))
    assert_marked(captured)


def test_a_query_in_a_thread_that_was_given_the_context_does_too(rag, captured, marked):
    engine = rag.engine()
    thread = threading.Thread(target=copy_context().run, args=(engine.query, rag.question))
    thread.start()
    thread.join()
    assert_marked(captured)


def test_a_workflow_and_what_its_steps_begin_do_too(rag, captured, marked):
    async def run():
        return await Own().run(engine=rag.engine())

    asyncio.run(run())
    assert_marked(captured)


def test_a_stream_that_is_drawn_elsewhere_does_too(rag, captured, marked):
    response = rag.engine(streaming=True).query(rag.question)
    thread = threading.Thread(target=lambda: list(response.response_gen))
    thread.start()
    thread.join()
    assert_marked(captured)


def test_what_the_applications_tags_say_counts_more(rag, captured, marked):
    with instrument_tags({"session_id": "s-2"}):
        rag.engine().query(rag.question)
    [trail] = captured.trails
    assert (trail.session_id, trail.user_id) == ("s-2", "u-1")
