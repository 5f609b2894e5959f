"""LLM calls: what an LLM's events say of the prompt, the model and the answer.

Events are read field by field and never dumped: they hold whole prompts, clients and functions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)

from doctrail_core.capture.events import GenerationEnded
from doctrail_core.model import Message, Usage
from llama_index.observability.doctrail.tools import requested

__all__ = [
    "LLMEnd",
    "LLMProgress",
    "LLMStart",
    "answered",
    "messages",
    "model",
    "model_of",
    "parameters",
    "passed",
    "provider",
    "returned",
]

LLMStart = LLMChatStartEvent | LLMCompletionStartEvent
LLMProgress = LLMChatInProgressEvent | LLMCompletionInProgressEvent
LLMEnd = LLMChatEndEvent | LLMCompletionEndEvent
_Reply = ChatResponse | CompletionResponse | None

_ROLES = {"developer": "system", "function": "tool", "chatbot": "assistant", "model": "assistant"}
_NOBODY = ("", "base", "custom", "mock", "mockfunctioncalling", "structured")
_PARAMETERS = ("temperature", "max_tokens", "top_p", "top_k", "seed", "stop")


def messages(event: LLMStart) -> tuple[Message, ...]:
    """What the model was told."""
    if isinstance(event, LLMCompletionStartEvent):
        return (Message("user", event.prompt),)
    return tuple(_message(message) for message in event.messages)


def _message(message: ChatMessage) -> Message:
    role = message.role.value
    call = message.additional_kwargs.get("tool_call_id")
    return Message(_ROLES.get(role, role), message.content, call if isinstance(call, str) else None)


def passed(arguments: Mapping[str, Any]) -> tuple[Message, ...]:
    """What a model was told by a call that no event tells of."""
    if isinstance(prompt := arguments.get("prompt"), str):
        return (Message("user", prompt),)
    return tuple(_message(message) for message in arguments.get("messages") or ())


def returned(run_id: str, result: object) -> GenerationEnded:
    """The end of such a call; of a stream, nothing that it brings is known."""
    if isinstance(result, ChatResponse | CompletionResponse):
        return answered(run_id, result, ())
    return GenerationEnded(run_id, None)


def model(event: LLMStart) -> str | None:
    """The model that was asked for."""
    return _named(event, "model", "model_name")


def model_of(llm: object) -> str | None:
    """The model that this LLM is set to."""
    return _string(llm, "model") or _string(llm, "model_name")


def provider(event: LLMStart) -> str | None:
    """Who serves it, as far as the class of the LLM says: `openai_llm` is `openai`."""
    name = (_named(event, "class_name") or "").lower().removesuffix("llm").strip("_-")
    return None if name in _NOBODY else name


def _named(event: LLMStart, *keys: str) -> str | None:
    """Look first into the LLM that a structured one wraps."""
    told: Any = event
    places = (told.model_dict.get("llm"), told.model_dict)
    found = (_string(place, key) for place in places for key in keys)
    return next((value for value in found if value and value != "unknown"), None)


def parameters(event: LLMStart) -> dict[str, Any]:
    """The settings that shape the output."""
    told: Any = event
    said = {**told.model_dict, **told.additional_kwargs}
    return {key: said[key] for key in _PARAMETERS if said.get(key) is not None}


def answered(run_id: str, reply: _Reply, deltas: Sequence[str]) -> GenerationEnded:
    """The end of a call. `deltas` is what a stream brought: some end on their last piece alone."""
    raw = getattr(reply, "raw", None)
    text = _text(reply)
    streamed = "".join(deltas)
    return GenerationEnded(
        run_id,
        output=streamed if len(streamed) > len(text or "") else text,
        model=_string(raw, "model"),
        usage=_usage(raw),
        finish_reasons=_finish_reasons(raw),
        message_id=_string(raw, "id"),
        tool_requests=requested(reply.message) if isinstance(reply, ChatResponse) else (),
    )


def _text(reply: _Reply) -> str | None:
    return reply.message.content if isinstance(reply, ChatResponse) else reply and reply.text


def _usage(raw: object) -> Usage | None:
    """Token counts in the words of OpenAI or Anthropic."""
    usage = _field(raw, "usage")
    came = _count(usage, "input_tokens", "prompt_tokens")
    went = _count(usage, "output_tokens", "completion_tokens")
    total = _count(usage, "total_tokens")
    if came is None and went is None and total is None:
        return None
    return Usage(came, went, came + went if total is None and came and went else total)


def _finish_reasons(raw: object) -> tuple[str, ...]:
    places = _field(raw, "choices") or [raw]
    reasons = (_string(place, "finish_reason") or _string(place, "stop_reason") for place in places)
    return tuple(reason for reason in reasons if reason)


def _field(thing: object, name: str) -> Any:
    """A field of a provider's reply, which is a dict with some providers and an object with others."""
    found: Any = thing
    return found.get(name) if isinstance(thing, Mapping) else getattr(found, name, None)


def _string(thing: object, name: str) -> str | None:
    value = _field(thing, name)
    return value if isinstance(value, str) and value else None


def _count(usage: object, *names: str) -> int | None:
    counts = (_field(usage, name) for name in names)
    return next((count for count in counts if type(count) is int), None)
