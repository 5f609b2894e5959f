"""`doctrail affected`."""

import csv

import pytest
from dirty_equals import IsInt, IsStr

PLACE = {
    "log": IsStr(regex=r"[0-9a-f]{32}"),
    "seq": IsInt(gt=0),
    "derived_from": None,
    "same_text_as": None,
    "through": None,
    "cursor": IsStr(regex=r"0\.\d+"),
}


@pytest.fixture
def recorded(app):
    app.answer("first-0001", at="2026-11-20T10:00:00", session="s-1", user="anna")
    app.answer(
        "second-0002", at="2026-11-21T23:59:59", prompt="no such text", texts=("Quite another.",)
    )
    app.answer("third-0003", at="2026-11-22T00:00:00", document="doc_4", texts=("Pay soon.",))
    return app


def test_each_answer_that_had_the_document_is_listed_with_how_deeply(recorded, doctrail):
    said = doctrail("affected", "--document", "doc_42", "--json")
    assert said.code == 0
    assert said.json_lines == [
        {
            "document_id": "doc_42",
            "response_id": "first-0001",
            "time": "2026-11-20T10:00:00+00:00",
            "grade": "in_prompt",
            "involvement": "direct",
            "status": "ok",
            "complete": True,
            "session_id": "s-1",
            "user_id": "anna",
            "trace_id": None,
            "how": "in_prompt",
            **PLACE,
        },
        {
            "document_id": "doc_42",
            "response_id": "second-0002",
            "time": "2026-11-21T23:59:59+00:00",
            "grade": "retrieved",
            "involvement": None,
            "status": "ok",
            "complete": True,
            "session_id": None,
            "user_id": None,
            "trace_id": None,
            "how": "retrieved_only",
            **PLACE,
        },
    ]


def test_people_read_the_same_in_a_table(recorded, doctrail):
    said = doctrail("affected", "--document", "doc_42")
    assert said.lines[0].split() == ["time", "grade", "status", "response", "session", "user"]
    assert "in the prompt   ok      first-0001   s-1      anna" in said.lines[1]


def test_ids_are_exact(recorded, doctrail):
    said = doctrail("affected", "--document", "doc_4", "--json")
    assert [line["response_id"] for line in said.json_lines] == ["third-0003"]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (("--to", "2026-11-21"), ["first-0001", "second-0002"]),
        (("--from", "2026-11-21"), ["second-0002"]),
        (("--from", "2026-11-21", "--to", "2026-11-21"), ["second-0002"]),
        (("--to", "2026-11-21T23:59:59Z"), ["first-0001"]),
        (("--grade", "in_prompt"), ["first-0001"]),
        (("--grade", "retrieved"), ["first-0001", "second-0002"]),
    ],
)
def test_a_range_and_a_grade_narrow_it_down(recorded, doctrail, conditions, found):
    said = doctrail("affected", "--document", "doc_42", *conditions, "--json")
    assert [line["response_id"] for line in said.json_lines] == found


def test_nothing_found_says_what_was_looked_for(recorded, doctrail):
    said = doctrail("affected", "--document", "doc", "--from", "2026-11-01", "--grade", "cited")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(
        "doctrail: no answer from 2026-11-01T00:00:00+00:00 had document 'doc' as cited or more."
        " Ids must be exact: doc_4 is not doc_42."
    )
    assert "an answer that nobody checked (`doctrail ground`) may be missing here" in said.err


def test_the_ledger_answers_alone_when_the_trails_are_gone(recorded, doctrail):
    (recorded.home / "trails.db").unlink()
    said = doctrail("affected", "--document", "doc_42", "--json")
    assert [line["response_id"] for line in said.json_lines] == ["first-0001", "second-0002"]


def test_a_range_that_ends_before_it_begins_is_refused(recorded, doctrail):
    said = doctrail("affected", "--document", "x", "--from", "2026-11-22", "--to", "2026-11-20")
    assert (said.code, said.out) == (2, "")
    assert said.err == "doctrail: --from must be before --to: no time lies between them\n"


def test_something_must_be_named(doctrail):
    said = doctrail("affected")
    assert (said.code, said.out) == (2, "")
    assert "name what to look for: --document, --chunk, --source or --version" in said.err


def test_a_list_goes_on_where_it_left_off(recorded, doctrail):
    first = doctrail("affected", "--document", "doc_42", "--limit", "1", "--json")
    (hit,) = first.json_lines
    assert f"there is more: add --after {hit['cursor']}" in first.err
    rest = doctrail("affected", "--document", "doc_42", "--after", hit["cursor"], "--json")
    assert [line["response_id"] for line in rest.json_lines] == ["second-0002"]
    assert rest.err == ""


def test_a_cursor_that_is_none_is_refused(recorded, doctrail):
    said = doctrail("affected", "--document", "doc_42", "--after", "x")
    assert said.code == 2
    assert "--after: 'x' is not where a list of answers left off" in said.err


def test_programs_may_have_csv(recorded, doctrail):
    recorded.answer("=cmd()", document="doc_7", texts=("Of doc_7.",))
    rows = list(csv.DictReader(doctrail("affected", "--document", "doc_42", "--csv").lines))
    assert [(row["response_id"], row["complete"], row["trace_id"]) for row in rows] == [
        ("first-0001", "true", ""),
        ("second-0002", "true", ""),
    ]
    assert rows[0]["time"] == "2026-11-20T10:00:00+00:00"
    (row,) = csv.DictReader(doctrail("affected", "--document", "doc_7", "--csv").lines)
    assert row["response_id"] == "'=cmd()"


def test_a_chunk_can_be_asked_for(recorded, doctrail):
    said = doctrail("affected", "--chunk", "doc_42/0", "--json")
    assert [line["response_id"] for line in said.json_lines] == ["first-0001", "second-0002"]
    assert doctrail("affected", "--chunk", "doc_42/7").code == 1


def test_the_same_text_under_another_id_is_told_as_such(recorded, doctrail):
    recorded.answer("fourth-0004", document="ingested again")
    said = doctrail("affected", "--document", "ingested again", "--json")
    found = [(line["response_id"], line["same_text_as"]) for line in said.json_lines]
    assert found == [("fourth-0004", None), ("first-0001", "ingested again")]
    table = doctrail("affected", "--document", "ingested again")
    assert "doc_42, same text as in ingested again" in table.out
    exact = doctrail("affected", "--document", "ingested again", "--exact", "--json")
    assert [line["response_id"] for line in exact.json_lines] == ["fourth-0004"]
