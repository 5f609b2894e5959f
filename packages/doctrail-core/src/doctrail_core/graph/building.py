"""From a trail to its evidence graph."""

from collections.abc import Iterable, Iterator

from doctrail_core.graph.answers import answers
from doctrail_core.graph.choices import choices, searches
from doctrail_core.graph.evidence import EDGES, EarlierTurn, Edge, EvidenceGraph, Node
from doctrail_core.graph.runs import Runs
from doctrail_core.graph.shown import chunks_shown, results_shown
from doctrail_core.model import CarriedChunk, Chunk, Retrieval, Trail

__all__ = ["evidence_graph"]


def evidence_graph(trail: Trail) -> EvidenceGraph:
    """What the response consists of, and what of it led to what."""
    runs = Runs(trail)
    nodes = (runs.root, *runs.walk(), *_chunks(trail), *_turns(trail.carried))
    edges = [
        *_contained(runs),
        *_found(runs),
        *(edge for carried in trail.carried for edge in _carried(carried, runs.root)),
        *chunks_shown(runs),
        *results_shown(runs),
        *choices(runs),
        *searches(runs),
        *answers(runs),
    ]
    return EvidenceGraph(nodes, _ordered(edges, nodes))


def _chunks(trail: Trail) -> Iterator[Node]:
    """Every chunk; one of which only a prompt knows has no text."""
    known = dict(trail.chunks)
    for arrival in (a for c in trail.contexts for a in c.arrivals):
        known.setdefault(arrival.chunk_id, Chunk(arrival.chunk_id, arrival.document_id, None))
    return (Node(f"chunk:{chunk_id}", "chunk", chunk) for chunk_id, chunk in known.items())


def _contained(runs: Runs) -> Iterator[Edge]:
    return (Edge("contains", runs.parents[n.node_id], n.node_id) for n in runs.walk())


def _found(runs: Runs) -> Iterator[Edge]:
    for node in runs.walk():
        if isinstance(node.record, Retrieval):
            for hit in node.record.hits:
                yield Edge("retrieved", node.node_id, f"chunk:{hit.chunk.chunk_id}")


def _turns(carried: Iterable[CarriedChunk]) -> Iterable[Node]:
    """The turns that retrieved something, and those whose answers brought it, of which less is known."""
    first = [EarlierTurn(c.response_id, c.turn) for c in carried]
    through = [EarlierTurn(c.through) for c in carried if c.through is not None]
    found: dict[str, Node] = {}
    for node in map(_turn, (*first, *through)):
        found.setdefault(node.node_id, node)
    return found.values()


def _turn(turn: EarlierTurn) -> Node:
    return Node(f"earlier_turn:{turn.response_id or 'unknown'}", "earlier_turn", turn)


def _carried(carried: CarriedChunk, root: Node) -> Iterator[Edge]:
    """An earlier turn retrieved it; where only that turn's answer brought it, that is how it got here."""
    chunk = f"chunk:{carried.chunk.chunk_id}"
    first = _turn(EarlierTurn(carried.response_id)).node_id
    yield Edge("retrieved", first, chunk)
    if carried.through is not None:
        through = _turn(EarlierTurn(carried.through)).node_id
        yield Edge("shown_to", chunk, through)
        yield Edge("led_to", through, root.node_id)


def _ordered(edges: Iterable[Edge], nodes: Iterable[Node]) -> tuple[Edge, ...]:
    """By kind, then as the nodes come; said twice is said once."""
    place = {node.node_id: number for number, node in enumerate(nodes)}
    once = {(e.kind, e.source, e.target): e for e in edges}.values()
    return tuple(
        sorted(once, key=lambda e: (EDGES.index(e.kind), place[e.source], place[e.target]))
    )
