"""How the values of a claim stand to those of the evidence.

The value that stands in the best place decides: where it is the same, the claim's is found; where it is
another one, by a clear margin and in a sentence that says the same otherwise, the claim's is
contradicted; else nobody can say. Each value of the evidence serves one value of the claim.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Literal, NamedTuple

from doctrail_core.grounding.embedded.alignment import Alignment
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.slots import Slot
from doctrail_core.grounding.embedded.words import Word, words
from doctrail_core.text.values import Comparison, Value, compare

__all__ = ["Fact", "Place", "Standing", "facts"]

Standing = Literal["found", "conflict", "weak", "relative", "derived", "absent"]
"""`weak`: it is there, and may be something else's. `derived`: it is not, yet may be worked out."""

_ELSEWHERE = 400
"""So many values outside of the aligned sentences are compared."""
_FITS, _FAR = 0.55, 0.3
"""From here on a value stands in the claim's place; up to here it stands elsewhere."""
_CONFLICTS = 0.6
_MARGIN, _CLEAR = 0.1, 0.2
_EXACT = 0.2
"""What it counts for a place that the value is said just as the claim says it."""
_SAME_WORDS = 0.8
"""Such a share of a claim has a sentence that contradicts it."""
_TELLING_DIGITS = 2
_COUNTED = 12
"""Numbers up to here may have been counted by the reader."""
_RECKONED = 40
"""So many values of the aligned sentences may have been added up or subtracted."""
_YEAR = {"month": 12, None: 1}
"""So many of a unit make a year; a number of no unit may be an age."""


class Place(NamedTuple):
    """A value in a line of the index, and how well it stands where the claim's value stands."""

    fit: float
    line: int
    value: Value


Places = dict[Comparison, list[Place]]


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
    looked_up = [_look_up(value, found, alignment, index) for value in stated]
    own = [_own(places) for places in looked_up]
    judged: list[Fact] = []
    for at, (value, places) in enumerate(zip(stated, looked_up, strict=True)):
        taken = {
            place
            for other, place in zip(stated, own, strict=True)
            if place and place != own[at] and compare(value, other) != "equal"
        }
        judged.append(_fact(value, _without(places, taken), alignment, index))
    return [_in_order(fact, judged) for fact in judged]


def _look_up(value: Value, found: Sequence[Word], alignment: Alignment, index: Index) -> Places:
    """The values of the evidence by how they compare, those that stand best first."""
    slot = Slot.around((value.start, value.end), found, index)
    places: Places = {"equal": [], "different": [], "incomparable": []}
    for at, other in _candidates(value, alignment.near, index):
        said = compare(value, other)
        if said == "equal" or (at in alignment.near and other.kind == value.kind):
            fit = slot.fit((other.start, other.end), index.lines[at].words, index)
            places[said].append(Place(fit, at, other))
    for alike in places.values():
        alike.sort(key=lambda place: (-_rank(value, place), place.line, place.value.start))
    return places


def _candidates(value: Value, near: frozenset[int], index: Index) -> Iterator[tuple[int, Value]]:
    for at in sorted(near):
        for other in index.lines[at].values:
            yield at, other
    elsewhere = ((at, other) for at, other in index.values.get(value.kind, ()) if at not in near)
    yield from islice(elsewhere, _ELSEWHERE)


def _rank(value: Value, place: Place) -> float:
    return place.fit + _EXACT * (_amount(value) == _amount(place.value))


def _amount(value: Value) -> tuple[object, ...]:
    return value.number, value.upper, value.unit, value.year, value.month, value.day


def _own(places: Places) -> tuple[int, Value] | None:
    """Where the value stands that the claim means."""
    best = places["equal"][0] if places["equal"] else None
    return (best.line, best.value) if best and best.fit >= _FAR else None


def _without(places: Places, taken: set[tuple[int, Value]]) -> Places:
    return {
        said: [place for place in alike if (place.line, place.value) not in taken]
        for said, alike in places.items()
    }


def _fact(value: Value, places: Places, alignment: Alignment, index: Index) -> Fact:
    same, others = places["equal"], places["different"]
    standing = _standing(places, alignment)
    if standing in {"absent", "weak"} and value.relative:
        standing = "relative"
    elif standing == "absent" and (
        _may_be_counted(value) or _worked_out(value, alignment.near, index)
    ):
        standing = "derived"
    elif standing == "absent" and _related(value, index):
        standing = "weak"
    return Fact(value, standing, same, others)


def _standing(places: Places, alignment: Alignment) -> Standing:
    best, rival, doubt = (alike[0].fit if alike else 0.0 for alike in places.values())
    same, others = places["equal"], places["different"]
    if rival >= _CONFLICTS and rival > best + _MARGIN:
        if _contradicts(places, alignment):
            return "conflict"
        if same:
            return "weak"
    if not same:
        return "weak" if doubt >= _FAR else "absent"
    if best < _FITS or doubt > best + _MARGIN:
        return "weak"
    shared = others and others[0].line == same[0].line and rival > best - _MARGIN
    return "weak" if shared else "found"


def _contradicts(places: Places, alignment: Alignment) -> bool:
    """Whether the value that stands best can be nothing but what the claim should have said."""
    rival = places["different"][0]
    if any(place.fit >= rival.fit for place in places["incomparable"]):
        return False
    if any(place.fit >= _FAR for place in places["equal"]):
        return False
    line = alignment.index.lines[rival.line]
    if line.cut or not line.prose:
        return False
    if alignment.share(rival.line) < _SAME_WORDS:
        return False
    nearly = (place for place in places["different"][1:] if place.fit > rival.fit - _CLEAR)
    return all(compare(rival.value, place.value) == "equal" for place in nearly)


def _may_be_counted(value: Value) -> bool:
    """Whether a reader may have counted it: `three schools`, `4 days`."""
    if value.kind == "ordinal":
        return True
    said = value.text.partition(" ")[0]
    small = value.in_words or (said.isdecimal() and int(said[:9]) <= _COUNTED)
    return value.kind in {"count", "duration"} and small


def _worked_out(value: Value, near: frozenset[int], index: Index) -> bool:
    """Whether it is a share written otherwise, the sum or difference of two amounts, or the time between two years."""
    if value.number is None:
        return False
    others = [other for at in sorted(near) for other in index.lines[at].values][:_RECKONED]
    if value.kind == "fraction":
        return value.number * 100 in {other.number for other in others if other.unit == "%"}
    amounts = {
        other.number for other in others if (other.kind, other.unit) == (value.kind, value.unit)
    }
    if any(value.number in {one + two, abs(one - two)} for one, two in _pairs(amounts)):
        return True
    years = {abs(one - two) for one, two in _pairs({other.year for other in others})}
    return value.unit in _YEAR and value.number / _YEAR[value.unit] in years


def _pairs(numbers: Iterable[float | None]) -> Iterator[tuple[float, float]]:
    return combinations([number for number in numbers if number is not None], 2)


def _related(value: Value, index: Index) -> bool:
    """Whether the passages have part of it: the number with another unit, the day without the year."""
    if value.number is not None:
        digits = (word.stem for word in words(value.text) if len(word.text) >= _TELLING_DIGITS)
        return value.number in index.numbers or any(map(index.having, digits))
    return any(_half(value, other) for _, other in islice(index.values.get("date", ()), _ELSEWHERE))


def _half(value: Value, other: Value) -> bool:
    if value.relative or other.relative:
        return False
    day = value.day is not None and (value.month, value.day) == (other.month, other.day)
    return day and compare(value, other) == "incomparable"


def _in_order(fact: Fact, among: Sequence[Fact]) -> Fact:
    """A value that stands before another in the claim, and after it in the evidence, may be another's."""
    if fact.standing == "found" and any(_crossed(fact, other) for other in among):
        return replace(fact, standing="weak")
    return fact


def _crossed(one: Fact, other: Fact) -> bool:
    if not other.same or one.value.kind != other.value.kind:
        return False
    mine, theirs = one.same[0], other.same[0]
    if mine.line != theirs.line or mine.value == theirs.value:
        return False
    return (one.value.start < other.value.start) != (mine.value.start < theirs.value.start)
