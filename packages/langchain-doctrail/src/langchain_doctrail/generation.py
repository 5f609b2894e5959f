"""What LangChain tells of an LLM call beside the prompt: model, provider, parameters, usage, end.

Every integration fills in other fields, so each fact is looked for in all the places where it is known
to stand. Parameters are taken by name: unknown ones may hold credentials.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from doctrail_core.capture.events import GenerationEnded
from doctrail_core.model import ToolRequest, Usage
from doctrail_core.text.snapshot import json_value
from langchain_doctrail.fields import fields

__all__ = ["arguments_text", "ended", "model_of", "parameters_of", "provider_of", "said_in"]

_MODEL_KEYS = ("model", "model_name", "model_id", "deployment_name")
_PARAMETERS = (
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "stop",
    "temperature",
    "top_k",
    "top_p",
)
_FINISH_KEYS = ("finish_reason", "stop_reason", "done_reason")


def model_of(serialized: object, metadata: object, invocation: object) -> str | None:
    """The model that was asked for."""
    return (
        _text(invocation, *_MODEL_KEYS)
        or _text(metadata, "ls_model_name")
        or _text(fields(serialized).get("kwargs"), *_MODEL_KEYS)
    )


def provider_of(serialized: object, metadata: object) -> str | None:
    """Who runs the model, as the integration names it."""
    return _text(metadata, "ls_provider") or _text(serialized, "name")


def parameters_of(invocation: object) -> dict[str, Any]:
    """The sampling parameters that were set."""
    asked = fields(invocation)
    return {name: asked[name] for name in _PARAMETERS if asked.get(name) is not None}


def ended(run_id: str, response: LLMResult) -> GenerationEnded:
    """The call's result; of several candidates the first is what LangChain hands on."""
    first = _first(response)
    if first is None:
        return GenerationEnded(run_id, None)
    message = _message(first)
    facts = [*_facts(first, message), fields(response.llm_output)]
    return GenerationEnded(
        run_id,
        str(first.text),
        model=next((name for f in facts if (name := _text(f, "model_name", "model"))), None),
        usage=_usage(message, facts),
        finish_reasons=_finish_reasons(facts),
        message_id=message.id if message else None,
        tool_requests=tuple(_tool_requests(message)) if message else (),
        cached=message is not None and _is_cached(message),
    )


def said_in(response: object) -> str | None:
    """What a call that failed had said by then, where LangChain hands that on."""
    first = _first(response) if isinstance(response, LLMResult) else None
    return str(first.text) if first else None


def _first(response: LLMResult) -> Generation | None:
    return next((candidate for prompt in response.generations for candidate in prompt), None)


def _tool_requests(message: AIMessage) -> Iterator[ToolRequest]:
    for call in message.tool_calls:
        yield ToolRequest(str(call["name"]), arguments_text(call["args"]), call.get("id"))
    for broken in message.invalid_tool_calls:
        yield ToolRequest(str(broken.get("name") or ""), broken.get("args"), broken.get("id"))


def arguments_text(given: object) -> str:
    """The arguments of a tool as JSON."""
    try:
        return json.dumps(given, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # no JSON: told as far as it goes
        return json.dumps(json_value(given), ensure_ascii=False)


def _message(candidate: Generation) -> AIMessage | None:
    message = candidate.message if isinstance(candidate, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _facts(candidate: Generation, message: AIMessage | None) -> Iterator[Mapping[str, Any]]:
    if message is not None:
        yield fields(message.response_metadata)
    yield fields(candidate.generation_info)


def _is_cached(message: AIMessage) -> bool:
    """Whether LangChain's cache had the message: it then says, and only then, that it cost nothing."""
    return fields(message.usage_metadata).get("total_cost") == 0


def _usage(message: AIMessage | None, facts: list[Mapping[str, Any]]) -> Usage | None:
    told = [fields(f.get(key)) for f in facts for key in ("token_usage", "usage")]
    for counts in [fields(message.usage_metadata if message else None), *told]:
        if counts:
            return Usage(
                _count(counts, "input_tokens", "prompt_tokens"),
                _count(counts, "output_tokens", "completion_tokens"),
                _count(counts, "total_tokens"),
            )
    return None


def _finish_reasons(facts: list[Mapping[str, Any]]) -> tuple[str, ...]:
    reason = next((text for f in facts if (text := _text(f, *_FINISH_KEYS))), None)
    return (reason,) if reason else ()


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    return next((n for name in names if isinstance(n := counts.get(name), int)), None)


def _text(source: object, *names: str) -> str | None:
    found = (fields(source).get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), None)
