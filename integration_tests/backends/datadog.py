"""What Datadog's Agent Observability (LLM Observability) shows of a span.

After its page "OpenTelemetry Instrumentation" (docs.datadoghq.com/llm_observability/instrument/otel_instrumentation,
"Attribute mapping reference", read in September 2026).
"""

from typing import Any

from backends.collector import Received, documents, parsed
from backends.reading import Reading, first, messages

_GENAI = {
    "generate_content": "llm",
    "chat": "llm",
    "text_completion": "llm",
    "completion": "llm",
    "embeddings": "embedding",
    "embedding": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
}
_OPENINFERENCE = {
    "LLM": "llm",
    "EMBEDDING": "embedding",
    "TOOL": "tool",
    "AGENT": "agent",
    "RETRIEVER": "retrieval",
}
_OTHERS = "workflow"


def read(span: Received) -> Reading:
    told = span.attributes
    kind = _kind(told)
    return Reading(
        kind=kind,
        name=first(told, "gen_ai.tool.name", "tool.name") or span.raw.name,
        input=_input(told),
        output=_output(told, kind),
        model=first(told, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name"),
        provider=first(told, "gen_ai.provider.name", "llm.provider"),
        tokens=(
            first(told, "gen_ai.usage.input_tokens", "llm.token_count.prompt"),
            first(told, "gen_ai.usage.output_tokens", "llm.token_count.completion"),
        ),
        session=first(told, "gen_ai.conversation.id", "session.id"),
        user=told.get("user.id"),
        documents=_documents(span) if kind == "retrieval" else None,
        parameters=parsed(told.get("llm.invocation_parameters")) or {},
        error=told.get("error.type") if span.raw.status.code == 2 else None,
        links=span.links,
    )


def _kind(told: dict[str, Any]) -> str:
    """The GenAI operation wins, also one that the page does not list."""
    if "gen_ai.operation.name" in told:
        return _GENAI.get(told["gen_ai.operation.name"], _OTHERS)
    return _OPENINFERENCE.get(told.get("openinference.span.kind", ""), _OTHERS)


def _input(told: dict[str, Any]) -> Any:
    return (
        parsed(first(told, "gen_ai.input.messages", "gen_ai.tool.call.arguments"))
        or messages(told, "llm.input_messages")
        or told.get("input.value")
    )


def _output(told: dict[str, Any], kind: str) -> Any:
    if kind == "retrieval":
        return None
    return (
        parsed(first(told, "gen_ai.output.messages", "gen_ai.tool.call.result"))
        or messages(told, "llm.output_messages")
        or told.get("output.value")
    )


def _documents(span: Received) -> list[dict[str, Any]]:
    return [
        {"text" if name == "content" else name: value for name, value in item.items()}
        for item in documents(span)
    ]
