"""LangGraph as callbacks show it: where a run happens, what nodes hand on, what is no failure.

LangGraph is no dependency, so its objects are known by their names and shapes.
"""

from collections.abc import Mapping
from typing import Any

from langchain_doctrail.fields import fields

__all__ = [
    "WRAPPERS",
    "is_control_flow",
    "name_of_its_own",
    "place_of",
    "update_of",
    "waits_for_a_human",
]

WRAPPERS = frozenset({"model", "tools"})
"""Nodes of every agent, around one model call or some tool calls, which are on record themselves."""

_UNNAMED = "LangGraph"


def place_of(metadata: Mapping[str, Any] | None) -> str | None:
    """Where in a graph a run happens; every execution of a node is a place of its own."""
    place = metadata.get("langgraph_checkpoint_ns") if metadata else None
    return place if isinstance(place, str) else None


def name_of_its_own(graph: str, node: str) -> bool:
    """Whether a graph that is a node of another one is called otherwise than that node."""
    return graph not in (_UNNAMED, node)


def update_of(outputs: object) -> Mapping[str, Any]:
    """What a node or a tool changes of the graph's state, by mapping or by command."""
    if type(outputs).__name__ == "Command":
        return fields(getattr(outputs, "update", None))
    return fields(outputs)


def is_control_flow(error: BaseException) -> bool:
    """Whether the exception is how a graph hands over to another node, or waits for a human."""
    return _is_a("GraphBubbleUp", error)


def waits_for_a_human(error: BaseException) -> bool:
    """Whether the exception says so."""
    return _is_a("GraphInterrupt", error)


def _is_a(name: str, error: BaseException) -> bool:
    return any(kind.__name__ == name for kind in type(error).__mro__)
