"""The values of a text: read with exact spans as far as they are said, and compared as values."""

import calendar
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doctrail_core.text.values import Value, compare, values_in


def only(text: str) -> Value:
    values = values_in(text)
    assert len(values) == 1, values
    return values[0]


def fields(text: str) -> tuple[int | None, int | None, int | None]:
    value = only(text)
    assert value.kind == "date"
    return value.year, value.month, value.day


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("due 2024-02-28", (2024, 2, 28)),
        ("at 2024-02-28T10:30:00Z sharp", (2024, 2, 28)),
        ("28 February 2024", (2024, 2, 28)),
        ("Feb. 28th, 2024", (2024, 2, 28)),
        ("february 28, 2024", (2024, 2, 28)),
        ("the 28th of February", (None, 2, 28)),
        ("February 28", (None, 2, 28)),
        ("28-Feb-24", (2024, 2, 28)),
        ("28.02.2024", (2024, 2, 28)),
        ("02/28/2024", (2024, 2, 28)),
        ("this fifth (5th) day of March, 2024", (2024, 3, 5)),
        ("on the twenty-first of May", (None, 5, 21)),
        ("February 2024", (2024, 2, None)),
        ("02/2024", (2024, 2, None)),
        ("in 1998", (1998, None, None)),
        ("in May", (None, 5, None)),
        ("FY2024", (2024, None, None)),
        ("in 44 BC", (-44, None, None)),
        ("launched in 1187 with men", (1187, None, None)),
        ("as early as 1519", (1519, None, None)),
        ("2024 notes", (2024, None, None)),
        ("around 1914", (1914, None, None)),
    ],
)
def test_a_date_has_the_fields_that_are_said_and_no_other(text: str, expected: object):
    assert fields(text) == expected


@pytest.mark.parametrize(
    ("text", "year", "part"),
    [
        ("Q3 2024", 2024, "q3"),
        ("the third quarter of 2024", 2024, "q3"),
        ("3Q24", 2024, "q3"),
        ("Q3", None, "q3"),
        ("H1 2024", 2024, "h1"),
        ("the first half of 2023", 2023, "h1"),
        ("fall 2021", 2021, "autumn"),
    ],
)
def test_a_part_of_a_year_is_a_date(text: str, year: int | None, part: str):
    assert (only(text).year, only(text).part) == (year, part)


def test_decades_and_centuries_cover_their_years():
    decade, century = values_in("the 1990s and the 19th century")
    assert (decade.year, decade.years, century.year, century.years) == (1990, 10, 1800, 100)


def test_a_stretch_of_days_or_years_has_two_ends():
    days = values_in("from March 3-5, 2024")
    assert [(v.text, v.year, v.month, v.day) for v in days] == [
        ("March 3", 2024, 3, 3),
        ("5, 2024", 2024, 3, 5),
    ]
    assert [v.year for v in values_in("in 1998-2001 and 2024/25")] == [1998, 2001, 2024, 2025]


def test_a_date_that_can_be_read_in_two_ways_says_so():
    assert only("03/04/2024").ambiguous
    assert not only("13/04/2024").ambiguous
    assert not only("04/04/2024").ambiguous


@pytest.mark.parametrize(
    "text", ["next month", "two weeks ago", "last year", "today", "3 days later"]
)
def test_a_relative_date_is_no_calendar_date(text: str):
    value = only(text)
    assert value.relative
    assert (value.year, value.month, value.day) == (None, None, None)


@pytest.mark.parametrize(
    "text", ["May I ask?", "They march on.", "it may 5", "fall is near", "the second one"]
)
def test_common_words_are_no_dates(text: str):
    assert not [value for value in values_in(text) if value.kind == "date"]


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("$1.2 million", 1_200_000, "$"),
        ("$1,180,000", 1_180_000, "$"),
        ("US$5bn", 5e9, "usd"),
        ("EUR 3m", 3e6, "eur"),
        ("USD 1,200", 1200, "usd"),
        ("€3.5k", 3500, "eur"),
        ("1,200 EUR", 1200, "eur"),
        ("ten million US dollars", 1e7, "usd"),
        ("1.200.000,50 EUR", 1_200_000.5, "eur"),
    ],
)
def test_money_has_its_currency_and_multiplier(text: str, number: float, unit: str):
    value = only(text)
    assert (value.kind, value.number, value.unit, value.text) == ("money", number, unit, text)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("5%", 5, "%"),
        ("5.5 per cent", 5.5, "%"),
        ("five percent", 5, "%"),
        ("2 percentage points", 2, "pp"),
        ("25 basis points", 0.25, "pp"),
    ],
)
def test_percents_are_told_from_points(text: str, number: float, unit: str):
    assert (only(text).number, only(text).unit) == (number, unit)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("thirty (30) days", 30 * 86_400, "s"),
        ("30-day", 30 * 86_400, "s"),
        ("two years", 24, "month"),
        ("18 months", 18, "month"),
        ("24 hours", 86_400, "s"),
        ("ten (10) business days", 10, "business day"),
        ("2 hours and 30 minutes", 9000, "s"),
    ],
)
def test_durations_are_in_seconds_months_or_business_days(text: str, number: float, unit: str):
    value = only(text)
    assert (value.kind, value.number, value.unit, value.text) == ("duration", number, unit, text)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("350°F", 176.67, "°C"),
        ("98.6 degrees Fahrenheit", 37, "°C"),
        ("-5 °C", -5, "°C"),
        ("5 feet 11 inches", 1.8034, "m"),
        ("10 MB/s", 80e6, "b/s"),
        ("5 MW", 5e6, "W"),
        ("30 miles per hour", 13.4112, "m/s"),
        ("1 1/2 cups", 0.000354882, "m³"),
        ("22,970 square kilometers", 22_970e6, "m²"),
        ("20 degrees", 20, "degree"),
    ],
)
def test_measures_are_converted_to_their_base_unit(text: str, number: float, unit: str):
    value = only(text)
    assert (value.kind, value.unit, value.text) == ("measure", unit, text)
    assert value.number == pytest.approx(number, rel=1e-4)


def test_a_conversion_in_brackets_counts_as_well():
    fahrenheit, celsius = values_in("Bake at 350°F (175°C).")
    assert compare(fahrenheit, celsius) == "equal"
    assert compare(only("175 degrees Celsius"), fahrenheit) == "equal"
    assert compare(only("200°C"), celsius) == "different"


@pytest.mark.parametrize(
    ("text", "number", "noun"),
    [
        ("5,000 employees", 5000, "employee"),
        ("5,000 full-time employees", 5000, "employee"),
        ("12 of its directors", 12, "director"),
        ("three companies", 3, "company"),
        ("half a million people", 500_000, "person"),
        ("5k users", 5000, "user"),
        ("two dozen eggs", 24, "egg"),
        ("two species", 2, "species"),
        ("1500 employees", 1500, "employee"),
        ("3 SARS", 3, None),
        ("thirty-one", 31, None),
        ("one hundred and five", 105, None),
        ("one million two hundred thousand", 1_200_000, None),
        ("a dozen", 12, None),
        ("408,487", 408_487, None),
        ("1'200'000", 1_200_000, None),
        ("12,34,567", 1_234_567, None),
    ],
)
def test_counts_keep_what_is_counted(text: str, number: float, noun: str | None):
    value = only(text)
    assert (value.kind, value.number, value.unit) == ("count", number, noun)


def test_numbers_in_words_do_not_run_together():
    assert [v.number for v in values_in("twenty, five and a hundred, two")] == [20, 5, 100, 2]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("9 a.m.", 540), ("5pm", 1020), ("17:00", 1020), ("12:15 am", 15), ("noon", 720)],
)
def test_times_of_day_are_minutes(text: str, minutes: int):
    assert (only(text).kind, only(text).number) == ("time", minutes)


def test_a_stretch_of_hours_has_two_ends():
    assert [v.number for v in values_in("open 9-11 a.m. and 9-5 p.m.")] == [540, 660, 540, 1020]


@pytest.mark.parametrize(("text", "nth"), [("third", 3), ("the first", 1), ("21st", 21)])
def test_ordinals(text: str, nth: int):
    assert (only(text).kind, only(text).number) == ("ordinal", nth)


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("between 5 and 10 guests", 5, 10),
        ("5-10%", 5, 10),
        ("from 5 to 10 years", 60, 120),
        ("$5-10 million", 5e6, 1e7),
        ("1200-1500 employees", 1200, 1500),
        ("between $5 and $10", 5, 10),
    ],
)
def test_a_range_has_two_ends(text: str, lower: float, upper: float):
    assert (only(text).number, only(text).upper) == (lower, upper)


@pytest.mark.parametrize(
    ("text", "approx", "bound"),
    [
        ("about 5,000", True, None),
        ("~5%", True, None),
        ("over 100", False, "over"),
        ("at least 30 days", False, "at_least"),
        ("30 days or more", False, "at_least"),
        ("not less than thirty (30) days", False, "at_least"),
        ("100+ users", False, "at_least"),
        ("no more than $10", False, "at_most"),
        ("up to 5%", False, "at_most"),
        ("fewer than 20 people", False, "under"),
        ("within 30 days", False, None),
        ("P<0.001", False, "under"),
    ],
)
def test_how_exact_a_value_is_said_to_be_is_kept(text: str, approx: object, bound: object):
    assert (only(text).approx, only(text).bound) == (approx, bound)


@pytest.mark.parametrize(
    "text",
    [
        "see Section 4", "Sections 4, 5 and 6", "passage 2", "[1]", "[1, 2]", "【1†source】", "pages 10-12", "No. 5",
        "[DOC-ID: doc_4821, chunk 3, score: 0.87]", "doc_4821", "GPT-4 and COVID-19", "v1.2.3", "version 2",
        "(555) 123-4567", "+1 555 123 4567", "https://x.example/2024/02/28", "report-2024.pdf", "me2024@x.example",
        "401(k)", "80x24", "H2O", "1. ", "a) 1) one thing", "(1) it, (2) that", "CA 95054", "ABN: 12345678",
        "681 Riverside Drive", "17 C.F.R.", "Form 1099", "24/7", "16:9", "third parties", "two-way", "one of them",
        "Speaker 0: hello", "Resolution 386",
    ],
)  # fmt: skip
def test_numbers_that_only_refer_are_no_values(text: str):
    assert values_in(text) == ()


@pytest.mark.parametrize(
    ("claim", "evidence", "expected"),
    [
        ("February 28th", "28 Feb 2024", "equal"),
        ("28 Feb 2024", "February 28th", "incomparable"),
        ("March 15th", "February 28th, 2024", "different"),
        ("in 2024", "28 Feb 2024", "equal"),
        ("in 2023", "28 Feb 2024", "different"),
        ("Wednesday, February 28", "2024-02-28", "equal"),
        ("Monday, February 28", "2024-02-28", "different"),
        ("the 1990s", "1995", "equal"),
        ("1995", "the 1990s", "incomparable"),
        ("2001", "the 1990s", "different"),
        ("Q3 2024", "Q2 2024", "different"),
        ("Q3 2024", "August 2024", "incomparable"),
        ("03/04/2024", "4 March 2024", "incomparable"),
        ("03/04/2024", "03/04/2024", "equal"),
        ("03/04/2024", "5 May 2024", "different"),
        ("around 1914", "1916", "incomparable"),
        ("next month", "March 2024", "incomparable"),
        ("next month", "Next month", "equal"),
        ("$1.2 million", "$1,180,000", "equal"),
        ("$1,180,000", "$1.2 million", "incomparable"),
        ("$1.2 million", "$1.5 million", "different"),
        ("$1.2 million", "$1,200,000", "equal"),
        ("$5,000", "$4,980", "incomparable"),
        ("$5", "5 US dollars", "equal"),
        ("$5", "€5", "incomparable"),
        ("CAD 5", "USD 5", "incomparable"),
        ("$5 per month", "$5 per year", "incomparable"),
        ("5%", "5 percentage points", "incomparable"),
        ("12%", "12.3%", "equal"),
        ("100%", "99.9%", "incomparable"),
        ("99.5%", "99.9%", "different"),
        ("thirty days", "30-day", "equal"),
        ("60 days", "thirty (30) days", "different"),
        ("24 hours", "one day", "equal"),
        ("18 months", "1.5 years", "equal"),
        ("30 days", "1 month", "incomparable"),
        ("30 days", "2 years", "different"),
        ("10 days", "10 business days", "incomparable"),
        ("5 km", "3 miles", "equal"),
        ("5 km", "9 miles", "different"),
        ("20 degrees", "20 °C", "incomparable"),
        ("5,000 employees", "5,000 workers", "equal"),
        ("3 directors", "3 offices", "incomparable"),
        ("3 directors", "5 directors", "different"),
        ("500 people", "900 people", "different"),
        ("about 5,000 people", "4,980 people", "equal"),
        ("about 5,000 people", "9,000 people", "incomparable"),
        ("about 5,120 people", "about 5,100 people", "incomparable"),
        ("about 5,000 km", "4,890 km", "equal"),
        ("about $128 million", "about $124 million", "incomparable"),
        ("over 100 people", "98 people", "incomparable"),
        ("over 100 people", "over 98 people", "incomparable"),
        ("at least 90 days", "at least 60 days", "different"),
        ("up to 5 days", "5 days", "incomparable"),
        ("5 to 10 days", "5-10 days", "equal"),
        ("5 to 10 days", "7 days", "incomparable"),
        ("1,200", "$1,200", "equal"),
        ("$1,200", "1,200", "incomparable"),
        ("9 a.m.", "09:00", "equal"),
        ("9 a.m.", "5 p.m.", "different"),
        ("9:30", "9:30 pm", "equal"),
        ("9:30 pm", "9:30", "incomparable"),
        ("9 am ET", "9 am PT", "incomparable"),
        ("the third", "the fourth", "different"),
        ("5 days", "5 guests", "incomparable"),
    ],
)
def test_values_are_compared_as_far_as_they_are_said(claim: str, evidence: str, expected: str):
    assert compare(only(claim), only(evidence)) == expected


_days = st.dates(min_value=date(1901, 1, 1), max_value=date(2068, 12, 31))


def _forms(day: date) -> list[str]:
    name, suffix = calendar.month_name[day.month], _suffix(day.day)
    return [
        day.isoformat(),
        f"{day.day} {name} {day.year}",
        f"{name} {day.day}, {day.year}",
        f"{name} {day.day}{suffix}, {day.year}",
        f"{name[:3]} {day.day} {day.year}",
        f"the {day.day}{suffix} day of {name}, {day.year}",
        f"{day.day:02}-{name[:3]}-{day.year}",
        f"{day.day:02}.{day.month:02}.{day.year}",
        f"{calendar.day_name[day.weekday()]}, {day.day} {name} {day.year}",
    ]


def _suffix(day: int) -> str:
    return "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


@given(_days, st.integers(0, 8))
def test_a_date_is_the_same_however_it_is_written(day: date, form: int):
    assert fields(f"It is due {_forms(day)[form]}.") == (day.year, day.month, day.day)


@given(_days, _days, st.integers(0, 8), st.integers(0, 8))
def test_dates_are_equal_exactly_if_they_are_the_same_day(
    one: date, other: date, form: int, other_form: int
):
    found = compare(only(_forms(one)[form]), only(_forms(other)[other_form]))
    assert found == ("equal" if one == other else "different")


_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
_ONES += "seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def _in_words(number: int) -> str:
    if number < 20:
        return _ONES.split()[number]
    if number < 100:
        return "-".join(
            [_TENS.split()[number // 10 - 2], *([_ONES.split()[number % 10]] * (number % 10 > 0))]
        )
    scale, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = (
        f" {'and ' if number % scale < 100 else ''}{_in_words(number % scale)}"
        if number % scale
        else ""
    )
    return f"{_in_words(number // scale)} {name}{rest}"


@given(st.integers(2, 999_999))
def test_an_amount_is_the_same_in_digits_and_in_words(number: int):
    texts = [
        f"{number} euros",
        f"{number:,} euros",
        f"EUR {number:,}",
        f"€{number:,}.00",
        f"{_in_words(number)} euros",
    ]
    values = [only(text) for text in texts]
    assert [value.text for value in values] == texts
    assert {value.number for value in values} == {number}
    assert {compare(values[0], value) for value in values} == {"equal"}


@given(st.integers(1, 999), st.integers(1, 999))
def test_different_amounts_are_never_equal(one: int, other: int):
    assume(one != other)
    for form in ("{} days", "${}", "{}%", "{} directors", "{} kg"):
        assert compare(only(form.format(one)), only(form.format(other))) != "equal"


_PIECES = st.sampled_from(
    ["5", "10", "2024", "February", "28", "may", "$", "€", "%", " ", "-", "\u2013", "/", ".", ",", ":", "(", ")", "million", "to",
     "between", "and", "days", "°", "C", "thirty", "hundred", "a", "half", "third", "Q", "th", "'", "\n", "[", "]", "kg", "½",
     "per", "cent", "p.m.", "century", "s", "BC", "Monday", "next", "Section", "٣", "²", "0", "@", "x", "_"]
)  # fmt: skip


@given(st.text() | st.lists(_PIECES).map("".join) | st.lists(_PIECES).map(" ".join))
def test_whatever_the_text_spans_are_exact_and_apart(text: str):
    values = values_in(text)
    assert all(text[value.start : value.end] == value.text != "" for value in values)
    edges = [edge for value in values for edge in (value.start, value.end)]
    assert edges == sorted(edges)


@given(st.lists(_PIECES, max_size=8).map(" ".join), st.lists(_PIECES, max_size=8).map(" ".join))
def test_comparing_never_raises_and_a_value_equals_itself(one: str, other: str):
    for claim in values_in(one):
        assert compare(claim, claim) == "equal" or claim.ambiguous
        assert {compare(claim, value) for value in values_in(other)} <= {
            "equal",
            "different",
            "incomparable",
        }


@pytest.mark.parametrize(
    "piece",
    ["1", "1,", "1 ", "1.", "1,000,", "one ", "one hundred ", "a ", "$", "$1", "1-", "1/", "May ", "[1", "[doc ", "@", "a@",
     "://", "1:", "half a ", "Monday, ", "between ", "1\n", "Sections 1, ", "Mon ", "\u3010", "1 1/2 ", "five (5) ", ". "],
)  # fmt: skip
def test_hostile_text_takes_no_longer_than_its_length(piece: str):
    text = piece * (60_000 // len(piece))
    assert all(value.text for value in values_in(text))
