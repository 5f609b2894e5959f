"""Pathologies counted over many responses, one trail in memory at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

from doctrail_core.graph.pathologies import KINDS, PathologyKind, pathologies
from doctrail_core.model import Trail

__all__ = ["Tally", "tallied"]

_EXAMPLES = 3


@dataclass(slots=True)
class Tally:
    """How often one kind was found: in `responses` of the `of` that were looked at.

    `not_checked` more show signs of it that nobody checked. `count` is how many times it happened,
    `examples` are the first responses that have it.
    """

    kind: PathologyKind
    of: int = 0
    responses: int = 0
    not_checked: int = 0
    count: int = 0
    examples: tuple[str, ...] = ()


def tallied(trails: Iterable[Trail]) -> tuple[Tally, ...]:
    """One tally for each kind, also where nothing was found."""
    tallies = {kind: Tally(kind) for kind in KINDS}
    for trail in trails:
        found = pathologies(trail)
        for kind, tally in tallies.items():
            tally.of += 1
            counts = [p.count for p in found if p.kind == kind and p.checked]
            tally.not_checked += any(p.kind == kind and not p.checked for p in found)
            if counts:
                tally.responses += 1
                tally.count += sum(counts)
                tally.examples = (*tally.examples, trail.response_id)[:_EXAMPLES]
    return tuple(tallies.values())
