"""`doctrail responses`."""

import pytest

from doctrail.commands import affected, responses
from doctrail_core.model import GRADES
from doctrail_core.model.trail import Status


@pytest.fixture
def recorded(app):
    app.answer("first-0001", session="s-1", user="anna", at="2026-11-20T10:00:00", document="doc_4")
    app.answer(
        "second-0002", session="s-1", user="bert", at="2026-11-21T23:30:00", answer="In March."
    )
    app.answer("third-0003", session="s-2", user="anna", at="2026-11-22T00:00:00", interrupted=True)
    return app


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ((), ["third-0003", "second-0002", "first-0001"]),
        (("--session", "s-1"), ["second-0002", "first-0001"]),
        (("--user", "anna"), ["third-0003", "first-0001"]),
        (("--document", "doc_4"), ["first-0001"]),
        (("--phrase", "march"), ["second-0002"]),
        (("--from", "2026-11-21"), ["third-0003", "second-0002"]),
        (("--to", "2026-11-21"), ["second-0002", "first-0001"]),
        (("--from", "2026-11-21", "--to", "2026-11-21"), ["second-0002"]),
        (("--to", "2026-11-21T23:30:00"), ["first-0001"]),
        (("--to", "2026-11-22T00:30:00+01:00"), ["first-0001"]),
        (("--limit", "1"), ["third-0003"]),
        (("--session", "s-1", "--user", "anna"), ["first-0001"]),
    ],
)
def test_answers_are_found_by_what_is_asked(recorded, doctrail, conditions, found):
    said = doctrail("responses", *conditions, "--json")
    assert said.code == 0
    assert [line["response_id"] for line in said.json_lines] == found


def test_answers_are_found_by_status(recorded, doctrail):
    statuses = {
        line["response_id"]: line["status"] for line in doctrail("responses", "--json").json_lines
    }
    said = doctrail("responses", "--status", statuses["third-0003"], "--json")
    assert "third-0003" in [line["response_id"] for line in said.json_lines]
    assert {line["status"] for line in said.json_lines} == {statuses["third-0003"]}


def test_the_list_for_people_has_a_header_and_leaves_out_columns_that_say_nothing(app, doctrail):
    app.answer()
    said = doctrail("responses")
    assert said.lines[0].split() == ["time", "status", "response", "question", "answer"]
    assert said.lines[1].split()[:5] == ["2026-11-22", "12:00:00", "UTC", "ok", "response-0001"]


def test_no_match_is_exit_code_1(recorded, doctrail):
    said = doctrail("responses", "--session", "s-9")
    assert (said.code, said.out) == (1, "")
    assert (
        said.err
        == "doctrail: no answer on record is like this; `doctrail responses` lists all there are\n"
    )


def test_a_list_that_was_cut_says_so(recorded, doctrail):
    assert (
        doctrail("responses", "--limit", "2").err
        == "doctrail: there are more than these 2; --limit shows them\n"
    )


def test_a_limit_that_fits_is_no_cut(recorded, doctrail):
    for limit in ("3", "9" * 30):
        said = doctrail("responses", "--limit", limit)
        assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_must_be_a_number_from_1(doctrail, limit):
    said = doctrail("responses", "--limit", limit)
    assert said.code == 2
    assert "is not a number from 1" in said.err or "expected one argument" in said.err


def test_the_choices_offered_are_those_of_the_records():
    assert Status.__args__ == responses.STATUSES
    assert affected.GRADES == GRADES


def test_an_empty_phrase_is_no_condition(app, doctrail):
    app.answer()
    said = doctrail("responses", "--phrase", "")
    assert (said.code, said.out) == (2, "")
    assert "--phrase is empty" in said.err
