"""Sentences and list items are exact characters of the text, and all of it that says something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.text.sentences import sentences


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One thing. Another one! A third? Yes.", ["One thing.", "Another one!", "A third?", "Yes."]),
        ("Dr. Smith met Mr. J. R. Jones. They talked.", ["Dr. Smith met Mr. J. R. Jones.", "They talked."]),
        ("Fees rose 4.2 percent. Section 4.2 applies.", ["Fees rose 4.2 percent.", "Section 4.2 applies."]),
        ("See Sec. 4 and Art. 5. The rest is void.", ["See Sec. 4 and Art. 5.", "The rest is void."]),
        ("Mesaba Holdings, Inc. signed. It paid.", ["Mesaba Holdings, Inc. signed.", "It paid."]),
        ("It was sold to Acme Inc. The price is secret.", ["It was sold to Acme Inc.", "The price is secret."]),
        ("It opens at 9 a.m. and closes at 5 p.m. The end.", ["It opens at 9 a.m. and closes at 5 p.m.", "The end."]),
        ("The U.S. Government agreed. The U.S. It is.", ["The U.S. Government agreed.", "The U.S.", "It is."]),
        ("Use tools, e.g. Python, i.e. code. Fine.", ["Use tools, e.g. Python, i.e. code.", "Fine."]),
        ("The answer is no. The next one is yes.", ["The answer is no.", "The next one is yes."]),
        ("Item no. 5 is due. So am I.", ["Item no. 5 is due.", "So am I."]),
        ("It ended in 1998. 5 people stayed.", ["It ended in 1998.", "5 people stayed."]),
        ("Due on Feb. 28th, 2024. Pay by Jan. 3.", ["Due on Feb. 28th, 2024.", "Pay by Jan. 3."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ('"Why?" he asked. “Because.” She nodded.', ['"Why?" he asked.', "“Because.”", "She nodded."]),
        ("Wait... there is more. Really… yes.", ["Wait... there is more.", "Really… yes."]),
        ("Yahoo! is a company. Visit doctrail.example.com now.", ["Yahoo! is a company.", "Visit doctrail.example.com now."]),
        ("(It was late.) He slept.", ["(It was late.)", "He slept."]),
        ("**It is due.** Pay now.", ["**It is due.**", "Pay now."]),
        ("Steps: 1. Open it. 2. Close it.", ["Steps: 1. Open it.", "2. Close it."]),
        ("Plan B. The rest.", ["Plan B.", "The rest."]),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
        ("iPhones sell. eBay sells them.", ["iPhones sell.", "eBay sells them."]),
    ],
)  # fmt: skip
def test_a_sentence_ends_where_a_reader_ends_it(text: str, expected: list[str]):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Items:\n- one\n- two\n* three", ["Items:", "one", "two", "three"]),
        ("1. First.\n2) Second\n(c) third;\n(iv) fourth", ["First.", "Second", "third;", "fourth"]),
        ("- [ ] open\n- [x] done", ["open", "done"]),
        ("> Quoted.\n> - item", ["Quoted.", "item"]),
        ("4.2 Term. It lasts.\n4.2.1 notice is due", ["Term.", "It lasts.", "notice is due"]),
        ("a rate of\n4.2 million a year", ["a rate of\n4.2 million a year"]),
        ("# Renewal\nThe term is a year.", ["# Renewal", "The term is a year."]),
        ("NOTICE\nEither party may leave.", ["NOTICE", "Either party may leave."]),
        ("| Plan | Fee |\n|---|---|\n| Pro | $5 |", ["| Plan | Fee |", "| Pro | $5 |"]),
        ("Run:\n```\nx = 1\n```\nDone.", ["Run:", "x = 1", "Done."]),
        ("WHEREAS, the one party shall long have promised to pay;\nWHEREAS it did not;\nNOW it must.",
         ["WHEREAS, the one party shall long have promised to pay;", "WHEREAS it did not;", "NOW it must."]),
        ("First line.\r\n\r\nSecond line.\r\n- item\r\n", ["First line.", "Second line.", "item"]),
    ],
)  # fmt: skip
def test_list_items_headings_and_rows_stand_alone(text: str, expected: list[str]):
    assert said(text) == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_wrapped_line_is_read_on(newline: str):
    wrapped = newline.join([
        "This agreement is made by and between the United States of America,",
        "and the Company, which shall keep all such information in confidence for the",
        "State of Utah.",
    ])  # fmt: skip
    assert said(wrapped) == [wrapped]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is due [1]. It is paid [2].", ["It is due [1].", "It is paid [2]."]),
        ("It is due.[1] It is paid.[2][3]", ["It is due.[1]", "It is paid.[2][3]"]),
        ("It is due. [doc_1] It is paid. [doc_2]", ["It is due. [doc_1]", "It is paid. [doc_2]"]),
        ("[1] It is due. [2] It is paid.", ["[1] It is due.", "[2] It is paid."]),
        ("It is due.【1†source】 It is paid.", ["It is due.【1†source】", "It is paid."]),
        ("It is due. [The] Company pays.", ["It is due.", "[The] Company pays."]),
    ],
)
def test_a_citation_stays_with_its_sentence(text: str, expected: list[str]):
    assert said(text) == expected


_pieces = st.sampled_from(
    ["a", "B", "é", "文", "7", " ", "\n", "\r\n", ".", "!", "?", "…", "。", '"', "(", ")", "[1]", "[", "]",
     "- ", "1. ", "4.2 ", "# ", "|", ":", ",", "Dr.", "e.g.", "\t", "\u2028", "\x85", "```", "*"]
)  # fmt: skip
_texts = st.text() | st.lists(_pieces).map("".join)


@given(_texts)
def test_every_span_is_ordered_and_stripped(text: str):
    found = sentences(text)
    edges = [edge for span in found for edge in span]
    assert edges == sorted(edges)
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in found)


@given(st.lists(st.sampled_from(["Alpha", "beta", "99", " ", " ", "\n", ". ", "? ", '"', "\n\n"])))
def test_no_word_is_lost(pieces: list[str]):
    text = " ".join(pieces)
    kept = " ".join(said(text))
    assert [w for w in kept.split() if w.isalnum()] == [w for w in text.split() if w.isalnum()]


@pytest.mark.parametrize(
    "piece",
    ["a. ", "1. ", ".", "\n", "\n- ", "(", "[", "[1", ". [1] ", "[1]", '."', "…", "文。", "1.1", "\r", "a\n", "?\t"],
)  # fmt: skip
def test_hostile_text_takes_no_longer_than_its_length(piece: str):
    text = piece * (200_000 // len(piece))
    assert all(start < end for start, end in sentences(text))
