"""What Langfuse shows of a span.

After its page on OpenTelemetry (langfuse.com/integrations/native/opentelemetry, "property mapping") and, for the
order in which it looks, its server (github.com/langfuse/langfuse, packages/shared/src/server/otel, version 4.16).
"""

from typing import Any

from backends.collector import Received, parsed
from backends.reading import Reading, first, messages

_OWN = {
    name: name.upper()
    for name in (
        "span",
        "generation",
        "event",
        "embedding",
        "agent",
        "tool",
        "chain",
        "retriever",
        "guardrail",
        "evaluator",
    )
}
_OPENINFERENCE = {
    "CHAIN": "CHAIN",
    "RETRIEVER": "RETRIEVER",
    "LLM": "GENERATION",
    "EMBEDDING": "EMBEDDING",
    "AGENT": "AGENT",
    "TOOL": "TOOL",
    "GUARDRAIL": "GUARDRAIL",
    "EVALUATOR": "EVALUATOR",
}
_GENAI = {
    "chat": "GENERATION",
    "text_completion": "GENERATION",
    "generate_content": "GENERATION",
    "embeddings": "EMBEDDING",
    "invoke_agent": "AGENT",
    "create_agent": "AGENT",
    "execute_tool": "TOOL",
}
_KINDS = (
    ("langfuse.observation.type", _OWN),
    ("openinference.span.kind", _OPENINFERENCE),
    ("gen_ai.operation.name", _GENAI),
)
_PLACES = (
    ("langfuse.observation.input", "langfuse.observation.output"),
    ("mlflow.spanInputs", "mlflow.spanOutputs"),
    ("traceloop.entity.input", "traceloop.entity.output"),
    ("input.value", "output.value"),
)
_LATE_PLACES = (
    ("gen_ai.input.messages", "gen_ai.output.messages"),
    ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
)
_COUNTS = (
    ("gen_ai.usage.input_tokens", "llm.token_count.prompt"),
    ("gen_ai.usage.output_tokens", "llm.token_count.completion"),
)


def read(span: Received) -> Reading:
    told = span.attributes
    taken, given = _input_and_output(told)
    agent = told.get("gen_ai.operation.name") == "invoke_agent"  # its counts are its children's
    counts = [None if agent else first(told, *names) for names in _COUNTS]
    return Reading(
        kind=_kind(told),
        name=first(told, "gen_ai.tool.name") or span.raw.name,
        input=taken,
        output=given,
        model=None
        if agent
        else first(told, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name"),
        tokens=(counts[0], counts[1]),
        session=first(told, "langfuse.session.id", "session.id", "gen_ai.conversation.id"),
        user=first(told, "langfuse.user.id", "user.id"),
        parameters=parsed(told.get("llm.invocation_parameters")) or {},
        error=(span.raw.status.message or "error") if span.raw.status.code == 2 else None,
    )


def _kind(told: dict[str, Any]) -> str | None:
    mapped = (kinds.get(told.get(name, "")) for name, kinds in _KINDS)
    return next((kind for kind in mapped if kind), None)


def _input_and_output(told: dict[str, Any]) -> tuple[Any, Any]:
    """The first place that has either; the other one is not looked for elsewhere."""
    found = [(told.get(a), told.get(b)) for a, b in _PLACES]
    found.append((messages(told, "llm.input_messages"), messages(told, "llm.output_messages")))
    found += [(told.get(a), told.get(b)) for a, b in _LATE_PLACES]
    taken, given = next(((a, b) for a, b in found if a or b), (None, None))
    return _shown(taken), _shown(given)


def _shown(value: Any) -> Any:
    return parsed(value) if isinstance(value, str) else value
