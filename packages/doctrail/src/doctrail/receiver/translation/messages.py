"""Messages in the JSON that frameworks and providers write.

Known are the forms of OpenAI, of OpenTelemetry's GenAI conventions (`parts`), of LangChain (`lc`
constructors and `data`) and of LlamaIndex (`blocks`). Nothing in here raises.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, cast

from doctrail.receiver.translation.attributes import REDACTED, name, text
from doctrail_core.model import Message, ToolRequest

__all__ = [
    "Record",
    "as_list",
    "as_members",
    "as_record",
    "content_of",
    "is_message",
    "messages_in",
    "readable",
    "requests_in",
    "role",
    "role_of",
    "unwrapped",
]

_ROLES = {
    "ai": "assistant",
    "aimessagechunk": "assistant",
    "assistant": "assistant",
    "chatbot": "assistant",
    "developer": "system",
    "function": "tool",
    "human": "user",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "user": "user",
}
_REQUESTS = ("tool_call", "tool_use", "function_call", "tool_call_request")
_RESULTS = ("tool_call_response", "tool_result", "function_response")
_UNREAD = (
    *_REQUESTS,
    *_RESULTS,
    "reasoning",
    "thinking",
    "image",
    "image_url",
    "blob",
    "file",
    "uri",
)
_DEEPEST = 6
_MOST = 10_000

Record = Mapping[str, Any]


def as_record(value: object) -> Record | None:
    """The mapping that it is."""
    return cast("Record", value) if isinstance(value, Mapping) else None


def as_members(value: object) -> Sequence[Any] | None:
    """The members of the list that it is."""
    return cast("Sequence[Any]", value)[:_MOST] if isinstance(value, list | tuple) else None


def as_list(value: object) -> Sequence[Any]:
    """Its members, if it has any."""
    return as_members(value) or ()


def role_of(value: object) -> str:
    """One of the four that there are; what is unknown is what the user said."""
    return _ROLES.get(value.lower(), "user") if isinstance(value, str) else "user"


def readable(content: object, depth: int = 0) -> str | None:
    """What a model reads of a message's content or parts."""
    if isinstance(content, str):
        return content if content != REDACTED else None
    if depth > _DEEPEST:
        return None
    parts = as_members(content)
    if parts is not None:
        told = (readable(part, depth + 1) for part in parts)
        return "\n".join(part for part in told if part) or None
    part = as_record(content)
    if part is None or part.get("type") in _UNREAD or part.get("block_type") in _UNREAD:
        return None
    keys = ("text", "content", "parts", "blocks", "message_content.text")
    return next((found for key in keys if (found := readable(part.get(key), depth + 1))), None)


def messages_in(value: object) -> list[Message]:
    """The messages of a prompt or a conversation, in whatever form."""
    return list(islice(_messages(value, 0), _MOST))


def _messages(value: object, depth: int) -> Iterator[Message]:
    if depth > _DEEPEST:
        return
    members = as_members(value)
    if members is not None:
        if len(members) == 2 and all(isinstance(m, str) for m in members) and members[0] in _ROLES:  # noqa: PLR2004  # role and text
            yield Message(role_of(members[0]), members[1])
            return
        for member in members:
            yield from _messages(member, depth + 1)
        return
    said = unwrapped(value)
    if said is None:
        return
    if not is_message(said):
        yield from _messages(said.get("messages"), depth + 1)
        return
    results = [part for part in as_list(said.get("parts")) if _is_result(part)]
    for part in results:
        told = part.get("response", part.get("result", part.get("content")))
        yield Message("tool", _plain_or_json(told), name(part.get("id")))
    if not results or readable(said.get("parts")):
        yield Message(role(said), content_of(said), name(said.get("tool_call_id")))


def content_of(said: Record) -> str | None:
    """What is read of a message."""
    return readable(next((said[k] for k in ("content", "parts", "blocks") if said.get(k)), None))


def is_message(said: Record) -> bool:
    """Whether it looks like one."""
    return any(key in said for key in ("content", "parts", "blocks", "tool_calls")) and any(
        isinstance(said.get(key), str) for key in ("role", "type")
    )


def _is_result(part: object) -> bool:
    told = as_record(part)
    return told is not None and told.get("type") in _RESULTS


def role(said: Record) -> str:
    """Who says it."""
    return role_of(said.get("role") or said.get("type"))


def unwrapped(value: object) -> Record | None:
    """A message as such: LangChain writes it as `{"lc": 1, "kwargs": ...}` or as `{"type": ..., "data": ...}`."""
    said = as_record(value)
    if said is None:
        return None
    if "lc" in said:
        inside = as_record(said.get("kwargs"))
        return inside and {"type": _class(said), **inside}
    data = as_record(said.get("data"))
    return {"type": said["type"], **data} if data is not None and "type" in said else said


def _class(said: Record) -> str:
    """What kind of message a constructor makes; in JavaScript nothing else tells."""
    path = as_list(said.get("id"))
    last = path[-1] if path and isinstance(path[-1], str) else ""
    return last.removesuffix("Chunk").removesuffix("Message").lower()


def _plain_or_json(value: object) -> str | None:
    return text(value) if as_members(value) is None else readable(value)


def requests_in(value: object) -> tuple[ToolRequest, ...]:
    """The tool calls that the messages of a model ask for."""
    found = chain.from_iterable(_requests(message) for message in _each(value))
    return tuple(islice(found, _MOST))


def _each(value: object) -> Iterator[Record]:
    members = as_members(value)
    for one in (value,) if members is None else members:
        said = unwrapped(one)
        if said is not None:
            yield said


def _requests(said: Record) -> Iterator[ToolRequest]:
    wanted = [*as_list(said.get("tool_calls"))]
    wanted += [
        part
        for key in ("parts", "content")
        for part in as_list(said.get(key))
        if (told := as_record(part)) is not None and told.get("type") in _REQUESTS
    ]
    for each in map(as_record, wanted):
        if each is None:
            continue
        function = as_record(each.get("function")) or each
        called = name(function.get("name"))
        if called is not None:
            told = (function.get(key) for key in ("arguments", "args", "input"))
            arguments = next((t for t in told if t is not None), None)
            yield ToolRequest(called, text(arguments), name(each.get("id")))
