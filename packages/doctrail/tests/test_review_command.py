"""`doctrail review`: the queue, and decisions on record."""

import csv
import io

import pytest


@pytest.fixture
def queue(app, doctrail):
    app.answer("r1", document="doc_42", question="=HYPERLINK(1)")
    app.answer("r2", document="doc_4", texts=("Something else altogether, of dogs.",))
    doctrail("review", "flag", "r2", "--reason", "a complaint", "--by", "Ben Hill")
    doctrail("erase", "--document", "doc_42", "--reason", "withdrawn", "--yes")
    return doctrail("review", "--json").json_lines


def test_flagged_answers_are_listed_the_longest_waiting_first(queue, doctrail):
    assert [(each["response_id"], each["cause"]) for each in queue] == [
        ("r2", "hand"),
        ("r1", "erased"),
    ]
    shown = doctrail("review")
    assert "flagged by hand: a complaint" in shown.out
    assert "a document was erased" in shown.out


def test_a_decision_is_on_record_with_who_made_it(queue, doctrail):
    words = ("--decision", "corrected", "--by", "Ann Lee", "--note", "sent anew")
    assert doctrail("review", "decide", str(queue[0]["flag"]), *words).code == 0
    assert [each["response_id"] for each in doctrail("review", "--json").json_lines] == ["r1"]
    done = next(e for e in doctrail("review", "--all", "--json").json_lines if e["review"])
    said = done["review"]
    assert (said["decision"], said["by"], said["note"]) == ("corrected", "Ann Lee", "sent anew")
    again = doctrail("review", "decide", str(queue[0]["flag"]), *words)
    assert again.code == 1
    assert "decided about before" in again.err


def test_a_spreadsheet_is_given_no_formula(queue, doctrail):
    rows = list(csv.DictReader(io.StringIO(doctrail("review", "--csv").out)))
    assert [row["response_id"] for row in rows] == ["r2", "r1"]
    assert not [cell for row in rows for cell in row.values() if cell.startswith("=")]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("flag", "r9", "--reason", "x"), 1, "no answer 'r9' is on record"),
        (("flag", "r1"), 2, "--reason is missing"),
        (("flag",), 2, "name one answer"),
        (("flag", "r1", "--failed-checks"), 2, "name one answer"),
        (("decide", "99", "--decision", "keep", "--by", "Ann"), 1, "there is no flag 99"),
        (("decide", "99", "--decision", "keep", "--by", " "), 2, "--by is empty"),
    ],
)
def test_what_cannot_be_flagged_or_decided_is_refused(queue, doctrail, words, code, complaint):
    refused = doctrail("review", *words)
    assert (refused.code, refused.out) == (code, "")
    assert complaint in refused.err


def test_an_empty_queue_is_said_to_be(app, doctrail):
    app.answer("r1")
    empty = doctrail("review")
    assert (empty.code, empty.out) == (1, "")
    assert doctrail("review", "flag", "--failed-checks").code == 1
