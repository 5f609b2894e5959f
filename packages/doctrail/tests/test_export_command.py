"""`doctrail export`: one answer as PROV, many as OpenLineage, and how to read the log."""

import json

import pytest

pytest.importorskip("prov")
pytest.importorskip("openlineage.client")


def test_an_answer_is_written_as_prov_without_texts(app, doctrail):
    app.answer(user="ada")
    said = doctrail("export", "prov", "response-0001")
    assert said.code == 0
    assert "document:doc_42" in said.json["entity"]
    (user,) = (name for name in said.json["agent"] if name.startswith("agent:user/"))
    assert "ada" not in said.out
    assert "February" not in said.out
    assert user in doctrail("export", "prov", "response-0001").out


def test_texts_of_an_answer_are_quoted_where_that_is_asked_for(app, doctrail, tmp_path):
    app.answer()
    said = doctrail("export", "prov", "response-0001", "--texts", "--out", str(tmp_path / "a.json"))
    assert (said.code, said.out) == (0, "")
    assert "The renewal deadline is February 28th." in (tmp_path / "a.json").read_text()


def test_prov_is_of_one_answer(app, doctrail):
    app.answer()
    assert doctrail("export", "prov").code == 2
    assert doctrail("export", "prov", "something else").code == 1
    assert doctrail("export", "openlineage", "response-0001").code == 2


def test_full_hours_are_written_as_openlineage(app, doctrail, tmp_path):
    app.answer(at="2025-11-20T12:00:00")
    words = ("export", "openlineage", "--from", "2025-11-20", "--to", "2025-11-20")
    said = doctrail(*words)
    assert [event["eventType"] for event in said.json_lines] == ["START", "COMPLETE"]
    assert said.json_lines[1]["inputs"][0]["name"] == "documents/doc_42"
    out = tmp_path / "events.jsonl"
    sent = doctrail(*words, "--out", str(out), "--json")
    assert sent.json == {"sent": 2, "to": str(out)}
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [e["run"]["runId"] for e in written] == [e["run"]["runId"] for e in said.json_lines]


def test_an_hour_without_answers_is_told(app, doctrail):
    app.answer(at="2025-11-20T12:00:00")
    said = doctrail("export", "openlineage", "--from", "2025-11-21", "--to", "2025-11-21")
    assert (said.code, said.out) == (1, "")
    assert "nothing was answered in a full hour" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("--url", "http://127.0.0.1:1", "--out", "x"),
        ("--most", "-1"),
        ("--from", "2025-11-21", "--to", "2025-11-20"),
    ],
)
def test_what_makes_no_sense_is_refused(app, doctrail, words):
    app.answer()
    assert doctrail("export", "openlineage", *words).code == 2


def test_a_file_that_cannot_be_written_is_told_in_a_line(app, doctrail, tmp_path):
    app.answer(at="2025-11-20T12:00:00")
    words = ("--from", "2025-11-20", "--to", "2025-11-20", "--out", str(tmp_path / "no" / "x"))
    said = doctrail("export", "openlineage", *words)
    assert said.code == 3
    assert len(said.err.splitlines()) == 1


def test_the_log_comes_with_a_document_on_how_to_read_it(app, doctrail, tmp_path):
    app.answer(user="ada")
    said = doctrail("export", "interpretation")
    assert said.code == 0
    assert said.lines[0] == "# How to interpret this log"
    assert "doc_42" not in said.out
    out = tmp_path / "log.md"
    assert doctrail("export", "interpretation", "--out", str(out)).out == ""
    assert out.read_text().startswith("# How to interpret this log\n")
    told = doctrail("export", "interpretation", "--json").json["interpretation"]
    assert told.startswith("# How to interpret this log\n")


def test_nothing_recorded_is_nothing_to_export(doctrail):
    for form in ("openlineage", "interpretation"):
        assert doctrail("export", form).code == 1
