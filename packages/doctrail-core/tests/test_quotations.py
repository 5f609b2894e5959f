"""A quotation is verbatim up to typography, and up to what it says it left out or put in."""

import pytest

from doctrail_core.text.quotations import is_verbatim, quotations

TEXT = "Either party may\nterminate this Agreement on thirty (30) days\u2019 notice \u2014 in writing, “always”."


@pytest.mark.parametrize(
    "quotation",
    [
        "Either party may terminate this Agreement",
        "either party may terminate",
        "terminate this Agreement on thirty (30) days' notice - in writing,",
        "[E]ither party may ... thirty (30) days' notice",
        "Either party may terminate […] notice",
        "terminate this [sic] Agreement.",
        'in writing, "always"',
    ],
)
def test_what_stands_there_is_verbatim(quotation: str):
    assert is_verbatim(quotation, TEXT)


@pytest.mark.parametrize(
    "quotation",
    [
        "Either party can terminate this Agreement",
        "terminate this Agreement on sixty (60) days' notice",
        "thirty (30) days' notice ... Either party may",
        "Neither party may terminate",
    ],
)
def test_what_is_worded_otherwise_is_not(quotation: str):
    assert not is_verbatim(quotation, TEXT)


def test_only_four_words_or_more_are_a_quotation():
    text = 'The "Agreement" says “either party may terminate” and "it may end at any time".'
    found = [text[start:end] for start, end in quotations(text, 0, len(text))]
    assert found == ["either party may terminate", "it may end at any time"]


@pytest.mark.parametrize("piece", ['"', "“", '"a ', "[", "...", "[a]", " ", "«a"])
def test_hostile_text_takes_no_longer_than_its_length(piece: str):
    text = piece * (60_000 // len(piece))
    quotations(text, 0, len(text))
    is_verbatim(text, text)
