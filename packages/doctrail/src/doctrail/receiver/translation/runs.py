"""The runs of one response: which of its spans say something of their own, and what each is part of.

One search, one model call and one tool call is one run, however many spans were written of it: a framework
writes one around the provider's, LlamaIndex writes two of every search.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from doctrail.receiver.translation.operation import Kind, Operation, together
from doctrail.receiver.translation.tree import Node
from doctrail_core.model import SpanReference

__all__ = ["Choice", "Run", "Runs", "reference", "runs"]

RunKind = Literal["run", "retrieval", "generation", "tool"]

_TOLD: dict[Kind, RunKind] = {
    "agent": "run",
    "run": "run",
    "retrieval": "retrieval",
    "generation": "generation",
    "tool": "tool",
}
_LEAVES = ("retrieval", "generation", "tool")
_PREPARING = ("guard", "rerank")


@dataclass(slots=True, eq=False)
class Run:
    """A run, and all that its spans tell of it.

    Attributes:
        preparing: Whether it happens inside a reranker or a guard, and so answers nobody.
    """

    kind: RunKind
    node: Node
    operation: Operation
    parent: "Run | None"
    preparing: bool = False

    @property
    def is_agent(self) -> bool:
        """Whether it chooses by itself what to do next."""
        return self.node.operation.kind == "agent"


@dataclass(frozen=True, slots=True)
class Choice:
    """A step between search and prompt that ordered anew or kept some, and the run that it happened in."""

    node: Node
    run: Run


@dataclass(slots=True)
class Runs:
    """The runs of a response, parents first, the response itself before all."""

    told: list[Run] = field(default_factory=list[Run])
    choices: list[Choice] = field(default_factory=list[Choice])


def runs(root: Node, others: Collection[Node] = ()) -> Runs:
    """The runs under this node; what is under others is of other responses."""
    found = Runs()
    bearing = _bearing(root)
    first = Run(_TOLD.get(root.operation.kind, "run"), root, root.operation, None)
    found.told.append(first)
    waiting = _below(root, first, preparing=False)
    while waiting:
        node, parent, preparing = waiting.pop()
        if node in others or node.operation.kind == "check":
            continue
        run = _run(node, parent, bearing, preparing=preparing)
        if run is not parent:
            found.told.append(run)
        if node.operation.kind in ("rerank", "selection"):
            found.choices.append(Choice(node, run))
        inside = preparing or node.operation.kind in _PREPARING
        waiting += _below(node, run, preparing=inside)
    return found


def _below(node: Node, run: Run, *, preparing: bool) -> list[tuple[Node, Run, bool]]:
    return [(child, run, preparing) for child in reversed(node.children)]


def _bearing(root: Node) -> set[Node]:
    """The nodes under which anything happens."""
    found: set[Node] = set()
    for node in reversed(list(root.walk())):
        leaf = node.operation.kind in _LEAVES
        if leaf or (node.operation.kind != "check" and any(c in found for c in node.children)):
            found.add(node)
    return found


def _run(node: Node, parent: Run, bearing: set[Node], *, preparing: bool) -> Run:
    """The run that a node is of: one of its own, or that which it is part of."""
    kind = _TOLD.get(node.operation.kind)
    if kind is None or node not in bearing or (kind == "generation" and _holds_several(node)):
        return parent
    if kind == parent.kind and _is_the_same(node, parent):
        parent.operation = together(parent.operation, node.operation)
        return parent
    return Run(kind, node, node.operation, parent, preparing)


def _is_the_same(node: Node, run: Run) -> bool:
    """Whether it is told of what the run around it is told of."""
    if run.kind == "generation":
        return True
    if run.kind == "retrieval":
        return len(_nearest(run.node, "retrieval")) == 1 and _is_the_same_search(node, run)
    return node.operation.name == run.operation.name


def _is_the_same_search(node: Node, run: Run) -> bool:
    """A search within a search is another one, if it is another component's or asks for something else."""
    inner, outer = node.operation, run.operation
    if inner.asked and outer.asked and inner.asked != outer.asked:
        return False
    scopes = {each.span.scope for each in (node, run.node) if each.span}
    return inner.name == outer.name or len(scopes) > 1


def _holds_several(node: Node) -> bool:
    """Whether it is around several calls, as retries and fallbacks are, and so none itself."""
    return len(_nearest(node, "generation")) > 1


def _nearest(root: Node, kind: Kind) -> list[Node]:
    """The nodes of a kind below this one that no other run is around."""
    found: list[Node] = []
    waiting = list(root.children)
    while waiting:
        node = waiting.pop()
        if node.operation.kind == kind:
            found.append(node)
        elif node.operation.kind not in (*_TOLD, "check", "guard", "rerank"):
            waiting += node.children
    return found


def reference(node: Node, trace_id: str) -> SpanReference | None:
    """Where the span of a node is, received or not."""
    return SpanReference(trace_id, node.span_id) if node.span_id else None
