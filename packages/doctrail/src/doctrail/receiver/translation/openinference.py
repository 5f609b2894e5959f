"""What a span of an OpenInference instrumentation says, in Python, JavaScript, Java or Go.

Traps: LangChain's retriever spans have the documents' ids only in `output.value`; LlamaIndex's have a
score of 0.0 where there was none, which only the nodes printed in `output.value` tell from a real one, so
where outputs are hidden it is taken as it is; LlamaIndex writes an LLM span for what only prepares a call;
`llm.prompts` may be a list.
"""

from collections.abc import Mapping
from typing import Any, cast

from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation.attributes import (
    items,
    name,
    parsed,
    record,
    text,
    whole,
)
from doctrail.receiver.translation.exchange import answer_in, message_id_in, question_in
from doctrail.receiver.translation.messages import messages_in, readable, requests_in, role_of
from doctrail.receiver.translation.openinference_documents import (
    documents,
    first_of,
    printed_nodes,
    unscored,
    with_ids,
)
from doctrail.receiver.translation.operation import Kind, Operation, together
from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import Message, ToolRequest, Usage

__all__ = ["read"]

_Attributes = Mapping[str, Any]
_KINDS: dict[str, Kind] = {
    "AGENT": "agent",
    "CHAIN": "chain",
    "EVALUATOR": "check",
    "GUARDRAIL": "guard",
    "LLM": "generation",
    "RERANKER": "rerank",
    "RETRIEVER": "retrieval",
    "TOOL": "tool",
}
_METHODS = (
    "_postprocess_nodes",
    "postprocess_nodes",
    "retrieve",
    "_retrieve",
    "aretrieve",
    "_aretrieve",
    "run",
    "run_async",
    "__call__",
)
_NODES = ("langgraph_node", "node_name")
_LEFT_OUT = ("tools", "functions", "messages", "input", "_type")
_USER_SCOPES = ("openinference", "instrumentation")
_POSTPROCESSES = ("._postprocess_nodes", ".postprocess_nodes")
_PREPARES = "._prepare_chat_with_tools"


def read(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    """What it says; nothing where it is of another convention."""
    kind = _kind(span, attributes)
    about = Operation(kind, **_context(attributes))
    readers = {
        "agent": _run,
        "chain": _run,
        "generation": _generation,
        "rerank": _rerank,
        "retrieval": _retrieval,
        "run": _run,
        "selection": _selection,
        "tool": _tool,
    }
    reader = readers.get(kind)
    return together(reader(span, attributes), about) if reader else about


def _kind(span: ReceivedSpan, attributes: _Attributes) -> Kind:
    told = attributes.get("openinference.span.kind")
    kind = _KINDS.get(told.strip().upper(), "nothing") if isinstance(told, str) else "nothing"
    if kind == "chain" and _selects(span, attributes):
        return "selection"
    if kind == "chain" and _is_a_step(span, attributes):
        return "run"
    if kind == "generation" and span.name.endswith(_PREPARES):
        return "chain"
    # LangChain's makes an agent of whatever has that word in its name.
    may_search = told and kind in ("nothing", "tool", "agent", "chain", "run")
    found = any(key.startswith("retrieval.documents.") for key in attributes)
    return "retrieval" if may_search and found else kind


def _is_a_step(span: ReceivedSpan, attributes: _Attributes) -> bool:
    """A node of a graph, or what the application itself thought worth a span."""
    if attributes.get("graph.node.id"):
        return True
    about = record(attributes, "metadata")
    if any(about.get(key) == span.name for key in _NODES):
        return True
    return bool(span.scope) and not any(word in span.scope for word in _USER_SCOPES)


def _context(attributes: _Attributes) -> dict[str, Any]:
    about = record(attributes, "metadata")
    session = (about.get(key) for key in ("session_id", "conversation_id", "thread_id"))
    return {
        "session_id": name(attributes.get("session.id"))
        or next(filter(None, map(name, session)), None),
        "user_id": name(attributes.get("user.id")) or name(about.get("user_id")),
    }


def _run(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    return Operation(
        name=name(attributes.get("agent.name"))
        or name(attributes.get("graph.node.name"))
        or span.name,
        asked=question_in(_input(attributes)),
        said=answer_in(_output(attributes)),
    )


def _input(attributes: _Attributes) -> object:
    return _value(attributes, "input.value")


def _output(attributes: _Attributes) -> object:
    return _value(attributes, "output.value")


def _value(attributes: _Attributes, key: str) -> object:
    found: object = attributes.get(key)
    return cast("object", found) if isinstance(found, Mapping | list | tuple) else text(found)


# --- searches


def _retrieval(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    about, asked = record(attributes, "metadata"), _asked_with(attributes)
    return Operation(
        name=_bare(span.name),
        asked=question_in(_input(attributes)),
        documents=with_ids(
            first_of(attributes, "retrieval.documents", "output.documents"), _output(attributes)
        ),
        k=next(filter(None, (whole(asked.get(key)) for key in ("top_k", "k"))), None),
        filters=next((f for key in ("filters", "filter") if (f := asked.get(key))), None),
        store=name(about.get("ls_vector_store_provider")),
    )


def _asked_with(attributes: _Attributes) -> Mapping[str, Any]:
    found = parsed(_input(attributes))
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _bare(told: str) -> str:
    """A component's name without the method that was called."""
    stem, _, method = told.rpartition(".")
    return stem if stem and method in _METHODS else told


def _rerank(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    return Operation(
        name=span.name.rpartition(".")[0] or span.name,
        asked=question_in(attributes.get("reranker.query")) or question_in(_input(attributes)),
        model=name(attributes.get("reranker.model_name")),
        k=whole(attributes.get("reranker.top_k")),
        given=tuple(first_of(attributes, "reranker.input_documents", "input.documents")),
        documents=unscored(
            first_of(attributes, "reranker.output_documents", "output.documents"),
            _output(attributes),
        ),
    )


def _selection(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    given, kept = _given_and_kept(span, attributes)
    chosen = Operation(name=_bare(span.name), given=tuple(given or ()), documents=tuple(kept or ()))
    return together(chosen, _run(span, attributes))


def _selects(span: ReceivedSpan, attributes: _Attributes) -> bool:
    given, kept = _given_and_kept(span, attributes)
    return bool(given) and kept is not None


def _given_and_kept(
    span: ReceivedSpan, attributes: _Attributes
) -> tuple[list[RetrievedChunk] | None, list[RetrievedChunk] | None]:
    """What went into a step and came out of it, where both are documents; None where that is not told."""
    if span.name.endswith(_POSTPROCESSES):
        nodes = _asked_with(attributes).get("nodes")
        return printed_nodes(nodes), printed_nodes(parsed(_output(attributes)))
    given, kept = (documents(attributes, f"{way}.documents") for way in ("input", "output"))
    return given or None, kept or None


# --- models and tools


def _generation(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    replies = items(attributes, "llm.output_messages")
    output = _output(attributes)
    said = next(filter(None, map(_content, replies)), None) or _completion(attributes)
    asked = _requests(replies)
    model = name(attributes.get("llm.request.model_name")) or name(attributes.get("llm.model_name"))
    return Operation(
        name=span.name,
        said=said or (None if asked else answer_in(output)),
        messages=_messages(attributes),
        model=None if model == "unknown" else model,
        answered_by=name(attributes.get("llm.response.model_name")),
        provider=name(attributes.get("llm.provider")) or name(attributes.get("llm.system")),
        parameters=_parameters(attributes),
        usage=_usage(attributes),
        finish_reasons=tuple(filter(None, (name(attributes.get("llm.finish_reason")),))),
        message_id=message_id_in(output),
        tool_requests=asked or requests_in(parsed(output)),
    )


def _messages(attributes: _Attributes) -> tuple[Message, ...]:
    told = items(attributes, "llm.input_messages")
    if told:
        return tuple(map(_message, told))
    prompts = [text(each.get("prompt.text")) for each in items(attributes, "llm.prompts")]
    listed = attributes.get("llm.prompts")
    if not prompts and isinstance(listed, list | tuple):
        prompts = [text(each) for each in cast("list[object]", listed)]
    if any(prompts):
        return tuple(Message("user", prompt) for prompt in prompts if prompt)
    return tuple(messages_in(parsed(_input(attributes)))) or _plain_prompt(_input(attributes))


def _plain_prompt(value: object) -> tuple[Message, ...]:
    """What was sent, where it is a text; what a program printed of its arguments is none."""
    return (Message("user", value),) if isinstance(value, str) and parsed(value) is None else ()


def _message(told: _Attributes) -> Message:
    role = role_of(told.get("message.role"))
    return Message(role, _content(told), name(told.get("message.tool_call_id")))


def _content(told: _Attributes) -> str | None:
    whole_text = readable(told.get("message.content"))
    if whole_text is not None:
        return whole_text
    parts = (text(part.get("message_content.text")) for part in items(told, "message.contents"))
    return "\n".join(filter(None, parts)) or None


def _completion(attributes: _Attributes) -> str | None:
    told = (text(each.get("completion.text")) for each in items(attributes, "llm.choices"))
    return next(filter(None, told), None)


def _requests(replies: list[dict[str, Any]]) -> tuple[ToolRequest, ...]:
    return tuple(
        ToolRequest(
            called,
            text(each.get("tool_call.function.arguments")),
            name(each.get("tool_call.id")),
        )
        for reply in replies
        for each in items(reply, "message.tool_calls")
        if (called := name(each.get("tool_call.function.name")))
    )


def _parameters(attributes: _Attributes) -> dict[str, Any]:
    told = record(attributes, "llm.invocation_parameters")
    return {k: v for k, v in told.items() if v is not None and k not in _LEFT_OUT}


def _usage(attributes: _Attributes) -> Usage | None:
    counts = [
        whole(attributes.get(f"llm.token_count.{each}"))
        for each in ("prompt", "completion", "total")
    ]
    return Usage(*counts) if any(count is not None for count in counts) else None


def _tool(span: ReceivedSpan, attributes: _Attributes) -> Operation:
    output = parsed(_output(attributes))
    result = _tool_result(output)
    call = (attributes.get(key) for key in ("tool_call.id", "tool.id"))
    return Operation(
        name=name(attributes.get("tool.name")) or span.name,
        asked=text(attributes.get("tool_call.function.arguments"))
        or _arguments(_input(attributes)),
        said=result.text if result else text(_output(attributes)),
        tool_call_id=next(filter(None, map(name, call)), None) or (result and result.tool_call_id),
    )


def _arguments(value: object) -> str | None:
    """What a tool was called with; LlamaIndex writes it as the arguments of a Python function."""
    told = parsed(value)
    if isinstance(told, Mapping) and set(cast("Mapping[str, Any]", told)) == {"kwargs"}:
        return text(cast("Mapping[str, Any]", told)["kwargs"])
    return text(value)


def _tool_result(output: object) -> Message | None:
    """The message or the blocks that a tool's result is wrapped in."""
    told = messages_in(output)
    if len(told) == 1 and told[0].role == "tool":
        return told[0]
    if isinstance(output, Mapping):
        blocks = readable(cast("Mapping[str, Any]", output).get("blocks"))
        return Message("tool", blocks) if blocks else None
    return None
