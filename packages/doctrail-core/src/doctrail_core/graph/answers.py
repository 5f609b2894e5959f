"""Whose words an answer is: the response's, and that of each agent, engine or tool inside it.

The texts say it. Only for the response itself, where its answer went through a parser or texts are not
kept, the last model call that can have given it is named, and that is inferred.
"""

from collections.abc import Iterator

from doctrail_core.graph.evidence import Edge, Node
from doctrail_core.graph.runs import Runs
from doctrail_core.graph.shown import TELLING, output
from doctrail_core.model import Generation
from doctrail_core.model.involvement import answering

__all__ = ["answers"]


def answers(runs: Runs) -> Iterator[Edge]:
    """Each run with the run, or the response, whose answer is its own."""
    for node in runs.walk():
        if node.kind in ("step", "tool_call"):
            yield from _same(output(node), node.node_id, runs)
    root = runs.root.node_id
    yield from list(_same(runs.trail.answer, root, runs)) or _last(root, runs)


def _same(answer: str | None, around: str, runs: Runs) -> Iterator[Edge]:
    """From the nearest runs inside that said just this; else from those of whose words it is made.

    An answer taken out of what one of them said, as agents that speak in plain text do, is made so.
    """
    answer = (answer or "").strip()
    layer = runs.children(around) if answer else []
    while layer:
        said = [(node, (output(node) or "").strip()) for node in layer]
        whole = [node for node, text in said if text == answer][-1:]
        speaking = [(node, text) for node, text in said if _speaks(node)]
        parts = [node for node, text in speaking if len(text) >= TELLING and text in answer]
        around_it = [node for node, text in speaking if len(answer) >= TELLING and answer in text]
        if sources := whole or parts or around_it[-1:]:
            yield from (Edge("answered", node.node_id, around) for node in sources)
            return
        layer = [c for node in layer if node.kind == "step" for c in runs.children(node.node_id)]


def _last(root: str, runs: Runs) -> Iterator[Edge]:
    trail = runs.trail
    silenced = trail.question is None
    if trail.answer is None and not (silenced and trail.status == "ok"):
        return
    calls = [g for g in answering(trail) if g.ended_at and not g.error and not g.tool_requests]
    if calls and (last := runs.node_of("generation", calls[-1].generation_id)):
        yield Edge("answered", last.node_id, root, inferred=True)


def _speaks(node: Node) -> bool:
    """Whether a run's words are meant to be read on: those of a tool are material."""
    run = node.record
    return node.kind == "step" or (isinstance(run, Generation) and not run.auxiliary)
