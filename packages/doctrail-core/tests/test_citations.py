"""The sources that an answer names are found in their common forms, and resolved; nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.model import Chunk
from doctrail_core.text.citations import citations, without_citations

CHUNKS = {
    "c-1": Chunk("c-1", "doc_4821", None, index=3, source="/data/contracts/renewal.pdf"),
    "c-2": Chunk("c-2", "doc_4821", None, index=4, source="/data/contracts/renewal.pdf"),
    "c-3": Chunk("c-3", "doc_77", None, index=0, metadata={"title": "Employee Handbook"}),
    "c-4": Chunk("c-4", "policy.md", None),
}
ARRIVED = ["c-1", "c-3"]
RENEWAL = ("c-1",)


def found(answer: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(c.cited, c.state, c.chunk_ids) for c in citations(answer, CHUNKS, ARRIVED)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Due. [DOC-ID: doc_4821, chunk 3]", [("doc_4821", "ok", RENEWAL)]),
        ("Due. [DOC-ID: doc_4821, chunk 3, score: 0.87]", [("doc_4821", "ok", RENEWAL)]),
        ("Due. [DOC-ID: doc_4821, chunk 4]", [("doc_4821", "not_in_context", ("c-2",))]),
        ("Due. [DOC-ID: doc_4821, chunk 9]", [("doc_4821", "unknown_id", ())]),
        ("Due. [DOC-ID: doc_4821]", [("doc_4821", "ok", RENEWAL)]),
        ("It is due [doc_4821].", [("doc_4821", "ok", RENEWAL)]),
        ("It is due (doc_4821).", [("doc_4821", "ok", RENEWAL)]),
        ("It is due (see doc_4821, p. 3).", [("doc_4821", "ok", RENEWAL)]),
        ("It is due [doc_4821, doc_77].", [("doc_4821", "ok", RENEWAL), ("doc_77", "ok", ("c-3",))]),
        ("It is due [doc_4821; doc_5].", [("doc_4821", "ok", RENEWAL), ("doc_5", "unknown_id", ())]),
        ("It is due [c-2].", [("c-2", "not_in_context", ("c-2",))]),
        ("It is due [1].", [("1", "ok", RENEWAL)]),
        ("It is due[1][2].", [("1", "ok", RENEWAL), ("2", "ok", ("c-3",))]),
        ("It is due [1, 2].", [("1", "ok", RENEWAL), ("2", "ok", ("c-3",))]),
        ("It is due [1-3].", [("1-3", "ok", RENEWAL), ("1-3", "ok", ("c-3",)), ("1-3", "unknown_id", ())]),
        ("It is due.[^1]", [("^1", "ok", RENEWAL)]),
        ("It is due【1†source】.", [("1†source", "ok", RENEWAL)]),
        ("It is due【4:0†renewal.pdf】.", [("renewal.pdf", "ok", RENEWAL)]),
        ("It is due [5].", [("5", "unknown_id", ())]),
        ("It is [0], it was [1].", [("0", "ok", RENEWAL), ("1", "ok", ("c-3",))]),
        ("It is due (Source 2).", [("2", "ok", ("c-3",))]),
        ("It is due (source: renewal.pdf, page 3).", [("renewal.pdf", "ok", RENEWAL)]),
        ("It is due [source: renewal, p. 3].", [("renewal", "ok", RENEWAL)]),
        ("It is due [source: nothing.pdf].", [("nothing.pdf", "unknown_id", ())]),
        ("It is due.\nSource: renewal.pdf", [("renewal.pdf", "ok", RENEWAL)]),
        ("It is due.\nSource: other.pdf.", [("other.pdf", "unknown_id", ())]),
        ("It is due.\nSources: doc_4821, doc_77", [("doc_4821", "ok", RENEWAL), ("doc_77", "ok", ("c-3",))]),
        ("Document 2 says so.", [("Document 2", "ok", ("c-3",))]),
        ("As passage 1 says.", [("passage 1", "ok", RENEWAL)]),
        ("Document 9 says so.", [("Document 9", "unknown_id", ())]),
        ("According to doc_4821, it is due.", [("doc_4821", "ok", RENEWAL)]),
        ("According to doc_9999, it is due.", [("doc_9999", "unknown_id", ())]),
        ("See policy.md for it.", [("policy.md", "not_in_context", ("c-4",))]),
        ("It is due [Employee Handbook].", [("Employee Handbook", "ok", ("c-3",))]),
        ("It is due [Employee Handbook, p. 12].", [("Employee Handbook", "ok", ("c-3",))]),
        ("It is due [`DOC_4821`].", [("`DOC_4821`", "ok", RENEWAL)]),
    ],
)  # fmt: skip
def test_the_common_forms_are_found_and_resolved(answer: str, expected: object):
    assert found(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "It is due on February 28th.", "He said it [sic].", "[a] and [x]", "It was so in [2024].", "a[0] = b[1] + 2",
        "Call `rows[1]` now.", "```\nrows[1]\n```", "It costs $5 (2024).", "(COVID-19) (GPT-4) (5)", "[The] Company pays.",
        "See [here](https://x.example/a_1).", "mydoc_4821x", "a policy.mdx file", "Section 2 (b)", "[...]", "[]", "[ ]",
        "as in passage 9 of it", "Sources of income vary.", "source: me", "", "[Company Name]", "doc_ and doc",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_citation_is_none(answer: str):
    assert found(answer) == []


def test_a_year_is_a_citation_only_if_something_is_called_that():
    chunks = {"2024": Chunk("2024", "report", None)}
    assert [c.state for c in citations("It rose [2024].", chunks, ["2024"])] == ["ok"]
    assert citations("It rose [2023].", chunks, ["2024"]) == ()


def test_a_number_that_is_an_id_is_that_id_and_no_place():
    chunks = {"2": Chunk("2", "two", None), "1": Chunk("1", "one", None)}
    assert [c.chunk_ids for c in citations("So [1].", chunks, ["2", "1"])] == [("1",)]


def test_an_answer_with_a_list_of_its_sources_says_what_its_numbers_mean():
    answer = "It is due [1]. Staff agree [2].\n\nSources:\n[1] Employee Handbook\n[2] renewal.pdf"
    states = {(c.cited, c.chunk_ids) for c in citations(answer, CHUNKS, ARRIVED)}
    assert {("1", ("c-3",)), ("2", RENEWAL)} <= states


def test_a_tag_with_an_id_that_was_made_safe_is_resolved():
    from doctrail_core.text.tags import tag

    chunk = Chunk("c", "über/weird id", None, text="It is due.")
    opening = tag("It is due.", document_id=chunk.document_id).split("\n")[0]
    assert [c.state for c in citations(f"Due. {opening}", {"c": chunk}, ["c"])] == ["ok"]


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        ("It is due [1]. It is paid [2].", ["It is due [1].", "It is paid [2]."]),
        ("It is due. [1] It is paid. [2]", ["It is due. [1]", "It is paid. [2]"]),
        ("It is due.\n[doc_4821]", ["It is due."]),
        ("It is due.\n\nSource: renewal.pdf", ["It is due."]),
        (
            "- It is due (doc_4821)\n- It is paid [doc_77]",
            ["It is due (doc_4821)", "It is paid [doc_77]"],
        ),
        ("It is due.\n\nSources:\n- renewal.pdf\n- doc_77", [None, None]),
        ("[doc_4821]", [None]),
    ],
)
def test_a_citation_is_given_for_its_sentence_or_the_one_before(answer: str, claims: object):
    spans = [(c.claim_start, c.claim_end) for c in citations(answer, CHUNKS, ARRIVED)]
    assert [None if start is None else answer[start:end] for start, end in spans] == claims


def test_the_span_of_a_citation_is_its_brackets_or_its_part_of_them():
    answer = "Due [doc_4821] (Source 2), [1, 2]."
    spans = [answer[c.start : c.end] for c in citations(answer, CHUNKS, ARRIVED)]
    assert spans == ["[doc_4821]", "(Source 2)", "1", "2"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("It is due [doc_4821].", "It is due           ."),
        ("It is due[1][2]. Paid [1, 2].", "It is due      . Paid       ."),
        ("It is due.\n\nSource: renewal.pdf", "It is due.\n\n                   "),
        ("It is due [DOC-ID: doc_9, chunk 3] (Source 2).", "It is due                                    ."),
        ("It is due (sources: doc_4821, doc_77). Yes.", "It is due                            . Yes."),
        ("It is due (doc_4821 has June, doc_77 May).", "It is due (doc_4821 has June, doc_77 May)."),
        ("According to doc_4821, it is due.", "According to doc_4821, it is due."),
        ("Sources vary. [sic]", "Sources vary. [sic]"),
    ],
)  # fmt: skip
def test_an_answer_without_its_citations_has_the_same_offsets(answer: str, said: str):
    assert without_citations(answer, citations(answer, CHUNKS, ARRIVED)) == said


_PIECES = st.sampled_from(
    ["[", "]", "(", ")", "1", "0", "2024", "doc_", "4821", "doc_4821", "c-1", ",", ";", " ", "\n", "Source", ":", "Document",
     "DOC-ID", "chunk", "†", "【", "】", "`", "```", ".", "renewal.pdf", "-", "^", "#", "=", "It is due", "p. 3", "/"]
)  # fmt: skip


@given(st.text() | st.lists(_PIECES).map("".join))
def test_whatever_the_answer_spans_are_ordered_and_states_follow(answer: str):
    cited = citations(answer, CHUNKS, ARRIVED)
    assert len(without_citations(answer, cited)) == len(answer)
    assert [c.start for c in cited] == sorted(c.start for c in cited)
    for citation in cited:
        assert 0 <= citation.start < citation.end <= len(answer)
        assert (citation.state == "unknown_id") == (not citation.chunk_ids)
        assert (citation.state == "ok") == any(i in ARRIVED for i in citation.chunk_ids)


@pytest.mark.parametrize(
    "piece",
    ["[", "[1", "[1]", "(", "(a.", "(a-1,", "doc_", "doc_4821 ", "`", "```", "Source: ", "Source 1 ", "【", "[a, ", "[1-9]",
     "DOC-ID:", "c-1", "[doc_4821, ", "\n[1] c-1"],
)  # fmt: skip
def test_hostile_answers_take_no_longer_than_their_length(piece: str):
    answer = piece * (60_000 // len(piece))
    assert len(citations(answer, CHUNKS, ARRIVED)) <= 256
