"""The evidence graph of a response, how it is drawn and exported, and what is wrong with its evidence."""

from doctrail_core.graph.building import evidence_graph
from doctrail_core.graph.dot import to_dot
from doctrail_core.graph.drawing import draw
from doctrail_core.graph.evidence import (
    EarlierTurn,
    Edge,
    EdgeKind,
    EvidenceGraph,
    Node,
    NodeKind,
)
from doctrail_core.graph.form import graph_form
from doctrail_core.graph.mermaid import to_mermaid
from doctrail_core.graph.pathologies import KINDS, Pathology, PathologyKind, pathologies, wrong
from doctrail_core.graph.tally import Tally, tallied

__all__ = [
    "KINDS",
    "EarlierTurn",
    "Edge",
    "EdgeKind",
    "EvidenceGraph",
    "Node",
    "NodeKind",
    "Pathology",
    "PathologyKind",
    "Tally",
    "draw",
    "evidence_graph",
    "graph_form",
    "pathologies",
    "tallied",
    "to_dot",
    "to_mermaid",
    "wrong",
]
