"""Amounts: money, percents, durations, measures, counts, and ranges of them; ordinals and fractions."""

import re
from dataclasses import replace

from doctrail_core.text.values.currencies import CURRENCY_SIGNS, CURRENCY_WORDS, currency_before
from doctrail_core.text.values.hedges import hedge, opens_range
from doctrail_core.text.values.measures import Measure, counted, measured, per
from doctrail_core.text.values.numerals import CARDINALS, ORDINALS, VULGAR, Numeral, numeral
from doctrail_core.text.values.value import Value, date

__all__ = ["QUANTITY_WORDS", "quantity_at"]

_FIRSTS = {re.split("[- ]", word)[0] for word in ORDINALS}
QUANTITY_WORDS = frozenset(
    {*CARDINALS, *CURRENCY_SIGNS, *CURRENCY_WORDS, *_FIRSTS, *VULGAR, "a", "an", "half"}
)
"""What an amount may begin with that is no digit, in lower case."""


def quantity_at(text: str, start: int) -> Value | None:
    """The amount that begins at `start`."""
    if found := _ordinal(text, start):
        return found
    if not (amount := _Amount.read(text, start)):
        return None
    value = _fraction(text, start, amount.said) or amount.value(start)
    return _ago(text, value) if value else None


class _Amount:
    """A number, and what it is a number of."""

    def __init__(self, text: str, said: Numeral, measure: Measure | None) -> None:
        self.text = text
        self.said = said
        self.measure = measure
        self.upper: Numeral | None = None

    @classmethod
    def read(cls, text: str, start: int, *, alone: bool = False) -> "_Amount | None":
        """Read an amount; with `alone`, no range."""
        currency = currency_before(text, start)
        said = numeral(text, currency.end if currency else start, money=bool(currency))
        if not said:
            return None
        money = Measure(said.end, "money", currency.code) if currency else None
        amount = cls(text, said, money or measured(text, said.end))
        return amount if alone else amount._with_upper(start)

    @property
    def end(self) -> int:
        return self.measure.end if self.measure else (self.upper or self.said).end

    def _with_upper(self, start: int) -> "_Amount":
        """Read on where the amount is the lower end of a range."""
        join = _JOIN.match(self.text, self.end)
        between = opens_range(self.text, start)
        if not join or (join["and"] and not between):
            return self
        other = _Amount.read(self.text, join.end(), alone=True)
        if not other or not self._goes_up_to(other, between=between or join["dash"] is not None):
            return self
        shared = self.said.scale == 1 and (not self.measure or self.measure.kind == "money")
        scale = other.said.scale if shared else 1.0
        if self.said.number * scale >= other.said.number:
            return self
        said = replace(self.said, number=self.said.number * scale, step=self.said.step * scale)
        measure = other.measure or (self.measure and replace(self.measure, end=other.said.end))
        whole = _Amount(self.text, said, measure)
        whole.upper = other.said
        return whole

    def _goes_up_to(self, other: "_Amount", *, between: bool) -> bool:
        """Whether both are ends of one range: two years are not, nor is a change from one to another."""
        if not self.measure:
            return not (_like_year(self.said) and _like_year(other.said) and not other.measure)
        if not other.measure:
            return self.measure.kind == "money" and between
        return between and self.measure.unit == other.measure.unit

    def value(self, start: int) -> Value | None:
        start = _signed(self.text, start)
        measure = self.measure or Measure(self.end, "count", None)
        lower = -self.said.number if self.text[start] in _MINUS else self.said.number
        if measure.kind == "count" and self._says_nothing():
            return None
        noun, noun_end = None, self.end
        if measure.kind == "count":
            noun, noun_end = counted(self.text, self.end, one=self.said.number == 1)
        hedged, hedged_later = hedge(self.text, start, self.end), hedge(self.text, start, noun_end)
        return Value(
            kind=measure.kind,
            start=start,
            end=self.end,
            text=self.text[start : self.end],
            number=lower * measure.factor + measure.offset,
            upper=self.upper.number * measure.factor + measure.offset if self.upper else None,
            unit=noun or measure.unit,
            said_unit=measure.said_unit,
            step=max(self.said.step, self.upper.step if self.upper else 0.0) * measure.factor,
            per=per(self.text, noun_end),
            approx=hedged.approx or hedged_later.approx,
            bound=hedged.bound or hedged_later.bound,
            in_words=self.said.in_words,
            ambiguous=self.said.doubtful,
        )

    def _says_nothing(self) -> bool:
        """`one` is a pronoun more often than a number; `24/7`, `two-way` and `3SC` are none."""
        if _IN_A_WORD.match(self.text, self.end) and (
            self.said.in_words or self.text[self.end] != "-"
        ):
            return True
        return (self.said.in_words and self.said.number == 1) or self.said.step not in _WHOLE_STEPS


_JOIN = re.compile(r"(?P<dash>\s?[-\u2013\u2014]\s?)|\s(?:to|through)\s|\s(?P<and>and)\s")
_MINUS = frozenset("-\u2212")
_IN_A_WORD = re.compile(r"-?(?!x(?!\w))[^\W\d_]")
_WHOLE_STEPS = frozenset(10.0**power for power in range(-12, 13))


_ROUND = 100


def _like_year(said: Numeral) -> bool:
    """Four digits such as years have; amounts of that size are round more often."""
    year = 1000 <= said.number <= 2100 and said.number % _ROUND  # noqa: PLR2004 -- years
    return bool(year) and not said.in_words and said.scale == 1


def _signed(text: str, start: int) -> int:
    """Where the minus sign before the number stands, if that is what it is."""
    if start and text[start - 1] in _MINUS and (start == 1 or text[start - 2] in " \n\t(["):
        return start - 1
    return start


_NTH = re.compile(
    r"(?P<digits>[0-9]{1,6})(?:st|nd|rd|th)\b|(?P<word>[A-Za-z]{5,12})(?P<more>[- ][A-Za-z]{5,7})?\b"
)
_NO_NTH = re.compile(r"[- ]part(?:y|ies)\b|,", re.IGNORECASE)
_DETERMINED = re.compile(r"\b(?:the|a|its|his|her|their|our|your|every|each)\s\Z", re.IGNORECASE)
_CONTEXT = 8
_THIRD = 3


def _ordinal(text: str, start: int) -> Value | None:
    found = _NTH.match(text, start)
    if not found:
        return None
    if found["digits"]:
        return _nth(text, start, found.end(), int(found["digits"]), in_words=False)
    for end in (found.end(), found.end("word")):
        nth = ORDINALS.get(text[start:end].lower())
        if nth and not _NO_NTH.match(text, end) and (nth >= _THIRD or _determined(text, start)):
            return _nth(text, start, end, nth, in_words=True)
    return None


def _determined(text: str, start: int) -> bool:
    return bool(_DETERMINED.search(text[max(0, start - _CONTEXT) : start]))


def _nth(text: str, start: int, end: int, nth: float, *, in_words: bool) -> Value:
    said = text[start:end]
    return Value(
        kind="ordinal", start=start, end=end, text=said, number=float(nth), in_words=in_words
    )


_PARTS = {
    "half": 2,
    "halve": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    "tenth": 10,
}
_PART = re.compile(
    r"[- ](?P<part>half|halve|third|quarter|fourth|fifth|sixth|eighth|tenth)s?\b(?! of (?:19|20)[0-9]{2})",
    re.IGNORECASE,
)


def _fraction(text: str, start: int, said: Numeral) -> Value | None:
    """`two-thirds`."""
    found = _PART.match(text, said.end) if said.in_words else None
    if not found or said.number >= _PARTS[found["part"].lower()]:
        return None
    number = said.number / _PARTS[found["part"].lower()]
    end = found.end()
    return Value(
        kind="fraction", start=start, end=end, text=text[start:end], number=number, in_words=True
    )


_AGO = re.compile(r"\s(?:ago|later|earlier|hence|from (?:now|today))\b", re.IGNORECASE)


def _ago(text: str, value: Value) -> Value:
    """`two weeks ago` is no duration: it is a date that depends on when it was said."""
    found = _AGO.match(text, value.end) if value.kind == "duration" else None
    return date(text, value.start, found.end(), relative=True) if found else value
