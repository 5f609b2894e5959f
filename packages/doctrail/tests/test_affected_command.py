"""`doctrail affected`."""

import pytest


@pytest.fixture
def recorded(app):
    app.answer("first-0001", at="2026-11-20T10:00:00", session="s-1", user="anna")
    app.answer(
        "second-0002", at="2026-11-21T23:59:59", prompt="no such text", texts=("Quite another.",)
    )
    app.answer("third-0003", at="2026-11-22T00:00:00", document="doc_4")
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


def test_the_ledger_answers_alone_when_the_trails_are_gone(recorded, doctrail):
    (recorded.home / "trails.db").unlink()
    said = doctrail("affected", "--document", "doc_42", "--json")
    assert [line["response_id"] for line in said.json_lines] == ["first-0001", "second-0002"]


def test_a_range_that_ends_before_it_begins_is_refused(recorded, doctrail):
    said = doctrail("affected", "--document", "x", "--from", "2026-11-22", "--to", "2026-11-20")
    assert (said.code, said.out) == (2, "")
    assert said.err == "doctrail: --from must be before --to: no time lies between them\n"


def test_a_document_must_be_named(doctrail):
    assert doctrail("affected").code == 2
