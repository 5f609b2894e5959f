"""LangChain's messages, inputs and outputs as plain text.

What a model reads counts, in whatever block it stands: Anthropic's document and search result blocks,
plain text blocks, Cohere's `documents` parameter. What no model reads as text (images, signatures,
a tool message's artifact) is left out.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompt_values import PromptValue

from doctrail_core.model import Message
from langchain_doctrail.fields import fields

__all__ = [
    "ANSWER_KEYS",
    "answer_in",
    "prompt_messages",
    "question_in",
    "text_of",
    "tool_messages",
    "wants_tools",
]

_QUESTION_KEYS = ("question", "query", "input", "messages")
ANSWER_KEYS = ("answer", "output", "result", "response", "output_text", "text", "messages")
_STRUCTURED = "structured_response"  # beside the messages, where an agent was asked for a form
_USER_ROLES = ("human", "user")
_ROLES = {
    "ai": "assistant",
    "assistant": "assistant",
    "developer": "system",
    "function": "tool",
    "system": "system",
    "tool": "tool",
}
_NOT_TEXT = frozenset(
    {
        "artifact",
        "base64",
        "cache_control",
        "file_data",
        "file_id",
        "id",
        "image_url",
        "index",
        "input_audio",
        "media_type",
        "mime_type",
        "signature",
        "source_type",
        "type",
        "url",
    }
)
_REQUESTS = ("tool_call", "tool_call_chunk", "tool_use")  # which stand beside the text
_DEEPEST = 20


def prompt_messages(messages: Sequence[BaseMessage], documents: object = None) -> list[Message]:
    """The prompt as the model gets it; `documents` is what was sent beside the messages."""
    beside = [Message("user", text) for text in map(text_of, _items(documents)) if text]
    return [*beside, *map(_message, messages)]


def text_of(content: object) -> str:
    """The readable text of a message's content or of a content block."""
    return content if isinstance(content, str) else "\n".join(_texts(content, 0))


def question_in(inputs: object) -> str | None:
    """The user's question, where the input of a chain tells it."""
    if named := fields(inputs):
        found = (_asked(named.get(key)) for key in _QUESTION_KEYS)
        return next((question for question in found if question), None)
    return _asked(inputs)


def answer_in(outputs: object, said: Collection[str] = ()) -> str | None:
    """The answer, where the output of a chain is or names a text.

    Where nothing names it, it is all that models `said` in it: several answers, given side by side.
    """
    named = fields(outputs)
    found = (_said(named.get(key)) for key in ANSWER_KEYS)
    answer = next((answer for answer in found if answer is not None), None)
    if answer is None and named.get(_STRUCTURED) is not None:
        return _as_json(named[_STRUCTURED])
    if answer is None and not _is_conversation(outputs):
        answer = "\n\n".join(dict.fromkeys(_answers(outputs, said, 0))) or None
    return _said(outputs) if answer is None else answer


def _as_json(value: object) -> str:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        value = dump(mode="json")
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _answers(value: object, said: Collection[str], depth: int) -> Iterator[str]:
    text = _said(value) if isinstance(value, (str, BaseMessage)) else None
    if text is None and depth < _DEEPEST:
        for part in _items(value) or fields(value).values():
            yield from _answers(part, said, depth + 1)
    elif text and text in said:
        yield text


def _is_conversation(value: object) -> bool:
    turns = (part for part in _items(value) if isinstance(part, BaseMessage))
    return any(_role(turn) != "assistant" for turn in turns)


def wants_tools(value: object) -> bool:
    """Whether a model's message asks for tools, or the last one of a conversation does."""
    if isinstance(value, (list, tuple)):
        return any(map(wants_tools, cast("Sequence[object]", value)[-1:]))
    return isinstance(value, AIMessage) and bool(value.tool_calls)


def tool_messages(output: object) -> Iterator[ToolMessage]:
    """The messages that a tool answers with, also inside LangGraph's `Command`."""
    if isinstance(output, ToolMessage):
        yield output
    elif isinstance(output, (list, tuple)):
        for part in cast("Sequence[object]", output):
            yield from tool_messages(part)
    else:
        update = getattr(output, "update", None)
        for state in fields(update).values() or (update,):
            if isinstance(state, (list, ToolMessage)):
                yield from tool_messages(cast("object", state))


def _message(message: BaseMessage) -> Message:
    call = message.tool_call_id if isinstance(message, ToolMessage) else None
    content = cast("object", message.content)  # type: ignore[reportUnknownMemberType]  # host: list[str | dict]
    return Message(_role(message), text_of(content), call)


def _role(message: BaseMessage) -> str:
    match message:
        case HumanMessage():
            return "user"
        case AIMessage():
            return "assistant"
        case SystemMessage():
            return "system"
        case ToolMessage() | FunctionMessage():
            return "tool"
        case ChatMessage():
            return _ROLES.get(message.role.lower(), "user")
        case _:
            return _ROLES.get(message.type, "user")


def _texts(content: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(content, str):
        if content:
            yield content
    elif isinstance(content, Mapping):
        block = cast("Mapping[object, object]", content)
        if block.get("type") in _REQUESTS:
            return
        encoded = "base64" in (block.get("type"), block.get("source_type"))
        for key, value in block.items():
            if key not in _NOT_TEXT and not (encoded and key == "data"):
                yield from _texts(value, depth + 1)
    elif isinstance(content, (list, tuple)):
        for item in cast("Sequence[object]", content):
            yield from _texts(item, depth + 1)


def _asked(value: object) -> str | None:
    if isinstance(value, PromptValue):
        return _asked(value.to_messages())
    if isinstance(value, (list, tuple)):
        turns = cast("Sequence[object]", value)
        return next((text for turn in reversed(turns) if (text := _human_text(turn))), None)
    return _said(value) or None


def _human_text(turn: object) -> str | None:
    if isinstance(turn, BaseMessage):
        return _said(turn) if _role(turn) == "user" else None
    role, content = _role_and_content(turn)
    return text_of(content) if role in _USER_ROLES else None


def _role_and_content(turn: object) -> tuple[object, object]:
    """Of a message written as `("human", "...")` or `{"role": "user", "content": "..."}`."""
    if named := fields(turn):
        return named.get("role") or named.get("type"), named.get("content")
    match cast("Any", turn):
        case (str() as role, content):
            return role, content
        case _:
            return None, None


def _said(value: object) -> str | None:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, BaseMessage):
        text = _message(value).text
        return None if not text and wants_tools(value) else text
    if isinstance(value, (list, tuple)):
        last = cast("Sequence[object]", value)[-1:]
        return _said(last[0]) if last and isinstance(last[0], AIMessage) else None
    return None


def _items(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else ()
