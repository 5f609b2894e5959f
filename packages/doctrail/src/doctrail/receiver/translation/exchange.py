"""What was asked and what was answered, in the JSON that frameworks write of inputs and outputs.

What only looks like a text, such as the printed form of a Python object, is none.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from doctrail.receiver.translation.attributes import REDACTED, name, parsed
from doctrail.receiver.translation.messages import (
    as_list,
    as_members,
    as_record,
    content_of,
    is_message,
    messages_in,
    role,
    unwrapped,
)

__all__ = ["answer_in", "message_id_in", "question_in"]

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
_PRINTED = re.compile(r"<?[A-Z]\w*\((?:\w+=|[)'\"<\[])")
_DEEPEST = 6
_MOST = 10_000


def question_in(value: object, depth: int = 0) -> str | None:
    """What was asked, in the input of a run."""
    found = parsed(value)
    if found is None:
        return _plain(value)
    if depth > _DEEPEST:
        return None
    members = as_members(found)
    if members is not None:
        return _last_question(members, depth)
    said = as_record(found) or {}
    for key in (*_QUESTIONS, *_MORE_QUESTIONS):
        if key in said and (asked := question_in(said[key], depth + 1)):
            return asked
    inner = (v for k, v in said.items() if k in ("data", "ev") or "data" not in said)
    return next(
        (q for v in islice(inner, _MOST) if as_record(v) and (q := question_in(v, depth + 1))), None
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
    members = as_members(found)
    if members is not None:
        return _last_answer(members, depth)
    said = unwrapped(found) or {}
    if is_message(said):
        return content_of(said) if role(said) == "assistant" else None
    for key in (*_ANSWERS, *_MORE_ANSWERS):
        if key in said and (answer := answer_in(said[key], depth + 1)):
            return answer
    return None


def _last_answer(members: Sequence[Any], depth: int) -> str | None:
    told = [m for m in map(unwrapped, members) if m is not None and is_message(m)]
    if told:
        answers = (answer_in(m, depth + 1) for m in reversed(told))
        return next((answer for answer in answers if answer), None)
    return next((a for each in members if (a := answer_in(each, depth + 1))), None)


def message_id_in(value: object) -> str | None:
    """The id of the message that a LangChain model gave, in the output of its span."""
    found = as_record(parsed(value)) or {}
    for generation in as_list(found.get("generations"))[:1]:
        for one in as_list(generation)[:1]:
            message = unwrapped((as_record(one) or {}).get("message"))
            return name((message or {}).get("id"))
    return None


def _plain(value: object) -> str | None:
    """A text that somebody wrote, and no program printed."""
    found = value if isinstance(value, str) else None
    return None if not found or found == REDACTED or _PRINTED.match(found) else found
