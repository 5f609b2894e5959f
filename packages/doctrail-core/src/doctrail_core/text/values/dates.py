"""Dates as far as they are said: days, months, parts of a year, years, and those relative to now."""

import re
from dataclasses import replace

from doctrail_core.text.values.days import MONTHS, NTH_DAYS, days_by_digits, days_by_name
from doctrail_core.text.values.value import Value, date
from doctrail_core.text.values.years import years_by_digits, years_by_name

__all__ = ["DATE_WORDS", "dates_at"]

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}
_NUMBERS = {name: n for n, name in enumerate(_WEEKDAYS)} | _SHORT
_WEEKDAY = re.compile(
    rf"(?P<name>{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})(?![a-z])(?P<on>\.?,?\s{{1,2}}(?:the\s)?)?",
    re.IGNORECASE,
)

DATE_WORDS = frozenset(
    {*_NUMBERS, *MONTHS, *(name[:3] for name in MONTHS), "sept"}
    | {re.split("[- ]", word)[0] for word in NTH_DAYS}
    | {"spring", "summer", "autumn", "fall", "winter", "q", "h", "fy", "fiscal", "ad"}
    | {
        "today",
        "tomorrow",
        "yesterday",
        "tonight",
        "next",
        "last",
        "this",
        "previous",
        "coming",
        "following",
    }
    | {"current"}
)
"""What a date may begin with that is no digit, in lower case."""


def dates_at(text: str, start: int) -> tuple[Value, ...]:
    """The date that begins at `start`, or both ends of a stretch of days or years."""
    if text[start].isdigit():
        return tuple(days_by_digits(text, start)) or tuple(years_by_digits(text, start))
    if found := _WEEKDAY.match(text, start):
        return _from_weekday(found)
    return tuple(days_by_name(text, start)) or tuple(years_by_name(text, start))


def _from_weekday(found: re.Match[str]) -> tuple[Value, ...]:
    """`Monday`, alone or with the date that goes on after it."""
    text, start, name = found.string, found.start(), found["name"]
    weekday = _NUMBERS[name.lower()]
    if found["on"] and (dates := _days_at(text, found.end())) and dates[0].day:
        whole = replace(dates[0], start=start, text=text[start : dates[0].end], weekday=weekday)
        return whole, *dates[1:]
    if name[0].isupper() and name.lower() in _WEEKDAYS:
        return (date(text, start, found.end("name"), weekday=weekday),)
    return ()


def _days_at(text: str, start: int) -> tuple[Value, ...]:
    by_digits = text[start : start + 1].isdigit()
    return tuple((days_by_digits if by_digits else days_by_name)(text, start))
