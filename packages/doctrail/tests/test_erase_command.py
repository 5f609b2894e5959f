"""`doctrail erase`, and what other commands say afterwards."""

import sys

import pytest

from doctrail_core.audit.folder import AuditFolder
from doctrail_core.durable.home import Home

ERASE = ("erase", "--document", "doc_42", "--reason", "withdrawn")


@pytest.fixture
def recorded(app):
    app.answer("first-0001", session="s-1", user="anna")
    app.answer("second-0002", document="doc_9", texts=("Pay soon.",), user="bert", session="s-2")
    return app


@pytest.fixture
def asked(monkeypatch):
    """Have somebody sit before the terminal, who answers this."""

    def answers(said):
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda _: said)

    return answers


def test_a_dry_run_says_what_would_be_done(recorded, doctrail):
    said = doctrail(*ERASE, "--dry-run")
    assert said.code == 0
    assert said.lines[0] == "document doc_42 would be erased"
    assert "  responses  1 (1 in_prompt)" in said.lines
    assert "  found      1 chunks, 1 keys, 1 names, 1 texts, 1 trails" in said.lines
    assert "Not covered" in said.lines
    assert "February" in doctrail("why", "first-0001", "--full").out


def test_it_is_done_only_when_that_was_said_twice(recorded, doctrail, asked):
    refused = doctrail(*ERASE)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    asked("n")
    assert doctrail(*ERASE).code == 1
    asked("Yes")
    said = doctrail(*ERASE)
    assert said.code == 0
    assert "document doc_42 was erased" in said.lines


def test_what_was_erased_is_told_by_all_that_ask(recorded, doctrail, home):
    said = doctrail(*ERASE, "--yes")
    assert said.code == 0
    entry = next(line for line in said.lines if "on record" in line).split()[3]
    assert "The renewal deadline" not in doctrail("why", "first-0001", "--full").out
    why = doctrail("why", "first-0001").lines
    assert why[-2] == "Erased"
    assert why[-1].endswith(f"was erased by entry {entry} of the ledger")
    affected = doctrail("affected", "--document", "doc_42", "--json")
    assert [hit["response_id"] for hit in affected.json_lines] == ["first-0001"]
    again = doctrail(*ERASE, "--yes")
    assert (again.code, f"erased already, by entry {entry}" in again.err) == (1, True)
    assert doctrail("doctor").code in (0, 1)


def test_a_user_is_erased_and_why_says_so(recorded, doctrail):
    report = doctrail("subject", "report", "anna", "--json")
    assert [each["response_id"] for each in report.json["responses"]] == ["first-0001"]
    said = doctrail("erase", "--user", "anna", "--reason", "asked us to", "--yes", "--json")
    assert said.code == 0
    assert said.json["removed"] == {"keys": 1, "names": 3, "trails": 1}
    assert said.json["not_covered"]
    why = doctrail("why", "first-0001")
    assert why.code == 1
    assert "all that was kept of its user" in why.err
    assert f"was erased by entry {said.json['entry']} of the ledger" in why.err
    after = doctrail("subject", "report", "anna")
    assert after.code == 0
    assert f"  something was erased by entry {said.json['entry']} of the ledger" in after.lines
    assert doctrail("responses", "--user", "bert").code == 0


def test_a_receipt_is_checked(recorded, doctrail, home, tmp_path):
    AuditFolder(Home(home)).make()
    said = doctrail(*ERASE, "--yes", "--json").json
    kept = home / "receipts" / f"{said['erasure']}.receipt"
    assert kept.read_text("utf-8") == said["note"]
    checked = doctrail("erase", "--verify", str(kept), "--is-about", "doc_42")
    assert checked.code == 0
    assert {line.split()[0] for line in checked.lines} == {"ok"}
    wrong = doctrail("erase", "--verify", str(kept), "--is-about", "doc_9")
    assert wrong.code == 1
    assert any(line.startswith("NOT SO") for line in wrong.lines)
    copy = tmp_path / "copy"
    copy.write_text(kept.read_text("utf-8").replace("withdrawn", "whatever"))
    untrue = doctrail("erase", "--verify", str(copy), "--json")
    assert untrue.code == 1
    assert [check["holds"] for check in untrue.json["checks"]] == [
        False,
        True,
        True,
        True,
        True,
        True,
    ]
    (tmp_path / "no").write_text("no receipt")
    assert doctrail("erase", "--verify", str(tmp_path / "no")).code == 2
    assert doctrail("erase", "--verify", str(tmp_path / "none")).code == 3


def test_the_doctor_tells_of_an_erasure_that_was_not_completed(recorded, doctrail, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("doctrail_core.ledger.keyring.Keyring.destroy", full)
        assert doctrail(*ERASE, "--yes").code == 3
    said = doctrail("doctor")
    assert said.code == 1
    assert "an erasure of a document was begun at" in said.out


@pytest.mark.parametrize(
    "words",
    [
        ("erase",),
        ("erase", "--document", "x"),
        ("erase", "--document", "", "--reason", "-"),
        ("erase", "--document", "x", "--user", "y", "--reason", "-"),
        ("erase", "--user", "x", "--answers", "--reason", "-"),
        ("subject", "report", " "),
    ],
)
def test_what_means_nothing_is_refused(recorded, doctrail, words):
    assert doctrail(*words).code == 2


def test_what_is_not_on_record_is_told(recorded, doctrail):
    assert doctrail("erase", "--document", "doc_4", "--reason", "-", "--yes").code == 1
    assert doctrail("subject", "report", "nobody").code == 1


def test_hostile_ids_and_reasons_do_nothing_to_the_terminal(recorded, app, doctrail):
    hostile = "doc\x1b[31m"
    app.answer("third-0003", document=hostile, user="u\x1b]0;x\x07")
    said = doctrail("erase", "--document", hostile, "--reason", "\x1b[2J", "--yes")
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "\x1b" not in doctrail("subject", "report", "u\x1b]0;x\x07").out
