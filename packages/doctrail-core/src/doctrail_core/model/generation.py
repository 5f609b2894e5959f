"""One LLM call, and one tool call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt. `role` is `system`, `user`, `assistant` or `tool`."""

    role: str
    text: str | None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that a model chose to make. `arguments` is text, JSON where the host has it."""

    name: str
    arguments: str | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider reported them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One LLM call. `auxiliary` calls (query rewriting, reranking, extraction) answer nobody.

    `parent_id` names the run right around it, of whatever kind; None means the response itself.
    `span_id` is 16 hex digits, in the trace of the response; None where no span was opened.
    """

    generation_id: str
    messages: tuple[Message, ...]
    output: str | None
    started_at: datetime
    ended_at: datetime | None
    model: str | None = None
    provider: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    usage: Usage | None = None
    finish_reasons: tuple[str, ...] = ()
    message_id: str | None = None
    auxiliary: bool = False
    error: str | None = None
    parent_id: str | None = None
    tool_requests: tuple[ToolRequest, ...] = ()
    span_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call. Arguments and result are texts, as they crossed the boundary.

    `parent_id` names the run right around it, of whatever kind; None means the response itself.
    `arguments_hash` is keyed like a query's.
    """

    tool_run_id: str
    name: str
    arguments: str | None
    result: str | None
    started_at: datetime
    ended_at: datetime
    tool_call_id: str | None = None
    error: str | None = None
    parent_id: str | None = None
    arguments_hash: str | None = None
