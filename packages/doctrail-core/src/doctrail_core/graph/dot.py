"""The graph in Graphviz's language. Every text is a quoted string: none can end it or add to it."""

from collections.abc import Iterator

from doctrail_core.graph.evidence import Edge, EvidenceGraph, Node, NodeKind
from doctrail_core.graph.labels import edge_label, node_label

__all__ = ["to_dot"]

_SHAPES: dict[NodeKind, str] = {
    "response": "doubleoctagon",
    "step": "folder",
    "retrieval": "cylinder",
    "generation": "ellipse",
    "tool_call": "component",
    "chunk": "note",
    "earlier_turn": "octagon",
}
# What Graphviz reads inside a quoted string: its own escapes begin with a backslash, and it takes
# HTML's entities in any label.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})


def to_dot(graph: EvidenceGraph, *, full: bool = False) -> str:
    """The graph as DOT; texts are cut unless `full`."""
    return "\n".join(_lines(graph, full=full)) + "\n"


def _lines(graph: EvidenceGraph, *, full: bool) -> Iterator[str]:
    names = {node.node_id: f"n{number}" for number, node in enumerate(graph.nodes)}
    yield "digraph evidence {"
    yield '  node [fontname="sans-serif"];'
    for node in graph.nodes:
        yield f"  {names[node.node_id]} [{_node(node, full=full)}];"
    for edge in graph.edges:
        yield f"  {names[edge.source]} -> {names[edge.target]} [{_edge(edge)}];"
    yield "}"


def _node(node: Node, *, full: bool) -> str:
    label = "".join(f"{_escaped(line)}\\l" for line in node_label(node, full=full))
    return f'shape="{_SHAPES[node.kind]}", label="{label}"'


def _edge(edge: Edge) -> str:
    if edge.kind == "contains":
        return 'style="dotted", arrowhead="none"'
    style = "dashed" if edge.inferred else "solid"
    return f'style="{style}", label="{_escaped(edge_label(edge))}"'


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
