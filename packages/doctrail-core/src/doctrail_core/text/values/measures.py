"""What stands behind a number and says what it is a number of: a percent sign, a unit, a noun."""

import re
from dataclasses import dataclass

from doctrail_core.text.values.currencies import currency_after
from doctrail_core.text.values.units import Unit, unit_named
from doctrail_core.text.values.value import ValueKind

__all__ = ["Measure", "counted", "measured", "per"]


def _words(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


@dataclass(frozen=True, slots=True)
class Measure:
    """It ends at `end`; the number is to be converted to `unit`, whose name there is `said_unit`."""

    end: int
    kind: ValueKind
    unit: str | None
    said_unit: str | None = None
    factor: float = 1.0
    offset: float = 0.0


_PERCENT = re.compile(
    r"\s?%(?P<sign_points>[- ]points?\b)?|[\s-]{1,2}(?:per\s?cent|pct)(?P<points>(?:age)?[\s-]points?)?\b"
    r"|\s?(?P<pp>pp)\b|[\s-](?P<basis>basis[\s-]points?|bps)\b",
    re.IGNORECASE,
)
_BASIS_POINT = 0.01

_UNIT = re.compile(
    r"(?P<gap>[ \xa0\u2009\u202f\n-]{0,2})(?:(?P<sign>\u00b0 ?[CF](?![a-z])|[\u00b0\u2103\u2109\u2032\u2033\u03a9])"
    r"|(?P<first>[A-Za-z\u00b5\u03bc]{1,14}(?:[\u00b2\u00b3]|[23](?![0-9])|/[A-Za-z]{1,4})?)(?![A-Za-z0-9])"
    r"(?P<second>[ \n-][A-Za-z]{1,14}(?![A-Za-z]))?(?P<third> [A-Za-z]{1,14}(?![A-Za-z]))?)"
)
_APART = frozenset("gmlLhWV")
"""Units of one letter that may stand apart from their number."""
_QUALIFIER = re.compile(
    r"[\s-]{1,2}(?:(?P<business>business|working|trading|banking)|consecutive|calendar|full|additional|further|more|whole"
    r"|long|successive|straight)(?=[\s-](?:days?|weeks?|months?|years?|hours?|minutes?)\b)",
    re.IGNORECASE,
)
_GLUED_DEGREES = re.compile(r"(?<=[0-9]{2})[CF](?![A-Za-z0-9])")
_DURATIONS = frozenset(("s", "month", "business day"))


def measured(text: str, end: int) -> Measure | None:
    """The percent sign, unit or currency after a number that ends at `end`."""
    return _percent(text, end) or _unit(text, end) or _money(text, end)


def _percent(text: str, end: int) -> Measure | None:
    if not (found := _PERCENT.match(text, end)):
        return None
    points = found["sign_points"] or found["points"] or found["pp"] or found["basis"]
    factor = _BASIS_POINT if found["basis"] else 1.0
    return Measure(found.end(), "percent", "pp" if points else "%", factor=factor)


def _money(text: str, end: int) -> Measure | None:
    found = currency_after(text, end)
    return Measure(found.end, "money", found.code) if found else None


def _unit(text: str, end: int) -> Measure | None:
    if found := _GLUED_DEGREES.match(text, end):
        return _measure(unit_named(f"\u00b0{found[0]}"), found.end(), f"\u00b0{found[0]}")
    qualifier = _QUALIFIER.match(text, end)
    found = _UNIT.match(text, qualifier.end() if qualifier else end)
    if not found:
        return None
    if sign := found["sign"]:
        return _measure(unit_named(sign.replace(" ", "")), found.end(), sign.replace(" ", ""))
    if qualifier and qualifier["business"]:
        return _business(found)
    return _named(found)


def _business(found: re.Match[str]) -> Measure:
    """Business days are no days that could be converted, nor are business hours."""
    name = found["first"].lower().removesuffix("s")
    return Measure(found.end("first"), "duration", f"business {name}", f"business {name}")


def _named(found: re.Match[str]) -> Measure | None:
    """The longest name of up to three words."""
    first = found["first"]
    if len(first) == 1 and found["gap"] and (first not in _APART or found["gap"] != " "):
        return None
    names = [first]
    for group in ("second", "third"):
        if found[group]:
            names.append(f"{names[-1]} {found[group][1:]}")
    for name, group in reversed(tuple(zip(names, ("first", "second", "third"), strict=False))):
        if unit := unit_named(name):
            return _measure(unit, found.end(group), name)
    return None


def _measure(unit: Unit | None, end: int, said: str) -> Measure | None:
    if not unit:
        return None
    kind: ValueKind = "duration" if unit.base in _DURATIONS else "measure"
    return Measure(end, kind, unit.base, said, unit.factor, unit.offset)


_PER = re.compile(
    r"\s?(?:/|per\s|an?\s|each\s|every\s|\(per\s)\s?(?P<what>[A-Za-z]{2,12})(?![A-Za-z])"
    r"|,?\s(?P<yearly>annually|monthly|weekly|daily|hourly|quarterly|p\.\s?a\.)",
    re.IGNORECASE,
)
_PERIODS = {
    "annum": "year", "yr": "year", "annually": "year", "p.a.": "year", "p. a.": "year", "mo": "month", "monthly": "month",
    "weekly": "week", "daily": "day", "hourly": "hour", "hr": "hour", "quarterly": "quarter",
}  # fmt: skip
_EACH = _words("hour day week month quarter year user seat person employee unit share") | {
    *_PERIODS
}


def per(text: str, end: int) -> str | None:
    """What each the amount that ends there is for: `month` in `$5 per month`."""
    if not (found := _PER.match(text, end)):
        return None
    said = (found["what"] or found["yearly"]).lower()
    return _PERIODS.get(said, said) if said in _EACH else None


_NOUN = re.compile(
    r"\+?(?:\s(?:of\s)?(?:the|its|our|their|these|those|his|her|your|my)\b)?((?:[\s-]{1,2}[A-Za-z]{2,20}(?![A-Za-z])){1,3})"
)
_TIMES = re.compile(r"[x\xd7](?!\w)|[ -]times\b")
_NO_PLURALS = _words(
    "is was has as its this us his does yes thus plus less process across class address access versus always perhaps "
    "times minus"
)
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "species": "species",
    "series": "series",
    "feet": "foot",
}
_CLAUSE_ENDS = _words(
    "and or of in on at by for to from with that which who is are was were has have had but as than if when what who how the a an "
    "above below"
)


def counted(text: str, end: int, *, one: bool) -> tuple[str | None, int]:
    """The noun that a number counts, in the singular, and where it ends; `one` of it is no plural."""
    if found := _TIMES.match(text, end):
        return "time", found.end()
    if not (found := _NOUN.match(text, end)):
        return None, end
    for word in re.finditer(r"[A-Za-z]+", found[1]):
        low = word[0].lower()
        if low in _CLAUSE_ENDS:
            return None, end
        if one or low in _IRREGULAR or (_is_plural(low) and not word[0].isupper()):
            return _singular(low), found.start(1) + word.end()
    return None, end


def _is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is")) and word not in _NO_PLURALS


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word.removesuffix("s") if _is_plural(word) else word
