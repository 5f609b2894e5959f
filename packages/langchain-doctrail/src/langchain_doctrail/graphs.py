"""LangGraph as callbacks show it: where a run happens, whose it is, what nodes hand on, what is no failure.

LangGraph is no dependency, so its objects are known by their names and shapes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from langchain_doctrail.fields import fields
from langchain_doctrail.messages import question_in

__all__ = [
    "WRAPPERS",
    "Place",
    "agent_of",
    "asked_of",
    "is_control_flow",
    "name_of_its_own",
    "state_of",
    "update_of",
    "waits_for_a_human",
]

WRAPPERS = frozenset({"model", "tools"})
"""Nodes of every agent, around one model call or some tool calls, which are on record themselves."""

_UNNAMED = "LangGraph"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a graph a run happens: every execution of a node is a place of its own.

    A graph's nodes run in rounds; those of one round do not know of each other.
    """

    name: str
    round: object
    since: int

    @classmethod
    def of(cls, metadata: Mapping[str, Any] | None, now: Callable[[], int]) -> "Place | None":
        """The place that a run's metadata tell; None outside of graphs."""
        name = metadata.get("langgraph_checkpoint_ns") if metadata else None
        if metadata is None or not isinstance(name, str):
            return None
        return cls(name, metadata.get("langgraph_step"), now())

    def is_apart_from(self, other: "Place | None") -> bool:
        """Whether what happens here is in another node's execution than what happens there."""
        return other is None or self.name != other.name


def agent_of(metadata: Mapping[str, Any] | None) -> str | None:
    """The agent that a run is part of, as `create_agent` marks its graph; its name, or an empty text.

    All runs inside bear the same mark, so that an agent begins where it is another one than around it.
    """
    if not metadata or metadata.get("ls_integration") != "langchain_create_agent":
        return None
    return str(metadata.get("lc_agent_name") or "")


def name_of_its_own(graph: str, node: str) -> bool:
    """Whether a graph that is a node of another one is called otherwise than that node."""
    return graph not in (_UNNAMED, node)


def update_of(outputs: object) -> Mapping[str, Any]:
    """What a node or a tool changes of the graph's state, by mapping or by command."""
    if type(outputs).__name__ == "Command":
        return fields(getattr(outputs, "update", None))
    return fields(outputs)


def state_of(value: object) -> Mapping[str, Any]:
    """The state that a node gets or returns: a mapping, a command, a dataclass or a pydantic model."""
    if isinstance(value, (str, Document, BaseMessage)):
        return {}
    if is_dataclass(value) or hasattr(type(value), "model_fields"):
        return vars(value)
    return update_of(value)


def asked_of(inputs: object) -> str | None:
    """The question that a graph or a node gets; of a state that names none, its only text."""
    state = state_of(inputs)
    texts = [value for value in state.values() if isinstance(value, str)]
    return question_in(inputs) or question_in(state) or (texts[0] if len(texts) == 1 else None)


def is_control_flow(error: BaseException) -> bool:
    """Whether the exception is how a graph hands over to another node, or waits for a human."""
    return _is_a("GraphBubbleUp", error)


def waits_for_a_human(error: BaseException) -> bool:
    """Whether the exception says so."""
    return _is_a("GraphInterrupt", error)


def _is_a(name: str, error: BaseException) -> bool:
    return any(kind.__name__ == name for kind in type(error).__mro__)
