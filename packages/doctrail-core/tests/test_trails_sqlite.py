"""The trail store in a file: the whole trail back, found by whatever somebody remembers of it."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal

MINUTE = timedelta(minutes=1)


@pytest.fixture
def journal(home, faults):
    journal = TrailJournal(home, faults)
    yield journal
    journal.close()


@pytest.fixture
def find(home):
    """Ask for the responses that somebody may mean."""

    def ask(reference, **options):
        with open_trails(home) as trails:
            return [found.response_id for found in trails.find(reference, **options)]

    return ask


@pytest.fixture
def listed(home):
    """List responses."""

    def ask(**filters):
        with open_trails(home) as trails:
            return [found.response_id for found in trails.responses(**filters)]

    return ask


def rows(home, query):
    with closing(sqlite3.connect(home.database("trails"))) as connection:
        return connection.execute(query).fetchall()


# --- there and back


def test_a_text_is_kept_once_whatever_number_of_trails_has_it(home, journal, make_trail):
    text = "A clause that is retrieved for nearly every question. " * 20
    for number in range(10):
        journal.append(make_trail(f"r{number}", texts={"doc_4": text}))
    journal.flush()
    assert rows(home, "SELECT count(*) FROM content") == [(1,)]
    assert home.database("trails").read_bytes().count(text.encode()) == 1
    with open_trails(home) as trails:
        assert trails.get("r7") == make_trail("r7", texts={"doc_4": text})


def test_texts_leave_the_spool_when_they_are_in(home, journal, make_trail):
    journal.append(make_trail())
    journal.flush()
    assert list(home.spool("trails").glob("*.spool")) == []


def test_nothing_of_a_replaced_trail_stays_in_the_file(home, journal, make_trail):
    journal.append(make_trail(answer="An answer that was planted here. " * 1_000))
    journal.flush()
    journal.append(make_trail())
    journal.flush()
    files = list(home.path.glob("trails.db*"))
    assert files
    assert not [file for file in files if b"planted here" in file.read_bytes()]


def test_the_index_agrees_with_the_trails_after_one_was_replaced(home, journal, make_trail):
    for answer in ("first", "second"):
        journal.append(make_trail(answer=answer))
        journal.flush()
    with closing(sqlite3.connect(home.database("trails"))) as connection:
        connection.execute("INSERT INTO phrase (phrase, rank) VALUES ('integrity-check', 1)")


def test_a_trail_that_cannot_be_read_is_an_error_without_its_content(home, journal, make_trail):
    journal.append(make_trail(question="a secret"))
    journal.flush()
    with closing(sqlite3.connect(home.database("trails"))) as connection, connection:
        connection.execute("UPDATE trail SET body = CAST('[]' || char(10) || '{}' AS BLOB)")
    with open_trails(home) as trails, pytest.raises(StoreError, match="another version") as caught:
        trails.get("response-1")
    assert "secret" not in str(caught.value)


# --- found again


# --- a document's chunks


def test_where_nothing_was_recorded_that_is_said(home):
    with pytest.raises(NothingRecordedError, match=r"nothing is recorded yet at .*trails\.db"):
        open_trails(home)


@pytest.mark.parametrize("column", ["response_id", "session_id", "user_id", "trace_id"])
def test_lists_are_searches_of_an_index(home, journal, make_trail, column):
    journal.append(make_trail())
    journal.flush()
    query = f"SELECT * FROM trail WHERE {column} = 'x'"  # noqa: S608  # a column's name
    assert "USING INDEX" in rows(home, f"EXPLAIN QUERY PLAN {query}")[0][3]


def test_newest_first_needs_no_sorting(home, journal, make_trail):
    journal.append(make_trail())
    journal.flush()
    query = "SELECT * FROM trail ORDER BY started_us DESC, ref DESC"
    plan = rows(home, f"EXPLAIN QUERY PLAN {query}")
    assert [step[3] for step in plan] == ["SCAN trail USING INDEX trail_time"]
