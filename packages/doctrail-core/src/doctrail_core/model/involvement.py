"""How each chunk reached the answer: before the model that gave it, or through something in between."""

from collections.abc import Iterable, Iterator, Mapping

from doctrail_core.model.carried import Involvement
from doctrail_core.model.generation import Generation
from doctrail_core.model.trail import Trail

__all__ = ["answering", "around", "found_by_tools", "involvements", "parents"]


def involvements(trail: Trail) -> dict[str, Involvement]:
    """Per chunk that played a part: `direct` where a call that answered read it, else `indirect`.

    Indirect is what only a sub-agent or an earlier step read, what a tool searched whose result was
    read, and what an earlier turn's answer brought.
    """
    answers = {g.generation_id: g for g in answering(trail)}
    read: dict[str, set[str]] = {"direct": set(), "indirect": set()}
    for context in trail.contexts:
        how = "direct" if context.generation_id in answers else "indirect"
        read[how].update(a.chunk_id for a in context.arrivals if a.state != "absent")
    heard = {m.tool_call_id for g in answers.values() for m in g.messages if m.tool_call_id}
    for call, found in found_by_tools(trail).items():
        if call in heard:
            read["indirect"].update(found)
    read["indirect"].update(carried.chunk.chunk_id for carried in trail.carried)
    return {
        chunk_id: "direct" if chunk_id in read["direct"] else "indirect"
        for chunk_id in read["direct"] | read["indirect"]
    }


def answering(trail: Trail) -> Iterator[Generation]:
    """The calls whose output the user got, or that gave it together: they share one place in the tree."""
    outside = [g for g in trail.generations if not g.auxiliary]
    if any(g.parent_id for g in outside):
        outside = _outside_of_calls(trail, outside)
    place = outside[-1].parent_id if outside else None
    answer = trail.answer or ""
    for generation in outside:
        said = (generation.output or "").strip()
        if generation.parent_id == place or (said and said in answer):
            yield generation


def _outside_of_calls(trail: Trail, generations: Iterable[Generation]) -> list[Generation]:
    called = {call.tool_run_id for call in trail.tool_calls}
    called |= {retrieval.retrieval_id for retrieval in trail.retrievals}
    known = parents(trail)
    return [g for g in generations if called.isdisjoint(around(g.parent_id, known))]


def found_by_tools(trail: Trail) -> dict[str, set[str]]:
    """Per tool call, the ids of the chunks that were retrieved within it, however deep."""
    if not trail.tool_calls:
        return {}
    calls = {call.tool_run_id: call.tool_call_id for call in trail.tool_calls}
    known = parents(trail)
    found: dict[str, set[str]] = {}
    for retrieval in trail.retrievals:
        inside = around(retrieval.parent_id, known)
        named = {retrieval.tool_call_id, *(calls.get(run_id) for run_id in inside)}
        for call in named - {None}:
            found.setdefault(str(call), set()).update(h.chunk.chunk_id for h in retrieval.hits)
    return found


def parents(trail: Trail) -> Mapping[str, str | None]:
    """Per run of the tree, the one right around it."""
    known = {step.step_id: step.parent_id for step in trail.steps}
    known |= {call.tool_run_id: call.parent_id for call in trail.tool_calls}
    return known | {r.retrieval_id: r.parent_id for r in trail.retrievals}


def around(run_id: str | None, known: Mapping[str, str | None]) -> Iterator[str]:
    """A run and all around it, unless hosts made a circle of them."""
    seen: set[str] = set()
    while run_id is not None and run_id not in seen:
        yield run_id
        seen.add(run_id)
        run_id = known.get(run_id)
