"""The graph as a Mermaid flowchart.

Mermaid's language has no safe quotes: directives, line breaks, Markdown, icons and formulas are read
inside labels, too. So of a foreign text only letters, digits and a few marks stand as they are; every
other character is its number.
"""

from collections.abc import Iterator

from doctrail_core.graph.evidence import Edge, EvidenceGraph, Node, NodeKind
from doctrail_core.graph.labels import edge_label, node_label

__all__ = ["to_mermaid"]

_SHAPES: dict[NodeKind, tuple[str, str]] = {
    "response": ("([", "])"),
    "step": ("[[", "]]"),
    "retrieval": ("[(", ")]"),
    "generation": ("(", ")"),
    "tool_call": ("{{", "}}"),
    "chunk": ("[", "]"),
    "earlier_turn": ("([", "])"),
}
_PLAIN = " ,_…"


def to_mermaid(graph: EvidenceGraph, *, full: bool = False) -> str:
    """The graph as a flowchart; texts are cut unless `full`."""
    return "\n".join(_lines(graph, full=full)) + "\n"


def _lines(graph: EvidenceGraph, *, full: bool) -> Iterator[str]:
    names = {node.node_id: f"n{number}" for number, node in enumerate(graph.nodes)}
    yield "flowchart TD"
    for node in graph.nodes:
        yield f"  {names[node.node_id]}{_node(node, full=full)}"
    for edge in graph.edges:
        yield f"  {names[edge.source]} {_arrow(edge)} {names[edge.target]}"


def _node(node: Node, *, full: bool) -> str:
    opening, closing = _SHAPES[node.kind]
    label = "<br/>".join(map(_escaped, node_label(node, full=full)))
    return f'{opening}"{label}"{closing}'


def _arrow(edge: Edge) -> str:
    if edge.kind == "contains":
        return "---"
    label = _escaped(edge_label(edge))
    return f'-. "{label}" .->' if edge.inferred else f'-- "{label}" -->'


def _escaped(text: str) -> str:
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in text)
