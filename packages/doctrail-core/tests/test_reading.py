import json
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.text.reading import TOKENS, WORDS, Reading

any_text = st.text(st.characters(exclude_categories=()))
escaped = st.lists(
    st.sampled_from(
        ["\\n", "\\", "\\\\u00e9", "\\ud83d\\ude00", "\\x41", "&amp;", "&#1;", "&lt;b", "a", " "]
    )
    | any_text
).map("".join)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Two words", "two\n   WORDS!"),
        ("ﬁne \uff21", "fine a"),
        ("café", "cafe\u0301"),
        ('say "hi"\n\tto café', json.dumps('say "hi"\n\tto café')),
        ('say "hi"\nto', json.dumps(json.dumps(json.dumps('say "hi"\nto')))),
        ("it's\nfine\\o/", repr("it's\nfine\\o/")),
        ("a < b & c", "a &lt; b &amp;amp; c"),
        ("emoji 💡 here", json.dumps("emoji 💡 here")),
        ("C:\\new\\table", json.dumps("C:\\new\\table")),
        ("_emphasis_ `code`", "emphasis code"),
        ("हिन्दी में", "हिन्दी  में।"),
    ],
)
def test_texts_that_say_the_same_have_the_same_words(one, other):
    assert Reading(one).words == Reading(other).words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("更新の期限", ["更", "新", "の", "期", "限"]),
        ("สวัส", ["ส", "ว", "ั", "ส"]),
        ("RAGで答える v2", ["rag", "で", "答", "え", "る", "v2"]),
        ("𠀀𠀁", ["𠀀", "𠀁"]),
        ("किताब", ["किताब"]),
    ],
)
def test_scripts_without_spaces_are_read_character_by_character(text, words):
    assert Reading(text).words == [unicodedata.normalize("NFKC", word) for word in words]


def test_tokens_keep_the_punctuation_that_words_leave_out():
    assert Reading("C++ (yes)", TOKENS).words == ["c", "+", "+", "(", "yes", ")"]
    assert Reading("C++ (yes)", WORDS).words == ["c", "yes"]


def test_a_text_without_words_is_empty():
    reading = Reading("--- \\\\ 💡")
    assert (reading.words, reading.line, reading.at) == ([], "", [0])


def test_places_are_those_of_the_original_text():
    text = "one\\nt\\u0077o &amp; caf\\u00e9, \\\\u4f60\\\\u597d end"
    reading = Reading(text)
    shown = [text[slice(*reading.span(i, i + 1))] for i in range(len(reading.words))]
    assert reading.words == ["one", "two", "café", "你", "好", "end"]
    assert shown == ["one", "t\\u0077o", "caf\\u00e9", "\\\\u4f60", "\\\\u597d", "end"]


def test_words_within_counts_a_word_that_is_cut():
    reading = Reading("alpha beta gamma")
    assert reading.words_within(6, 10) == (1, 2)
    assert reading.words_within(8, 12) == (1, 3)
    assert reading.words_within(5, 6) == (1, 1)


@given(escaped, st.sampled_from([WORDS, TOKENS]))
def test_every_word_has_one_place_in_order_and_the_line_holds_them_all(text, pattern):
    reading = Reading(text, pattern)
    spans = [reading.span(i, i + 1) for i in range(len(reading.words))]
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert [reading.line[a + 1 : b] for a, b in pairwise(reading.at)] == (reading.words)


@given(any_text)
def test_unescaped_text_is_read_where_it_stands(text):
    plain = text.replace("\\", "").replace("&", "")
    reading = Reading(plain)
    for i, word in enumerate(reading.words):
        start, end = reading.span(i, i + 1)
        assert unicodedata.normalize("NFKC", plain[start:end]).casefold() == word


# A backslash of the text itself, right before an escape, cannot be told from one of the escape.
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\")))
def test_json_is_read_like_the_text_in_it(text):
    assert Reading(json.dumps(text)).words == Reading(text).words
    assert Reading(json.dumps(text, ensure_ascii=False)).words == Reading(text).words
