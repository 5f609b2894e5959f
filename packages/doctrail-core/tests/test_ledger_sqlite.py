"""The ledger in a file: exact bytes, and which responses had a document."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.record import decode, encode, from_trail
from doctrail_core.ledger.sqlite import _WITH_DOCUMENT, LedgerWriter
from doctrail_core.model import GRADES

MINUTE = timedelta(minutes=1)


@pytest.fixture
def journal(home, faults):
    journal = LedgerJournal(home, faults)
    yield journal
    journal.close()


def test_writers_number_their_entries_without_a_gap(home, faults, make_trail):
    journals = [LedgerJournal(home, faults) for _ in range(2)]
    for number in range(6):
        journals[number % 2].append("answered", make_trail(f"r{number}"))
    with open_ledger(home) as ledger:
        entries = [entry for number in range(6) for entry in ledger.entries_of(f"r{number}")]
    counters = {
        writer: [entry.counter for entry in entries if entry.writer == writer]
        for writer in {entry.writer for entry in entries}
    }
    assert list(counters.values()) == [[0, 1, 2]] * 2
    for journal in journals:
        journal.close()


def test_records_that_could_not_be_written_leave_a_gap_that_is_told_of(
    home, journal, make_trail, monkeypatch
):
    journal.append("answered", make_trail("r0"))
    with monkeypatch.context() as patched:
        patched.setattr(journal._spool, "append", _no_space)
        for number in range(3):
            with pytest.raises(OSError, match="No space"):
                journal.append("answered", make_trail(f"lost {number}"))
    journal.append("answered", make_trail("r1"))
    with open_ledger(home) as ledger:
        (told,) = [entry for entry in ledger.entries() if entry.kind == "lost"]
        (answered,) = ledger.entries_of("r1")
    assert told.body == {"counters": [[1, 3]], "number": 3}
    assert (told.counter, answered.counter) == (4, 5)
    assert told.writer == answered.writer


def _no_space(_payload: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_impact_is_a_search_of_an_index(home, journal, make_trail):
    journal.append("answered", make_trail())
    journal.flush()
    with closing(sqlite3.connect(home.database("ledger"))) as connection:
        query = f"EXPLAIN QUERY PLAN {_WITH_DOCUMENT.format(month='202603')}"
        plan = connection.execute(query, (1, 0, 1, 0)).fetchall()
    steps = [step[3] for step in plan]
    assert any("link USING PRIMARY KEY (document=? AND seq>? AND seq<?)" in s for s in steps)
    assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], steps


appended = st.lists(
    st.tuples(
        st.sampled_from(["retrieved", "answered"]),
        st.integers(0, 3),  # response
        st.sets(st.sampled_from(["doc_4", "doc_42", "doc_5"]), max_size=3),
        st.booleans(),  # in the prompt
    ),
    max_size=10,
)


@given(appended, st.integers(0, 9), st.integers(0, 9), st.sampled_from([None, *GRADES]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_impact_equals_brute_force(tmp_path_factory, make_trail, entries, since, until, grade):
    home = Home(tmp_path_factory.mktemp("home"))
    bodies = [_body(make_trail, number, *entry) for number, entry in enumerate(entries)]
    with closing(LedgerWriter(home)) as writer:
        writer.commit(bodies[:5], {}, ())
        writer.commit(bodies[5:], {}, ())
    start = make_trail().ended_at
    span = (start + since * MINUTE, start + until * MINUTE)
    with open_ledger(home, drain=False) as ledger:
        for document in ("doc_4", "doc_42", "doc_5", "doc"):
            found = {
                (hit.response_id, hit.grade, hit.complete)
                for hit in ledger.responses_with(document, *span, grade)
            }
            assert found == _brute_force(bodies, document, *span, grade)


def _body(make_trail, number, kind, response, documents, in_prompt):
    trail = make_trail(
        f"r{response}", texts={document: document for document in sorted(documents)}, minute=number
    )
    trail = trail if in_prompt else replace(trail, contexts=())
    return encode(from_trail(kind, trail, writer="w", counter=number))


def _brute_force(bodies, document, since, until, grade):
    entries = [decode(body) for body in bodies]
    weakest = len(GRADES) - 1 if grade is None else GRADES.index(grade)
    found = set()
    for response_id in {entry.response_id for entry in entries}:
        own = [entry for entry in entries if entry.response_id == response_id]
        first = own[0].timestamp
        if (
            not since.isoformat(timespec="microseconds")
            <= first
            < until.isoformat(timespec="microseconds")
        ):
            continue
        had = [entry for entry in own if document in entry.document_ids]
        final = [entry for entry in had if entry.kind == "answered"]
        if had:
            said = (final or had)[-1 if final else 0]
            known = next(chunk.grade for chunk in said.chunks if chunk.document_id == document)
            if GRADES.index(known) <= weakest:
                found.add((response_id, known, any(e.kind == "answered" for e in own)))
    return found
