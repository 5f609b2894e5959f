"""Finds the values of a text, from the left; none overlaps another."""

import re
from collections.abc import Iterator
from dataclasses import replace

from doctrail_core.text.values.clock import CLOCK_WORDS, named_time, times_at
from doctrail_core.text.values.currencies import CURRENCY_SIGNS
from doctrail_core.text.values.dates import DATE_WORDS, dates_at
from doctrail_core.text.values.quantities import QUANTITY_WORDS, quantity_at
from doctrail_core.text.values.references import Tags, reference_end, word_end
from doctrail_core.text.values.value import Value, date
from doctrail_core.text.values.years import is_year

__all__ = ["values_in"]

_BEGINNING = re.compile(rf"[0-9\xbc-\xbe\u2150-\u215e{''.join(sorted(CURRENCY_SIGNS))}]|[^\W\d_]+")
_DIGITS = re.compile(r"[0-9]{1,40}(?:[.,:/-][0-9]{1,40}){0,9}")
_YEAR_DIGITS = 4


def values_in(text: str) -> tuple[Value, ...]:
    """The values that a text states, in order; numbers that name a section, page or id are none."""
    return tuple(_compounded(text, _read(text)))


def _read(text: str) -> Iterator[Value]:
    tags = Tags(text)
    done = 0
    for found in _BEGINNING.finditer(text):
        start = found.start()
        if start < done:
            continue
        if not (by_digits := text[start] in "0123456789") and found[0].lower() not in _WORDS:
            continue
        if done := tags.end(start) or 0:
            continue
        for value in (
            _from_digits(text, start) if by_digits else _from_word(text, start, found[0].lower())
        ):
            yield value
            done = value.end
        if by_digits and not done:
            done = _skipped(text, start)


_WORDS = DATE_WORDS | CLOCK_WORDS | QUANTITY_WORDS


def _skipped(text: str, start: int) -> int:
    if end := word_end(text, start) or reference_end(text, start):
        return end
    run = _DIGITS.match(text, start)
    return run.end() if run else start + 1


def _from_digits(text: str, start: int) -> Iterator[Value]:
    if word_end(text, start):
        return
    if dates := dates_at(text, start):
        yield from dates
    elif not reference_end(text, start):
        start -= _leading_point(text, start)
        times = tuple(times_at(text, start))
        yield from times or _amounts(text, start)


def _leading_point(text: str, start: int) -> bool:
    """Whether the digit is one of `.5`."""
    return (
        text[max(0, start - 1) : start] == "." and not text[max(0, start - 2) : start - 1].isalnum()
    )


def _from_word(text: str, start: int, word: str) -> Iterator[Value]:
    if word in CLOCK_WORDS:
        yield named_time(text, start, start + len(word))
    elif word in DATE_WORDS and (dates := dates_at(text, start)):
        yield from dates
    elif word in QUANTITY_WORDS:
        yield from _amounts(text, start)


def _amounts(text: str, start: int) -> Iterator[Value]:
    if value := quantity_at(text, start):
        yield _as_year(text, value) or value


def _as_year(text: str, value: Value) -> Value | None:
    """The year that a number of four bare digits is, if it is one."""
    bare = value.kind == "count" and len(value.text) == _YEAR_DIGITS and value.text.isdecimal()
    if not bare or not is_year(text, value.start, value.end, counts=value.unit is not None):
        return None
    year = date(text, value.start, value.end, year=int(value.text))
    return replace(year, approx=value.approx)


_JOINED = re.compile(r",? and |, ?| ")
_COMPOUND_BASES = frozenset(("s", "month", "m", "g"))


def _compounded(text: str, values: Iterator[Value]) -> Iterator[Value]:
    """`5 feet 11 inches` is one value."""
    whole: Value | None = None
    for value in values:
        if whole and _continues(text, whole, value):
            whole = replace(
                whole,
                end=value.end,
                text=text[whole.start : value.end],
                number=(whole.number or 0.0) + (value.number or 0.0),
                said_unit=value.said_unit,
                step=value.step,
            )
            continue
        if whole:
            yield whole
        whole = value
    if whole:
        yield whole


def _continues(text: str, whole: Value, part: Value) -> bool:
    if whole.unit != part.unit or whole.unit not in _COMPOUND_BASES or whole.upper or part.upper:
        return False
    if whole.said_unit == part.said_unit:
        return False
    smaller = part.step < whole.step and (part.number or 0.0) < whole.step
    return smaller and bool(_JOINED.fullmatch(text, whole.end, part.start))
