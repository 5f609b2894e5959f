"""Hints for backends that go by names of their own: MLflow, Langfuse, LangSmith.

They show what was retrieved only if it is a span's output, in the form of LangChain's documents.
"""

from typing import Any

from doctrail_core.model import Generation, Hit, Rerank, Retrieval, SpanStart, ToolCall
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import Evaluation
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
    """Write the stage's type as each of them calls it, and what was found."""
    mlflow, langfuse, langsmith = _TYPES.get(
        type(stage), _AGENT if start.kind == "agent" else _CHAIN
    )
    if isinstance(stage, Retrieval):
        into.bulk[sc.OUTPUT_VALUE] = as_json([_document(hit, shown) for hit in stage.hits])
        into.core[sc.OUTPUT_MIME_TYPE] = sc.JSON
    into.core[sc.MLFLOW_SPAN_TYPE] = mlflow
    into.core[sc.LANGFUSE_TYPE] = langfuse
    into.core[sc.LANGSMITH_KIND] = langsmith


def _document(hit: Hit, shown: Shown) -> dict[str, Any]:
    chunk = hit.chunk
    told = dict(chunk.metadata) if shown.documents else {}
    metadata = told | present({"document_id": chunk.document_id, "score": hit.score})
    return {
        "page_content": (chunk.text if shown.documents else None) or "",
        "id": chunk.chunk_id,
        "metadata": metadata,
        "type": "Document",
    }
