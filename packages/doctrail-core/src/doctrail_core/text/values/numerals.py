"""Numbers as people write them: 1,200.50, thirty-one, one hundred and five, a dozen, 1 1/2, 3.2 million."""

import re
from dataclasses import dataclass

__all__ = ["CARDINALS", "ORDINALS", "SCALES", "VULGAR", "Numeral", "numeral"]


@dataclass(frozen=True, slots=True)
class Numeral:
    """Characters up to `end` are a number; `step` is the place of its last digit.

    `scale` is what a word such as million behind it is worth; `doubtful` tells that it is said twice,
    and differently.
    """

    end: int
    number: float
    step: float
    in_words: bool = False
    scale: float = 1.0
    doubtful: bool = False


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NTHS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)

_SMALL = {word: n for n, word in enumerate(_ONES.split())}
_TEN = {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
SCALES = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "lakh": 1e5, "crore": 1e7, "dozen": 12.0,
}  # fmt: skip
_SHORT_SCALES = {
    "k": 1e3,
    "m": 1e6,
    "mm": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "tn": 1e12,
}
CARDINALS = frozenset({*_SMALL, *_TEN, *SCALES})

_NTH = {word: n for n, word in enumerate(_NTHS.split()) if n} | {
    f"{word[:-1]}ieth": n for word, n in _TEN.items()
}
ORDINALS = _NTH | {
    f"{ten}{join}{one}": tens + nth
    for ten, tens in _TEN.items()
    for one, nth in _NTH.items()
    if nth < 10  # noqa: PLR2004 -- twenty-ninth is the last before thirtieth
    for join in "- "
}

# Digits, grouped in thousands or Indian fashion, or as on the Continent where that can mean nothing else.
_DIGITS = re.compile(
    r"(?P<groups>[0-9]{1,3}(?:,[0-9]{2,3}){0,5},[0-9]{3}(?![0-9])|[0-9]{1,3}(?:[\u2019'\xa0\u2009\u202f][0-9]{3}){1,5}"
    r"(?![0-9])|[0-9]{1,15}(?![0-9]))(?P<decimals>\.[0-9]{1,12}(?![0-9]))?"
    r"|(?P<bare>\.[0-9]{1,12}(?![0-9]))"
)
_CONTINENTAL = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3}){2,5})(?:,([0-9]{1,4}))?(?![0-9.,])")
_NO_NUMBER = re.compile(r"[0-9]{1,15},[0-9]{1,2}(?![0-9])|[0-9]{1,15}(?:[.,:][0-9]{1,15}){2,9}")
_GROUPING = str.maketrans("", "", ",'\u2019\xa0\u2009\u202f")

_MIXED = re.compile(r"[ -]([0-9]{1,2})/([0-9]{1,3})(?![0-9/])|[ -]?([\xbc-\xbe\u2150-\u215e])")
_FRACTION = re.compile(r"([0-9]{1,3})/([0-9]{1,3})(?![0-9/])")
VULGAR = {
    "\xbc": 0.25, "\xbd": 0.5, "\xbe": 0.75, "\u2153": 1 / 3, "\u2154": 2 / 3, "\u2155": 0.2,
    "\u2156": 0.4, "\u2157": 0.6, "\u2158": 0.8, "\u215b": 0.125, "\u215c": 0.375, "\u215d": 0.625,
    "\u215e": 0.875,
}  # fmt: skip
_EIGHTH = 0.125
"""The step of a fraction: what it is rounded to is not known."""

_A_SCALE = re.compile(
    r"(half )?an? (hundred|thousand|million|billion|trillion|dozen)(?![a-z])", re.IGNORECASE
)
_WORD = re.compile(
    r"(?:(?P<joined>,? and[ \n])|[ \xa0\n]{1,2}|-)?(?P<word>[A-Za-z]{1,12})(?![A-Za-z])"
)
_LONGEST = 16
"""Words in one number."""
_RESTATED = re.compile(r"[ \xa0]?\(([0-9][0-9,.]{0,18})\)")
_SCALE = re.compile(
    r"[ \xa0\n-]{0,2}(hundred|thousand|million|billion|trillion|lakh|crore|dozen)s?(?![A-Za-z])",
    re.IGNORECASE,
)
_SHORT_SCALE = re.compile(
    r"[ \xa0]?([kK]|[mM]{1,2}|[mM][nN]|[mM]io|[bB][nN]?|[tT][nN])(?![A-Za-z0-9])"
)
_GLUED_SCALE = re.compile(r"([kKMB])(?![A-Za-z0-9])")


def numeral(text: str, start: int, *, money: bool = False) -> Numeral | None:
    """Read the number that begins at `start`; in money, `m` and `b` are millions and billions."""
    found = _digits(text, start) or _words(text, start)
    return _scaled(text, _restated(text, found), money=money) if found else None


def _digits(text: str, start: int) -> Numeral | None:
    if text[start : start + 1] in VULGAR:
        return Numeral(start + 1, VULGAR[text[start]], _EIGHTH)
    if found := _CONTINENTAL.match(text, start):
        whole, decimals = found[1].replace(".", ""), found[2] or ""
        return Numeral(found.end(), float(f"{whole}.{decimals}"), 10.0 ** -len(decimals))
    if _NO_NUMBER.match(text, start) and not _grouped(text, start):
        return None
    if (found := _FRACTION.match(text, start)) and float(found[2]):
        return Numeral(found.end(), float(found[1]) / float(found[2]), _EIGHTH)
    if not (found := _DIGITS.match(text, start)):
        return None
    decimals = found["decimals"] or found["bare"] or "."
    number = float((found["groups"] or "0").translate(_GROUPING) + decimals)
    return _mixed(text, Numeral(found.end(), number, 10.0 ** (1 - len(decimals))))


def _grouped(text: str, start: int) -> bool:
    return bool(
        (found := _DIGITS.match(text, start)) and found["groups"] and "," in found["groups"]
    )


def _mixed(text: str, whole: Numeral) -> Numeral:
    """`1 1/2`."""
    found = _MIXED.match(text, whole.end)
    if not found or whole.step != 1:
        return whole
    part = VULGAR.get(found[3]) if found[3] else float(found[1]) / (float(found[2]) or 1)
    return Numeral(found.end(), whole.number + part, _EIGHTH) if part and part < 1 else whole


def _words(text: str, start: int) -> Numeral | None:
    spoken = _Spoken()
    end = start
    if found := _A_SCALE.match(text, start):
        spoken.take("one")
        spoken.take(found[2].lower())
        spoken.factor = 0.5 if found[1] else 1.0
        end = found.end()
    for _ in range(_LONGEST):
        word = _WORD.match(text, end)
        if not word or not spoken.take(word["word"].lower(), joined=bool(word["joined"])):
            break
        end = word.end()
    return Numeral(end, spoken.number, 1.0, in_words=True) if end > start else None


class _Spoken:
    """A number in words, word by word: what stands before a scale is summed up, and multiplied by it."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._total = 0.0
        self._below: float | None = None
        self._room = self._ceiling = float("inf")

    @property
    def number(self) -> float:
        return (self._total + (self._below or 0.0)) * self.factor

    def take(self, word: str, *, joined: bool = False) -> bool:
        """Add a word, if it can be a part of this number; `joined` tells of an `and` before it."""
        if joined and self._room < SCALES["hundred"]:
            return False
        if word in SCALES:
            return self._scale(SCALES[word])
        said = _SMALL.get(word, _TEN.get(word))
        if said is None or said >= self._room or (not said and self.number):
            return False
        self._below = (self._below or 0.0) + said
        self._room = 10.0 if word in _TEN else 0.0
        return True

    def _scale(self, scale: float) -> bool:
        if not self._below or scale >= self._ceiling:
            return False
        if scale <= SCALES["hundred"]:
            self._below, self._room = self._below * scale, scale
            return True
        self._total += self._below * scale
        self._below, self._room, self._ceiling = None, scale, scale
        return True


def _restated(text: str, said: Numeral) -> Numeral:
    """`thirty (30)`."""
    found = _RESTATED.match(text, said.end)
    again = _digits(text, found.start(1)) if found and said.in_words else None
    if not found or not again or again.end != found.end(1):
        return said
    doubtful = again.number != said.number
    return Numeral(found.end(), said.number, again.step, doubtful=doubtful)


def _scaled(text: str, said: Numeral, *, money: bool) -> Numeral:
    found = _SCALE.match(text, said.end)
    if not found:
        found = (_SHORT_SCALE if money else _GLUED_SCALE).match(text, said.end)
    if not found or said.in_words:
        return said
    scale = (SCALES | _SHORT_SCALES)[found[1].lower()]
    end, number, step = found.end(), said.number * scale, said.step * scale
    return Numeral(end, number, step, scale=scale, doubtful=said.doubtful)
