"""Workflows of the user's own, and how a run of any workflow may end."""

import asyncio

import pydantic
import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowTimeoutError,
    step,
)
from workflows.errors import WorkflowCancelledByUser

# The host looks at every attribute of an agent when it makes one.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

# With pydantic 2.14 the host loses the memory of a context that is saved.
SAVES_CONTEXTS = pytest.mark.skipif(
    tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 14), reason="the host loses its memory"
)


class Found(Event):
    query: str
    nodes: list


class Tidied(Found):
    pass


class Rag(Workflow):
    """Retrieves in one step and answers in the next, as LlamaIndex's documentation has it."""

    def __init__(self, rag, **kwargs):
        super().__init__(**kwargs)
        self.rag = rag

    @step
    async def look(self, ctx: Context, ev: StartEvent) -> Found:
        return Found(query=ev.query, nodes=await self.rag.retriever(1).aretrieve(ev.query))

    @step
    def tidy(self, ev: Found) -> Tidied:
        return Tidied(query=ev.query.strip(), nodes=ev.nodes)

    @step
    async def answer(self, ev: Tidied) -> StopEvent:
        response = await self.rag.synthesizer().asynthesize(ev.query, ev.nodes)
        return StopEvent(result=response)


async def test_a_workflow_is_one_response_and_its_steps_in_which_something_happens_are_steps(
    rag, captured, instrumented
):
    response = await Rag(rag).run(query=rag.question)
    [trail] = captured.trails
    assert [trail.question, trail.answer] == [rag.question, str(response)]
    [retrieval], [generation] = trail.retrievals, trail.generations
    by_id = {step.step_id: step.name for step in trail.steps}
    assert [by_id[retrieval.parent_id], by_id[generation.parent_id]] == ["look", "answer"]
    assert list(by_id.values()) == ["look", "answer"]
    assert trail.involvements == {"chunk-renewal": "direct"}
    assert not generation.auxiliary


async def test_a_step_that_runs_in_a_thread_belongs_to_its_workflow(rag, captured, instrumented):
    class Threaded(Workflow):
        @step
        def all_at_once(self, ev: StartEvent) -> StopEvent:
            [hit] = rag.retriever(1).retrieve(ev.query)
            text = rag.llm.complete(f"{hit.node.get_content()}\n\n{ev.query}").text
            return StopEvent(result=text)

    await Threaded().run(query=rag.question)
    [trail] = captured.trails
    [step_] = trail.steps
    assert [step_.name, trail.retrievals[0].parent_id] == ["all_at_once", step_.step_id]
    assert [trail.answer, trail.involvements] == [rag.answer, {"chunk-renewal": "direct"}]


async def test_a_workflow_that_ends_in_an_event_of_its_own_answers_with_what_its_model_said(
    rag, captured, instrumented
):
    class Told(StopEvent):
        score: float
        text: str

    class Custom(Workflow):
        @step
        async def tell(self, ev: StartEvent) -> Told:
            return Told(score=0.5, text=(await rag.llm.acomplete("Well?")).text)

    await Custom().run()
    [trail] = captured.trails
    assert trail.answer == rag.answer


async def test_a_workflow_inside_another_one_is_a_step(rag, captured, instrumented):
    class Outer(Workflow):
        @step
        async def delegate(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=str(await Rag(rag).run(query=ev.query)))

    await Outer().run(query=rag.question)
    [trail] = captured.trails
    names = {s.step_id: s.name for s in trail.steps}
    tree = {s.name: names.get(s.parent_id) for s in trail.steps}
    assert tree == {"look": "Rag", "answer": "Rag", "Rag": "delegate", "delegate": None}


async def test_a_workflow_in_which_nothing_happens_leaves_no_trace(captured, instrumented):
    class Idle(Workflow):
        @step
        async def nothing(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="nothing")

    await Idle().run(query="Anything?")
    assert captured.trails == []


async def test_a_streamed_answer_of_a_workflow_ends_with_its_last_token(
    rag, captured, instrumented
):
    class Streaming(Workflow):
        @step
        async def tell(self, ev: StartEvent) -> StopEvent:
            nodes = await rag.retriever(1).aretrieve(ev.query)
            made = await rag.synthesizer(streaming=True).asynthesize(ev.query, nodes)
            return StopEvent(result=made)

    response = await Streaming().run(query=rag.question)
    assert captured.trails == []
    assert await rag.adrawn(response) == rag.answer
    [trail] = captured.trails
    assert [trail.answer, trail.status] == [rag.answer, "ok"]
    assert trail.involvements == {"chunk-renewal": "direct"}


@pytest.mark.parametrize("drawn", [True, False])
async def test_a_model_whose_bare_stream_a_workflow_hands_out_is_heard_to_its_end(
    rag, captured, instrumented, drawn
):
    class Streaming(Workflow):
        @step
        async def tell(self, ev: StartEvent) -> StopEvent:
            [hit] = await rag.retriever(1).aretrieve(ev.query)
            prompt = f"{hit.node.get_content()}\n\n{ev.query}"
            return StopEvent(result=await rag.llm.astream_complete(prompt))

    tokens = await Streaming().run(query=rag.question)
    if drawn:
        assert "".join([token.delta async for token in tokens]) == rag.answer
    else:
        await anext(tokens)
        await tokens.aclose()
    del tokens
    await until(lambda: captured.trails)
    [trail] = captured.trails
    assert trail.answer == (rag.answer if drawn else "The deadline ")
    assert trail.involvements == {"chunk-renewal": "direct"}


async def test_tools_that_a_workflow_calls_by_hand_are_told(rag, captured, instrumented, asks):
    async def look_up(topic: str) -> str:
        """Find a text."""
        return (await rag.retriever(1).aretrieve(topic))[0].node.get_content()

    tool = FunctionTool.from_defaults(look_up)

    class ByHand(Workflow):
        @step
        async def loop(self, ev: StartEvent) -> StopEvent:
            output = await tool.acall(topic="renewal deadline")
            said = await rag.llm.acomplete(f"{output.content}\n{ev.query}")
            return StopEvent(result=said)

    await ByHand().run(query=rag.question)
    [trail] = captured.trails
    [call] = trail.tool_calls
    assert [call.name, call.arguments] == ["look_up", '{"topic": "renewal deadline"}']
    assert trail.retrievals[0].parent_id == call.tool_run_id
    assert trail.answer == rag.answer


async def test_an_error_in_a_step_is_that_of_the_response(rag, captured, instrumented):
    rag.llm.fails_at = 0
    with pytest.raises(RuntimeError, match="the model is gone"):
        await Rag(rag).run(query=rag.question)
    [trail] = captured.trails
    assert [trail.status, trail.error] == ["error", "RuntimeError: the model is gone"]
    assert {s.name: s.error for s in trail.steps} == {
        "look": None,
        "answer": "RuntimeError: the model is gone",
    }


def slow_agent(called: asyncio.Event, **kwargs):
    """An agent whose tool never comes back."""

    async def wait() -> str:
        """Wait."""
        called.set()
        await asyncio.Event().wait()
        return "never"

    def reply(messages, **kwargs):
        return ChatMessage(
            role="assistant",
            additional_kwargs={"tool_calls": [kwargs_of_a_call]},
        )

    from llama_index.core.tools import ToolSelection

    kwargs_of_a_call = ToolSelection(tool_id="call-1", tool_name="wait", tool_kwargs={})
    llm = MockFunctionCallingLLM(response_generator=reply, is_chat_model=True)
    return FunctionAgent(tools=[FunctionTool.from_defaults(wait)], llm=llm, **kwargs)


async def test_a_run_that_its_user_cancels_is_aborted(captured, instrumented):
    called = asyncio.Event()
    handler = slow_agent(called).run(user_msg="Well?")
    await called.wait()
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    [trail] = captured.trails
    assert [trail.status, trail.question] == ["aborted", "Well?"]
    assert "by the user" in trail.error
    [call] = trail.tool_calls
    assert [call.name, call.result] == ["wait", None]
    assert call.error


async def test_a_run_whose_task_is_cancelled_is_aborted(captured, instrumented):
    called = asyncio.Event()

    async def ask():
        return await slow_agent(called).run(user_msg="Well?")

    task = asyncio.create_task(ask())
    await called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: captured.trails)
    [trail] = captured.trails
    assert trail.status == "aborted"


async def test_a_run_that_takes_too_long_is_aborted(captured, instrumented):
    with pytest.raises(WorkflowTimeoutError):
        await slow_agent(asyncio.Event(), timeout=0.1).run(user_msg="Well?")
    [trail] = captured.trails
    assert trail.status == "aborted"
    assert "timed out" in trail.error
    [call] = trail.tool_calls
    assert call.error == "CancelledError: cancelled"  # by the time limit, not by the user


def asking_agent(asks, agent_llm, *more):
    """An agent whose tool asks a human."""

    async def confirm(ctx: Context) -> str:
        """Ask for consent."""
        answer = await ctx.wait_for_event(
            HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Sure?")
        )
        return f"They said {answer.response}"

    llm = agent_llm(asks(("call-1", "confirm", {})), *more)
    return FunctionAgent(tools=[FunctionTool.from_defaults(confirm)], llm=llm)


async def test_a_tool_that_waits_for_a_human_is_one_call(captured, instrumented, asks, agent_llm):
    handler = asking_agent(asks, agent_llm, "Done.").run(user_msg="Do it")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
    assert str(await handler) == "Done."
    [trail] = captured.trails
    [call] = trail.tool_calls
    assert [call.tool_call_id, call.result, call.error] == ["call-1", "They said yes", None]
    assert trail.status == "ok"


async def test_a_run_that_is_left_while_it_waits_for_a_human_is_interrupted(
    captured, instrumented, asks, agent_llm
):
    handler = asking_agent(asks, agent_llm).run(user_msg="Do it")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    [trail] = captured.trails
    assert [trail.status, trail.question] == ["interrupted", "Do it"]


class Asking(Workflow):
    """Looks something up, and asks a human what to do with it."""

    def __init__(self, rag):
        super().__init__()
        self.rag = rag

    @step
    async def look(self, ev: StartEvent) -> InputRequiredEvent:
        await self.rag.retriever(1).aretrieve(ev.query)
        return InputRequiredEvent(prefix="Sure?")

    @step
    async def answer(self, ev: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=(await self.rag.llm.acomplete(ev.response)).text)


class Waiting(Workflow):
    """The same in one step."""

    def __init__(self, rag):
        super().__init__()
        self.rag = rag

    @step
    async def look(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await self.rag.retriever(1).aretrieve(ev.query)
        answer = await ctx.wait_for_event(
            HumanResponseEvent, waiter_event=InputRequiredEvent(prefix="Sure?")
        )
        return StopEvent(result=(await self.rag.llm.acomplete(answer.response)).text)


@pytest.mark.parametrize("kind", [Asking, Waiting])
async def test_a_workflow_that_a_human_answers_is_one_response(rag, captured, instrumented, kind):
    handler = kind(rag).run(query=rag.question)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            handler.ctx.send_event(HumanResponseEvent(response="yes"))
    await handler
    [trail] = captured.trails
    assert [trail.status, trail.answer, trail.question] == ["ok", rag.answer, rag.question]
    assert not any(s.error for s in trail.steps)


@pytest.mark.parametrize("kind", [Asking, Waiting])
async def test_a_workflow_that_is_left_while_it_waits_for_a_human_is_interrupted(
    rag, captured, instrumented, kind
):
    handler = kind(rag).run(query=rag.question)
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    [trail] = captured.trails
    assert [trail.status, trail.question] == ["interrupted", rag.question]


@SAVES_CONTEXTS
async def test_a_run_that_goes_on_from_a_saved_context_is_a_response_of_its_own(
    captured, instrumented, asks, agent_llm
):
    agent = asking_agent(asks, agent_llm, "Done.")
    handler = agent.run(user_msg="Do it")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    saved = handler.ctx.to_dict()
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler

    handler = agent.run(ctx=Context.from_dict(agent, saved))
    handler.ctx.send_event(HumanResponseEvent(response="yes"))
    assert str(await handler) == "Done."
    asked, went_on = captured.trails
    assert [asked.status, went_on.status] == ["interrupted", "ok"]
    assert [c.tool_call_id for t in (asked, went_on) for c in t.tool_calls] == ["call-1"] * 2
    assert [went_on.answer, went_on.tool_calls[0].result] == ["Done.", "They said yes"]


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the recorder tells nobody when it closes
            await asyncio.sleep(0.01)
