"""The spans of one trace as a tree, whatever was received of it.

Invariants: each span is in it once; parents that were not received are there in name; there is no cycle;
no node begins before its parent or ends before it begins; the tree depends on the set of spans alone, not on
their order. Times are those of the senders' clocks; where a sender's clock puts all of a part outside of what
called it, the part is moved there as a whole.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation.operation import NOTHING, Operation
from doctrail.receiver.translation.reading import operation

__all__ = ["Node", "tree"]

_SKEW = 1_000_000_000
"""Clocks of machines that are kept right differ by no more than this, in nanoseconds."""


@dataclass(slots=True, eq=False)
class Node:
    """A span in its tree; `span` is None where it was not received."""

    span_id: str
    span: ReceivedSpan | None = None
    operation: Operation = NOTHING
    start: int = 0
    end: int = 0
    children: list["Node"] = field(default_factory=list["Node"])

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, parents first."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def tree(spans: Iterable[ReceivedSpan]) -> Node:
    """The tree of a trace's spans, under one node for the trace itself."""
    nodes = {s.span_id: Node(s.span_id, s, operation(s), *_times(s)) for s in _each_once(spans)}
    trace = Node("")
    for node, parent in _parents(nodes, trace):
        parent.children.append(node)
    _settle(trace)
    return trace


def _each_once(spans: Iterable[ReceivedSpan]) -> Iterator[ReceivedSpan]:
    """Of several with one id the fullest, which is the last that was sent of a span under way."""
    found: dict[str, ReceivedSpan] = {}
    for span in spans:
        other = found.get(span.span_id)
        if other is None or _fullness(span) > _fullness(other):
            found[span.span_id] = span
    for span_id in sorted(found):
        yield found[span_id]


def _fullness(span: ReceivedSpan) -> tuple[int, int, str]:
    return span.end, len(span.attributes), repr(span)


def _times(span: ReceivedSpan) -> tuple[int, int]:
    return max(span.start, 0), max(span.start, span.end, 0)


def _parents(nodes: dict[str, Node], trace: Node) -> Iterator[tuple[Node, Node]]:
    """Each node with its parent; where spans name each other in a circle, the earliest is the first."""
    absent: dict[str, Node] = {}
    above = {i: node.span.parent_id for i, node in nodes.items() if node.span}
    for first in _firsts_of_circles(nodes, above):
        above[first] = None
    for span_id in sorted(nodes):
        parent_id = above[span_id]
        if parent_id is None or parent_id in nodes:
            yield nodes[span_id], nodes[parent_id] if parent_id else trace
        else:
            if parent_id not in absent:
                absent[parent_id] = Node(parent_id)
                yield absent[parent_id], trace
            yield nodes[span_id], absent[parent_id]


def _firsts_of_circles(nodes: dict[str, Node], above: dict[str, str | None]) -> list[str]:
    seen: set[str] = set()
    firsts: list[str] = []
    for span_id in sorted(nodes):
        path: dict[str, None] = {}
        here: str | None = span_id
        while here is not None and here in above and here not in seen and here not in path:
            path[here] = None
            here = above[here]
        if here is not None and here in path:
            members = list(path)
            circle = members[members.index(here) :]
            firsts.append(min(circle, key=lambda i: (nodes[i].start, i)))
        seen.update(path)
    return firsts


def _settle(trace: Node) -> None:
    """Give those that were not received the times of what they hold, and put all within what holds it."""
    for node in reversed(list(trace.walk())):
        if not node.start:
            node.start = min((c.start for c in node.children if c.start), default=node.end)
        if node.span is None:
            node.end = max((c.end for c in node.children), default=0)
    waiting = [(trace, 0)]
    while waiting:
        node, moved = waiting.pop()
        for child in node.children:
            child.start, child.end = child.start + moved, child.end + moved
            further = _moved(node, child)
            waiting.append((child, moved + further))
            child.start = max(child.start + further, node.start)
            child.end = max(child.end + further, child.start)
        node.children.sort(key=lambda c: (c.start, c.end, c.span_id))
        _end_before_calls(node.children)


def _end_before_calls(siblings: Sequence[Node]) -> None:
    """Let a search that by another machine's clock ends a little after the call that read it end before that."""
    calls = [node for node in siblings if node.operation.kind == "generation"]
    for search in siblings if calls else ():
        place = bisect_left(calls, search.start, key=lambda call: call.start)
        if search.operation.kind == "retrieval" and place < len(calls):
            call = calls[place]
            if 0 < search.end - call.start < _SKEW and _are_apart(search, call):
                search.end = call.start


def _are_apart(one: Node, other: Node) -> bool:
    """Whether other processes sent them."""
    here, there = one.span, other.span
    return not (here is None or there is None or repr(here.resource) == repr(there.resource))


def _moved(node: Node, child: Node) -> int:
    """By how much another machine's clock is off, at least."""
    parent, span = node.span, child.span
    if parent is None or span is None or not _are_apart(node, child):
        return 0
    if child.start < node.start:
        return node.start - child.start
    if child.start > node.end and span.kind not in ("consumer", "producer"):
        return node.end - child.end if child.end - child.start <= node.end - node.start else 0
    return 0
