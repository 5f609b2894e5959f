"""What LangSmith shows of a span.

After its pages "Trace with OpenTelemetry" (docs.langchain.com/langsmith/trace-with-opentelemetry, "Supported
OpenTelemetry attribute and event mapping"), "Configure threads" (…/threads) and "Log retriever traces"
(…/log-retriever-trace). Which of several names wins they do not say; its own is taken to, then the others in the
order of that page.
"""

from typing import Any

from backends.collector import Received, documents, parsed
from backends.reading import Reading, first, messages

_METADATA = "langsmith.metadata."
_OPENINFERENCE = {
    "LLM": "llm",
    "CHAIN": "chain",
    "TOOL": "tool",
    "RETRIEVER": "retriever",
    "EMBEDDING": "embedding",
}
_GENAI = {"chat": "llm", "completion": "llm", "embedding": "embedding"}


def read(span: Received) -> Reading:
    told = span.attributes
    metadata = _metadata(told)
    kind = _kind(told)
    given = parsed(first(told, "gen_ai.output.messages", "output.value"))
    return Reading(
        kind=kind,
        name=told.get("tool.name", span.raw.name) if kind == "tool" else span.raw.name,
        input=parsed(first(told, "gen_ai.input.messages", "input.value"))
        or messages(told, "llm.input_messages"),
        output=given or messages(told, "llm.output_messages"),
        model=first(told, "gen_ai.response.model", "gen_ai.request.model")
        or metadata.get("ls_model_name"),
        provider=metadata.get("ls_provider"),
        tokens=(
            first(told, "gen_ai.usage.input_tokens", "llm.token_count.prompt"),
            first(told, "gen_ai.usage.output_tokens", "llm.token_count.completion"),
        ),
        session=first(metadata, "session_id", "thread_id"),
        user=metadata.get("user_id"),
        documents=_documents(span, given) if kind == "retriever" else None,
        parameters=parsed(told.get("llm.invocation_parameters")) or {},
    )


def _kind(told: dict[str, Any]) -> str | None:
    return (
        told.get("langsmith.span.kind")
        or ("tool" if "gen_ai.tool.name" in told else None)
        or _GENAI.get(told.get("gen_ai.operation.name", ""))
        or _OPENINFERENCE.get(told.get("openinference.span.kind", ""))
    )


def _metadata(told: dict[str, Any]) -> dict[str, Any]:
    known = {
        "ls_provider": first(told, "gen_ai.system", "llm.system"),
        "ls_model_name": told.get("llm.model_name"),
    }
    own = {
        name.removeprefix(_METADATA): value
        for name, value in told.items()
        if name.startswith(_METADATA)
    }
    return known | (parsed(told.get("metadata")) or {}) | own


def _documents(span: Received, given: Any) -> list[dict[str, Any]]:
    """A list of documents as output; else the flattened ones, of which it takes text and metadata."""
    if isinstance(given, list):
        return [item for item in given if item.get("type") == "Document" and "page_content" in item]
    return [
        {"page_content": item.get("content"), "metadata": parsed(item.get("metadata"))}
        for item in documents(span)
    ]
