"""Messages, questions, answers and documents in the JSON that frameworks and providers write.

Known are the forms of OpenAI, of OpenTelemetry's GenAI conventions (`parts`), of LangChain (`lc`
constructors and `data`) and of LlamaIndex (`blocks`). What only looks like a text, such as the printed form
of a Python object, is none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, cast

from doctrail.receiver.translation.attributes import REDACTED, name, number, parsed, text
from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import Message, ScoreKind, ToolRequest

__all__ = [
    "answer_in",
    "chunk",
    "documents_in",
    "message_id_in",
    "messages_in",
    "question_in",
    "readable",
    "requests_in",
    "role_of",
]

_QUESTIONS = ("question", "query", "query_str", "query_bundle", "input", "inputs", "input_str")
_MORE_QUESTIONS = (
    "user_input",
    "user_msg",
    "message",
    "messages",
    "prompt",
    "text",
    "args",
    "kwargs",
)
_ANSWERS = ("answer", "output", "outputs", "result", "response", "output_text", "text", "content")
_MORE_ANSWERS = (
    "messages",
    "generations",
    "replies",
    "reply",
    "completion",
    "blocks",
    "update",
    "data",
)
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
_PRINTED = re.compile(r"<?[A-Z]\w*\(")
_DEEPEST = 6
_MOST = 10_000

_Record = Mapping[str, Any]


def _record(value: object) -> _Record | None:
    return cast("_Record", value) if isinstance(value, Mapping) else None


def _members(value: object) -> Sequence[Any] | None:
    return cast("Sequence[Any]", value)[:_MOST] if isinstance(value, list | tuple) else None


def _list(value: object) -> Sequence[Any]:
    return _members(value) or ()


def _plain(value: object) -> str | None:
    """A text that somebody wrote, and no program printed."""
    found = value if isinstance(value, str) else None
    return None if not found or found == REDACTED or _PRINTED.match(found) else found


# --- messages


def role_of(value: object) -> str:
    """One of the four that there are; what is unknown is what the user said."""
    return _ROLES.get(value.lower(), "user") if isinstance(value, str) else "user"


def readable(content: object, depth: int = 0) -> str | None:
    """What a model reads of a message's content or parts."""
    if isinstance(content, str):
        return content if content != REDACTED else None
    if depth > _DEEPEST:
        return None
    parts = _members(content)
    if parts is not None:
        told = (readable(part, depth + 1) for part in parts)
        return "\n".join(part for part in told if part) or None
    part = _record(content)
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
    members = _members(value)
    if members is not None:
        if len(members) == 2 and all(isinstance(m, str) for m in members) and members[0] in _ROLES:  # noqa: PLR2004  # role and text
            yield Message(role_of(members[0]), members[1])
            return
        for member in members:
            yield from _messages(member, depth + 1)
        return
    said = _unwrapped(value)
    if said is None:
        return
    if not _is_message(said):
        yield from _messages(said.get("messages"), depth + 1)
        return
    results = [part for part in _list(said.get("parts")) if _is_result(part)]
    for part in results:
        told = part.get("response", part.get("result", part.get("content")))
        yield Message("tool", _plain_or_json(told), name(part.get("id")))
    if not results or readable(said.get("parts")):
        content = next((said[k] for k in ("content", "parts", "blocks") if said.get(k)), None)
        yield Message(_role(said), readable(content), name(said.get("tool_call_id")))


def _is_message(said: _Record) -> bool:
    return any(key in said for key in ("content", "parts", "blocks", "tool_calls")) and any(
        isinstance(said.get(key), str) for key in ("role", "type")
    )


def _is_result(part: object) -> bool:
    told = _record(part)
    return told is not None and told.get("type") in _RESULTS


def _role(said: _Record) -> str:
    return role_of(said.get("role") or said.get("type"))


def _unwrapped(value: object) -> _Record | None:
    """A message as such: LangChain writes it as `{"lc": 1, "kwargs": ...}` or as `{"type": ..., "data": ...}`."""
    said = _record(value)
    if said is None:
        return None
    if "lc" in said:
        return _record(said.get("kwargs"))
    data = _record(said.get("data"))
    return {"type": said["type"], **data} if data is not None and "type" in said else said


def _plain_or_json(value: object) -> str | None:
    return text(value) if _members(value) is None else readable(value)


def requests_in(value: object) -> tuple[ToolRequest, ...]:
    """The tool calls that the messages of a model ask for."""
    found = chain.from_iterable(_requests(message) for message in _each(value))
    return tuple(islice(found, _MOST))


def _each(value: object) -> Iterator[_Record]:
    members = _members(value)
    for one in (value,) if members is None else members:
        said = _unwrapped(one)
        if said is not None:
            yield said


def _requests(said: _Record) -> Iterator[ToolRequest]:
    wanted = [*_list(said.get("tool_calls"))]
    wanted += [
        part
        for key in ("parts", "content")
        for part in _list(said.get(key))
        if (told := _record(part)) is not None and told.get("type") in _REQUESTS
    ]
    for each in map(_record, wanted):
        if each is None:
            continue
        function = _record(each.get("function")) or each
        called = name(function.get("name"))
        if called is not None:
            told = (function.get(key) for key in ("arguments", "args", "input"))
            arguments = next((t for t in told if t is not None), None)
            yield ToolRequest(called, text(arguments), name(each.get("id")))


# --- questions and answers


def question_in(value: object, depth: int = 0) -> str | None:
    """What was asked, in the input of a run."""
    found = parsed(value)
    if found is None:
        return _plain(value)
    if depth > _DEEPEST:
        return None
    members = _members(found)
    if members is not None:
        return _last_question(members, depth)
    said = _record(found) or {}
    for key in (*_QUESTIONS, *_MORE_QUESTIONS):
        if key in said and (asked := question_in(said[key], depth + 1)):
            return asked
    inner = (v for k, v in said.items() if k in ("data", "ev") or "data" not in said)
    return next(
        (q for v in islice(inner, _MOST) if _record(v) and (q := question_in(v, depth + 1))), None
    )


def _last_question(members: Sequence[Any], depth: int) -> str | None:
    told = messages_in(members)
    if told:
        asked = (message.text for message in reversed(told) if message.role == "user")
        return next(filter(None, asked), None)
    return next((q for each in members if (q := question_in(each, depth + 1))), None)


def answer_in(value: object, depth: int = 0) -> str | None:
    """What was answered, in the output of a run."""
    found = parsed(value)
    if found is None or depth > _DEEPEST:
        return _plain(value)
    members = _members(found)
    if members is not None:
        return _last_answer(members, depth)
    said = _unwrapped(found) or {}
    if _is_message(said):
        content = next((said[k] for k in ("content", "parts", "blocks") if said.get(k)), None)
        return readable(content) if _role(said) == "assistant" else None
    for key in (*_ANSWERS, *_MORE_ANSWERS):
        if key in said and (answer := answer_in(said[key], depth + 1)):
            return answer
    return None


def _last_answer(members: Sequence[Any], depth: int) -> str | None:
    told = [m for m in map(_unwrapped, members) if m is not None and _is_message(m)]
    if told:
        answers = (answer_in(m, depth + 1) for m in reversed(told))
        return next((answer for answer in answers if answer), None)
    return next((a for each in members if (a := answer_in(each, depth + 1))), None)


def message_id_in(value: object) -> str | None:
    """The id of the message that a LangChain model gave, in the output of its span."""
    found = _record(parsed(value)) or {}
    for generation in _list(found.get("generations"))[:1]:
        for one in _list(generation)[:1]:
            message = _unwrapped((_record(one) or {}).get("message"))
            return name((message or {}).get("id"))
    return None


# --- documents


def documents_in(value: object) -> list[RetrievedChunk]:
    """The documents that a JSON text holds, as frameworks write them."""
    found = parsed(value)
    said = _record(found)
    if said is not None:
        keys = ("documents", "outputs", "output", "nodes", "source_nodes", "results")
        listed = next((inner for key in keys if _list(inner := parsed(said.get(key)))), None)
        found = listed
    return [one for one in map(_document, _list(found)) if one is not None]


def _document(value: object) -> RetrievedChunk | None:
    said = _unwrapped(value)
    if said is None:
        return None
    inner = _record(said.get("node")) or _record(said.get("document")) or said
    texts = (inner.get(key) for key in ("page_content", "content", "text", "page_text"))
    ids = (inner.get(key) for key in ("id", "id_", "chunk_id", "node_id"))
    about = (_record(parsed(inner.get(key))) for key in ("metadata", "meta"))
    return chunk(
        next((found for found in texts if found is not None), None),
        next((found for found in ids if found is not None), None),
        next((found for found in about if found is not None), None),
        said.get("score"),
    )


def chunk(
    content: object,
    chunk_id: object,
    metadata: _Record | None,
    score: object,
    score_kind: ScoreKind = "unknown",
) -> RetrievedChunk | None:
    """A chunk, if anything is told by which it can be known."""
    told, named = text(content), name(chunk_id)
    named = None if named == REDACTED else named
    if told is None and named is None and not metadata:
        return None
    scored = number(score)
    kind: ScoreKind = "unknown" if scored is None else score_kind
    return RetrievedChunk(told, named, metadata=metadata or {}, score=scored, score_kind=kind)
