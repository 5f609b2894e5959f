"""How the values of a claim stand to those of the evidence.

The value that stands in the best place decides: where it is the same, the claim's is found; where it is
another one, by a clear margin, the claim's is contradicted; otherwise nobody can say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from doctrail_core.grounding.embedded.alignment import Alignment
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.slots import Slot
from doctrail_core.grounding.embedded.words import Word
from doctrail_core.text.values import Comparison, Value, compare

__all__ = ["Fact", "Place", "Standing", "facts"]

Standing = Literal["found", "conflict", "weak", "absent"]

_ELSEWHERE = 400
"""So many values outside of the aligned sentences are compared."""
_FITS = 0.55
_CONFLICTS = 0.6
_MARGIN = 0.1
_FAR = 0.3


class Place(NamedTuple):
    """A value in a line of the index, and how well it stands where the claim's value stands."""

    fit: float
    line: int
    value: Value


@dataclass(frozen=True, slots=True)
class Fact:
    """A value of a claim, the places where the evidence has it, and those where it has another; best first."""

    value: Value
    standing: Standing
    same: Sequence[Place] = ()
    others: Sequence[Place] = ()


def facts(
    stated: Sequence[Value], found: Sequence[Word], alignment: Alignment, index: Index
) -> list[Fact]:
    """Look for each value of a claim."""
    return [_fact(value, found, alignment, index) for value in stated]


def _fact(value: Value, found: Sequence[Word], alignment: Alignment, index: Index) -> Fact:
    slot = Slot.around((value.start, value.end), found, index)
    near = frozenset(at for window in alignment.windows for at in window.lines)
    places: dict[Comparison, list[Place]] = {"equal": [], "different": [], "incomparable": []}
    for at, other in _candidates(value, near, index):
        said = compare(value, other)
        if said == "equal" or (at in near and other.kind == value.kind):
            fit = slot.fit((other.start, other.end), index.lines[at].words, index)
            places[said].append(Place(fit, at, other))
    for found_there in places.values():
        found_there.sort(key=lambda place: (-place.fit, place.line, place.value.start))
    standing = _standing(*places.values())
    return Fact(value, standing, places["equal"], places["different"])


def _candidates(value: Value, near: frozenset[int], index: Index) -> Iterator[tuple[int, Value]]:
    for at in sorted(near):
        for other in index.lines[at].values:
            yield at, other
    elsewhere = ((at, other) for at, other in index.values.get(value.kind, ()) if at not in near)
    yield from islice(elsewhere, _ELSEWHERE)


def _standing(same: Sequence[Place], others: Sequence[Place], unlike: Sequence[Place]) -> Standing:
    best, rival, doubt = (places[0].fit if places else 0.0 for places in (same, others, unlike))
    if rival >= _CONFLICTS and rival > best + _MARGIN:
        return "conflict" if best < _FAR and doubt < rival else "weak"
    if not same:
        return "weak" if doubt >= _FAR else "absent"
    if best < _FITS:
        return "weak"
    shared = others and others[0].line == same[0].line and rival > best - _MARGIN
    return "weak" if shared else "found"
