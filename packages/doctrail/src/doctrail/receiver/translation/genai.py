"""What a span of OpenTelemetry's GenAI conventions says, of today and of those before.

Messages stand as JSON or structured in `gen_ai.input.messages`; before that in events of the span
(`gen_ai.user.message`, `gen_ai.choice`, `gen_ai.content.prompt`, later with all in `gen_ai.event.content`);
before that, and in OpenLLMetry to this day, as `gen_ai.prompt.N.content`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from doctrail.receiver.span import ReceivedEvent, ReceivedSpan
from doctrail.receiver.translation.attributes import (
    flat,
    items,
    name,
    parsed,
    record,
    text,
    whole,
)
from doctrail.receiver.translation.documents import documents_in
from doctrail.receiver.translation.exchange import answer_in, question_in
from doctrail.receiver.translation.messages import messages_in, readable, requests_in, role_of
from doctrail.receiver.translation.operation import Kind, Operation, together
from doctrail_core.model import Message, ToolRequest, Usage

__all__ = ["read"]

_Attributes = Mapping[str, Any]
_KINDS: dict[str, Kind] = {
    "chat": "generation",
    "execute_tool": "tool",
    "generate_content": "generation",
    "invoke_agent": "agent",
    "invoke_workflow": "chain",
    "rerank": "rerank",
    "retrieval": "retrieval",
    "search_memory": "retrieval",
    "text_completion": "generation",
}
_FRAMEWORKS = ("langchain", "langgraph", "llamaindex", "llama_index")
"""What OpenLLMetry names in place of the provider."""
_EMPTY = '""'
"""What an earlier one wrote where a model only chose tools."""
_LEFT_OUT = ("model", "choice.count", "top_k")
_UNNAMED = ("gen_ai.prompt.", "gen_ai.completion.", "gen_ai.usage.", "gen_ai.response.")
_PROMPTS = ("gen_ai.content.prompt", "gen_ai.client.inference.operation.details")


def read(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    """What it says; nothing where it is of another convention."""
    told = attributes.get("gen_ai.operation.name")
    kind = _KINDS.get(told, "nothing") if isinstance(told, str) else _unnamed(span, attributes)
    session = attributes.get("gen_ai.conversation.id")
    user = (attributes.get(key) for key in ("user.id", "enduser.id"))
    about = Operation(
        kind,
        session_id=name(session) or name(attributes.get("session.id")),
        user_id=next(filter(None, map(name, user)), None),
    )
    readers = {
        "agent": _agent,
        "chain": _workflow,
        "generation": _generation,
        "retrieval": _retrieval,
        "tool": _tool,
    }
    reader = readers.get(kind)
    return together(reader(span, attributes), about) if reader else about


def _unnamed(span: ReceivedSpan, attributes: _Attributes) -> Kind:
    """Older ones did not name the operation."""
    asked = attributes.get("llm.request.type")
    if asked in ("embedding", "rerank"):
        return "nothing"
    of_a_model = "gen_ai.request.model" in attributes or asked in ("chat", "completion")
    said = any(key.startswith(_UNNAMED) for key in attributes) or bool(span.events) or asked
    return "generation" if of_a_model and said else "nothing"


def _agent(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    told = name(attributes.get("gen_ai.agent.name"))
    return Operation(
        name=told or _after(span.name, "invoke_agent") or "agent", **_exchange(attributes)
    )


def _workflow(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    told = name(attributes.get("gen_ai.workflow.name"))
    return Operation(name=told or _after(span.name, "invoke_workflow"), **_exchange(attributes))


def _exchange(attributes: _Attributes) -> dict[str, Any]:
    """What a run was asked and said; of a chain, its input as JSON stands in the message."""
    asked = question_in(_json(attributes.get("gen_ai.input.messages")))
    said = answer_in(_json(attributes.get("gen_ai.output.messages")))
    return {"asked": question_in(asked), "said": answer_in(said)}


def _json(value: object) -> object:
    return parsed(value)


def _after(told: str, operation: str) -> str:
    return told.removeprefix(operation).strip() or told


# --- searches


def _retrieval(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    source = name(attributes.get("gen_ai.data_source.id"))
    store = source or name(attributes.get("db.collection.name")) or _provider(attributes)
    memory = name(attributes.get("gen_ai.memory.store.id"))
    asked = (attributes.get(f"gen_ai.{key}.query.text") for key in ("retrieval", "memory"))
    found = (attributes.get(f"gen_ai.{key}") for key in ("retrieval.documents", "memory.records"))
    return Operation(
        name=_after(span.name, "retrieval") if source is None else source,
        asked=next(filter(None, map(text, asked)), None),
        documents=next((tuple(d) for each in found if (d := documents_in(each))), ()),
        k=_limit(attributes),
        store=memory or store,
    )


def _limit(attributes: _Attributes) -> int | None:
    keys = ("gen_ai.retrieval.top_k", "gen_ai.request.top_k")
    return next((k for key in keys if (k := whole(attributes.get(key))) is not None), None)


# --- models and tools


def _generation(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    replies = _json(attributes.get("gen_ai.output.messages"))
    told = _from_events(span.events)
    listed = items(attributes, "gen_ai.completion")
    texts = (readable(each.get("content")) for each in listed)
    spoken = next((s for s in texts if s and s != _EMPTY), None)
    return Operation(
        name=span.name,
        said=answer_in(replies) or spoken or told.said,
        messages=_messages(attributes) or told.messages,
        model=_model(attributes.get("gen_ai.request.model")),
        answered_by=_model(attributes.get("gen_ai.response.model")),
        provider=_provider(attributes),
        parameters=_parameters(attributes),
        usage=_usage(attributes),
        finish_reasons=_reasons(attributes, listed) or told.finish_reasons,
        message_id=name(attributes.get("gen_ai.response.id")),
        tool_requests=requests_in(replies) or _listed_requests(listed) or told.tool_requests,
    )


def _model(value: object) -> str | None:
    told = name(value)
    return None if told == "unknown" else told


def _provider(attributes: _Attributes) -> str | None:
    told = (name(attributes.get(key)) for key in ("gen_ai.provider.name", "gen_ai.system"))
    return next((each for each in told if each and each.lower() not in _FRAMEWORKS), None)


def _messages(attributes: _Attributes) -> tuple[Message, ...]:
    told = messages_in(_json(attributes.get("gen_ai.input.messages")))
    if not told:
        told = [
            Message(role_of(m.get("role")), readable(_json(c) or c), name(m.get("tool_call_id")))
            for m in items(attributes, "gen_ai.prompt")
            if "role" in m or "content" in m
            for c in (m.get("content"),)
        ]
    instructions = attributes.get("gen_ai.system_instructions")
    system = readable(_json(instructions)) or text(instructions)
    return (Message("system", system), *told) if system else tuple(told)


def _parameters(attributes: _Attributes) -> dict[str, Any]:
    start = "gen_ai.request."
    told = {k[len(start) :]: v for k, v in attributes.items() if k.startswith(start)}
    return {k: v for k, v in told.items() if v is not None and k not in _LEFT_OUT}


def _usage(attributes: _Attributes) -> Usage | None:
    def count(*keys: str) -> int | None:
        told = (whole(attributes.get(f"gen_ai.usage.{key}")) for key in keys)
        return next((n for n in told if n is not None), None)

    asked, said = (
        count("input_tokens", "prompt_tokens"),
        count("output_tokens", "completion_tokens"),
    )
    total = count("total_tokens")
    total = whole(attributes.get("llm.usage.total_tokens")) if total is None else total
    return None if asked is said is total is None else Usage(asked, said, total)


def _reasons(attributes: _Attributes, listed: Iterable[_Attributes]) -> tuple[str, ...]:
    told = attributes.get("gen_ai.response.finish_reasons")
    several = parsed(told)
    values: Iterable[object] = (
        cast("list[object]", several) if isinstance(several, list | tuple) else (told,)
    )
    named = [reason for reason in map(name, values) if reason]
    return tuple(named or filter(None, (name(each.get("finish_reason")) for each in listed)))


def _listed_requests(listed: Iterable[_Attributes]) -> tuple[ToolRequest, ...]:
    return tuple(
        ToolRequest(called, text(each.get("arguments")), name(each.get("id")))
        for reply in listed
        for each in items(reply, "tool_calls")
        if (called := name(each.get("name")))
    )


def _from_events(events: Sequence[ReceivedEvent]) -> Operation:
    """Messages that were told in events of the span, in the order of time."""
    found = Operation()
    for event in sorted(events, key=lambda e: e.time):
        told = flat(event.attributes)
        content = record(told, "gen_ai.event.content") or told
        if event.name in _PROMPTS:
            found = together(found, _details(told))
        elif event.name in ("gen_ai.content.completion", "gen_ai.choice"):
            found = together(found, _choice(told, content))
        elif event.name.startswith("gen_ai.") and event.name.endswith(".message"):
            role = event.name.split(".")[1]
            message = messages_in([{"role": role, **content}]) if content else []
            found = together(Operation(messages=(*found.messages, *message)), found)
    return found


def _details(told: _Attributes) -> Operation:
    """All messages in one event."""
    prompt = told.get("gen_ai.prompt")
    listed = messages_in(_json(prompt))
    plain = text(prompt)
    return Operation(
        messages=_messages(told) or tuple(listed or ([Message("user", plain)] if plain else [])),
        said=answer_in(_json(told.get("gen_ai.output.messages"))),
        tool_requests=requests_in(_json(told.get("gen_ai.output.messages"))),
    )


def _choice(told: _Attributes, content: _Attributes) -> Operation:
    completion = told.get("gen_ai.completion")
    message = record(content, "message")
    reason = name(content.get("finish_reason"))
    return Operation(
        said=answer_in(completion)
        or readable(message.get("content"))
        or text(content.get("content")),
        finish_reasons=(reason,) if reason else (),
        tool_requests=requests_in(message) or requests_in(content),
    )


def _tool(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    return Operation(
        name=name(attributes.get("gen_ai.tool.name")) or _after(span.name, "execute_tool"),
        asked=text(attributes.get("gen_ai.tool.call.arguments")),
        said=text(attributes.get("gen_ai.tool.call.result")),
        tool_call_id=name(attributes.get("gen_ai.tool.call.id")),
    )
