"""Hints for backends that go by names of their own: MLflow, Langfuse, LangSmith.

They show what was found only if it is a span's output, in the form of LangChain's documents. And where a span
has an output, Langfuse looks for its input under the same name only, not among the messages.
"""

from typing import Any

from doctrail_core.model import (
    Generation,
    Hit,
    Message,
    RankedChunk,
    Rerank,
    Retrieval,
    SpanStart,
    ToolCall,
)
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import SCORED, Evaluation
from doctrail_core.telemetry.stages import Stage, Written, as_json, present

__all__ = ["write"]

_Hints = tuple[str, str, str]
_CHAIN: _Hints = ("CHAIN", "chain", "chain")
_AGENT: _Hints = ("AGENT", "agent", "chain")
_TYPES: dict[type, _Hints] = {
    Retrieval: ("RETRIEVER", "retriever", "retriever"),
    Rerank: ("RERANKER", "span", "chain"),
    Generation: ("CHAT_MODEL", "generation", "llm"),
    ToolCall: ("TOOL", "tool", "tool"),
    Evaluation: ("EVALUATOR", "evaluator", "chain"),
}


def write(stage: Stage, start: SpanStart, shown: Shown, into: Written) -> None:
    """Write the stage's type as each of them calls it, and what it took and gave."""
    match stage:
        case Retrieval():
            _output([_found(hit, shown) for hit in stage.hits], into)
        case Rerank():
            _output([_kept(chunk) for chunk in stage.kept], into)
        case Generation():
            if shown.prompts and stage.messages:
                _input({"messages": [_message(m) for m in stage.messages]}, into)
            into.core[sc.LANGSMITH_PROVIDER] = stage.provider
        case Evaluation():
            _output(_result(stage), into)
        case _:
            pass
    mlflow, langfuse, langsmith = _TYPES.get(
        type(stage), _AGENT if start.kind == "agent" else _CHAIN
    )
    into.core |= {
        sc.MLFLOW_SPAN_TYPE: mlflow,
        sc.LANGFUSE_TYPE: langfuse,
        sc.LANGSMITH_KIND: langsmith,
        sc.LANGSMITH_THREAD: start.session_id,
        sc.LANGSMITH_USER: start.user_id,
    }


def _found(hit: Hit, shown: Shown) -> dict[str, Any]:
    chunk = hit.chunk
    about = present({"document_id": chunk.document_id, "score": hit.score})
    if not shown.documents:
        return _document(chunk.chunk_id, None, about)
    return _document(chunk.chunk_id, chunk.text, {**about, **chunk.metadata, **about})


def _kept(chunk: RankedChunk) -> dict[str, Any]:
    return _document(chunk.chunk_id, None, present({"score": chunk.score}))


def _document(chunk_id: str, text: str | None, metadata: dict[str, Any]) -> dict[str, Any]:
    """Without a text it is an empty one: it is no document to them if it has none.

    Of ids and metadata they show the latter, so the id is there, too.
    """
    return {
        "page_content": text or "",
        "id": chunk_id,
        "metadata": {"chunk_id": chunk_id} | metadata,
        "type": "Document",
    }


def _message(message: Message) -> dict[str, Any]:
    told = {"content": message.text, "tool_call_id": message.tool_call_id}
    return {"role": message.role} | present(told)


def _result(evaluation: Evaluation) -> dict[str, Any]:
    return present(
        {
            "name": SCORED,
            "score": evaluation.assessment.risk,
            "label": evaluation.label,
            "explanation": evaluation.explanation,
        }
    )


def _input(value: object, into: Written) -> None:
    into.bulk[sc.INPUT_VALUE] = as_json(value)
    into.core[sc.INPUT_MIME_TYPE] = sc.JSON


def _output(value: object, into: Written) -> None:
    into.bulk[sc.OUTPUT_VALUE] = as_json(value)
    into.core[sc.OUTPUT_MIME_TYPE] = sc.JSON
