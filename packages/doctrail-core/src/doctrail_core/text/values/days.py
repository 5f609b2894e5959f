"""Days and months by name or number: `28 February 2024`, `Feb. 28th`, `2024-02-28`, `March 3-5`, `May`."""

import re
from collections.abc import Iterator

from doctrail_core.text.values.numerals import ORDINALS
from doctrail_core.text.values.value import Value, date

__all__ = ["MONTHS", "NTH_DAYS", "YEAR", "days_by_digits", "days_by_name", "year_said"]

_NAMES = "january february march april may june july august september october november december"
MONTHS = {name: n for n, name in enumerate(_NAMES.split(), 1)}
_SHORT = {name[:3]: n for name, n in MONTHS.items()} | {"sept": 9}
_NUMBERS = MONTHS | _SHORT
NTH_DAYS = {word: int(nth) for word, nth in ORDINALS.items() if nth <= 31}  # noqa: PLR2004 -- days

_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])\.?"
)
YEAR = r"(?:(?P<year>[12][0-9]{3})|[\u2019'](?P<short>[0-9]{2}))(?![0-9]|[.,:][0-9])"
_OF_YEAR = rf"(?:(?:,?\s{{1,2}}|,|-|/)(?:(?:of|in)\s)?(?:the\syear\s(?:of\s)?)?{YEAR})?"
_DAY = r"(?P<day>[0-3]?[0-9](?:\s?(?:st|nd|rd|th)\b)?)"
_UNTIL = r"(?:(?:\s?[-\u2013]\s?|\s(?:to|and|through)\s)(?P<until>[0-3]?[0-9](?:st|nd|rd|th)?(?![0-9])))?"
_OF_MONTH = (
    r"(?:\s?\([0-9]{1,2}(?:st|nd|rd|th)?\))?(?:\s{1,2}day)?(?:\s{1,2}of\s{1,2}|\s{1,2}|[-/])"
)
_NO_MORE_DIGITS = r"(?![0-9A-Za-z%]|[.,:/-][0-9])"

_ISO = re.compile(
    r"(?P<year>[12][0-9]{3})([-/.])(?P<month>0?[1-9]|1[0-2])\2(?P<day>[0-3]?[0-9])"
    rf"(?:T[0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?(?:\.[0-9]{{1,9}})?(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})?|{_NO_MORE_DIGITS})"
)
_SLASHED = re.compile(
    r"(?P<one>[0-3]?[0-9])(?:(?P<mark>[.-])(?=[0-3]?[0-9][.-][12][0-9]{3})|/)(?P<other>[0-3]?[0-9])[./-]"
    rf"(?:(?P<year>[12][0-9]{{3}})|(?P<short>[0-9]{{2}})){_NO_MORE_DIGITS}"
)
_MONTH_AND_YEAR = re.compile(
    rf"(?P<month>0?[1-9]|1[0-2])/(?P<year>(?:19|20)[0-9]{{2}}){_NO_MORE_DIGITS}"
)
_DAY_FIRST = re.compile(
    rf"{_DAY}{_UNTIL}{_OF_MONTH}{_MONTH}(?:-(?P<brief>[0-9]{{2}})(?![\w-])|{_OF_YEAR})",
    re.IGNORECASE,
)
_WORD_FIRST = re.compile(
    rf"(?P<nth>(?:twenty|thirty)[- ][a-z]{{4,7}}|[a-z]{{5,11}}){_OF_MONTH}{_MONTH}{_OF_YEAR}",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"{_MONTH}(?:\s{{1,2}}(?:the\s)?|-){_DAY}(?![0-9A-Za-z%]|[.,:/][0-9]){_UNTIL}{_OF_YEAR}",
    re.IGNORECASE,
)
_MONTH_OF_YEAR = re.compile(rf"{_MONTH}(?:,?\s{{1,2}}(?:of\s)?|-|/){YEAR}", re.IGNORECASE)
_MONTH_ALONE = re.compile(_MONTH, re.IGNORECASE)

# Names that are common words as well are months only where they cannot be anything else.
_COMMON_WORDS = frozenset(("may", "march", "mar", "dec", "jan", "sep"))
_MONTH_EXPECTED = re.compile(
    r"\b(?:in|of|by|until|till|since|during|from|to|through|before|after|each|every|early|late|mid|last|next|this"
    r"|and|or|between|for)[ -]\Z",
    re.IGNORECASE,
)
_CONTEXT = 10


def days_by_digits(text: str, start: int) -> Iterator[Value]:
    """The day or days that a digit begins."""
    if found := _ISO.match(text, start) or _MONTH_AND_YEAR.match(text, start):
        yield from _days(found)
    elif found := _SLASHED.match(text, start):
        yield from _slashed(found)
    elif (found := _DAY_FIRST.match(text, start)) and _is_month(
        found["month"], sure=bool(found["year"])
    ):
        yield from _days(found)


def days_by_name(text: str, start: int) -> Iterator[Value]:
    """The day, days, or month that a word begins."""
    if found := _MONTH_FIRST.match(text, start) or _MONTH_OF_YEAR.match(text, start):
        if _is_month(found["month"], sure=bool(found["year"] or found["short"])):
            yield from _days(found)
    elif found := _MONTH_ALONE.match(text, start):
        if _stands_alone(found):
            yield from _days(found)
    elif (found := _WORD_FIRST.match(text, start)) and found["nth"].lower() in NTH_DAYS:
        yield from _days(found)


def year_said(found: re.Match[str]) -> int | None:
    """The year of a match of `YEAR`."""
    said = found.groupdict()
    if short := said.get("short") or said.get("brief"):
        return int(short) + (2000 if int(short) < 70 else 1900)  # noqa: PLR2004 -- the usual pivot
    return int(said["year"]) if said.get("year") else None


def _days(found: re.Match[str]) -> Iterator[Value]:
    """One day, or the first and the last of several, or a month."""
    said, text, year = found.groupdict(), found.string, year_said(found)
    month = _NUMBERS.get(said["month"].lower()) or int(said["month"])
    first = NTH_DAYS[said["nth"].lower()] if said.get("nth") else _digits(said.get("day"))
    last = _digits(said.get("until"))
    if max(first or 1, last or 1) > 31 or first == 0:  # noqa: PLR2004 -- days
        return
    if first is None or last is None or last <= first:
        end = found.end() if first is None or last is None else found.end("day")
        yield date(text, found.start(), end, year=year, month=month, day=first)
        return
    first_end = max(
        found.end("day"), found.end("month") if found.start("month") < found.start("day") else 0
    )
    yield date(text, found.start(), first_end, year=year, month=month, day=first)
    yield date(text, found.start("until"), found.end(), year=year, month=month, day=last)


def _digits(day: str | None) -> int | None:
    return int(re.sub(r"\D", "", day)) if day else None


def _slashed(found: re.Match[str]) -> Iterator[Value]:
    """`03/04/2024`, where the month may be either; with dots, as on the Continent, the day comes first."""
    one, other = int(found["one"]), int(found["other"])
    day_first = found["mark"] == "." or one > 12  # noqa: PLR2004 -- months
    month, day = (other, one) if day_first else (one, other)
    if 1 <= month <= 12 and 1 <= day <= 31:  # noqa: PLR2004 -- months, days
        ambiguous = found["mark"] != "." and day != month and max(day, month) <= 12  # noqa: PLR2004 -- months
        year = year_said(found)
        yield date(
            found.string, *found.span(), year=year, month=month, day=day, ambiguous=ambiguous
        )


def _is_month(name: str, *, sure: bool) -> bool:
    return sure or name[0].isupper() or name.lower() not in _COMMON_WORDS


def _stands_alone(found: re.Match[str]) -> bool:
    """Whether a bare name is that of a month: written out, capitalised, and no verb."""
    name, start = found["month"], found.start()
    if name.lower() not in MONTHS or not name[0].isupper():
        return False
    before = found.string[max(0, start - _CONTEXT) : start]
    return name.lower() not in _COMMON_WORDS or bool(_MONTH_EXPECTED.search(before))
