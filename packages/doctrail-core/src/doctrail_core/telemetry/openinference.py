"""OpenInference's attributes, which Phoenix reads, and with it others."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from doctrail_core.model import (
    Generation,
    Hit,
    Message,
    RankedChunk,
    Rerank,
    Retrieval,
    SpanStart,
    Step,
    ToolCall,
    ToolRequest,
    Trail,
)
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import SCORED, Evaluation
from doctrail_core.telemetry.stages import (
    MOST_DOCUMENTS,
    Assembly,
    Stage,
    Written,
    as_json,
    finite,
    latest,
)

__all__ = ["write"]

_Item = TypeVar("_Item")


def write(stage: Stage, start: SpanStart, shown: Shown, into: Written) -> None:
    """Write what OpenInference has names for."""
    into.core |= {sc.SESSION_ID: start.session_id, sc.USER_ID: start.user_id}
    match stage:
        case Retrieval():
            _retrieval(stage, shown, into)
        case Generation():
            _generation(stage, shown, into)
        case Assembly():
            _ranked(sc.INPUT_DOCUMENTS, stage.offered, into)
            _ranked(sc.OUTPUT_DOCUMENTS, stage.arrived, into)
            into.core[sc.SPAN_KIND] = sc.CHAIN
        case ToolCall():
            _tool(stage, shown, into)
        case Rerank():
            _rerank(stage, shown, into)
        case Evaluation():
            _evaluation(stage, into)
        case Trail():
            _input(stage.question if shown.inputs else None, into)
            _output(stage.answer if shown.outputs else None, into)
            _run(start, into)
        case Step():
            _input(stage.input if shown.anything else None, into)
            _output(stage.output if shown.anything else None, into)
            _run(start, into)


def _run(start: SpanStart, into: Written) -> None:
    is_agent = start.kind == "agent"
    into.core[sc.AGENT_NAME] = start.name if is_agent else None
    into.core[sc.SPAN_KIND] = sc.AGENT if is_agent else sc.CHAIN


def _retrieval(retrieval: Retrieval, shown: Shown, into: Written) -> None:
    for index, hit in _best_last(retrieval.hits):
        _document(sc.RETRIEVAL_DOCUMENTS, index, hit, shown, into.bulk)
    _input(retrieval.query if shown.inputs else None, into)
    into.core[sc.SPAN_KIND] = sc.RETRIEVER


def _document(prefix: str, index: int, hit: Hit, shown: Shown, into: dict[str, Any]) -> None:
    chunk = hit.chunk
    if shown.documents:
        into[sc.item(prefix, index, sc.DOCUMENT_CONTENT)] = chunk.text
        into[sc.item(prefix, index, sc.DOCUMENT_METADATA)] = as_json(chunk.metadata or None)
    into[sc.item(prefix, index, sc.DOCUMENT_SCORE)] = hit.score
    into[sc.item(prefix, index, sc.DOCUMENT_ID)] = chunk.chunk_id


def _rerank(rerank: Rerank, shown: Shown, into: Written) -> None:
    _ranked(sc.RERANKER_INPUT_DOCUMENTS, rerank.given, into)
    _ranked(sc.RERANKER_OUTPUT_DOCUMENTS, rerank.kept, into)
    into.core |= {
        sc.RERANKER_QUERY: rerank.query if shown.inputs else None,
        sc.RERANKER_MODEL_NAME: rerank.model,
        sc.RERANKER_TOP_K: rerank.top_k,
        sc.SPAN_KIND: sc.RERANKER,
    }


def _ranked(prefix: str, chunks: Sequence[RankedChunk], into: Written) -> None:
    for index, chunk in _best_last(chunks):
        into.bulk[sc.item(prefix, index, sc.DOCUMENT_SCORE)] = chunk.score
        into.bulk[sc.item(prefix, index, sc.DOCUMENT_ID)] = chunk.chunk_id


def _best_last(found: Sequence[_Item]) -> Iterator[tuple[int, _Item]]:
    """Each with its rank; what a limit costs is what was written first."""
    return reversed(list(enumerate(found[:MOST_DOCUMENTS])))


def _generation(generation: Generation, shown: Shown, into: Written) -> None:
    if shown.prompts:
        _messages(sc.LLM_INPUT_MESSAGES, latest(generation.messages), into.bulk)
    if shown.replies and (generation.output or generation.tool_requests):
        said = Message("assistant", generation.output)
        _messages(sc.LLM_OUTPUT_MESSAGES, (said,), into.bulk)
        _requests(generation.tool_requests[:MOST_DOCUMENTS], shown, into.bulk)
        _output(generation.output, into)
    usage = generation.usage
    into.core |= {
        sc.LLM_INVOCATION_PARAMETERS: as_json(generation.parameters) if shown.parameters else None,
        sc.LLM_TOKENS_PROMPT: usage and usage.input_tokens,
        sc.LLM_TOKENS_COMPLETION: usage and usage.output_tokens,
        sc.LLM_TOKENS_TOTAL: usage and usage.total_tokens,
        sc.LLM_PROVIDER: generation.provider,
        sc.LLM_MODEL_NAME: generation.model,
        sc.SPAN_KIND: sc.LLM,
    }


def _messages(prefix: str, messages: Iterable[Message], into: dict[str, Any]) -> None:
    for index, message in enumerate(messages):
        into[sc.item(prefix, index, sc.MESSAGE_ROLE)] = message.role
        into[sc.item(prefix, index, sc.MESSAGE_CONTENT)] = message.text
        into[sc.item(prefix, index, sc.MESSAGE_TOOL_CALL_ID)] = message.tool_call_id


def _requests(requests: Iterable[ToolRequest], shown: Shown, into: dict[str, Any]) -> None:
    prefix = sc.item(sc.LLM_OUTPUT_MESSAGES, 0, sc.MESSAGE_TOOL_CALLS)
    for index, request in enumerate(requests):
        into[sc.item(prefix, index, sc.TOOL_CALL_ID)] = request.tool_call_id
        into[sc.item(prefix, index, sc.TOOL_CALL_NAME)] = request.name
        if shown.arguments:
            into[sc.item(prefix, index, sc.TOOL_CALL_ARGUMENTS)] = request.arguments


def _tool(call: ToolCall, shown: Shown, into: Written) -> None:
    arguments = call.arguments if shown.arguments else None
    _input(arguments, into)
    _output(call.result if shown.results else None, into)
    into.core |= {
        sc.TOOL_PARAMETERS: arguments,
        sc.TOOL_NAME: call.name,
        sc.SPAN_KIND: sc.TOOL,
    }


def _evaluation(evaluation: Evaluation, into: Written) -> None:
    assessment = evaluation.assessment
    told = {
        sc.EVALUATION_NAME: SCORED,
        sc.EVALUATION_SCORE: finite(assessment.risk),
        sc.EVALUATION_LABEL: evaluation.label,
        sc.EVALUATION_EXPLANATION: evaluation.explanation,
        sc.EVALUATION_ANNOTATOR: "LLM" if assessment.verifier == "judge" else "CODE",
        sc.EVALUATION_IDENTIFIER: f"{assessment.verifier} {assessment.version}",
    }
    into.core |= {sc.item(sc.EVALUATIONS, 0, name): value for name, value in told.items()}
    into.core[sc.SPAN_KIND] = sc.EVALUATOR


def _input(text: str | None, into: Written) -> None:
    if text is not None:
        into.core |= {sc.INPUT_VALUE: text, sc.INPUT_MIME_TYPE: sc.TEXT}


def _output(text: str | None, into: Written) -> None:
    if text is not None:
        into.core |= {sc.OUTPUT_VALUE: text, sc.OUTPUT_MIME_TYPE: sc.TEXT}
