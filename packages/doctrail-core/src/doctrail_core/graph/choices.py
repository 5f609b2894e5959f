"""Which model call chose which tool call, and what led to which search.

A tool call id says it. Where the host gave none, the name and the order must: the latest call of a
model, at the same place, that asked for a tool of that name. An agent that speaks in plain text
(ReAct) asks by naming the tool in what it says.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from doctrail_core.graph.evidence import Edge, Node
from doctrail_core.graph.runs import Runs
from doctrail_core.model import Generation, Retrieval, ToolCall

__all__ = ["choices", "searches"]

_Asking = tuple[Node, Generation]


def choices(runs: Runs) -> Iterator[Edge]:
    """Each tool call with the model call that chose it, as far as anything shows it."""
    asked = _Asked(runs)
    for node in runs.walk():
        if isinstance(node.record, ToolCall) and (edge := asked.chosen(node, node.record)):
            yield edge


def searches(runs: Runs) -> Iterator[Edge]:
    """Each search with the tool call that made it, and the model call that worded it."""
    worded = _wordings(runs)
    for node in runs.walk():
        if not isinstance(node.record, Retrieval):
            continue
        around = runs.nearest(node.node_id, "tool_call", "retrieval")
        if around and runs.named[around].kind == "tool_call":
            yield Edge("led_to", around, node.node_id)
        if writer := _writer(node.record, worded):
            yield Edge("led_to", writer.node_id, node.node_id)


class _Asked:
    """The requests for tools that have not been matched with a call yet."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.by_id: dict[str, list[_Asking]] = defaultdict(list)
        self.by_place: dict[str | None, list[_Asking]] = defaultdict(list)
        self.taken: Counter[tuple[str, str]] = Counter()
        for node in runs.in_time:
            generation = node.record
            if isinstance(generation, Generation) and not generation.auxiliary:
                self.by_place[runs.tool_around(node)].append((node, generation))
                for tool_call_id in {r.tool_call_id for r in generation.tool_requests} - {None}:
                    self.by_id[tool_call_id or ""].append((node, generation))

    def chosen(self, node: Node, call: ToolCall) -> Edge | None:
        """The edge to a call from the model call that chose it."""
        if by_id := self._by_id(node, call):
            return Edge("led_to", by_id.node_id, node.node_id)
        by_name = self._by_name(node, call)
        return by_name and Edge("led_to", by_name.node_id, node.node_id, inferred=True)

    def _by_id(self, node: Node, call: ToolCall) -> Node | None:
        """Ids may come again, as those of scripted models do: the latest request before the call counts."""
        before = [
            g
            for g in self.by_id.get(call.tool_call_id or "", ())
            if g[1].started_at <= call.started_at
        ]
        place = self.runs.tool_around(node)
        here = [g for g in before if self.runs.tool_around(g[0]) == place]
        return (here or before)[-1][0] if before else None

    def _by_name(self, node: Node, call: ToolCall) -> Node | None:
        for asking, generation in reversed(self.by_place[self.runs.tool_around(node)]):
            if generation.started_at <= call.started_at:
                key = (asking.node_id, call.name)
                self.taken[key] += 1
                return asking if self.taken[key] <= _requests(generation, call) else None
        return None


def _requests(generation: Generation, call: ToolCall) -> int:
    """How often a model call asked for this tool, as far as ids do not forbid that it is this call."""
    if generation.tool_requests:
        named = [r for r in generation.tool_requests if r.name == call.name]
        return sum(r.tool_call_id is None or call.tool_call_id is None for r in named)
    name = rf"(?<!\w){re.escape(call.name)}(?!\w)"
    return 1 if re.search(name, generation.output or "") else 0


def _wordings(runs: Runs) -> dict[str, list[_Asking]]:
    """What models said, line by line: a rewritten question is a line of its own."""
    said: dict[str, list[_Asking]] = defaultdict(list)
    for node in runs.in_time:
        if isinstance(node.record, Generation) and node.record.ended_at:
            for line in {line.strip() for line in (node.record.output or "").splitlines()}:
                said[line].append((node, node.record))
    return said


def _writer(retrieval: Retrieval, worded: dict[str, list[_Asking]]) -> Node | None:
    query = (retrieval.query or "").strip()
    before = [
        node
        for node, generation in worded.get(query, ())
        if query
        if generation.ended_at and generation.ended_at <= retrieval.started_at
    ]
    return before[-1] if before else None
