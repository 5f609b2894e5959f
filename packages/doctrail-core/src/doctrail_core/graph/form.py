"""The graph as JSON values. The keys are documented and stay; new ones may be added.

Texts stand in labels alone. All else is ids, names, hashes, numbers and times.
"""

from dataclasses import asdict
from typing import Any

from doctrail_core.graph.evidence import EvidenceGraph, Node, NodeKind
from doctrail_core.graph.labels import node_label
from doctrail_core.model import Chunk, Generation, Retrieval, Usage

__all__ = ["VERSION", "graph_form"]

VERSION = 1
"""Changes when a key changes its meaning or goes."""

_TIMES = ("started_at", "ended_at")
_FACTS: dict[NodeKind, tuple[str, ...]] = {
    "response": ("response_id", "status", "query_hash", "session_id", "turn", *_TIMES),
    "step": ("step_id", "name", "input_hash", *_TIMES),
    "retrieval": ("retrieval_id", "retriever", "query_hash", "k", *_TIMES),
    "generation": ("generation_id", "model", "auxiliary", *_TIMES),
    "tool_call": ("tool_run_id", "name", "tool_call_id", "arguments_hash", *_TIMES),
    "chunk": ("chunk_id", "document_id", "index", "content_hash"),
    "earlier_turn": ("response_id", "turn"),
}


def graph_form(graph: EvidenceGraph, *, full: bool = False) -> dict[str, Any]:
    """The graph with its nodes and edges; labels are cut unless `full`."""
    trail = graph.trail
    grades, involvements = trail.chunk_grades, trail.involvements

    def node_form(node: Node) -> dict[str, Any]:
        form: dict[str, Any] = {
            "id": node.node_id,
            "kind": node.kind,
            "label": "\n".join(node_label(node, full=full)),
            **{name: getattr(node.record, name) for name in _FACTS[node.kind]},
        }
        match node.record:
            case Retrieval() as retrieval:
                form["hits"] = len(retrieval.hits)
            case Generation() as call:
                usage = call.usage or Usage()
                form |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
            case Chunk() as chunk:
                form["grade"] = grades.get(chunk.chunk_id)
                form["involvement"] = involvements.get(chunk.chunk_id)
            case _:
                pass
        if "started_at" in form:
            form["failed"] = getattr(node.record, "error", None) is not None
        return form

    return {
        "version": VERSION,
        "response_id": trail.response_id,
        "nodes": [node_form(node) for node in graph.nodes],
        "edges": [asdict(edge) for edge in graph.edges],
    }
