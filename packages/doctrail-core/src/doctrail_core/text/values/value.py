"""A value that a text states: what kind, how much or when, and how exactly it is said.

What the text does not say is None, and is never filled in: `February 28th` has no year.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Bound", "Value", "ValueKind", "date"]

ValueKind = Literal[
    "date", "time", "money", "percent", "duration", "measure", "count", "ordinal", "fraction"
]
Bound = Literal["at_least", "at_most", "over", "under"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Characters `[start, end)` of a text state a value.

    Attributes:
        kind: What it is. A number with nothing beside it is a `count` without a unit.
        text: The characters.
        number: How much, in the unit; of a range the lower end. None for dates. Of a time of day the
            minutes since midnight.
        upper: The upper end of a range.
        unit: What is counted or measured in: a currency (`usd`, or `$` where it is not said whose
            dollars), `%` or `pp` (percentage points), seconds (`s`), `month` or `business day`, the
            base unit of a measure (`g`, `m`, `°C`), the singular of what is counted (`employee`).
        said_unit: The unit as the text has it.
        step: The place of the last digit that is said, in the unit: 100,000 for `1.2 million`.
        per: What each it is for: `month` in `$5 per month`.
        approx: `about`, `roughly`.
        bound: `at least`, `up to`, `over`, `under`.
        in_words: Written without digits.
        year, month, day, weekday: The fields of a date that are said; Monday is 0. Years before
            Christ are negative.
        years: How many years it covers from `year` on: 10 for `the 1990s`.
        part: A part of a year that is no month: `q3`, `h1`, `spring`.
        relative: It depends on when it was said: `next month`, `two weeks ago`.
        ambiguous: It can be read in two ways: `03/04/2024` as month or day first, `9:30` as before or
            after noon, `thirty (60) days`.
    """

    kind: ValueKind
    start: int
    end: int
    text: str
    number: float | None = None
    upper: float | None = None
    unit: str | None = None
    said_unit: str | None = None
    step: float = 1.0
    per: str | None = None
    approx: bool = False
    bound: Bound | None = None
    in_words: bool = False
    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    years: int = 1
    part: str | None = None
    relative: bool = False
    ambiguous: bool = False


def date(
    text: str,
    start: int,
    end: int,
    *,
    year: int | None = None,
    month: int | None = None,
    day: int | None = None,
    weekday: int | None = None,
    part: str | None = None,
    years: int = 1,
    relative: bool = False,
    ambiguous: bool = False,
) -> Value:
    """Make the date that these characters state."""
    return Value(
        kind="date",
        start=start,
        end=end,
        text=text[start:end],
        year=year,
        month=month,
        day=day,
        weekday=weekday,
        part=part,
        years=years,
        relative=relative,
        ambiguous=ambiguous,
    )
