"""Tool calls as a model asked for them: in blocks of its message, or in its provider's own form."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from doctrail_core.model import ToolRequest
from doctrail_core.text.snapshot import json_value

__all__ = ["as_text", "field_of", "requested"]


def requested(message: ChatMessage) -> tuple[ToolRequest, ...]:
    """The tool calls that this message asks for."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return tuple(
            ToolRequest(block.tool_name, as_text(block.tool_kwargs), block.tool_call_id)
            for block in blocks
        )
    told = message.additional_kwargs.get("tool_calls")
    found = (
        _request(call)
        for call in (cast("Iterable[object]", told) if isinstance(told, list) else ())
    )
    return tuple(request for request in found if request is not None)


def as_text(arguments: object) -> str | None:
    """Arguments as text, JSON unless the model's own words are kept."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(json_value(arguments), ensure_ascii=False)


def field_of(thing: object, *names: str) -> Any:
    """The first of these fields that it has; providers give dicts, or objects."""
    held: Any = thing
    for name in names:
        found = held.get(name) if isinstance(thing, Mapping) else getattr(held, name, None)
        if found is not None:
            return found
    return None


def _request(call: object) -> ToolRequest | None:
    told = field_of(call, "function") or call
    name = field_of(told, "name", "tool_name")
    if not isinstance(name, str):
        return None
    call_id = field_of(call, "id", "tool_id", "toolUseId")
    arguments = field_of(told, "arguments", "input", "tool_kwargs", "args")
    return ToolRequest(name, as_text(arguments), call_id if isinstance(call_id, str) else None)
