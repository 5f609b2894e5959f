"""What a node and an edge are called in a drawing: plain lines, safe wherever text is shown."""

from collections.abc import Iterator

from doctrail_core.graph.evidence import EarlierTurn, Edge, Node
from doctrail_core.model import Chunk, Generation, Retrieval, Step, ToolCall, Trail
from doctrail_core.model.printable import one_line
from doctrail_core.model.wording import count, percent

__all__ = ["edge_label", "node_label"]

_EXCERPT = 60


def node_label(node: Node, *, full: bool = False) -> list[str]:
    """The lines of a node's label; texts are cut unless `full`."""
    width = None if full else _EXCERPT
    return [line for part in _parts(node) if (line := one_line(part, width))]


def edge_label(edge: Edge) -> str:
    """What an edge says."""
    how = {"partial": f", {percent(edge.coverage or 0.0)} of it", "ambiguous": ", perhaps"}
    words = edge.kind.replace("_", " ") + how.get(edge.state or "", "")
    return f"{words} (inferred)" if edge.inferred else words


def _parts(node: Node) -> Iterator[str]:
    match node.record:
        case Trail() as trail:
            yield f"response {trail.response_id}, {trail.status}"
            yield from _texts(asked=trail.question, answered=trail.answer)
        case Step() as step:
            yield f"step {step.name}"
            yield from _texts(given=step.input, returned=step.output, failed=step.error)
        case Retrieval() as retrieval:
            yield f"search {retrieval.retriever}"
            yield from _texts(asked=retrieval.query, failed=retrieval.error)
            yield count(len(retrieval.hits), "chunk")
        case Generation() as call:
            yield f"model {call.model or 'not known'}"
            yield from _texts(said=call.output, failed=call.error)
        case ToolCall() as call:
            yield f"tool {call.name}"
            yield from _texts(given=call.arguments, returned=call.result, failed=call.error)
        case Chunk() as chunk:
            yield f"document {chunk.document_id}"
            yield f"chunk {chunk.chunk_id if chunk.index is None else chunk.index}"
            yield from _texts(text=chunk.text)
        case EarlierTurn() as earlier:
            yield "earlier turn" if earlier.turn is None else f"turn {earlier.turn}"
            yield f"response {earlier.response_id or 'not on record'}"


def _texts(**known: str | None) -> Iterator[str]:
    return (f"{name} {text}" for name, text in known.items() if text)
