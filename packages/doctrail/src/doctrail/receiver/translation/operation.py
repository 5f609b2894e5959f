"""What one span says that happened, in whichever convention it says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import Message, ToolRequest, Usage

__all__ = ["NOTHING", "Kind", "Operation", "together"]

Kind = Literal[
    "nothing",
    "chain",
    "run",
    "agent",
    "retrieval",
    "rerank",
    "selection",
    "generation",
    "tool",
    "guard",
    "check",
]
"""A `run` is a step that a person would look for, a `chain` is what holds other spans together; a `selection`
keeps some of what was found; what happens in a `guard` prepares or protects an answer, a `check` is about
answers and no part of one."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a span tells; None and nothing where it does not.

    Attributes:
        asked: The question of a run, the query of a search, the arguments of a tool.
        said: The answer of a run or of a model, the result of a tool.
        given: What a reranker or a selection got, best first.
        documents: What a search found or they kept, best first.
    """

    kind: Kind = "nothing"
    name: str | None = None
    asked: str | None = None
    said: str | None = None
    documents: tuple[RetrievedChunk, ...] = ()
    given: tuple[RetrievedChunk, ...] = ()
    k: int | None = None
    filters: Any = None
    store: str | None = None
    messages: tuple[Message, ...] = ()
    model: str | None = None
    answered_by: str | None = None
    provider: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    usage: Usage | None = None
    finish_reasons: tuple[str, ...] = ()
    message_id: str | None = None
    tool_requests: tuple[ToolRequest, ...] = ()
    tool_call_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    response_id: str | None = None


NOTHING = Operation()


def together(first: Operation, second: Operation) -> Operation:
    """The first, with what only the second tells."""
    missing: dict[str, Any] = {
        each.name: told
        for each in fields(Operation)
        if not _tells(getattr(first, each.name)) and _tells(told := getattr(second, each.name))
    }
    return replace(first, **missing) if missing else first


def _tells(value: object) -> bool:
    return value is not None and value not in ((), {}, "nothing")
