"""Years and what they are made of or make up: quarters, halves, seasons, decades, centuries."""

import re
from collections.abc import Iterator

from doctrail_core.text.values.days import YEAR, year_said
from doctrail_core.text.values.numerals import ORDINALS
from doctrail_core.text.values.value import Value, date

__all__ = ["is_year", "years_by_digits", "years_by_name"]

_OF = r"(?:[\s,-]{0,2}(?:of\s)?(?:the\s)?(?:FY\s?|fiscal\s(?:year\s)?|year\s)?"
_PARTS_BY_DIGITS = (
    re.compile(
        rf"(?P<quarter>[1-4])(?:Q|(?:st|nd|rd|th)\s(?:fiscal\s)?quarter\b){_OF}(?:{YEAR}|(?P<two>[0-9]{{2}})\b))?",
        re.IGNORECASE,
    ),
    re.compile(rf"(?P<half>[12])(?:H|(?:st|nd)\shalf\b){_OF}{YEAR})", re.IGNORECASE),
    re.compile(r"(?P<year>[12][0-9]{3})\s?(?:Q(?P<quarter>[1-4])|H(?P<half>[12]))(?!\w)"),
)
_PARTS_BY_NAME = (
    re.compile(rf"Q(?P<quarter>[1-4])(?!\w){_OF}{YEAR})?"),
    re.compile(rf"H(?P<half>[12])(?!\w){_OF}{YEAR})"),
    re.compile(rf"(?P<nth>first|second|third|fourth)\s(?:fiscal\s)?(?P<of>quarter)\b{_OF}{YEAR})?", re.IGNORECASE),
    re.compile(rf"(?P<nth>first|second)\s(?P<of>half)\b{_OF}{YEAR})", re.IGNORECASE),
    re.compile(rf"(?P<season>spring|summer|autumn|fall|winter)\b{_OF}{YEAR})", re.IGNORECASE),
    re.compile(
        r"(?:FY|fiscal)\s?(?:year\s)?[\u2019']?(?:(?P<year>[12][0-9]{3})|(?P<short>[0-9]{2}))(?!\w|[.,][0-9])", re.IGNORECASE
    ),
)  # fmt: skip
_DECADE = re.compile(r"(?P<decade>[12][0-9]{2}0)[\u2019']?s(?![A-Za-z])")
_CENTURY = re.compile(
    r"(?P<nth>[0-9]{1,2}(?:st|nd|rd|th)|[a-z]{5,11}|twenty[- ]first)[\s-]century\b(?P<before>\sB\.?C)?",
    re.IGNORECASE,
)
_ERA = re.compile(r"(?P<year>[0-9]{1,4})\s?(?:(?P<before>B\.?C)|A\.?D|C\.?E)(?:\.?E)?(?![A-Za-z])")
_ANNO = re.compile(r"AD\s(?P<year>[0-9]{1,4})(?!\w|[.,][0-9])")
_STRETCH = re.compile(
    r"(?P<first>[12][0-9]{3})\s?[-\u2013/]\s?(?P<last>[12][0-9]{3}|[0-9]{2})(?!\w|[.,:/-][0-9])"
)
_RELATIVE = re.compile(
    r"(?:today|tomorrow|yesterday|tonight|(?:next|previous|following)\sday"
    r"|(?:next|last|this|previous|coming|following|current)\s(?:(?:fiscal|calendar|business|school)\s)?"
    r"(?:week(?:end)?|month|quarter|year|decade|century|spring|summer|autumn|winter|(?:mon|tues|wednes|thurs|fri|satur"
    r"|sun)day|january|february|march|april|may|june|july|august|september|october|november|december))(?![a-z])",
    re.IGNORECASE,
)  # fmt: skip
_LONGEST_STRETCH = 200
_CENTURIES = 21
_ORDERED = {word: int(nth) for word, nth in ORDINALS.items() if nth <= _CENTURIES}


def years_by_digits(text: str, start: int) -> Iterator[Value]:
    """The part of a year, or the years, that a digit begins; no bare year."""
    for pattern in _PARTS_BY_DIGITS:
        if found := pattern.match(text, start):
            yield _part(found)
            return
    if found := _DECADE.match(text, start):
        yield date(text, *found.span(), year=int(found["decade"]), years=10)
    elif found := _CENTURY.match(text, start):
        yield from _century(found)
    elif found := _ERA.match(text, start):
        yield date(text, *found.span(), year=int(found["year"]) * (-1 if found["before"] else 1))
    elif found := _STRETCH.match(text, start):
        yield from _stretch(found)


def years_by_name(text: str, start: int) -> Iterator[Value]:
    """The part of a year, the years, or the time relative to now, that a word begins."""
    for pattern in _PARTS_BY_NAME:
        if found := pattern.match(text, start):
            yield _part(found)
            return
    if found := _ANNO.match(text, start):
        yield date(text, *found.span(), year=int(found["year"]))
    elif found := _RELATIVE.match(text, start):
        yield date(text, *found.span(), relative=True)
    elif found := _CENTURY.match(text, start):
        yield from _century(found)


def _part(found: re.Match[str]) -> Value:
    said = found.groupdict()
    year = 2000 + int(said["two"]) if said.get("two") else year_said(found)
    return date(found.string, *found.span(), year=year, part=_part_said(said))


def _part_said(said: dict[str, str | None]) -> str | None:
    if nth := said.get("nth"):
        return f"{(said['of'] or '')[0].lower()}{_ORDERED[nth.lower()]}"
    if season := said.get("season"):
        return "autumn" if season.lower() == "fall" else season.lower()
    return next((f"{name[0]}{said[name]}" for name in ("quarter", "half") if said.get(name)), None)


def _century(found: re.Match[str]) -> Iterator[Value]:
    digits = re.sub(r"\D", "", found["nth"])
    nth = int(digits) if digits else _ORDERED.get(found["nth"].lower(), 0)
    if nth:
        first = -100 * nth if found["before"] else 100 * (nth - 1)
        yield date(found.string, *found.span(), year=first, years=100)


def _stretch(found: re.Match[str]) -> Iterator[Value]:
    """Both ends of `1998-2001`, `2024/25`; and `2024-02`, which is a month."""
    text, first, last = found.string, int(found["first"]), int(found["last"])
    short = len(found["last"]) == 2  # noqa: PLR2004 -- two digits of a year
    if short and first % 100 >= last:
        if 1 <= last <= 12:  # noqa: PLR2004 -- months
            yield date(text, *found.span(), year=first, month=last)
        return
    last += first - first % 100 if short else 0
    if not first % _ROUND and not last % _ROUND and _COUNTED.match(text, found.end()):
        return
    if 0 < last - first <= _LONGEST_STRETCH and last <= _LATEST:
        yield date(text, *found.span("first"), year=first)
        yield date(text, *found.span("last"), year=last)


_ROUND = 50
"""Years are seldom multiples of it, amounts often are."""
_COUNTED = re.compile(r"\s?[A-Za-z%\xb0]")
_EARLIEST, _LATEST = 1800, 2100
_YEAR_EXPECTED = re.compile(
    r"\b(?:(?:early|late) as|in|since|by|of|until|till|from|during|circa|ca\.|c\.|years?|early|late|mid|before|after|around|through|to"
    r"|and|or|between|than|season|edition|anno)[ -]\Z|[(\u2019',/\u2013-]\s?\Z",
    re.IGNORECASE,
)
_YEAR_SURE = frozenset(
    (
        "early as",
        "late as",
        "in",
        "since",
        "until",
        "till",
        "during",
        "circa",
        "year",
        "early",
        "late",
        "mid",
    )
)
_CLOSED = re.compile(r"\s?(?:[).,;:!?\]\u2019'\"\u201d]|\Z)")
_CONTEXT = 12


def is_year(text: str, start: int, end: int, *, counts: bool) -> bool:
    """Whether four bare digits are a year; `counts` tells that something countable follows."""
    year = int(text[start:end])
    expected = _YEAR_EXPECTED.search(text[max(0, start - _CONTEXT) : start])
    if counts:
        today = 1900 <= year < 2050  # noqa: PLR2004 -- years that are spoken of
        return today and (bool(expected and expected[0][0].isalpha()) or bool(year % _ROUND))
    if _EARLIEST <= year <= _LATEST:
        return True
    if not expected or year > _LATEST:
        return False
    return expected[0][:-1].lower() in _YEAR_SURE or bool(_CLOSED.match(text, end))
