"""`doctrail pathologies`."""

import sqlite3

from inline_snapshot import snapshot


def test_pathologies_are_counted_over_the_answers_on_record(app, doctrail):
    app.answer("response-0001", at="2026-11-22T12:00:00")
    for number in range(2, 7):
        app.answer(
            f"response-000{number}", texts=(), at=f"2026-11-22T12:00:0{number}", session="s-1"
        )
    said = doctrail("pathologies")
    assert (said.code, said.err) == (0, "")
    assert said.out == snapshot("""\
pathology         answers  not checked  findings  for example
retrieval thrash  0 of 6   -            -         -
tool storm        0 of 6   -            -         -
context bloat     0 of 6   1            -         -
empty retrieval   5 of 6   -            5         response-0006, response-0005, response-0004
repeated chunk    0 of 6   -            -         -
""")


def test_pathologies_are_counted_of_a_session_and_a_time(app, doctrail):
    app.answer("response-0001", texts=(), session="s-1", at="2026-11-20T12:00:00")
    app.answer("response-0002", texts=(), session="s-1", at="2026-11-22T12:00:00")
    app.answer("response-0003", texts=(), at="2026-11-22T12:00:00")
    said = doctrail("pathologies", "--session", "s-1", "--from", "2026-11-21", "--json")
    empty = next(line for line in said.json_lines if line["kind"] == "empty_retrieval")
    assert empty == {
        "kind": "empty_retrieval",
        "of": 1,
        "responses": 1,
        "not_checked": 0,
        "count": 1,
        "examples": ["response-0002"],
    }


def test_where_there_are_no_such_answers_that_is_said(app, doctrail):
    app.answer()
    said = doctrail("pathologies", "--session", "nobody")
    assert (said.code, said.out) == (1, "")
    assert "no answer on record is like this" in said.err
    assert doctrail("pathologies", "--from", "2026-11-23", "--to", "2026-11-22").code == 2


def test_an_answer_that_cannot_be_read_is_not_counted_and_that_is_said(app, doctrail):
    app.answer("response-0001", texts=())
    app.answer("response-0002", texts=())
    assert doctrail("responses").code == 0
    with sqlite3.connect(app.home / "trails.db") as database:
        database.execute("UPDATE trail SET body = x'00' WHERE response_id = 'response-0001'")
    database.close()
    said = doctrail("pathologies", "--json")
    assert {line["of"] for line in said.json_lines} == {1}
    assert "not counted: 1 that cannot be read" in said.err
