"""`doctrail hold`: set, list, lift; and what a hold keeps."""

import pytest


@pytest.fixture
def held(app, doctrail):
    app.answer("r1", document="doc_42", user="u1", session="s1", at="2020-01-01T12:00:00")
    app.answer("r2", document="doc_4", user="u2", session="s2", at="2020-01-01T12:00:00")
    words = ("--document", "doc_42", "--reason", "case 4711", "--by", "Ann Lee")
    return doctrail("hold", "set", *words, "--json").json


def test_a_hold_is_listed_until_it_is_lifted(doctrail, held):
    listed = doctrail("hold", "list")
    assert held["hold_id"] in listed.out
    assert "document doc_42" in listed.out
    assert "case 4711" in listed.out
    (said,) = doctrail("hold", "list", "--json").json_lines
    assert (said["subject"], said["by"], said["until"]) == ("doc_42", "Ann Lee", None)
    assert doctrail("hold", "lift", held["hold_id"], "--reason", "settled").code == 0
    assert doctrail("hold", "list").code == 1
    assert doctrail("hold", "lift", held["hold_id"], "--reason", "again").code == 1


def test_what_is_under_a_hold_is_not_erased_and_the_hold_is_named(doctrail, held):
    for what in (("--document", "doc_42"), ("--user", "u1")):
        refused = doctrail("erase", *what, "--reason", "asked for", "--yes")
        assert refused.code == 1
        assert held["hold_id"] in refused.err
        assert "case 4711" in refused.err
    assert doctrail("erase", "--document", "doc_4", "--reason", "asked for", "--yes").code == 0


def test_what_is_under_a_hold_is_not_removed_by_retention(doctrail, held):
    doctrail("retention", "set", "--trails-at-most", "30 days")
    assert "1 more are under a hold" in doctrail("retention", "run").out
    assert [each["response_id"] for each in doctrail("responses", "--json").json_lines] == ["r1"]
    doctrail("hold", "lift", held["hold_id"], "--reason", "settled")
    doctrail("retention", "run")
    assert doctrail("responses").code == 1


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("set", "--user", "u9", "--reason", "x"), 1, "no user 'u9' is on record"),
        (("set", "--user", "u1", "--reason", " "), 2, "--reason is empty"),
        (("set", "--user", "u1", "--reason", "x", "--until", "2020-01-01"), 1, "over already"),
        (("lift", "nope", "--reason", "x"), 1, "no hold 'nope' is in force"),
    ],
)
def test_a_hold_on_nothing_is_refused(doctrail, held, words, code, complaint):
    refused = doctrail("hold", *words)
    assert (refused.code, refused.out) == (code, "")
    assert complaint in refused.err
