"""A judge's quote counts where it stands in the chunk, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.grounding.judge.quotes import Quotable
from doctrail_core.text.reading import Reading

CHUNK = (
    "The contract renewal deadline for enterprise accounts is February 28th. A late renewal costs\n"
    "two percent, or $1.5 million at most; “notice” must be given in writing. The tenant shall not "
    "assign the lease."
)
LONG = "The supplier shall deliver the goods to the warehouse of the customer within thirty days of the order."


def quoted(quote, text=CHUNK, claim=""):
    return [text[start:end] for start, end in Quotable(text).find(quote, claim)]


def test_the_very_characters_are_found_with_all_their_marks():
    assert quoted("A late renewal costs\ntwo percent, or $1.5 million at most;") == [
        "A late renewal costs\ntwo percent, or $1.5 million at most;"
    ]


@pytest.mark.parametrize(
    "quote",
    [
        "A late renewal costs two percent",
        "a LATE renewal costs  two percent",
        '"A late renewal costs two percent."',
        "A late renewal costs two\u00a0percent",
        "A late renewal costs **two** percent",
    ],
)
def test_white_space_case_and_marks_do_not_matter(quote):
    assert quoted(quote) == ["A late renewal costs\ntwo percent"]


def test_quotation_marks_of_any_kind_are_the_same():
    assert quoted('"notice" must be given in writing') == ["notice” must be given in writing"]


def test_a_quote_that_leaves_something_out_is_found_in_its_parts_in_order():
    assert quoted("The contract renewal deadline [...] is February 28th ... must be given") == [
        "The contract renewal deadline",
        "is February 28th",
        "must be given",
    ]
    assert quoted("is February 28th ... The contract renewal deadline") == []


@pytest.mark.parametrize(
    "quote",
    [
        "The contract renewal deadline is in March.",
        "deadline for enterprise accounts is February 27th",
        "5 million at most",  # of 1.5 million
        "€1.5 million at most",
        "ontract renewal dead",
        "The",
        "",
        "...",
        "\u200b",
        "&lt;&lt;&lt; &gt;&gt;&gt;",
        "The tenant shall assign the lease",
    ],
)
def test_what_does_not_stand_there_is_not_found(quote):
    assert quoted(quote) == []


def test_a_number_is_not_taken_apart():
    assert quoted("1.5 million", "It costs 21.5 million or 1.52 million or so.") == []
    assert quoted("costs 1.5", "It costs 1.52 million.") == []
    assert quoted("of 1.5 million", "Of 21.5 million, of 1.5 million.") == ["of 1.5 million"]


def test_a_slip_of_the_pen_is_forgiven_in_a_long_quote():
    assert quoted(LONG.replace("warehouse", "warehose"), LONG) == [LONG.rstrip(".")]
    assert quoted(LONG.replace("the order", "an order"), LONG) == [LONG.rstrip(".")]
    assert quoted(LONG.replace("supplier", "suplpier"), f"Art. 4. {LONG} And so on.") == [
        LONG.rstrip(".")
    ]


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("thirty", "thirteen"),
        ("shall", "shall not"),
        ("within", "without"),
        ("shall", "may"),
        ("supplier", "customer"),
        ("customer", "costumer"),  # a word of the claim
        ("the goods", "the good goods"),
    ],
)
def test_another_word_is_not_forgiven(said, instead):
    quote = LONG.replace(said, instead, 1)
    assert quoted(quote, LONG, claim="It goes to the customer.") == []


def test_a_short_quote_is_not_forgiven_anything():
    assert quoted("The tennant shall not assign the lease") == []


def test_what_did_not_arrive_cannot_be_quoted_over():
    text = "The deadline is" + " " * 40 + "February 28th of this year."
    assert quoted("The deadline is February 28th", text) == []
    assert quoted("The deadline is [...] February 28th", text) == [
        "The deadline is",
        "February 28th",
    ]


def test_characters_that_do_not_show_are_not_in_the_way():
    text = "The dead\u00adline is\u200b February\u2060 28th, \U000e0041\U000e0042not later."
    (found,) = quoted("The deadline is February 28th, not later.", text)
    assert found == text
    assert quoted("deadline is February", text) == ["dead\u00adline is\u200b February"]


def test_the_whole_of_a_short_chunk_may_be_quoted():
    assert quoted("42", " 42 ") == ["42"]
    assert quoted("42", "42 days") == []


def test_scripts_without_spaces_are_quoted():
    text = "更新期限是二月二十八日。逾期需支付百分之二的费用。"
    assert quoted("逾期需支付百分之二的费用", text) == ["逾期需支付百分之二的费用"]
    assert quoted("逾期需支付百分之三的费用", text) == []


ARTICLES = {"a", "an", "the"}
WORDS = st.lists(
    st.sampled_from(
        [*LONG.split(), "a", "an", "1.5", "28", "not", "“quoted”", "&lt;b", "naïve", "日本"]
    ),
    min_size=1,
    max_size=40,
)
SPACES = st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", ", ", "... "])


def told(*texts):
    return [word for text in texts for word in Reading(text).words if word not in ARTICLES]


@given(st.text(max_size=300), st.text(max_size=80), st.text(max_size=40))
def test_whatever_is_quoted_what_is_found_lies_in_the_chunk(text, quote, claim):
    spans = Quotable(text).find(quote, claim)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert list(spans) == sorted(spans)


@given(WORDS, WORDS, SPACES)
def test_what_is_found_has_the_words_of_the_quote(words, others, space):
    quote = space.join(others)
    if found := quoted(quote, " ".join(words)):
        assert told(*found) == told(quote)


@given(WORDS, st.integers(0, 39), st.integers(4, 40), st.sampled_from([" ", "\n", " , ", "\u00a0"]))
def test_what_stands_there_is_found(words, start, length, space):
    quote = space.join(words[start : start + length])
    if len(told(quote)) >= 2 and sum(map(len, told(quote))) >= 5:
        assert told(*quoted(quote, " ".join(words))) == told(quote)


@pytest.mark.parametrize(
    "piece", ["a ", "a", "... ", "<<<", "1.", '"', "[...] ", "&lt;", "\\u0041", "é"]
)
def test_hostile_chunks_and_quotes_take_no_longer_than_their_length(piece):
    text = piece * (60_000 // len(piece))
    Quotable(text).find(text[:30_000] + "x")
    Quotable(text).find("a a a a a a a a a a a b")
