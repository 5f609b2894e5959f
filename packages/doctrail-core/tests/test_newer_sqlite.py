"""The stores in the SQLite that `apsw` brings along, where that is asked for."""

import sqlite3
from contextlib import closing

import pytest

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.newer_sqlite import connect
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal

apsw = pytest.importorskip("apsw")


@pytest.fixture
def newer(monkeypatch):
    monkeypatch.setenv("DOCTRAIL_SQLITE", "apsw")


@pytest.fixture
def database(newer, tmp_path):
    (tmp_path / "file.db").touch()
    return f"file:{tmp_path / 'file.db'}?mode=rw"


def test_it_is_the_newer_one(database):
    with closing(connect(database, timeout=1)) as connection:
        (version,) = connection.execute("SELECT sqlite_version()").fetchone()
    assert version == apsw.sqlite_lib_version()


def test_what_one_wrote_the_other_reads(home, faults, make_trail, monkeypatch):
    for number, choice in enumerate(["apsw", "python", "apsw"]):
        monkeypatch.setenv("DOCTRAIL_SQLITE", choice)
        for journal in (LedgerJournal(home, faults), TrailJournal(home, faults)):
            trail = make_trail(f"r{number}", minute=number)
            if isinstance(journal, LedgerJournal):
                journal.append("answered", trail)
            else:
                journal.append(trail)
                journal.append(trail)  # replaces itself
            journal.close()
    assert faults.summary() == {}
    for choice in ("apsw", "python"):
        monkeypatch.setenv("DOCTRAIL_SQLITE", choice)
        with open_ledger(home) as ledger:
            hits = [hit.response_id for hit in ledger.responses_with("doc_4")]
        with open_trails(home) as trails:
            told = [found.response_id for found in trails.responses(phrase="renewal DEADLINE")]
            assert trails.get("r1") == make_trail("r1", minute=1)
        assert (hits, told) == (["r0", "r1", "r2"], ["r2", "r1", "r0"])


def test_errors_are_those_of_the_standard_library(database):
    with closing(connect(database, timeout=0)) as one, closing(connect(database, timeout=0)) as two:
        one.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        one.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        with pytest.raises(sqlite3.IntegrityError):
            one.execute("INSERT INTO t VALUES (?)", (1,))
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            one.execute("SELECT * FROM missing")
        one.execute("BEGIN IMMEDIATE")
        assert one.in_transaction
        with pytest.raises(sqlite3.OperationalError) as locked:
            two.execute("BEGIN IMMEDIATE")
        assert locked.value.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        one.execute("ROLLBACK")
    with pytest.raises(sqlite3.ProgrammingError):
        one.execute("SELECT 1")


def test_a_file_that_is_no_database_is_explained(newer, home):
    home.ensure("ledger")
    home.database("ledger").write_bytes(b"no database at all " * 99)
    with pytest.raises(StoreError, match="damaged or no database"):
        open_ledger(home, drain=False)


def test_a_choice_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv("DOCTRAIL_SQLITE", "oracle")
    with pytest.raises(StoreError, match="DOCTRAIL_SQLITE is 'oracle'; it must be apsw or python"):
        connect("file:x", timeout=1)
