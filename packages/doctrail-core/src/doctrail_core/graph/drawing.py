"""The evidence graph drawn as a tree of lines, for somebody who wants to see what an agent did.

Runs are numbered, and every line says by those numbers what was in front of a model when it chose or
answered. No line is wider than asked for, unless `full`; and however many runs there are, a drawing
that is not `full` stays a few screens long.
"""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from doctrail_core.graph.evidence import EarlierTurn, Edge, EdgeKind, EvidenceGraph, Node, NodeKind
from doctrail_core.graph.runs import Run, run_of
from doctrail_core.model import (
    Chunk,
    Generation,
    Retrieval,
    Step,
    ToolCall,
    ToolRequest,
    Usage,
)
from doctrail_core.model.printable import one_line, paragraphs
from doctrail_core.model.wording import STATUS_WORDS, count, duration, few, percent

__all__ = ["draw"]

_FIRST, _LAST = 8, 4
"""So many of a long row of runs are drawn; what begins it and what ends it tells most."""
_FEW = 6
_MOST_LINES = 160
_ID = 32
_NARROWEST = 40
_WORDS: dict[NodeKind, str] = {
    "step": "step",
    "retrieval": "search",
    "generation": "model",
    "tool_call": "tool",
}

_Item = tuple[Node, str, bool] | str
"""A run, what stands before its line, and whether it is the last of its row; or a line as it is."""


def draw(graph: EvidenceGraph, *, full: bool = False, width: int = 100) -> str:
    """Draw it, safe to print.

    Args:
        graph: Of one response.
        full: All runs and chunks, and texts uncut.
        width: The widest line, in terminal cells.
    """
    return "\n".join(_Drawing(graph, full=full, width=max(width, _NARROWEST)).lines()) + "\n"


class _Drawing:
    """One graph being drawn: its edges by their ends, its runs by number, and who read what first."""

    def __init__(self, graph: EvidenceGraph, *, full: bool, width: int) -> None:
        self.root = graph.response.node_id
        self.trail = graph.trail
        self.full = full
        self.width = width
        self.nodes = {node.node_id: node for node in graph.nodes}
        runs = [node.node_id for node in graph.nodes if node.kind in _WORDS]
        self.numbers = {node_id: number for number, node_id in enumerate(runs, 1)}
        self.into: dict[tuple[str, EdgeKind], list[Edge]] = defaultdict(list)
        self.out_of: dict[tuple[str, EdgeKind], list[Edge]] = defaultdict(list)
        for edge in graph.edges:
            self.into[edge.target, edge.kind].append(edge)
            self.out_of[edge.source, edge.kind].append(edge)
        self.first_reader: dict[tuple[str, str], str] = {}
        for node_id in runs:
            for edge in self.into[node_id, "shown_to"]:
                self.first_reader.setdefault((self.place(node_id), edge.source), node_id)

    def lines(self) -> Iterator[str]:
        yield from self.head()
        tree = self.tree()
        yield from tree if self.full else islice(tree, _MOST_LINES)
        if next(tree, None) is not None:
            yield "│  ... and more: see all of it with --full"
        yield from self.answer()

    # -- the response --------------------------------------------------------------------------

    def head(self) -> Iterator[str]:
        trail = self.trail
        yield from self.said("", "", f"Response {trail.response_id}")
        searched = trail.status == "ok" and trail.answer is None and not trail.generations
        how = "searched" if searched else STATUS_WORDS[trail.status]
        took = duration(trail.started_at, trail.ended_at)
        yield from self.said("│  ", "status", f"{trail.status}: {how}, took {took}")
        yield from self.said("│  ", "asked", trail.question)
        for node in self.nodes.values():
            if node.kind == "earlier_turn":
                yield from self.earlier(node)

    def earlier(self, turn: Node) -> Iterator[str]:
        yield from self.said("│  ", "", self.name(turn.node_id))
        yield from self.found([e.target for e in self.out_of[turn.node_id, "retrieved"]], "│    ")
        brought = [e.source for e in self.into[turn.node_id, "shown_to"]]
        if brought:
            yield from self.said("│    ", "brought", f"{self.some(brought)}, by what it said")

    def answer(self) -> Iterator[str]:
        trail = self.trail
        whose = [self.number(e.source) + _guess(e) for e in self.into[self.root, "answered"]]
        if trail.answer is None and not whose:
            yield "└─ no answer was seen"
        else:
            yield f"└─ answer{f', from {few(whose)}' if whose else ''}"
        yield from self.said("   ", "failed", trail.error)
        yield from self.said(
            "   ", "", "(text not kept)" if trail.answer is None and whose else trail.answer
        )

    # -- the tree ------------------------------------------------------------------------------

    def tree(self) -> Iterator[str]:
        waiting = self.row(self.root, "", more=True)
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                yield item
                continue
            node, before, last = item
            within = self.clamped(before + ("   " if last else "│  "))
            inner = self.row(node.node_id, within)
            yield from self.said(before + ("└─ " if last else "├─ "), "", self.title(node))
            yield from self.details(node, within + ("│  " if inner else "   "))
            waiting += inner

    def row(self, node_id: str, before: str, *, more: bool = False) -> list[_Item]:
        """What is drawn inside a run, last first; `more` says that something follows it."""
        runs = [self.nodes[edge.target] for edge in self.out_of[node_id, "contains"]]
        items: list[_Item] = [(node, before, node is runs[-1] and not more) for node in runs]
        if not self.full and len(runs) > _FIRST + _LAST + 1:
            items[_FIRST:-_LAST] = [f"{before}│  {_left_out(runs[_FIRST:-_LAST])}"]
        return items[::-1]

    def clamped(self, before: str) -> str:
        """What stands before a line, cut on the left where runs are nested too deeply to show it."""
        most = self.width // 2
        return before if len(before) <= most else "⋯" + before[1 - most :]

    # -- one run -------------------------------------------------------------------------------

    def title(self, node: Node) -> str:
        run = run_of(node)
        led = self.into[node.node_id, "led_to"]
        chosen = [
            self.number(e.source) + _guess(e) for e in led if self.kind(e.source) == "generation"
        ]
        by = "chosen by" if node.kind == "tool_call" else "worded by"
        parts = [f"{self.number(node.node_id)} {_WORDS[node.kind]} {_what(run)}"]
        parts += [f"{by} {few(chosen)}"] if chosen else []
        parts += [f"took {duration(run.started_at, run.ended_at)}"] if run.ended_at else []
        return ", ".join(parts)

    def details(self, node: Node, before: str) -> Iterator[str]:
        run = run_of(node)
        match run:
            case Step():
                yield from self.said(before, "given", self.unlike_question(run.input))
                yield from self.returned(node, before, run.output)
            case ToolCall():
                yield from self.said(before, "given", run.arguments)
                yield from self.returned(node, before, run.result)
            case Retrieval():
                yield from self.said(before, "asked", self.unlike_question(run.query))
                yield from self.found([f"chunk:{hit.chunk.chunk_id}" for hit in run.hits], before)
            case Generation():
                yield from self.read(node, before)
                yield from self.chose(node, run, before)
                yield from self.returned(node, before, run.output)
        yield from self.said(before, "failed", run.error)

    def returned(self, node: Node, before: str, text: str | None) -> Iterator[str]:
        """What a run gave back; in short only where no other run says the same."""
        sources = [self.number(e.source) for e in self.into[node.node_id, "answered"]]
        if sources:
            yield from self.said(before, "said", f"what {few(sources)} said")
        elif self.answers(node) and not self.full:
            yield from self.said(before, "said", "the answer")
        else:
            yield from self.said(before, "said", text)

    def found(self, chunks: Sequence[str], before: str) -> Iterator[str]:
        """Chunks, and which model calls read them."""
        shown = chunks if self.full else chunks[:_FEW]
        for node_id in shown:
            readers = [
                f"{self.number(edge.target)}{_how_much(edge)}"
                for edge in self.out_of[node_id, "shown_to"]
                if self.kind(edge.target) == "generation"
            ]
            read = f"read by {few(readers)}" if readers else "not seen in any prompt"
            chunk = self.nodes[node_id].record
            text = f": {chunk.text}" if isinstance(chunk, Chunk) and chunk.text else ""
            yield from self.said(before, "found", f"{self.name(node_id)}, {read}{text}")
        if len(shown) < len(chunks):
            yield from self.said(before, "found", f"{len(chunks) - len(shown)} more (--full)")

    def read(self, node: Node, before: str) -> Iterator[str]:
        """What of the evidence was in the prompt: by name what no earlier call there had, or what answered."""
        shown = sorted(self.into[node.node_id, "shown_to"], key=self.is_run)
        all_of_it = self.full or self.answers(node)
        here = self.place(node.node_id)
        new = [e for e in shown if all_of_it or self.first_reader[here, e.source] == node.node_id]
        words = [f"{self.shown(edge.source)}{_how_much(edge)}" for edge in new]
        listed = words if self.full else words[:_FEW]
        rest = [f"{len(words) - len(listed)} more"] if len(words) > len(listed) else []
        rest += [f"{len(shown) - len(new)} read before"] if len(new) < len(shown) else []
        yield from self.said(before, "read", "; ".join([*listed, *rest]) or "no chunk, no result")

    def chose(self, node: Node, generation: Generation, before: str) -> Iterator[str]:
        """The calls and searches that followed from it, and those it asked for in vain."""
        led = self.out_of[node.node_id, "led_to"]
        for word, kind in (("chose", "tool_call"), ("worded", "retrieval")):
            those = [self.name(e.target) + _guess(e) for e in led if self.kind(e.target) == kind]
            yield from self.said(before, word, ", ".join(those) if self.full else few(those))
        calls = [self.nodes[edge.target].record for edge in led]
        for request in _unmade(generation, [c for c in calls if isinstance(c, ToolCall)]):
            asked = f"{request.name} {request.arguments or ''}"
            yield from self.said(before, "wanted", f"{asked} (no such call was seen)")

    # -- words ---------------------------------------------------------------------------------

    def said(self, before: str, name: str, text: str | None) -> Iterator[str]:
        """A text under its name: on one line, or in full."""
        if not text or not text.strip():
            return
        first = f"{before}{name:<8}" if name else before
        if not self.full:
            yield first + one_line(text, max(self.width - len(first), 1))
            return
        room = max(self.width - len(first), _NARROWEST // 2)
        lines = (line for p in paragraphs(text) for line in textwrap.wrap(p, room) or [""])
        rest = before + " " * (len(first) - len(before))
        for number, line in enumerate(lines):
            yield f"{rest if number else first}{line}".rstrip()

    def place(self, node_id: str) -> str:
        """The run right around a run, or the response."""
        return self.into[node_id, "contains"][0].source

    def answers(self, node: Node) -> bool:
        return any(edge.target == self.root for edge in self.out_of[node.node_id, "answered"])

    def kind(self, node_id: str) -> NodeKind:
        return self.nodes[node_id].kind

    def number(self, node_id: str) -> str:
        return str(self.numbers.get(node_id, "the response"))

    def name(self, node_id: str) -> str:
        match self.nodes[node_id].record:
            case Chunk() as chunk:
                part = one_line(chunk.chunk_id[-_ID:]) if chunk.index is None else str(chunk.index)
                return f"{one_line(chunk.document_id, _ID)} {part}"
            case EarlierTurn() as earlier:
                turn = "an earlier turn" if earlier.turn is None else f"turn {earlier.turn}"
                return f"{turn}, response {one_line(earlier.response_id or 'not on record', _ID)}"
            case _:
                return f"{_WORDS.get(self.kind(node_id), '')} {self.number(node_id)}".strip()

    def unlike_question(self, text: str | None) -> str | None:
        """A text, unless it only repeats what stands at the top."""
        return "the question" if text and text == self.trail.question and not self.full else text

    def shown(self, node_id: str) -> str:
        """A node as what it put into a prompt."""
        match self.kind(node_id):
            case "tool_call":
                return f"result of {self.number(node_id)}"
            case "chunk":
                return self.name(node_id)
            case _:
                return f"what {self.number(node_id)} said"

    def is_run(self, edge: Edge) -> bool:
        return edge.source in self.numbers

    def some(self, node_ids: Iterable[str]) -> str:
        return few(map(self.name, node_ids))


def _what(run: Run) -> str:
    match run:
        case Step() | ToolCall():
            return one_line(run.name, _ID)
        case Retrieval():
            return f"{one_line(run.retriever, _ID)}, {count(len(run.hits), 'chunk')}"
        case Generation():
            usage = run.usage or Usage()
            ways = ((usage.input_tokens, "in"), (usage.output_tokens, "out"))
            tokens = [f"{number:,} tokens {way}" for number, way in ways if number is not None]
            preparing = ["in preparation"] if run.auxiliary else []
            return ", ".join([one_line(run.model or "not known", _ID), *preparing, *tokens])


def _unmade(generation: Generation, calls: Sequence[ToolCall]) -> Iterator[ToolRequest]:
    """The requests that no call answers to."""
    ids = {call.tool_call_id for call in calls}
    named = Counter(call.name for call in calls)
    for request in generation.tool_requests:
        if request.tool_call_id is not None and request.tool_call_id in ids:
            continue
        if request.tool_call_id is None and named[request.name] > 0:
            named[request.name] -= 1
            continue
        yield request


def _left_out(runs: Sequence[Node]) -> str:
    failed = sum(run_of(node).error is not None for node in runs)
    remark = f", {failed} of them failed" if failed else ""
    return f"... {count(len(runs), 'run')} more{remark} (--full)"


def _how_much(edge: Edge) -> str:
    match edge.state:
        case "partial":
            return f" ({percent(edge.coverage or 0.0)})"
        case "ambiguous":
            return " (perhaps)"
        case _:
            return ""


def _guess(edge: Edge) -> str:
    return " (inferred)" if edge.inferred else ""
