"""The part of a response that happened inside one run of it, as a trail of its own."""

from dataclasses import replace

from doctrail_core.model.involvement import around, parents
from doctrail_core.model.trail import Trail

__all__ = ["part"]


def part(trail: Trail, run_id: str) -> Trail:
    """What happened inside a run; all of it where the run is the response itself.

    It keeps the response's id, question and answer, and what earlier turns brought. A run that is not
    on record yet, because it has not ended, is known by what names it as the run around it.
    """
    if run_id == trail.response_id:
        return trail
    known = parents(trail)

    def inside(parent_id: str | None) -> bool:
        return run_id in around(parent_id, known)

    generations = tuple(g for g in trail.generations if inside(g.parent_id))
    kept = {g.generation_id for g in generations}
    return replace(
        trail,
        generations=generations,
        contexts=tuple(c for c in trail.contexts if c.generation_id in kept),
        retrievals=tuple(r for r in trail.retrievals if inside(r.parent_id)),
        tool_calls=tuple(t for t in trail.tool_calls if inside(t.parent_id)),
        steps=tuple(s for s in trail.steps if inside(s.parent_id)),
    )
