"""A judge's reply is read as far as it can be read without guessing."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.grounding.judge.rulings import MalformedReplyError, Quote, Ruling, rulings

CLAIMS = ["C1-a1b2c3", "C2-a1b2c3"]
SOURCES = ["S1-a1b2c3", "S2-a1b2c3"]
FIRST = {"claim": "C1-a1b2c3", "source": "S2-a1b2c3", "quote": "It is so.", "verdict": "supported"}
SECOND = {"claim": "C2-a1b2c3", "source": "", "quote": "", "verdict": "unsupported"}
READ = {
    "C1-a1b2c3": Ruling("supported", (Quote("S2-a1b2c3", "It is so."),)),
    "C2-a1b2c3": Ruling("unsupported"),
}
PLAIN = json.dumps({"rulings": [FIRST, SECOND]})


def read(reply):
    return rulings(reply, CLAIMS, SOURCES)


@pytest.mark.parametrize(
    "reply",
    [
        PLAIN,
        json.dumps({"rulings": [FIRST, SECOND]}, indent=2),
        json.dumps([FIRST, SECOND]),
        json.dumps({"result": {"claims": [FIRST, SECOND]}}),
        json.dumps({FIRST["claim"]: FIRST, SECOND["claim"]: {"verdict": "unsupported"}}),
        f"```json\n{PLAIN}\n```",
        f"Here is what I found [see below]:\n\n{PLAIN}\n\nI hope that {{this}} helps!",
        f"<think>Is {{C1}} supported? {json.dumps([SECOND, FIRST | {'verdict': 'refuted'}])}</think>{PLAIN}",
        PLAIN.replace("}]", ",}, ]"),
        f"{json.dumps(FIRST)}\n{json.dumps(SECOND)}",
        PLAIN[:-2],  # cut off
        PLAIN[:-2] + ', {"claim": "C3',
        PLAIN.replace("C1-a1b2c3", " c1-A1B2C3 ").replace('"supported"', '"Supported."'),
        PLAIN.replace("unsupported", "NOT SUPPORTED"),
        json.dumps({"rulings": [FIRST, FIRST, SECOND]}).replace(
            '"quote": "It is so."', '"quote": ""', 1
        ),
    ],
)
def test_it_is_read_in_whatever_wrapping(reply):
    assert read(reply) == READ


def test_line_breaks_and_braces_in_a_quote_are_its_own():
    entry = json.dumps(FIRST | {"quote": 'a {b} "c"\nd'}).replace("\\n", "\n")
    assert read(f"{entry[:-1]},}}")["C1-a1b2c3"].quotes == (Quote("S2-a1b2c3", 'a {b} "c"\nd'),)


def test_two_entries_for_a_claim_are_one_ruling_with_both_quotes():
    other = FIRST | {"source": "S1-a1b2c3", "quote": "And so."}
    assert read(json.dumps([FIRST, other])) == {
        "C1-a1b2c3": Ruling(
            "supported", (Quote("S2-a1b2c3", "It is so."), Quote("S1-a1b2c3", "And so."))
        )
    }


def test_a_claim_with_two_verdicts_has_none():
    assert read(json.dumps([FIRST, SECOND, FIRST | {"verdict": "contradicted"}])) == {
        "C2-a1b2c3": READ["C2-a1b2c3"]
    }


def test_names_of_another_call_are_no_names():
    forged = FIRST | {"claim": "C1"}, FIRST | {"claim": "C1-ffffff"}, FIRST | {"claim": 1}
    assert read(json.dumps([*forged, SECOND])) == {"C2-a1b2c3": READ["C2-a1b2c3"]}
    elsewhere = read(json.dumps([FIRST | {"source": "S9-a1b2c3"}]))
    assert elsewhere["C1-a1b2c3"].quotes == (Quote("", "It is so."),)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "All claims are supported.",
        "{}",
        "[]",
        "null",
        "{" * 60_000,
        "[" * 60_000,
        '{"claim": "' * 10_000,
        '{"a": ' * 10_000,
        json.dumps([FIRST | {"verdict": "maybe"}]),
        json.dumps([FIRST | {"claim": "C7-a1b2c3"}]),
        json.dumps([{"claim": ["C1-a1b2c3"], "verdict": {}}]),
        json.dumps({"rulings": "supported"}),
        "\ud800",
    ],
    ids=range(14),
)
def test_what_cannot_be_read_is_an_error_that_says_why(reply):
    with pytest.raises(MalformedReplyError, match="it"):
        read(reply)


JSONISH = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["claim", "verdict", "supported", *CLAIMS, *SOURCES]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["claim", "verdict", "quote", "source", "rulings", *CLAIMS])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)
SCRAPS = st.lists(
    st.sampled_from(
        [*'{}[]",:\\\n', "```", '"claim":', '"C1-a1b2c3"', '"verdict":', '"supported"']
    ),
    max_size=60,
).map("".join)


@given(st.one_of(st.text(), SCRAPS, JSONISH.map(json.dumps), JSONISH.map(str)))
def test_whatever_it_is_it_is_read_or_is_malformed(reply):
    with suppress(MalformedReplyError):
        for name, ruling in read(reply).items():
            assert name in CLAIMS
            assert all(quote.source in ("", *SOURCES) for quote in ruling.quotes)
