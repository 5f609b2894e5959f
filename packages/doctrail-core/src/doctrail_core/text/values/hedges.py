"""Words beside a value that make it less than exact: about, at least, over, between."""

import re
from typing import NamedTuple

from doctrail_core.text.values.value import Bound

__all__ = ["Hedge", "hedge", "opens_range"]


class Hedge(NamedTuple):
    approx: bool = False
    bound: Bound | None = None


_REACH = 32
_NOTHING_BETWEEN = r"[\s(\"'\u201c]{0,3}(?:(?:an?|the|of|approximately|about|around)\s)?"
_APPROX = (
    r"about|around|approximately|approx\.?|roughly|nearly|almost|some|circa|c\.|ca\.?|close to|near"
    r"|(?:an )?estimated(?: at)?|estimate of|order of|just|well|[~\u2248\u223c]"
)
_BOUNDS: dict[Bound, str] = {
    "at_least": r"(?:at|the) least|(?:not?|nor) (?:less|fewer|lower|shorter|earlier) than|minimum(?: of)?|min\.?"
    r"|\u2265|>=|starting at|upwards? of",
    "at_most": r"at (?:the )?most|(?:not?|nor) (?:more|greater|longer|later|higher) than|up to|maximum(?: of)?|max\.?"
    r"|not (?:to )?exceed(?:ing)?|\u2264|<=|as (?:much|many|long|high|far) as|limited to|capped at",
    "over": r"over|(?:more|greater|higher|longer|larger|older|later) than|above|exceed(?:s|ed|ing)?|in excess of|beyond|>",
    "under": r"under|(?:less|fewer|lower|shorter|smaller|younger|earlier) than|below|<",
}  # fmt: skip
_BEFORE = re.compile(
    rf"(?:(?<![A-Za-z])|(?=[~\u2248\u223c\u2265\u2264=<>]))(?:(?P<approx>{_APPROX})|"
    + "|".join(f"(?P<{bound}>{words})" for bound, words in _BOUNDS.items())
    + rf"){_NOTHING_BETWEEN}\Z",
    re.IGNORECASE,
)
_ENDS = (
    "about around approximately approx approx. roughly nearly almost some circa c. ca ca. to near estimated at of just "
    "well least than minimum min min. upward upwards most maximum max max. exceed exceeding exceeds exceeded as over "
    "above beyond under below an the a much many long high far"
)
_LAST_WORDS = frozenset(_ENDS.split())
"""The last words of all of these: most values have none of them, and that is seen fast."""
_MARKS = frozenset("~\u2248\u223c\u2265\u2264=<>")
_AFTER = re.compile(
    r"(?P<plus>\+)|,? ?(?:(?P<approx>or so\b|-?ish\b|approximately\b)"
    r"|(?P<at_least>(?:or|and) (?:more|greater|above|higher|longer|older|up|over)\b(?!\s?[\d$\u20ac\xa3])|minimum\b|at least\b)"
    r"|(?P<at_most>(?:or|and) (?:less|fewer|below|lower|under|younger)\b(?!\s?[\d$\u20ac\xa3])|maximum\b|at most\b))",
    re.IGNORECASE,
)
_RANGE_OPENS = re.compile(r"\bbetween[\s(]{1,2}\Z", re.IGNORECASE)


def hedge(text: str, start: int, end: int) -> Hedge:
    """How exact the value at these characters is said to be."""
    before = _before(text[max(0, start - _REACH) : start])
    after = _AFTER.match(text, end)
    approx = bool((before and before["approx"]) or (after and after["approx"]))
    return Hedge(approx, _bound(before) or _bound(after))


def _before(context: str) -> re.Match[str] | None:
    last = context.rstrip(" \n(\"'\u201c").rpartition(" ")[2].rpartition("\n")[2].lower()
    return _BEFORE.search(context) if last in _LAST_WORDS or last[-1:] in _MARKS else None


def _bound(found: re.Match[str] | None) -> Bound | None:
    if not found:
        return None
    said = found.groupdict()
    if said.get("plus"):
        return "at_least"
    return next((bound for bound in _BOUNDS if said.get(bound)), None)


def opens_range(text: str, start: int) -> bool:
    """Whether `between` stands before it."""
    return bool(_RANGE_OPENS.search(text[max(0, start - _REACH) : start]))
