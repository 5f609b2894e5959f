"""Agents, workflows and tools: what their spans tell.

A workflow's run is a run, its tool calls are tool calls under the ids that the model gave them, and
where several agents take turns, each stretch of one agent is a step. A step of the user's own is told
once something happens in it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import BaseTool
from llama_index.core.workflow import StartEvent, StopEvent, WorkflowTimeoutError

from doctrail_core.capture.events import (
    Event,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from llama_index.observability.doctrail import neighbours, steps
from llama_index.observability.doctrail.spans import FRAMEWORK, Agent, Kind, Span
from llama_index.observability.doctrail.tools import as_text

__all__ = [
    "CANCELLED",
    "ENTERED",
    "cancelled",
    "end_turns",
    "error_of",
    "outcome",
    "tool_ended",
    "turn_over",
]

_Arguments = Mapping[str, Any]

_QUESTIONS = ("user_msg", "query", "question", "input", "message")
CANCELLED = asyncio.CancelledError("cancelled")
"""Of a step that is cancelled at its work nobody says whether its user or a time limit did it."""


# --- runs of workflows


def _workflow_entered(span: Span, arguments: _Arguments) -> None:
    name = getattr(span.instance, "name", None) or type(span.instance).__name__
    span.tell(
        name,
        _question(arguments),
        detached=span.parent is None,
        agent=steps.is_agent(span.instance),
    )


def _question(arguments: _Arguments) -> str | None:
    """What a run was asked: under one of the usual names, or the only text that it was given."""
    given = _given(arguments)
    named = (_text(given[name]) for name in _QUESTIONS if name in given)
    asked = next((text for text in named if text), None) or _last_of(given.get("chat_history"))
    texts = [value for value in given.values() if isinstance(value, str)]
    return asked or (texts[0] if len(texts) == 1 else None)


def _given(arguments: _Arguments) -> dict[str, Any]:
    event = steps.taken(arguments, StartEvent)
    return {} if event is None else {**event.__dict__, **dict(event.items())}


def _last_of(history: object) -> str | None:
    messages = cast("list[object]", history) if isinstance(history, list) else []
    return _text(messages[-1]) if messages else None


def _text(value: object) -> str | None:
    if isinstance(value, ChatMessage):
        return value.content
    return value if isinstance(value, str) else None


def outcome(result: object) -> object:
    """What a workflow's run gave: an answer, a stream of one, or whatever the user made of it."""
    given: object = result.result if isinstance(result, StopEvent) else result
    return steps.said(given) or _text(given) or given


def cancelled(span: Span) -> Event:
    """A run that was cancelled while none of its steps was at work had waited for somebody's answer."""
    if span.cut:
        return RunFailed(span.run_id or "", asyncio.CancelledError("cancelled by the user"))
    return RunEnded(span.run_id or "", interrupted=True)


def error_of(error: BaseException) -> BaseException:
    """A run that took too long was stopped by its caller, who set the limit."""
    return asyncio.CancelledError(str(error)) if isinstance(error, WorkflowTimeoutError) else error


# --- agents that take turns


def _turn_entered(span: Span, arguments: _Arguments) -> None:
    run, name = span.parent, steps.agent_called(arguments)
    if run is None or name is None or not _has_several_agents(run.instance):
        return
    if run.agent is None or run.agent.name != name:
        end_turns(run, None)
        run.agent = Agent(span.own_id, name)
        run.tree.record(
            RunStarted(
                span.own_id,
                run.run_id,
                name,
                FRAMEWORK,
                agent=True,
                span=neighbours.agent(span.span_id),
            )
        )


def _has_several_agents(workflow: object) -> bool:
    return len(getattr(workflow, "agents", ())) > 1


def turn_over(span: Span, result: object) -> None:
    """An agent's model has spoken."""
    if span.parent is not None and span.parent.agent is not None:
        span.parent.agent.said = steps.said(result)


def end_turns(run: Span, error: BaseException | None) -> None:
    """The agent whose turn it was hands over, or the run is over."""
    agent, run.agent = run.agent, None
    if agent is not None:
        failed = None if error is None else RunFailed(agent.run_id, error)
        run.tree.record(failed or RunEnded(agent.run_id, agent.said))


# --- tools


def _tool_entered(span: Span, arguments: _Arguments) -> None:
    call = steps.tool_called(arguments)
    if call is not None:
        span.call_id = call.tool_id
        span.run_id = span.tree.waiting.pop(call.tool_id, None)
    if span.run_id is not None:  # it is called again with what it waited for
        return
    span.run_id = span.own_id
    given = cast("Any", call).tool_kwargs if call else _passed(arguments)
    span.tree.record(
        ToolCalled(
            run_id=span.own_id,
            parent_id=span.enclosing_run(),
            name=call.tool_name if call else _name(cast("BaseTool", span.instance)),
            framework=FRAMEWORK,
            arguments=as_text(given),
            tool_call_id=span.call_id,
            span=span.written,
        )
    )


def _name(tool: BaseTool) -> str:
    return tool.metadata.name or type(tool).__name__


def _passed(arguments: _Arguments) -> dict[str, Any]:
    """The arguments of a tool that is called by itself, without the shell that they come in."""
    named = {name: value for name, value in arguments.items() if name != "kwargs"}
    return {**named, **arguments.get("kwargs", {})}


def tool_ended(span: Span, result: object) -> Event | None:
    """A tool returned; None where it only waits, and will be called again with what it waits for."""
    run_id = span.run_id or ""
    if result is None and span.call_id is not None:
        if span.cut:
            return RunFailed(run_id, CANCELLED)
        span.tree.waiting[span.call_id] = run_id
        return None
    output = steps.tool_output(result)
    if output is None:
        return ToolReturned(run_id, _text(result))
    if output.is_error:
        return RunFailed(run_id, output.exception or RuntimeError(output.content))
    return ToolReturned(run_id, output.content)


ENTERED: Mapping[Kind, Callable[[Span, _Arguments], None]] = {
    "workflow": _workflow_entered,
    "turn": _turn_entered,
    "tool": _tool_entered,
}
