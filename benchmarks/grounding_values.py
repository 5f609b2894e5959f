"""Claims made from real sentences that hold a date, an amount, a share, a time span or a measure.

Of each such sentence there are three: `true` says the same in another notation, `changed` has a value that
the document nowhere has, `swapped` has another value of the same kind from the same document. Values are
found by a detector of its own, so that nothing is tested only where the tested code found something. The
same seed makes the same claims.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from grounding_data import DATA, Example, Part, chunked, documents

KINDS = ("date", "money", "percent", "duration", "measure")
PER_KIND = 160
PER_DOCUMENT = 8
SENTENCE = range(7, 71)  # words
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
MILLION = 1e6
FEW_YEARS = 5
WHOLE = 100
THOUSAND = 1000
SPANS = {
    "day": 1,
    "week": 7,
    "month": 365.25 / 12,
    "year": 365.25,
    "hour": 1 / 24,
    "minute": 1 / 1440,
}
MEASURES = "miles|kilometers|kilometres|km|meters|metres|feet|ft|inches|cm|mm|kg|mg|g|pounds|acres|gallons|liters|square miles|mph"

_NUMBER = r"\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,4})?|\d{1,9}(?:\.\d{1,4})?"
_MONTH = "|".join(MONTHS)
_PATTERNS = {
    "date": rf"\b(?:(?P<m1>{_MONTH}) (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y1>[12]\d{{3}})"
    rf"|(?P<d2>\d{{1,2}})(?:st|nd|rd|th)? (?P<m2>{_MONTH}),? (?P<y2>[12]\d{{3}}))\b",
    "money": rf"(?<![\w$])\$ ?(?P<n>{_NUMBER})(?: (?P<scale>thousand|million|billion))?(?![\w.,]\d|\w)",
    "percent": rf"(?<![\w.,-])(?P<n>{_NUMBER})(?: ?%| percent\b)",
    "duration": rf"(?<![\w.,-])(?:\w{{3,12}}(?:[ -]\w{{3,6}})? \((?P<p>\d{{1,3}})\)|(?P<n>\d{{1,4}}))"
    rf"[ -](?P<unit>{'|'.join(SPANS)})s?\b",
    "measure": rf"(?<![\w.,-])(?P<n>{_NUMBER}) (?P<unit>{MEASURES})(?!\w)",
}
PATTERNS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()}
_ARTICLE = re.compile(r"\b(?:the|an?) (?=[a-z])", re.IGNORECASE)
_END = re.compile(r"(?<=[a-z0-9)%][.!?])\s+(?=[A-Z])|\n\s*\n")
_LOWERED_END = re.compile(r"(?<=[a-z0-9)%][.!?])\s+|\n")


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a document, and the sentence that it stands in."""

    kind: str
    start: int
    end: int
    match: re.Match[str]
    sentence: tuple[int, int]

    @property
    def meaning(self) -> tuple[str, ...]:
        """What equal values have in common, however they are written."""
        return _meaning(self.kind, self.match)


def value_claims(part: Part, data: Path = DATA, seed: int = 4) -> Iterator[Example]:
    """The three claims of up to `PER_KIND` sentences of every kind; no more than `PER_DOCUMENT` of one document."""
    rng = random.Random(seed)  # noqa: S311 -- the same claims in every run
    texts = list(documents(part, data))
    rng.shuffle(texts)
    left = dict.fromkeys(KINDS, PER_KIND)
    for collection, document_id, text in texts:
        values = found(text)
        rng.shuffle(values)
        taken: list[Value] = []
        for value in values:
            alike = sum(each.kind == value.kind for each in taken)
            fits = len(taken) < PER_DOCUMENT and alike < PER_DOCUMENT / 2
            if fits and left[value.kind] and (others := _others(value, values, text)):
                taken.append(value)
                left[value.kind] -= 1
                yield from _three(value, rng.choice(others), text, collection, document_id, rng)


def found(text: str) -> list[Value]:
    """Values in sentences that read like sentences."""
    sentence_end = _LOWERED_END if text.islower() else _END
    ends = [0, *(each.end() for each in sentence_end.finditer(text)), len(text)]
    values: list[Value] = []
    for start, stop in pairwise(ends):
        if not _reads_well(text[start:stop]):
            continue
        taken: list[tuple[int, int]] = []
        for kind, pattern in PATTERNS.items():
            for match in pattern.finditer(text, start, stop):
                if all(match.end() <= a or b <= match.start() for a, b in taken):
                    taken.append(match.span())
                    values.append(Value(kind, *match.span(), match, (start, stop)))
    return values


def _reads_well(sentence: str) -> bool:
    words = sentence.split()
    return len(words) in SENTENCE and sentence.rstrip().endswith(".") and words[0][0].isalpha()


def _others(value: Value, values: list[Value], text: str) -> list[Value]:
    """Values of the same kind that a sentence elsewhere in the document has and this one has not."""
    here = {each.meaning for each in values if each.sentence == value.sentence}
    words = _content(text, value.sentence)
    return [
        each
        for each in values
        if each.kind == value.kind
        and each.meaning not in here
        and len(words & _content(text, each.sentence)) <= len(words) / 2
    ]


def _content(text: str, sentence: tuple[int, int]) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text[slice(*sentence)].lower()))


def _three(
    value: Value,
    other: Value,
    text: str,
    collection: str,
    document_id: str,
    rng: random.Random,
) -> Iterator[Example]:
    known = _meanings(text)
    wordings = {
        "true": REWORDED[value.kind](value.match),
        "changed": _changed(value, known, rng),
        "swapped": text[other.start : other.end],
    }
    start, stop = value.sentence
    passages = chunked(text, document_id)
    for label, wording in wordings.items():
        sentence = f"{text[start : value.start]}{wording}{text[value.end : stop]}"
        plain = " ".join(_ARTICLE.sub("", sentence).split())
        yield Example(
            id=f"{document_id}:{value.start}:{label}",
            group=document_id,
            answer=plain[:1].upper() + plain[1:],
            passages=passages,
            label=label,
            task=f"{value.kind}, {collection}",
            claim=True,
        )


def _meanings(text: str) -> set[tuple[str, ...]]:
    """Every value of a document, in sentences or not."""
    return {
        _meaning(kind, match)
        for kind, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    }


def _meaning(kind: str, match: re.Match[str]) -> tuple[str, ...]:
    if kind == "date":
        month, day, year = _date(match)
        return (kind, str(month), str(day), str(year))
    number = _number(match)
    if kind == "money":
        number *= {"thousand": 1e3, "million": 1e6, "billion": 1e9}.get(
            (match["scale"] or "").lower(), 1
        )
    if kind == "duration":
        number *= SPANS[match["unit"].lower()]
    unit = match["unit"] if kind == "measure" else ""
    return (kind, f"{number:.6g}", unit)


def _number(match: re.Match[str]) -> float:
    given = match.groupdict()
    return float((given["n"] or given["p"]).replace(",", ""))


def _date(match: re.Match[str]) -> tuple[int, int, int]:
    month = (match["m1"] or match["m2"]).capitalize()
    return MONTHS.index(month) + 1, int(match["d1"] or match["d2"]), int(match["y1"] or match["y2"])


def _date_reworded(match: re.Match[str]) -> str:
    month, day, year = _date(match)
    return f"{day} {MONTHS[month - 1]} {year}" if match["m1"] else f"{year}-{month:02}-{day:02}"


def _money_reworded(match: re.Match[str]) -> str:
    number, scale = _number(match), match["scale"]
    if scale == "million":
        return f"${round(number * 1e6):,}"
    if not scale and number >= MILLION and number % 1e5 == 0:
        return f"${number / 1e6:g} million"
    return f"{match['n']} {scale} dollars" if scale else f"{match['n']} dollars"


def _percent_reworded(match: re.Match[str]) -> str:
    return f"{match['n']} percent" if "%" in match[0] else f"{match['n']}%"


def _duration_reworded(match: re.Match[str]) -> str:
    number, unit = int(_number(match)), match["unit"]
    if unit == "year" and number <= FEW_YEARS and " " in match[0]:
        return f"{12 * number} months"
    if unit == "week" and " " in match[0]:
        return f"{7 * number} days"
    if match["p"]:
        return f"{number} {unit}s"
    return match[0].replace(str(number), WORDS[number]) if number < len(WORDS) else match[0]


def _measure_reworded(match: re.Match[str]) -> str:
    number, plain = _number(match), match["n"].replace(",", "")
    if "," in match["n"]:
        return f"{plain} {match['unit']}"
    return f"{number:,.0f} {match['unit']}" if number >= THOUSAND and "." not in plain else match[0]


REWORDED: dict[str, Callable[[re.Match[str]], str]] = {
    "date": _date_reworded,
    "money": _money_reworded,
    "percent": _percent_reworded,
    "duration": _duration_reworded,
    "measure": _measure_reworded,
}


def _changed(value: Value, known: set[tuple[str, ...]], rng: random.Random) -> str:
    """A value that the document does not have, written like the one that it replaces."""
    while True:
        wording = (
            _date_changed(value.match, rng) if value.kind == "date" else _scaled(value.match, rng)
        )
        match = PATTERNS[value.kind].fullmatch(wording)
        if (
            match
            and not (value.kind == "percent" and _number(match) > WHOLE)
            and _meaning(value.kind, match) not in known
        ):
            return wording


def _date_changed(match: re.Match[str], rng: random.Random) -> str:
    month, day, year = _date(match)
    field = rng.choice(("month", "day", "year"))
    month = rng.choice([n for n in range(1, 13) if n != month]) if field == "month" else month
    day = rng.choice([n for n in range(1, 29) if n != day]) if field == "day" else min(day, 28)
    year = year + rng.choice((-12, -3, -1, 1, 2, 7)) if field == "year" else year
    return f"{MONTHS[month - 1]} {day}, {year}"


def _scaled(match: re.Match[str], rng: random.Random) -> str:
    given = match.groupdict()
    written = given["n"] or given["p"]
    digits = len(written.partition(".")[2])
    factor = rng.choice((0.5, 0.6, 0.8, 1.2, 1.5, 2, 3, 10))
    number = float(written.replace(",", "")) * factor
    number = number if digits else max(round(number), 1)
    new = f"{number:,.{digits}f}" if "," in written else f"{number:.{digits}f}"
    if given.get("p"):
        return f"{new} {given['unit']}s"
    return match[0].replace(written, new)
