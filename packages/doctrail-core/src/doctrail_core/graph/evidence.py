"""The evidence graph: what a response consists of, and what of it led to what.

Every edge rests on something that the trail shows: ids, or the texts themselves. Where only names and
order speak for one, it is marked as `inferred`; what nothing shows is no edge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from doctrail_core.model import (
    ArrivalState,
    Chunk,
    Generation,
    Retrieval,
    Step,
    ToolCall,
    Trail,
)

__all__ = [
    "EDGES",
    "EarlierTurn",
    "Edge",
    "EdgeKind",
    "EvidenceGraph",
    "Node",
    "NodeKind",
    "Record",
]

NodeKind = Literal[
    "response", "step", "retrieval", "generation", "tool_call", "chunk", "earlier_turn"
]

EdgeKind = Literal["contains", "retrieved", "shown_to", "led_to", "answered"]
"""`contains`: a run and the runs inside it. `retrieved`: a search, or an earlier turn, and what it found.
`shown_to`: what stood in a prompt, and the model call that read it. `led_to`: a model call and the
tool call that it chose, or a tool call and the search it made. `answered`: a run and the run, or
the response, whose answer is its own."""

EDGES: tuple[EdgeKind, ...] = ("contains", "retrieved", "shown_to", "led_to", "answered")


@dataclass(frozen=True, slots=True)
class EarlierTurn:
    """A response of the same session whose finds or answer this one still builds on.

    `response_id` is None where a chunk was carried along and no earlier turn is on record.
    """

    response_id: str | None
    turn: int | None = None


Record = Trail | Step | Retrieval | Generation | ToolCall | Chunk | EarlierTurn


@dataclass(frozen=True, slots=True)
class Node:
    """A thing that took part. `node_id` is its kind and its own id, so it is the same in every export."""

    node_id: str
    kind: NodeKind
    record: Record


@dataclass(frozen=True, slots=True)
class Edge:
    """That `source` led to `target`, both node ids.

    `state` and `coverage` say how much of a text was shown; they are None where that is not known.
    """

    kind: EdgeKind
    source: str
    target: str
    state: ArrivalState | None = None
    coverage: float | None = None
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class EvidenceGraph:
    """Nodes and edges in a stable order: runs as a person would read them, then chunks, then turns.

    The `contains` edges are a tree of all runs; its root is the response, the first node.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def response(self) -> Node:
        return self.nodes[0]

    @property
    def trail(self) -> Trail:
        """What it was made of."""
        trail = self.response.record
        assert isinstance(trail, Trail)  # noqa: S101  # the first node is the response
        return trail

    def into(self, node_id: str, kind: EdgeKind) -> Iterator[Edge]:
        """The edges of a kind that end at a node."""
        return (edge for edge in self.edges if edge.target == node_id and edge.kind == kind)

    def out_of(self, node_id: str, kind: EdgeKind) -> Iterator[Edge]:
        """The edges of a kind that begin at a node."""
        return (edge for edge in self.edges if edge.source == node_id and edge.kind == kind)
