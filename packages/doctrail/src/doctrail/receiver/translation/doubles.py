"""One call of a model that two instrumentations told of which do not know of each other.

A framework's instrumentation writes a span of the call and does not make it current, so that of the
provider's client stands beside it. It belongs inside: what it says is added, and nothing counts twice.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import permutations

from doctrail.receiver.translation.tree import Node

__all__ = ["join_doubles"]

_MOST = 16
"""Calls that all said the same are compared with each other, so many at most."""


def join_doubles(trace: Node) -> None:
    """Put each call that is told of twice into the one that was around it."""
    places = _Places(trace)
    alike: dict[Hashable, list[Node]] = defaultdict(list)
    for node in places.order:
        if said := _what_it_said(node):
            alike[said].append(node)
    for calls in alike.values():
        _join(calls[:_MOST], places)


def _what_it_said(node: Node) -> Hashable:
    told = node.operation
    if told.kind != "generation":
        return None
    requests = tuple(request.tool_call_id for request in told.tool_requests)
    return told.said.strip() if told.said else requests if all(requests) else None


class _Places:
    """Where nodes are: what is right above, and which are below."""

    def __init__(self, trace: Node) -> None:
        self.order = list(trace.walk())
        self._numbers = {node: number for number, node in enumerate(self.order)}
        self._lasts: dict[Node, int] = {}
        self.above: dict[Node, Node] = {}
        self.around_calls: set[Node] = set()
        """Those that hold a call; they are moved nowhere, so that nothing gets into itself."""
        for node in reversed(self.order):
            self.above.update(dict.fromkeys(node.children, node))
            self._lasts[node] = max(
                (self._lasts[c] for c in node.children), default=self._numbers[node]
            )
            if any(
                c.operation.kind == "generation" or c in self.around_calls for c in node.children
            ):
                self.around_calls.add(node)

    def holds(self, outer: Node, inner: Node) -> bool:
        return self._numbers[outer] <= self._numbers[inner] <= self._lasts[outer]


def _join(calls: Sequence[Node], places: _Places) -> None:
    for inner, outer in permutations(calls, 2):
        if inner not in places.around_calls and _is_within(inner, outer, places):
            places.above[inner].children.remove(inner)
            outer.children.append(inner)
            places.above[inner] = outer
            places.around_calls.add(outer)


def _is_within(inner: Node, outer: Node, places: _Places) -> bool:
    """Whether another instrumentation's span of it lies in the time of this one, and beside it."""
    scopes = {node.span.scope for node in (inner, outer) if node.span}
    within = outer.start <= inner.start and inner.end <= outer.end
    return len(scopes) > 1 and within and not places.holds(outer, inner)
