"""Times of day, as minutes since midnight: `9 a.m.`, `9:30`, `17:00`, `9-11 a.m.`, `noon`."""

import re
from collections.abc import Iterator

from doctrail_core.text.values.value import Value

__all__ = ["CLOCK_WORDS", "named_time", "times_at"]

CLOCK_WORDS = frozenset(("noon", "midnight", "midday"))

_HALF = r"(?P<half>[ap])\.?\s?m\b\.?"
_ZONE = r"(?:\s\(?(?P<zone>UTC|GMT|[ECMP][SD]?T|CES?T|BST|IST|JST|AES?T)\b)?"
_TIME = re.compile(
    rf"(?P<hour>[0-2]?[0-9])(?:[:.](?P<minute>[0-5][0-9]))?(?:\s?(?:-|\u2013|to)\s?(?P<until>[01]?[0-9])"
    rf"(?:[:.](?P<until_minute>[0-5][0-9]))?)?\s?{_HALF}{_ZONE}(?![a-z])",
    re.IGNORECASE,
)
_DAY_TIME = re.compile(
    rf"(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::[0-5][0-9])?(?:\s?(?:h|hrs|hours)\b)?{_ZONE}(?![0-9:])"
)
_O_CLOCK = re.compile(r"(?P<hour>1?[0-9])\so['\u2019]?clock\b", re.IGNORECASE)
_NOON = 12 * 60


def times_at(text: str, start: int) -> Iterator[Value]:
    """The time that begins at `start`, or both ends of a stretch of hours."""
    if found := _TIME.match(text, start):
        yield from _with_half(found)
    elif found := _DAY_TIME.match(text, start):
        hour = int(found["hour"])
        yield _time(found, hour, found["minute"], ambiguous=found["hour"] in _COULD_BE_AFTERNOON)
    elif found := _O_CLOCK.match(text, start):
        yield _time(found, int(found["hour"]), None, ambiguous=True)


def named_time(text: str, start: int, end: int) -> Value:
    """Noon or midnight."""
    minutes = 0.0 if text[start:end].lower() == "midnight" else float(_NOON)
    return Value(kind="time", start=start, end=end, text=text[start:end], number=minutes)


_COULD_BE_AFTERNOON = frozenset(map(str, range(1, 13)))


def _with_half(found: re.Match[str]) -> Iterator[Value]:
    hour, afternoon = int(found["hour"]), found["half"].lower() == "p"
    if not 1 <= hour <= 12:  # noqa: PLR2004 -- hours of the half day
        return
    if until := found["until"]:
        last = int(until)
        before_noon = afternoon and hour % 12 > last % 12  # 9-5 p.m.
        first_end = found.end("minute") if found["minute"] else found.end("hour")
        yield _time(
            found,
            _hour(hour, afternoon=afternoon and not before_noon),
            found["minute"],
            end=first_end,
        )
        yield _time(
            found,
            _hour(last, afternoon=afternoon),
            found["until_minute"],
            start=found.start("until"),
        )
    else:
        yield _time(found, _hour(hour, afternoon=afternoon), found["minute"])


def _hour(hour: int, *, afternoon: bool) -> int:
    return hour % 12 + (12 if afternoon else 0)


def _time(
    found: re.Match[str],
    hour: int,
    minute: str | None,
    *,
    start: int | None = None,
    end: int | None = None,
    ambiguous: bool = False,
) -> Value:
    start = found.start() if start is None else start
    end = found.end() if end is None else end
    zone = found.groupdict().get("zone")
    return Value(
        kind="time",
        start=start,
        end=end,
        text=found.string[start:end],
        number=float(hour * 60 + int(minute or 0)),
        unit=zone.upper() if zone else None,
        ambiguous=ambiguous,
    )
