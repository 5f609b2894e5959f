"""What stood in front of the model at each call: chunks, results of tools, answers of inner runs.

Chunks were looked for in every prompt when the response was recorded. A tool's result is known by the
call's id in the message that brings it. What was handed on without an id is known by its text.
"""

from collections import defaultdict
from collections.abc import Iterator

from doctrail_core.graph.evidence import Edge, Node
from doctrail_core.graph.runs import Runs, run_of
from doctrail_core.model import ArrivalState, Generation, Message, Retrieval, ToolCall
from doctrail_core.text.arrival import match

__all__ = ["TELLING", "chunks_shown", "output", "results_shown"]

_How = tuple[ArrivalState | None, float | None]

TELLING = 12
"""A shorter text says so little that it stands anywhere by chance: a name, a number, a yes."""
_OBSERVATION = "Observation:"
"""How agents that speak in plain text (ReAct) are told what a tool returned."""


def chunks_shown(runs: Runs) -> Iterator[Edge]:
    """Each chunk that arrived in a prompt."""
    for context in runs.trail.contexts:
        if reader := runs.node_of("generation", context.generation_id):
            for arrival in context.arrivals:
                if arrival.state != "absent":
                    source = f"chunk:{arrival.chunk_id}"
                    yield Edge("shown_to", source, reader.node_id, arrival.state, arrival.coverage)


def results_shown(runs: Runs) -> Iterator[Edge]:
    """Each result of a tool, and each answer of an inner run, that stood in a prompt."""
    results, said = _Results(runs), _Said(runs)
    for node in runs.walk():
        if isinstance(node.record, Generation):
            shown: dict[str, Edge] = {}
            for message in node.record.messages:
                by_id = results.of(message, node)
                for edge in [by_id] if by_id else said.within(message, node):
                    shown.setdefault(edge.source, edge)
            yield from shown.values()


class _Results:
    """The results of tools by the ids of their calls."""

    def __init__(self, runs: Runs) -> None:
        self.calls: dict[str, list[tuple[Node, ToolCall]]] = defaultdict(list)
        for node in runs.in_time:
            if isinstance(node.record, ToolCall) and node.record.tool_call_id:
                self.calls[node.record.tool_call_id].append((node, node.record))
        self.how: dict[tuple[str, str | None], _How | None] = {}

    def of(self, message: Message, reader: Node) -> Edge | None:
        """The result that a message brings; of calls that share an id, one that returned its text."""
        began = run_of(reader).started_at
        edge = None
        for node, call in self.calls.get(message.tool_call_id or "", ()):
            if call.ended_at <= began and (how := self._how(node, call, message.text)):
                edge = Edge("shown_to", node.node_id, reader.node_id, *how)
                if how[0] == "full":
                    break
        return edge

    def _how(self, node: Node, call: ToolCall, text: str | None) -> _How | None:
        key = (node.node_id, text)  # each prompt of a loop repeats the messages before it
        if key not in self.how:
            self.how[key] = _how(text, call.result)
        return self.how[key]


def _how(text: str | None, result: str | None) -> _How | None:
    """How much of a result the message that stands for it holds; None where it holds none of it."""
    if text is None or result is None:
        return None, None
    if result.strip() in text:
        return "full", 1.0
    if (part := text.strip()) and part in result:
        return "partial", round(len(part) / len(result), 4)
    found = match(text, {"": result})[""]
    return None if found.state == "absent" else (found.state, found.coverage)


class _Said:
    """What runs inside the response said, to be recognised by its text."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.nodes: dict[str, list[Node]] = defaultdict(list)
        for node in runs.in_time:
            if said := (output(node) or "").strip():
                self.nodes[said].append(node)
        self.long = [said for said in self.nodes if len(said) >= TELLING]
        self.longest = max(map(len, self.long), default=0)
        self.found: dict[str, list[str]] = {"": []}
        self.latest = ""

    def within(self, message: Message, reader: Node) -> Iterator[Edge]:
        """What of it a message holds, for the model call that read it."""
        text = (message.text or "").strip()
        own = message.role == "assistant"  # a model's own turn; a whole agent's answer is news
        for said in self._whole(text) if own else self._parts(text):
            source = self._source(said, reader)
            if source and (source.kind == "step" or not own):
                yield Edge("shown_to", source.node_id, reader.node_id, "full", 1.0)

    def _whole(self, text: str) -> list[str]:
        return [text] if len(text) >= TELLING and text in self.nodes else []

    def _parts(self, text: str) -> list[str]:
        if text not in self.found:
            # An agent that keeps all it did in one message lets it grow: only what is new is searched.
            before = self.latest if text.startswith(self.latest) else ""
            new = text[max(len(before) - self.longest, 0) :]
            found = [*self.found[before], *(said for said in self.long if said in new)]
            observed = text.removeprefix(_OBSERVATION).strip()
            if text.startswith(_OBSERVATION) and len(observed) < TELLING and observed in self.nodes:
                found.append(observed)
            self.found[text] = list(dict.fromkeys(found))
            self.latest = text
        return self.found[text]

    def _source(self, said: str, reader: Node) -> Node | None:
        """Of the runs that said it, the outermost that was over; of equal ones the latest."""
        began, around = run_of(reader).started_at, set(self.runs.around(reader.node_id))
        over = [
            n
            for n in self.nodes[said]
            if n.node_id != reader.node_id
            and n.node_id not in around
            and (ended := run_of(n).ended_at)
            and ended <= began
        ]
        return min(reversed(over), key=self._depth, default=None)

    def _depth(self, node: Node) -> int:
        return sum(1 for _ in self.runs.around(node.node_id))


def output(node: Node) -> str | None:
    """What a run gave back as text; a search gives none."""
    run = run_of(node)
    match run:
        case ToolCall():
            return run.result
        case Retrieval():
            return None
        case _:
            return run.output
