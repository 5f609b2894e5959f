"""`doctrail ground`."""

import pytest

from doctrail_core.grounding.sampling import sampled

TEXT = "The renewal deadline for enterprise accounts is February 28th."
FALSE = "The renewal deadline for enterprise accounts is March 15th."


@pytest.fixture
def answered(app):
    """Three answers, the second of which is wrong."""
    for number, answer in enumerate((TEXT, FALSE, TEXT), 1):
        app.answer(
            f"response-000{number}",
            answer=answer,
            texts=(TEXT,),
            at=f"2026-11-2{number}T12:00:00",
        )
    return app


def test_answers_on_record_are_checked_and_what_was_found_is_on_record(answered, doctrail):
    said = doctrail("ground")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "3 of 3 answers checked, 1 of them flagged (a claim is contradicted or unsupported).\n"
    )
    why = doctrail("why", "response-0002")
    assert "contradicted" in why.out
    assert "value conflict: February 28th" in why.out
    hits = doctrail("affected", "--document", "doc_42", "--grade", "supports", "--json").json_lines
    assert [hit["response_id"] for hit in hits] == ["response-0001", "response-0003"]


def test_a_second_run_passes_over_what_was_checked(answered, doctrail):
    doctrail("ground", "--since", "2026-11-22")
    said = doctrail("ground")
    assert "1 of 3 answers checked" in said.out
    assert "2 were checked before." in said.out
    assert "3 of 3 answers checked" in doctrail("ground", "--again").out


def test_the_range_of_times_holds(answered, doctrail):
    said = doctrail("ground", "--from", "2026-11-22", "--to", "2026-11-22", "--json")
    assert [each["id"] for each in said.json_lines] == ["response-0002"]
    assert said.json["claims"][0]["verdict"] == "contradicted"


def test_a_sample_is_that_of_the_ids(answered, doctrail):
    expected = {f"response-000{n}" for n in (1, 2, 3) if sampled(f"response-000{n}", 0.5)}
    said = doctrail("ground", "--sample", "0.5", "--json")
    assert {each["id"] for each in said.json_lines} == expected


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "nan", "much"])
def test_a_share_that_is_none_is_refused(doctrail, share):
    said = doctrail("ground", "--sample", share)
    assert said.code == 2
    assert "is no share" in said.err


def test_texts_that_were_not_kept_are_skipped_and_counted(app, doctrail, monkeypatch):
    monkeypatch.setenv("DOCTRAIL_CONTENT", "hash")
    app.answer("response-0001", texts=(TEXT,), content="hash")
    said = doctrail("ground")
    assert said.code == 0
    assert "1 could not be checked" in said.out
    assert doctrail("why", "response-0001", "--json").json["assessments"] == []


def test_where_nothing_is_in_range_that_is_said(answered, doctrail):
    said = doctrail("ground", "--from", "2027-01-01")
    assert said.code == 1
    assert "no answer from 2027-01-01" in said.err


def test_after_five_failures_in_a_row_it_stops_and_goes_on_later(app, doctrail, monkeypatch):
    from doctrail_core.grounding.embedded import EmbeddedVerifier

    for number in range(7):
        app.answer(f"response-000{number}", texts=(TEXT,))
    with monkeypatch.context() as down:
        down.setattr(EmbeddedVerifier, "verify", _down)
        said = doctrail("ground")
    assert said.code == 3
    assert "the last 5 checks failed, ConnectionError: the judge is down" in said.err
    assert "5 failed; the same command tries them again." in said.out
    assert "7 of 7 answers checked" in doctrail("ground").out


def _down(*_):
    raise ConnectionError("the judge is down")
