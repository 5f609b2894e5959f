"""`doctrail retention`: policies in words, and runs."""

import pytest


@pytest.fixture
def month(doctrail):
    """A policy that keeps trails for a month."""
    return doctrail("retention", "set", "--trails-at-most", "30 days", "--by", "Ann Lee")


def test_a_policy_is_shown_as_it_was_set(doctrail, month):
    assert (month.code, month.err) == (0, "")
    shown = doctrail("retention", "show")
    assert shown.code == 0
    assert "  trails  at least 0 days, at most 30 days\n" in shown.out
    assert "  ledger  at least 0 days, for ever\n" in shown.out
    assert "by Ann Lee" in shown.out
    said = doctrail("retention", "show", "--json").json
    assert said["trails"] == {"at_least": "0 days", "at_most": "30 days"}
    assert said["digest"] in shown.out


def test_what_is_not_named_stays_as_it_is(doctrail, month):
    doctrail("retention", "set", "--ledger-at-least", "6 months")
    doctrail("retention", "set", "--ledger-at-most", "10 years")
    changed = doctrail("retention", "set", "--trails-at-most", "never", "--json").json
    assert changed["ledger"] == {"at_least": "6 months", "at_most": "10 years"}
    assert changed["trails"] == {"at_least": "0 days"}


def test_a_policy_is_read_from_a_file(doctrail, tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text('[ledger]\nat_least = "6 months"\n')
    assert doctrail("retention", "set", "--file", str(file)).code == 0
    assert doctrail("retention", "show", "--json").json["ledger"] == {"at_least": "6 months"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--trails-at-most", "6"), "'6' is no period"),
        (("--ledger-at-least", "6 months", "--ledger-at-most", "1 day"), "the longer of the two"),
        ((), "nothing to set"),
        (("--file", "x.toml", "--trails-at-most", "1 day"), "not both"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(doctrail, month, words, complaint):
    refused = doctrail("retention", "set", *words)
    assert (refused.code, refused.out) == (2, "")
    assert complaint in refused.err
    assert "30 days" in doctrail("retention", "show").out


def test_without_a_policy_nothing_is_removed(app, doctrail):
    app.answer()
    assert doctrail("retention", "show").code == 1
    refused = doctrail("retention", "run")
    assert refused.code == 2
    assert "no retention policy is in force" in refused.err


def test_a_run_says_what_it_would_remove_and_then_what_it_removed(app, doctrail, month):
    app.answer("old", at="2020-01-01T12:00:00")
    app.answer("new")
    would = doctrail("retention", "run", "--dry-run")
    assert "would be removed" in would.out
    assert "trails  1 from before" in would.out
    assert doctrail("responses", "--json").out.count("old") == 1
    did = doctrail("retention", "run", "--json").json
    assert (did["trails"]["removed"], did["ledger"], did["dry"]) == (1, None, False)
    assert [each["response_id"] for each in doctrail("responses", "--json").json_lines] == ["new"]
    assert "never" not in doctrail("retention", "show").out


def test_nothing_below_the_floor_goes_whoever_asks(app, doctrail):
    doctrail("retention", "set", "--ledger-at-least", "6 months")
    app.answer()
    refused = doctrail("retention", "run", "--ledger-before", "2100-01-01")
    assert refused.code == 2
    assert "keeps the ledger at least 6 months" in refused.err


def test_a_log_that_was_pruned_is_still_verified_and_proven(app, doctrail):
    for number in range(60):
        app.answer(
            f"old-{number}",
            document=f"doc_{number}",
            texts=(f"The text of {number}.",),
            at="2020-01-01T12:00:00",
            flush=False,
        )
    doctrail("audit", "init", "--origin", "test/log")
    doctrail("audit", "checkpoint")
    app.answer("new", document="doc_1", texts=("The text of 1.",))
    doctrail("retention", "set", "--ledger-at-most", "5 years")
    run = doctrail("retention", "run", "--json").json
    verified = doctrail("audit", "verify")
    assert run["ledger"]["minimum"] >= 256
    assert run["ledger"]["answers"] >= 25
    assert (verified.code, "BROKEN" in verified.out) == (0, False)
    assert "were pruned, as entry" in verified.out
    assert doctrail("audit", "prove", "new").code == 0
    assert doctrail("affected", "--document", "doc_1", "--json").json["response_id"] == "new"
