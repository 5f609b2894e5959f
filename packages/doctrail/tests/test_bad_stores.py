"""What the command line says of homes and stores that cannot be used, or hold what is hostile."""

import fcntl
import os
import sqlite3
from contextlib import closing

import pytest

from doctrail import exit_codes, installation
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home

READERS = {
    "why": ("trails", ("why", "response-0001")),
    "responses": ("trails", ("responses",)),
    "show": ("trails", ("show", "doc_42")),
    "affected": ("ledger", ("affected", "--document", "doc_42")),
}
EVIL = "\x1b]0;owned\x07\x1b[31m red \u202e kcab \u2066 \r\x9b2J"

every_reader = pytest.mark.parametrize(("store", "words"), READERS.values(), ids=READERS)


def is_one_clear_line(said, *words):
    assert said.out == ""
    assert said.err.startswith("doctrail: ")
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err


@every_reader
def test_an_empty_home_says_that_nothing_is_recorded_yet(store, words, home, doctrail):
    said = doctrail(*words)
    assert said.code == exit_codes.NOTHING
    is_one_clear_line(said, "nothing is recorded yet", str(home), "DOCTRAIL_HOME")
    assert not home.exists()


@every_reader
def test_a_damaged_store_is_named_with_what_to_do(store, words, app, doctrail):
    app.answer()
    path = app.home / f"{store}.db"
    path.write_bytes(b"this is no database" * 1000)
    for wal in app.home.glob("*-wal"):
        wal.unlink()
    said = doctrail(*words)
    assert said.code == exit_codes.UNREADABLE
    is_one_clear_line(said, str(path), "damaged or no database", "Move it away")


@every_reader
def test_a_store_of_a_newer_doctrail_is_left_alone(store, words, app, doctrail):
    app.answer()
    path = app.home / f"{store}.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    said = doctrail(*words)
    assert said.code == exit_codes.UNREADABLE
    is_one_clear_line(said, str(path), "newer doctrail", "Upgrade")


@every_reader
def test_a_file_in_the_place_of_the_home_is_no_reason_for_a_traceback(store, words, home, doctrail):
    home.write_text("a file")
    said = doctrail(*words)
    assert said.code == exit_codes.USAGE
    is_one_clear_line(said, f"{home} is no folder", "--home")


@every_reader
def test_somebody_elses_database_is_not_taken_for_ours(store, words, app, doctrail):
    app.answer()
    path = app.home / f"{store}.db"
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    said = doctrail(*words)
    assert said.code == exit_codes.UNREADABLE
    is_one_clear_line(said, str(path), "not a doctrail")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
@every_reader
def test_a_home_that_is_read_only_is_read_or_refused_in_one_clear_line(store, words, app, doctrail):
    app.answer()
    for path in (app.home, *app.home.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        said = doctrail(*words)
    finally:
        for path in (app.home, app.home / "spool", *app.home.rglob("spool/*")):
            path.chmod(0o700)
    if said.code != exit_codes.OK:
        assert said.code == exit_codes.UNREADABLE
        is_one_clear_line(said, str(app.home / f"{store}.db"), "readable and writable")


@every_reader
def test_a_store_that_another_process_keeps_locked_is_read_with_a_warning(
    store, words, app, doctrail, monkeypatch
):
    monkeypatch.setattr(installation, "PATIENCE", 0.1)
    app.answer("response-0000", answer="Before.")
    app.answer("response-0001", answer="Before.")
    lock = app.home / "spool" / store / "sequencer.lock"
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711")
        held.flush()
        app.answer("response-0002", flush=False)
        said = doctrail(*words)
    assert said.code == exit_codes.OK
    assert "response-0001" in said.out
    assert "response-0002" not in said.out
    assert said.err.startswith("doctrail: some of it may be missing: ")
    assert "process 4711" in said.err


def test_what_was_just_recorded_by_another_process_is_seen(app, doctrail):
    app.answer(flush=False)
    assert doctrail("why", "response-0001").code == exit_codes.OK


def hostile(app):
    app.answer(
        f"id-{EVIL}",
        question=f"Question {EVIL}",
        answer=f"Answer {EVIL}",
        document=f"doc {EVIL}",
        texts=(f"Text {EVIL}",),
        session=f"s {EVIL}",
        user=f"u {EVIL}",
    )


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_that_was_recorded_reaches_the_terminal_unescaped(app, doctrail, form):
    hostile(app)
    listed = doctrail("responses", "--json").json_lines[0]
    document = listed["document_ids"][0]
    for words in (
        ("responses",),
        ("why", listed["response_id"]),
        ("show", document),
        ("affected", "--document", document),
        ("doctor",),
    ):
        said = doctrail(*words, *form)
        assert said.code == exit_codes.OK, words
        assert all(line.isprintable() for line in said.lines), words


def test_full_texts_are_escaped_too(app, doctrail):
    hostile(app)
    said = doctrail("why", "Question", "--full")
    assert said.code == exit_codes.OK
    assert all(line.isprintable() for line in said.lines)
    assert "\\x1b[31m" in said.out


@pytest.mark.parametrize("words", [("why", EVIL), ("show", EVIL), ("affected", "--document", EVIL)])
def test_an_id_with_control_characters_is_asked_for_without_harm(app, doctrail, words):
    app.answer()
    said = doctrail(*words)
    assert said.code == exit_codes.NOTHING
    assert said.err.rstrip("\n").isprintable()


def test_an_id_of_a_megabyte_is_asked_for_without_harm(app, doctrail):
    app.answer()
    for words in (("why",), ("show",), ("affected", "--document")):
        assert doctrail(*words, "x" * 1_000_000).code == exit_codes.NOTHING


@pytest.mark.parametrize(
    "phrase", ['"', "a OR b", "NEAR(", "*", "%", "'; DROP TABLE trail; --", "ab"]
)
def test_a_phrase_is_never_taken_for_a_query_language(app, doctrail, phrase):
    app.answer("response-0001", answer=f"So {phrase} it is.")
    app.answer("response-0002", answer="Quite another.")
    said = doctrail("responses", "--phrase", phrase, "--json")
    assert [line["response_id"] for line in said.json_lines] == ["response-0001"]


def test_faults_are_counted_not_the_notes_of_them(app, doctrail):
    app.answer()
    faults = Faults(Home(app.home))
    faults.note("ledger", OSError("no space"))
    assert "at least 1 fault was kept from the application" in doctrail("doctor").out
    for _ in range(120):
        faults.note("ledger", OSError("no space"))
    faults.note("trail store", OSError("no space"))
    said = doctrail("doctor")
    assert said.code == exit_codes.NOTHING
    assert "at least 101 faults were kept from the application" in said.out
