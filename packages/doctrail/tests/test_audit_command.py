"""`doctrail audit`."""

import json
import sqlite3
import subprocess
import sys

import pytest

from doctrail_core.audit.checkpoint import Proof
from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.note import SigningKey, VerifierKey, read_note
from doctrail_core.durable.home import Home


@pytest.fixture
def signed(app, doctrail):
    """Two answers before the key was made, one after."""
    app.answer("first-0001", at="2026-11-20T10:00:00")
    app.answer("second-0002", at="2026-11-21T10:00:00", document="doc_4")
    assert doctrail("audit", "init", "--origin", "log.example/rag").code == 0
    app.answer("third-0003", at="2026-11-22T10:00:00")
    return app


def key_of(home):
    return str(AuditFolder(Home(home)).config().key)


def test_init_shows_the_key_that_others_verify_with(app, doctrail):
    app.answer()
    said = doctrail("audit", "init", "--origin", "log.example/rag")
    assert said.code == 0
    assert f"  {key_of(app.home)}" in said.lines
    assert "— log.example/rag " in said.out
    assert "PRIVATE" not in said.out


def test_init_can_come_before_the_first_answer(home, doctrail):
    said = doctrail("audit", "init", "--json")
    assert said.code == 0
    assert said.json["origin"].startswith("doctrail/")
    assert VerifierKey.parse(said.json["key"]).name == said.json["origin"]
    assert doctrail("audit", "verify").code == 0


def test_init_makes_one_key_only(signed, doctrail):
    before = key_of(signed.home)
    said = doctrail("audit", "init")
    assert said.code == 2
    assert "a log has one key, and keeps it" in said.err
    assert key_of(signed.home) == before


@pytest.mark.parametrize("words", [("--origin", "has space"), ("--interval", "0")])
def test_init_refuses_what_makes_no_sense(home, doctrail, words):
    assert doctrail("audit", "init", *words).code == 2


def test_an_action_must_be_named(doctrail):
    assert doctrail("audit").code == 2


def test_a_checkpoint_is_a_note_that_others_can_keep(signed, doctrail, tmp_path):
    said = doctrail("audit", "checkpoint", "--out", str(tmp_path / "kept"))
    assert said.code == 0
    note = read_note((tmp_path / "kept").read_text())
    assert str(note) == f"{said.out}"
    assert note.signed_by(VerifierKey.parse(key_of(signed.home)))
    told = doctrail("audit", "checkpoint", "--json").json
    assert told["note"] == str(note)
    assert told["anchors"] == []


def test_nothing_is_signed_before_init(app, doctrail):
    app.answer()
    for words in (("checkpoint",), ("prove", "response-0001"), ("bundle", "--out", "out")):
        said = doctrail("audit", *words)
        assert said.code == 3
        assert "Run `doctrail audit init`" in said.err


def test_a_log_that_nobody_touched_is_sound(signed, doctrail, tmp_path):
    doctrail("audit", "checkpoint", "--out", str(tmp_path / "kept"))
    said = doctrail("audit", "verify", "--checkpoint", str(tmp_path / "kept"))
    assert said.code == 0
    assert "BROKEN" not in said.out
    assert "This does not show:" in said.lines
    assert any(line.startswith("holds   tables: ") for line in said.lines)


def test_programs_read_findings_line_by_line(signed, doctrail):
    *findings, last = doctrail("audit", "verify", "--json").json_lines
    assert {each["outcome"] for each in findings} == {"holds", "open"}
    assert last["sound"] is True


def test_the_home_may_be_named_before_or_after_the_action(signed, doctrail, monkeypatch):
    monkeypatch.delenv("DOCTRAIL_HOME")
    monkeypatch.chdir("/")
    for words in (("--home", signed.home, "verify"), ("verify", "--home", signed.home)):
        assert doctrail("audit", *map(str, words)).code == 0


def test_a_log_that_is_not_what_was_signed_is_told(signed, doctrail, tmp_path):
    key = AuditFolder(Home(signed.home)).signing_key()
    note = read_note(doctrail("audit", "checkpoint", "--json").json["note"])
    lines = note.text.split("\n")
    lines[2] = "A" * 43 + "="
    forged = "\n".join(lines)
    path = tmp_path / "kept"
    path.write_text(f"{forged}\n{key.sign(forged)}")
    said = doctrail("audit", "verify", "--checkpoint", str(path))
    assert said.code == 1
    assert any(line.startswith("BROKEN  checkpoints: ") for line in said.lines)
    assert "contradicts itself" in said.err


def test_a_key_that_somebody_kept_is_believed_and_not_the_folders(signed, doctrail):
    other = SigningKey.generate("log.example/rag").verifier
    said = doctrail("audit", "verify", "--key", str(other))
    assert said.code == 1
    assert any(line.startswith("BROKEN  signatures: ") for line in said.lines)


@pytest.mark.parametrize("option", ["--checkpoint", "--receipt"])
def test_a_file_that_is_not_what_it_should_be_is_told(signed, doctrail, tmp_path, option):
    (tmp_path / "file").write_text("what")
    said = doctrail("audit", "verify", option, str(tmp_path / "file"))
    assert said.code == 2
    assert "file is no " in said.err
    assert doctrail("audit", "verify", option, str(tmp_path / "none")).code == 3


def test_a_key_that_is_none_is_told(signed, doctrail):
    assert doctrail("audit", "verify", "--key", "what").code == 2


def test_a_receipt_is_looked_for(signed, doctrail, tmp_path):
    receipt = {
        "answer_hash": None,
        "counter": 4711,
        "origin": None,
        "response_id": "first-0001",
        "time": "2026-11-20T10:00:00+00:00",
        "writer": "nobody",
    }
    (tmp_path / "receipt").write_text(json.dumps(receipt))
    said = doctrail("audit", "verify", "--quick", "--receipt", str(tmp_path / "receipt"))
    assert said.code == 1
    assert "the log has no record 4711 of writer nobody" in said.out


def test_a_receipt_is_not_passed_over_for_a_bundle(signed, doctrail, tmp_path):
    said = doctrail("audit", "verify", "--bundle", str(tmp_path), "--receipt", "any")
    assert said.code == 2
    assert "leave out --bundle" in said.err


def test_a_log_whose_key_was_taken_away_is_not_said_to_have_none(signed, doctrail):
    (signed.home / "audit" / "config.json").unlink()
    said = doctrail("audit", "verify")
    assert "of the log names its key, log.example/rag+" in said.out
    assert "nothing signs" not in said.out


def test_every_entry_of_an_answer_is_proven(signed, doctrail, tmp_path):
    key = VerifierKey.parse(key_of(signed.home))
    proofs = doctrail("audit", "prove", "first-0001", "--json").json_lines
    assert proofs
    for each in proofs:
        proof = Proof.parse(each["proof"])
        assert proof.seq == each["seq"]
        assert proof.shows(proof.extra or b"", key)
    said = doctrail("audit", "prove", "first-0001", "--out", str(tmp_path / "proofs"))
    assert said.code == 0
    written = sorted((tmp_path / "proofs").iterdir())
    assert [path.read_text() for path in written] == [each["proof"] for each in proofs]
    assert doctrail("audit", "prove", "first-0001").out.startswith("c2sp.org/tlog-proof@v1\n")


def test_an_answer_that_is_not_on_record_has_no_proof(signed, doctrail):
    said = doctrail("audit", "prove", "first")
    assert (said.code, said.out) == (1, "")
    assert "no answer 'first' is on record" in said.err


@pytest.mark.parametrize(
    "words", [(), ("--document", "doc_42"), ("--from", "2026-11-20", "--to", "2026-11-21")]
)
def test_a_bundle_verifies_by_itself_and_from_here(signed, doctrail, tmp_path, words):
    out = tmp_path / "bundle"
    said = doctrail("audit", "bundle", "--out", str(out), *words)
    assert said.code == 0
    assert f"python {out}/verify.py --key KEY" in said.out
    ran = subprocess.run([sys.executable, out / "verify.py"], capture_output=True, check=False)
    assert ran.returncode == 0
    said = doctrail("audit", "verify", "--bundle", str(out), "--key", key_of(signed.home))
    assert said.code == 0
    assert "Nothing here contradicts the evidence" in said.out


def test_a_bundle_of_a_document_names_its_answers(signed, doctrail, tmp_path):
    out = tmp_path / "bundle"
    doctrail("audit", "bundle", "--out", str(out), "--document", "doc_42", "--json")
    said = doctrail("audit", "verify", "--bundle", str(out))
    assert "2 responses had the document, and no others:" in said.lines
    assert [line.split()[1] for line in said.lines if line.startswith("  ")] == [
        "first-0001",
        "third-0003",
    ]


def test_a_bundle_that_was_tampered_with_is_told(signed, doctrail, tmp_path):
    out = tmp_path / "bundle"
    doctrail("audit", "bundle", "--out", str(out))
    path = out / "range-0.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    said = doctrail("audit", "verify", "--bundle", str(out))
    assert said.code == 1
    assert said.out.startswith("BROKEN: ")


def test_a_bundle_shows_a_checkpoint_that_was_kept_to_be_a_beginning(signed, doctrail, tmp_path):
    doctrail("audit", "checkpoint", "--out", str(tmp_path / "kept"))
    signed.answer("fourth-0004")
    out, kept = str(tmp_path / "bundle"), ("--checkpoint", str(tmp_path / "kept"))
    doctrail("audit", "bundle", "--out", out, "--document", "doc_4", *kept)
    said = doctrail("audit", "verify", "--bundle", out, *kept)
    assert said.code == 0
    assert "It begins with all of the" in said.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--document", "doc_42", "--from", "2026-11-20"), 2),
        (("--document", "nobody"), 1),
        (("--to", "2020-01-01"), 1),
        (("--from", "2026-11-22", "--to", "2026-11-20"), 2),
    ],
)
def test_a_bundle_of_nothing_is_told(signed, doctrail, tmp_path, words, code):
    assert doctrail("audit", "bundle", "--out", str(tmp_path / "out"), *words).code == code


def test_a_bundle_goes_into_a_folder_of_its_own(signed, doctrail, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    said = doctrail("audit", "bundle", "--out", str(tmp_path / "out"))
    assert said.code == 2
    assert "not empty" in said.err


def test_what_an_application_records_is_signed_by_itself(signed, doctrail):
    checkpoint, _ = AuditFolder(Home(signed.home)).latest() or (None, None)
    *_, last = doctrail("audit", "verify", "--json").json_lines
    assert checkpoint is not None
    assert checkpoint.size == last["size"]


def test_names_that_were_exchanged_are_found(signed, doctrail):
    assert doctrail("audit", "verify").code == 0
    with sqlite3.connect(signed.home / "ledger.db") as ledger:
        rows = ledger.execute("SELECT seq, sealed FROM document ORDER BY seq").fetchall()
        (one, sealed_one), (two, sealed_two) = rows
        ledger.execute("UPDATE document SET sealed = ? WHERE seq = ?", (sealed_two, one))
        ledger.execute("UPDATE document SET sealed = ? WHERE seq = ?", (sealed_one, two))
    ledger.close()
    with sqlite3.connect(signed.home / "keys.db") as keys:
        (first,) = keys.execute("SELECT secret FROM key WHERE owner = ?", (one,)).fetchone()
        (second,) = keys.execute("SELECT secret FROM key WHERE owner = ?", (two,)).fetchone()
        keys.execute("UPDATE key SET secret = ? WHERE owner = ?", (second, one))
        keys.execute("UPDATE key SET secret = ? WHERE owner = ?", (first, two))
    keys.close()
    said = doctrail("audit", "verify")
    assert said.code == 1
    assert f"names are not those that entries {one}, {two} were made for" in said.out
