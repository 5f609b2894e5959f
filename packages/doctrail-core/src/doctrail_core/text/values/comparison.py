"""Whether evidence says the same value as a claim, another one, or something that cannot be compared."""

from datetime import date
from typing import Literal

from doctrail_core.text.values.currencies import DOLLARS
from doctrail_core.text.values.units import unit_named
from doctrail_core.text.values.value import Value

__all__ = ["Comparison", "compare"]

Comparison = Literal["equal", "different", "incomparable"]

_SMALL = 20
"""Up to here equal numbers of different things are equal by chance."""
_EXACT = 1e-9
_ROUNDED = 0.05
"""How far a rounded number may be from what it stands for, as a share of it."""
_NEAR = 0.2
_ABOUT = 0.1
_CONVERTED = 0.01


def compare(claim: Value, evidence: Value) -> Comparison:
    """Compare as far as both are said.

    `equal`: the evidence says all that the claim says, perhaps in other words, or more exactly.
    `different`: both cannot be right of the same thing.
    `incomparable`: neither; the claim says more than the evidence, or it depends on what is not said.
    """
    if claim.kind == evidence.kind:
        if claim.kind == "date":
            return _dates(claim, evidence)
        return _times(claim, evidence) if claim.kind == "time" else _amounts(claim, evidence)
    return "equal" if _same_bare_number(claim, evidence) else "incomparable"


def _same_bare_number(claim: Value, evidence: Value) -> bool:
    """Whether a number without a unit, which says less, is that of the evidence."""
    if claim.kind != "count" or claim.unit or claim.number is None or claim.number <= _SMALL:
        return False
    number = evidence.year if evidence.kind == "date" else _said(evidence)
    return (
        number is not None
        and _same(claim.number, number)
        and not evidence.upper
        and not claim.upper
    )


# Dates


def _dates(claim: Value, evidence: Value) -> Comparison:
    if claim.relative or evidence.relative:
        same = claim.relative and evidence.relative and _plain(claim) == _plain(evidence)
        return "equal" if same else "incomparable"
    if claim.ambiguous or evidence.ambiguous:
        return _ambiguous_dates(claim, evidence)
    return _exact_dates(claim, evidence)


def _plain(value: Value) -> str:
    return " ".join(value.text.casefold().split())


def _ambiguous_dates(claim: Value, evidence: Value) -> Comparison:
    """Of a date that can be read in two ways it is only sure what both say."""
    if claim.ambiguous and evidence.ambiguous and _digits(claim) == _digits(evidence):
        return "equal"
    readings = {
        _exact_dates(one, other) for one in _readings(claim) for other in _readings(evidence)
    }
    return "different" if readings == {"different"} else "incomparable"


def _digits(value: Value) -> list[int]:
    return [int(part) for part in value.text.replace("-", "/").split("/") if part.isdecimal()]


def _readings(value: Value) -> tuple[Value, ...]:
    if not value.ambiguous:
        return (value,)
    swapped = Value(
        kind="date", start=0, end=0, text="", year=value.year, month=value.day, day=value.month
    )
    return value, swapped


def _exact_dates(claim: Value, evidence: Value) -> Comparison:
    pairs = (
        *((claim.month, evidence.month), (claim.day, evidence.day)),
        *((_weekday(claim), _weekday(evidence)), (claim.part, evidence.part)),
    )
    if _years_apart(claim, evidence) or any(_apart(*pair) for pair in pairs[:-1]):
        return "incomparable" if claim.approx or evidence.approx else "different"
    if _apart(*pairs[-1]):
        same_sort = (claim.part or "")[:1] == (evidence.part or "")[:1]
        return "different" if same_sort else "incomparable"
    said_less = (
        (claim.year is not None and not _within_years(evidence, claim))
        or any(said is not None and there is None for said, there in pairs[:2])
        or (claim.weekday is not None and _weekday(evidence) is None)
        or (claim.part is not None and evidence.part is None)
    )
    return "incomparable" if said_less else "equal"


def _apart(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other


def _years_apart(one: Value, other: Value) -> bool:
    if one.year is None or other.year is None:
        return False
    return one.year + one.years <= other.year or other.year + other.years <= one.year


def _within_years(inner: Value, outer: Value) -> bool:
    if inner.year is None or outer.year is None:
        return False
    return outer.year <= inner.year and inner.year + inner.years <= outer.year + outer.years


def _weekday(value: Value) -> int | None:
    if value.weekday is not None or not (value.year and value.month and value.day):
        return value.weekday
    try:
        return date(value.year, value.month, value.day).weekday()
    except ValueError:  # the 31st of April, or a year before the calendar
        return None


# Times of day


def _times(claim: Value, evidence: Value) -> Comparison:
    if _apart(claim.unit, evidence.unit):
        return "incomparable"
    one, other = claim.number or 0.0, evidence.number or 0.0
    half = 12 * 60 if claim.ambiguous or evidence.ambiguous else 24 * 60
    if (one - other) % half:
        return "incomparable" if claim.approx or evidence.approx else "different"
    return "incomparable" if evidence.ambiguous and not claim.ambiguous else "equal"


# Amounts


def _amounts(claim: Value, evidence: Value) -> Comparison:
    if claim.ambiguous or evidence.ambiguous or _apart(claim.per, evidence.per):
        return "incomparable"
    if not _same_unit(claim, evidence):
        return _across_units(claim, evidence)
    if claim.bound != evidence.bound or (claim.upper is None) != (evidence.upper is None):
        return "incomparable"
    return _numbers(claim, evidence) if claim.upper is None else _ranges(claim, evidence)


def _ranges(claim: Value, evidence: Value) -> Comparison:
    """Ranges that overlap may both be right."""
    lower, upper = claim.number or 0.0, claim.upper or 0.0
    other_lower, other_upper = evidence.number or 0.0, evidence.upper or 0.0
    if _same(lower, other_lower) and _same(upper, other_upper):
        return "equal"
    disjoint = upper < other_lower or other_upper < lower
    return "different" if disjoint and not _hedged(claim, evidence) else "incomparable"


def _same_unit(claim: Value, evidence: Value) -> bool:
    if claim.kind == "money":
        return claim.unit == evidence.unit or (
            "$" in (claim.unit, evidence.unit) and {claim.unit, evidence.unit} <= DOLLARS
        )
    return claim.unit == evidence.unit


def _across_units(claim: Value, evidence: Value) -> Comparison:
    if claim.kind == "count":
        return _counts_of_different_things(claim, evidence)
    if claim.kind == "duration" and {claim.unit, evidence.unit} == {"s", "month"}:
        return _days_and_months(claim, evidence)
    return "incomparable"


def _counts_of_different_things(claim: Value, evidence: Value) -> Comparison:
    """Equal numbers that are too large to be so by chance are of the same thing, by another name."""
    if claim.upper or evidence.upper or claim.bound != evidence.bound:
        return "incomparable"
    number, other = claim.number or 0.0, evidence.number or 0.0
    if number > _SMALL and _same(number, other):
        return "equal"
    told_apart = claim.unit and evidence.unit
    if told_apart or min(number, other) <= _SMALL:
        return "incomparable"
    return _numbers(claim, evidence)


_MONTH = 30.44 * 86_400
_MONTHS_VARY = 1.15


def _days_and_months(claim: Value, evidence: Value) -> Comparison:
    """Thirty days are no month, but neither are they two years."""
    one, other = sorted(
        (value.number or 0.0) * (_MONTH if value.unit == "month" else 1.0)
        for value in (claim, evidence)
    )
    if claim.bound or evidence.bound or claim.upper or evidence.upper:
        return "incomparable"
    return (
        "different"
        if other > one * _MONTHS_VARY and not _hedged(claim, evidence)
        else "incomparable"
    )


def _hedged(claim: Value, evidence: Value) -> bool:
    return claim.approx or evidence.approx


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _EXACT * max(abs(one), abs(other))


def _numbers(claim: Value, evidence: Value) -> Comparison:
    one, other = claim.number or 0.0, evidence.number or 0.0
    if _same(one, other):
        return "equal"
    distance = abs(one - other) / max(abs(one), abs(other))
    if _hedged(claim, evidence):
        meant = claim.approx and distance <= _ABOUT and _rounds(claim, one - other)
        return "equal" if meant else "incomparable"
    if _is_converted(claim, evidence):
        return _converted(claim, evidence)
    if abs(one - other) <= max(claim.step, evidence.step) / 2 and claim.step != evidence.step:
        return _rounded(claim, evidence, distance)
    loose = distance <= _ROUNDED and _loosely_round(one, other)
    return "incomparable" if loose or claim.bound in {"over", "under"} else "different"


def _rounded(claim: Value, evidence: Value, distance: float) -> Comparison:
    """The one that is said more coarsely may stand for the other."""
    if distance > _NEAR:
        return "different"
    limit = claim.kind == "percent" and claim.number in {0.0, 100.0}  # 99.9 % is not all
    return (
        "equal"
        if claim.step > evidence.step and distance <= _ROUNDED and not limit
        else "incomparable"
    )


def _loosely_round(one: float, other: float) -> bool:
    """Whether one could be meant as a round number for the other: 5,000 for 4,980."""
    grain, other_grain = _zeros(one), _zeros(other)
    coarse = max(grain, other_grain)
    return grain != other_grain and coarse >= _ROUND and abs(one - other) < coarse / 2


def _rounds(claim: Value, difference: float) -> bool:
    """Whether the claim is said so coarsely that it may be about what differs by so much."""
    grain = _unit(claim)[0] * _zeros(_said(claim) or 0.0)
    return abs(difference) <= max(claim.step, grain) / 2


_ROUND = 100.0
_MOST_ZEROS = 15


def _zeros(number: float) -> float:
    """The place of the last digit of a whole number that is no zero."""
    return next((10.0**zeros for zeros in range(_MOST_ZEROS, 0, -1) if not number % 10**zeros), 1.0)


def _unit(value: Value) -> tuple[float, float]:
    unit = unit_named(value.said_unit) if value.said_unit else None
    return (unit.factor, unit.offset) if unit else (1.0, 0.0)


def _said(value: Value) -> float | None:
    """The number as the text has it."""
    factor, offset = _unit(value)
    return None if value.number is None else (value.number - offset) / factor


def _is_converted(claim: Value, evidence: Value) -> bool:
    return _unit(claim) != _unit(evidence)


def _converted(claim: Value, evidence: Value) -> Comparison:
    """Amounts in different units are equal up to how exactly both are said."""
    one, other = claim.number or 0.0, evidence.number or 0.0
    slack = (_grain(claim) + _grain(evidence)) / 2
    distance = abs(one - other) / max(abs(one), abs(other))
    relative = claim.unit != "\u00b0C"  # nothing is a share of a temperature
    if (abs(one - other) <= slack and not (relative and distance > _ROUNDED)) or (
        relative and distance <= _CONVERTED
    ):
        return "equal"
    near = distance <= _NEAR if relative else abs(one - other) <= 2 * slack
    return "incomparable" if near else "different"


def _grain(value: Value) -> float:
    """How exactly it is said: what ends in 5 or 0 may well be rounded."""
    said, factor = _said(value) or 0.0, _unit(value)[0]
    if abs(said) >= _ROUND and not said % 5:
        return factor * (5 if said % 10 else 10)
    return value.step
