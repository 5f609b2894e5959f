"""The steps of workflows, agents among them: what kind each is, by the event that it takes.

Neither names of classes nor of methods tell: a step is reported under the name of whichever class
defines it, and applications override both. Agents are loaded when a first workflow runs: importing
them takes its time, and most applications have none.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from llama_index.core.workflow import Event

if TYPE_CHECKING:
    from llama_index.core.agent.workflow.workflow_events import ToolCall
    from llama_index.core.tools import ToolOutput

__all__ = [
    "StepKind",
    "agent_called",
    "is_agent",
    "said",
    "step_kind",
    "taken",
    "tool_called",
    "tool_output",
]

StepKind = Literal["turn", "housekeeping", "step", "tool"]
"""`turn` is an agent's call of its model, `housekeeping` what an agent does besides, such as memory; a
`step` without any of their events is the user's own."""

_Taken = TypeVar("_Taken", bound=Event)


def step_kind(arguments: Mapping[str, Any]) -> StepKind | None:
    """The kind of a step that is given this; None for no step, and for one that only passes on."""
    event = taken(arguments, Event)
    if event is None:
        return None
    for cls, kind in _kinds():
        if isinstance(event, cls):
            return None if kind == "housekeeping" and _goes_on(event) else kind
    return "step"


def _goes_on(event: Event) -> bool:
    """Whether a model has asked for more; where it may have no more, it is asked for its answer."""
    return bool(getattr(event, "tool_calls", None))


@cache
def _kinds() -> tuple[tuple[type[Event], StepKind], ...]:
    from llama_index.core.agent.workflow import workflow_events as events

    return (
        (events.ToolCall, "tool"),
        (events.AgentSetup, "turn"),
        (events.AgentOutput, "housekeeping"),
        (events.AgentInput, "housekeeping"),
        (events.ToolCallResult, "housekeeping"),
        (events.AgentWorkflowStartEvent, "housekeeping"),
    )


def taken(arguments: Mapping[str, Any], kind: type[_Taken]) -> _Taken | None:
    """The event of this kind among the arguments."""
    return next((value for value in arguments.values() if isinstance(value, kind)), None)


def tool_called(arguments: Mapping[str, Any]) -> "ToolCall | None":
    """The tool call that a step is to make."""
    from llama_index.core.agent.workflow.workflow_events import ToolCall

    return taken(arguments, ToolCall)


def agent_called(arguments: Mapping[str, Any]) -> str | None:
    """The agent whose model a step calls."""
    from llama_index.core.agent.workflow.workflow_events import AgentSetup

    turn = taken(arguments, AgentSetup)
    return turn.current_agent_name if turn else None


def is_agent(workflow: object) -> bool:
    """Whether it chooses by itself what to do next."""
    from llama_index.core.agent.workflow import AgentWorkflow, BaseWorkflowAgent

    return isinstance(workflow, AgentWorkflow | BaseWorkflowAgent)


def said(result: object) -> str | None:
    """What an agent's model said, if this is what it said."""
    from llama_index.core.agent.workflow.workflow_events import AgentOutput

    return result.response.content if isinstance(result, AgentOutput) else None


def tool_output(result: object) -> "ToolOutput | None":
    """What a tool gave, if this is what it gave."""
    from llama_index.core.agent.workflow.workflow_events import ToolCallResult
    from llama_index.core.tools import ToolOutput

    given = result.tool_output if isinstance(result, ToolCallResult) else result
    return given if isinstance(given, ToolOutput) else None
