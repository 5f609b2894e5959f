"""The attributes of OpenTelemetry's GenAI conventions.

Lists are JSON texts: attributes that are structures need an SDK newer than most.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import from_json

from doctrail_core.model import (
    Generation,
    Message,
    Retrieval,
    SpanStart,
    Step,
    ToolCall,
    ToolRequest,
    Trail,
)
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import SCORED, Evaluation, provider_id
from doctrail_core.telemetry.stages import (
    Attributes,
    Stage,
    Written,
    as_json,
    error_type,
    finite,
    present,
)

__all__ = ["result", "write"]


def write(stage: Stage, start: SpanStart, shown: Shown, into: Written) -> None:
    """Write what the GenAI conventions have names for; context assembly and reranking have none."""
    into.core[sc.GENAI_CONVERSATION_ID] = start.session_id
    match stage:
        case Retrieval():
            _retrieval(stage, shown, into)
        case Generation():
            _generation(stage, start, shown, into)
        case ToolCall():
            _tool(stage, shown, into)
        case Evaluation():
            _evaluation(stage, into)
        case Trail() | Step() if start.kind == "agent":
            into.core |= {sc.GENAI_AGENT_NAME: start.name, sc.GENAI_OPERATION: sc.OPERATION_AGENT}
        case Trail():
            named = {sc.GENAI_WORKFLOW_NAME: start.name}
            into.core |= named | {sc.GENAI_OPERATION: sc.OPERATION_WORKFLOW}
        case _:
            pass


def _retrieval(retrieval: Retrieval, shown: Shown, into: Written) -> None:
    found = [
        {"id": hit.chunk.chunk_id}
        if hit.score is None
        else {"id": hit.chunk.chunk_id, "score": hit.score}
        for hit in retrieval.hits
    ]
    into.core |= {
        sc.GENAI_RETRIEVAL_DOCUMENTS: as_json(found),
        sc.GENAI_RETRIEVAL_QUERY: retrieval.query if shown.inputs else None,
        sc.GENAI_DATA_SOURCE_ID: retrieval.store,
        sc.GENAI_RETRIEVAL_TOP_K: retrieval.k,
        sc.GENAI_OPERATION: sc.OPERATION_RETRIEVAL,
    }


def _generation(generation: Generation, start: SpanStart, shown: Shown, into: Written) -> None:
    if shown.prompts and generation.messages:
        into.core[sc.GENAI_INPUT_MESSAGES] = as_json([_message(m) for m in generation.messages])
    if shown.replies and (generation.output or generation.tool_requests):
        into.core[sc.GENAI_OUTPUT_MESSAGES] = as_json([_reply(generation, shown)])
    usage, asked = generation.usage, start.name or None
    into.core |= {
        sc.GENAI_INPUT_TOKENS: usage and usage.input_tokens,
        sc.GENAI_OUTPUT_TOKENS: usage and usage.output_tokens,
        sc.GENAI_FINISH_REASONS: list(generation.finish_reasons) or None,
        sc.GENAI_RESPONSE_ID: provider_id(generation),
        sc.GENAI_PROVIDER: generation.provider,
        sc.GENAI_RESPONSE_MODEL: generation.model if generation.model != asked else None,
        sc.GENAI_REQUEST_MODEL: asked,
        sc.GENAI_OPERATION: sc.OPERATION_CHAT,
    }


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        told = {
            "type": "tool_call_response",
            "id": message.tool_call_id,
            "response": message.text or "",
        }
        return {"role": "tool", "parts": [present(told)]}
    return {"role": message.role, "parts": _text(message.text)}


def _reply(generation: Generation, shown: Shown) -> dict[str, Any]:
    asked = _requests(generation.tool_requests, shown)
    return {"role": "assistant", "parts": [*_text(generation.output), *asked]}


def _text(text: str | None) -> list[dict[str, Any]]:
    return [{"type": "text", "content": text}] if text else []


def _requests(requests: Iterable[ToolRequest], shown: Shown) -> Iterator[dict[str, Any]]:
    for request in requests:
        told = {"type": "tool_call", "id": request.tool_call_id, "name": request.name}
        yield present(told | {"arguments": _arguments(request) if shown.arguments else None})


def _arguments(request: ToolRequest) -> object:
    """The object that the text is, as the conventions ask for; else the text."""
    try:
        return from_json(request.arguments or "null", allow_inf_nan=False)
    except ValueError:
        return request.arguments


def _evaluation(evaluation: Evaluation, into: Written) -> None:
    usage = evaluation.assessment.usage
    into.core[sc.GENAI_INPUT_TOKENS] = usage and usage.input_tokens
    into.core[sc.GENAI_OUTPUT_TOKENS] = usage and usage.output_tokens


def result(evaluation: Evaluation) -> Attributes:
    """The attributes of the event `gen_ai.evaluation.result`.

    It is an event of the span: those of OpenTelemetry's logs are not yet a stable interface.
    """
    error = evaluation.error
    return present(
        {
            sc.GENAI_EVALUATION_NAME: SCORED,
            sc.GENAI_EVALUATION_SCORE: finite(evaluation.assessment.risk),
            sc.GENAI_EVALUATION_LABEL: evaluation.label,
            sc.GENAI_EVALUATION_EXPLANATION: evaluation.explanation,
            sc.GENAI_RESPONSE_ID: evaluation.message_id,
            sc.ERROR_TYPE: None if error is None else error_type(error),
        }
    )


def _tool(call: ToolCall, shown: Shown, into: Written) -> None:
    into.core |= {
        sc.GENAI_TOOL_ARGUMENTS: call.arguments if shown.arguments else None,
        sc.GENAI_TOOL_RESULT: call.result if shown.results else None,
        sc.GENAI_TOOL_NAME: call.name,
        sc.GENAI_TOOL_CALL_ID: call.tool_call_id,
        sc.GENAI_OPERATION: sc.OPERATION_TOOL,
    }
