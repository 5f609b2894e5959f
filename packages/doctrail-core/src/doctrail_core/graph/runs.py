"""The runs of a response as the one tree that they are.

Whatever the trail says of parents, this is a tree: a run whose parent is not on record, or that would
be inside itself, hangs from the response. No walk over it recurses, so no depth can break one.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from doctrail_core.graph.evidence import Node, NodeKind
from doctrail_core.model import Generation, Retrieval, Step, ToolCall, Trail

__all__ = ["Run", "Runs"]

Run = Step | Retrieval | Generation | ToolCall


class Runs:
    """The tree; nodes are asked for by their ids."""

    def __init__(self, trail: Trail) -> None:
        self.trail = trail
        self.root = Node(f"response:{trail.response_id}", "response", trail)
        self.named = _named(trail)
        self.parents = _parents(self.named, self.root.node_id, trail.response_id)
        self.in_time = sorted(self.named.values(), key=_when)
        self._children: dict[str, list[Node]] = {}
        for node in self.in_time:
            self._children.setdefault(self.parents[node.node_id], []).append(node)

    def node_of(self, kind: NodeKind, run: str) -> Node | None:
        """The node of a run, by its kind and the id that the trail gives it."""
        return self.named.get(f"{kind}:{run}")

    def children(self, node_id: str) -> list[Node]:
        """The runs right inside, in the order they began."""
        return self._children.get(node_id, [])

    def walk(self) -> Iterator[Node]:
        """Every run, each after the one around it, siblings in the order they began."""
        waiting = list(reversed(self.children(self.root.node_id)))
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(self.children(node.node_id))

    def around(self, node_id: str) -> Iterator[str]:
        """The runs around a run, the nearest first; the response is none of them."""
        while (node_id := self.parents[node_id]) != self.root.node_id:
            yield node_id

    def tool_around(self, node: Node) -> str | None:
        """The tool call that a run is inside of: an agent within a tool acts within that tool."""
        return self.nearest(node.node_id, "tool_call")

    def nearest(self, node_id: str, *kinds: NodeKind) -> str | None:
        """The nearest run around, of one of these kinds."""
        return next((i for i in self.around(node_id) if self.named[i].kind in kinds), None)


def run_of(node: Node) -> Run:
    """The record of a node that is a run."""
    assert isinstance(node.record, Run)  # noqa: S101  # kind and record are set together
    return node.record


def run_id(run: Run) -> str:
    """A run's own id."""
    match run:
        case Step():
            return run.step_id
        case Retrieval():
            return run.retrieval_id
        case Generation():
            return run.generation_id
        case ToolCall():
            return run.tool_run_id


def _named(trail: Trail) -> dict[str, Node]:
    """Each run with an id of its own; a host that gives one id twice loses no run by it."""
    parts: tuple[tuple[NodeKind, Iterable[Run]], ...] = (
        ("step", trail.steps),
        ("retrieval", trail.retrievals),
        ("generation", trail.generations),
        ("tool_call", trail.tool_calls),
    )
    named: dict[str, Node] = {}
    for kind, runs in parts:
        for run in runs:
            node_id = _free(f"{kind}:{run_id(run)}", named)
            named[node_id] = Node(node_id, kind, run)
    return named


def _free(node_id: str, taken: Mapping[str, Node]) -> str:
    candidate, number = node_id, 1
    while candidate in taken:
        number += 1
        candidate = f"{node_id}#{number}"
    return candidate


def _first_of_each_run(nodes: Iterable[Node]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in nodes:
        found.setdefault(run_id(run_of(node)), node.node_id)
    return found


def _parents(named: Mapping[str, Node], root: str, response_id: str) -> dict[str, str]:
    """Per run the one around it. Where a search or a tool is the whole response, it is around the rest."""
    by_run = _first_of_each_run(named.values())
    outermost = by_run.get(response_id, root)
    parents = {
        node_id: by_run.get(run_of(node).parent_id or "", outermost)
        for node_id, node in named.items()
    }
    if outermost in parents:
        parents[outermost] = root
    return _without_cycles(parents, root)


def _without_cycles(parents: dict[str, str], root: str) -> dict[str, str]:
    """The same parents, but of runs that are inside each other the first hangs from the root."""
    sound: set[str] = {root}
    for start in parents:
        path: dict[str, None] = {}
        node_id = start
        while node_id not in sound and node_id not in path:
            path[node_id] = None
            node_id = parents[node_id]
        if node_id in path:
            parents[node_id] = root
        sound.update(path)
    return parents


def _when(node: Node) -> datetime:
    return run_of(node).started_at
