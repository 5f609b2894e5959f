"""Retrieved nodes as the core's chunks: a snapshot of ids, text, metadata and score.

The node's id is the chunk's id and the id of its source document is the document's; a node without
one is left for the core to name. Nodes are read, never written.
"""

from collections.abc import Iterable
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    Document,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    ObjectType,
)

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.capture.scores import settled_kind
from doctrail_core.model import ScoreKind
from doctrail_core.text.identity import canonical_id
from llama_index.observability.doctrail.note import Note

_BEHIND = (NodeRelationship.SOURCE, NodeRelationship.PARENT, NodeRelationship.CHILD)
_DOCUMENT = ObjectType.DOCUMENT

__all__ = ["chunk_ids", "chunks", "document_id"]


def chunks(nodes: Iterable[NodeWithScore], kind: ScoreKind | None) -> tuple[RetrievedChunk, ...]:
    """The nodes as a retriever returned them, best first; their order tells a kind that is None."""
    hits = list(nodes)
    settled = settled_kind(kind, [hit.score for hit in hits])
    return tuple(_chunk(hit, settled) for hit in hits)


def chunk_ids(nodes: Iterable[NodeWithScore]) -> tuple[str, ...]:
    """The ids under which the core knows these nodes."""
    return tuple(canonical_id(hit.node.node_id) for hit in nodes)


def document_id(node: BaseNode) -> str | None:
    """The document that the node was cut from, or that it is."""
    try:
        source = node.ref_doc_id
    except ValueError:  # several sources
        source = None
    return source or (node.node_id if isinstance(node, Document) else None)


def _chunk(hit: NodeWithScore, kind: ScoreKind) -> RetrievedChunk:
    node = hit.node
    return RetrievedChunk(
        text=node.get_content(metadata_mode=MetadataMode.NONE),
        chunk_id=node.node_id,
        document_id=document_id(node),
        metadata=_metadata(node),
        score=hit.score,
        score_kind="unknown" if hit.score is None else kind,
        derived_from=_documents_behind(node),
    )


def _documents_behind(node: BaseNode) -> tuple[str, ...]:
    """The documents that the node was made of: several sources, or documents that stand above or below it."""
    if not node.relationships:
        return ()
    behind: list[str] = []
    for relation, related in node.relationships.items():
        several = related if isinstance(related, list) else [related]
        if relation in _BEHIND:
            is_source = relation == NodeRelationship.SOURCE
            behind += [r.node_id for r in several if is_source or r.node_type == _DOCUMENT]
    own = document_id(node)
    return tuple(name for name in dict.fromkeys(behind) if name != own)


def _metadata(node: BaseNode) -> dict[str, Any]:
    """An inner engine's response becomes a node with our notes in it; they are not the document's."""
    return {k: v for k, v in node.metadata.items() if not isinstance(v, Note)}
