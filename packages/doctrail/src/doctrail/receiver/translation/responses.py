"""Which spans of a trace are one response.

A chain or an agent that searches and answers is one, and so is all of it. Where an application calls
searches, models and tools one by one, what they have in common is the span that it wrote around them, or the
trace: the innermost around both a search and an answer is the response. What finds nothing to be joined with
is a response by itself; what neither searches nor asks a model is none.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from doctrail.receiver.translation.operation import Kind
from doctrail.receiver.translation.tree import Node

__all__ = ["Whole", "wholes"]

_ASIDE: tuple[Kind, ...] = ("nothing", "check", "guard")
_PREPARING: tuple[Kind, ...] = ("retrieval", "rerank", "guard")
"""What a model says inside of these answers nobody."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A response: the node that holds all of it, but for others that are responses of their own."""

    root: Node
    others: Collection[Node] = ()


@dataclass(slots=True)
class _Part:
    """What a topmost span and those in it do."""

    node: Node
    searches: bool = False
    answers: bool = False
    calls: bool = False
    prepares: bool = False

    @property
    def informs(self) -> bool:
        """Whether what it brings may be what another part answers from."""
        return self.searches or (self.calls and not self.answers)

    @property
    def stands_alone(self) -> bool:
        return self.searches or self.answers or self.prepares


def wholes(trace: Node) -> list[Whole]:
    """The responses of a trace, in the order in which they began."""
    found: list[Whole] = []
    roots: set[Node] = set()
    left: dict[Node, list[_Part]] = {}
    for node in reversed(list(_tops_and_around(trace))):
        if node.operation.kind in _ASIDE:
            parts = [part for child in node.children for part in left.pop(child, ())]
            whole = any(p.informs for p in parts) and any(p.answers for p in parts)
        else:
            parts = [_part(node)]
            whole = parts[0].searches and parts[0].answers
        if whole:
            found.append(Whole(node, roots))
            roots.add(node)
        left[node] = [] if whole else parts
    found += [Whole(part.node) for part in left.get(trace, ()) if part.stands_alone]
    return sorted(found, key=lambda whole: (whole.root.start, whole.root.span_id))


def _tops_and_around(trace: Node) -> Iterator[Node]:
    """The topmost spans that say something, and all around them, parents first."""
    waiting = [trace]
    while waiting:
        node = waiting.pop()
        yield node
        if node.operation.kind in ("nothing", "guard"):
            waiting.extend(node.children)


def _part(top: Node) -> _Part:
    part = _Part(top)
    waiting = [(top, False)]
    while waiting:
        node, preparing = waiting.pop()
        kind = node.operation.kind
        part.searches = part.searches or kind == "retrieval"
        part.calls = part.calls or kind == "tool"
        if kind == "generation":
            part.prepares = part.prepares or preparing
            part.answers = part.answers or not preparing
        if kind != "check":
            inside = preparing or kind in _PREPARING
            waiting += [(child, inside) for child in node.children]
    return part
