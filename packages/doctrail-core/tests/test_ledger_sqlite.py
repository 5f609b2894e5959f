"""The ledger in a file: exact bytes, and which responses had a document."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import decode as decode_entry
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


@pytest.fixture
def impact(home):
    """Ask for the responses of a document."""

    def ask(document_id, *args, **kwargs):
        with open_ledger(home) as ledger:
            return [hit.response_id for hit in ledger.responses_with(document_id, *args, **kwargs)]

    return ask


def test_a_second_reader_sees_an_answer_as_soon_as_it_was_given(home, journal, make_trail):
    journal.append("answered", make_trail())
    with open_ledger(home) as ledger:
        (hit,) = ledger.responses_with("doc_4")
    assert (hit.response_id, hit.document_id, hit.grade, hit.status, hit.complete) == (
        *("response-1", "doc_4", "in_prompt", "ok", True),
    )
    assert (hit.session_id, hit.user_id, hit.trace_id) == (
        *("session-1", "user-1", "0af7651916cd43dd8448eb211c80319c"),
    )


def test_ids_are_matched_as_wholes(journal, make_trail, impact):
    documents = ["doc_4", "doc_42", "doc_4 ", "DOC_4", "doc_", "doc%", "doc_4\n", "ドキュメント"]
    for document in documents:
        journal.append("answered", make_trail(f"of {document!r}", texts={document: "text"}))
    for document in documents:
        assert impact(document) == [f"of {document!r}"]
    assert impact("doc") == []


def test_a_range_has_its_beginning_and_not_its_end(journal, make_trail, impact):
    for minute in range(5):
        journal.append("answered", make_trail(f"r{minute}", minute=minute))
    when = make_trail().ended_at
    assert impact("doc_4", when + MINUTE, when + 3 * MINUTE) == ["r1", "r2"]
    assert impact("doc_4", since=when + 4 * MINUTE) == ["r4"]
    assert impact("doc_4", until=when) == []


def test_a_time_without_a_zone_means_utc(journal, make_trail, impact):
    journal.append("answered", make_trail())
    when = make_trail().ended_at.replace(tzinfo=None)
    assert impact("doc_4", when, when + MINUTE) == ["response-1"]
    assert impact("doc_4", when - MINUTE, when) == []


def test_a_response_that_never_ended_is_reported_as_such(home, journal, make_trail):
    journal.append("retrieved", make_trail(status="interrupted", contexts=()))
    with open_ledger(home) as ledger:
        (hit,) = ledger.responses_with("doc_4")
    assert (hit.grade, hit.status, hit.complete) == ("retrieved", "interrupted", False)


@pytest.mark.parametrize("apart", [True, False], ids=["committed apart", "committed together"])
def test_the_answered_entry_supersedes_what_the_retrieved_entry_knew(
    home, journal, make_trail, apart
):
    early = make_trail(status="interrupted", contexts=(), ended_at=make_trail().started_at)
    journal.append("retrieved", replace(early, session_id=None))
    if apart:
        journal.flush()
    journal.append("answered", make_trail())
    with open_ledger(home) as ledger:
        (hit,) = ledger.responses_with("doc_4")
        kinds = [entry.kind for entry in ledger.entries_of("response-1")]
    assert (hit.grade, hit.status, hit.complete) == ("in_prompt", "ok", True)
    assert hit.session_id == "session-1"
    assert hit.time == early.ended_at
    assert kinds == (["retrieved", "answered"] if apart else ["answered"])


def test_a_retrieved_entry_that_comes_late_changes_no_grade(home, journal, make_trail):
    journal.append("answered", make_trail())
    journal.flush()
    journal.append("retrieved", make_trail(status="interrupted", contexts=()))
    with open_ledger(home) as ledger:
        (hit,) = ledger.responses_with("doc_4")
    assert (hit.grade, hit.status, hit.complete) == ("in_prompt", "ok", True)


def test_only_grades_as_strong_as_asked_for_are_reported(journal, make_trail, impact):
    journal.append("answered", make_trail("read"))
    journal.append("answered", make_trail("only retrieved", contexts=()))
    assert impact("doc_4", grade="in_prompt") == ["read"]
    assert set(impact("doc_4", grade="retrieved")) == {"read", "only retrieved"}
    assert impact("doc_4", grade="cited") == []


def test_the_exact_bytes_are_kept_in_a_gap_free_order(home, make_trail):
    home.ensure("ledger")
    bodies = [
        encode(from_trail("answered", make_trail(f"r{number}"), writer="w", counter=number))
        for number in range(5)
    ]
    with closing(LedgerWriter(home)) as writer:
        writer.commit(bodies[:2], {}, ())
        before = _bodies(home)
        writer.commit(bodies[2:], {}, ())
    after = _bodies(home)
    assert [seq for seq, _ in after] == list(range(len(after)))
    assert after[: len(before)] == before
    counters = [entry.counter for entry in (decode_entry(b) for _, b in after) if entry.writer]
    assert counters == [0, 1, 2, 3, 4]


def _bodies(home):
    with open_ledger(home, drain=False) as ledger:
        return list(ledger.bodies())


def test_a_commit_that_fails_leaves_no_trace(home, make_trail):
    home.ensure("ledger")
    good = encode(from_trail("answered", make_trail(), writer="w", counter=0))
    with closing(LedgerWriter(home)) as writer:
        with pytest.raises(ValueError, match=r".+"):
            writer.commit([good, b"nonsense"], {"file": 9}, ())
        assert writer.cursors() == {}
        writer.commit([good], {"file": 5}, ())
        assert writer.cursors() == {"file": 5}
    with open_ledger(home, drain=False) as ledger:
        assert len(ledger.entries_of("response-1")) == 1
        assert [hit.response_id for hit in ledger.responses_with("doc_4")] == ["response-1"]


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


def test_the_head_is_the_last_entry(home, journal, make_trail):
    for number in range(3):
        journal.append("answered", make_trail(f"r{number}"))
    with open_ledger(home) as ledger:
        assert ledger.head() == ledger.entries_of("r2")[0]


def test_an_empty_ledger_has_no_head(home):
    home.ensure("ledger")
    LedgerWriter(home).close()
    with open_ledger(home) as ledger:
        assert (ledger.head(), ledger.size(), ledger.entries_of("x")) == (None, 0, [])


def test_where_nothing_was_recorded_that_is_said(home):
    with pytest.raises(NothingRecordedError, match=r"nothing is recorded yet at .*ledger\.db"):
        open_ledger(home)
    assert not home.path.exists()


def test_impact_is_a_search_of_an_index(home, journal, make_trail):
    journal.append("answered", make_trail())
    journal.flush()
    with closing(sqlite3.connect(home.database("ledger"))) as connection:
        query = f"EXPLAIN QUERY PLAN {_WITH_DOCUMENT.format(month='202603')}"
        plan = connection.execute(query, (1, 0, 1, 0)).fetchall()
    steps = [step[3] for step in plan]
    assert any("link USING PRIMARY KEY (document=? AND seq>? AND seq<?)" in s for s in steps)
    assert not [step for step in steps if "SCAN" in step or "TEMP B-TREE" in step], steps


def test_hits_are_read_as_they_are_asked_for(home, journal, make_trail):
    for number in range(50):
        journal.append("answered", make_trail(f"r{number:02d}", minute=number))
    with open_ledger(home) as ledger:
        hits = ledger.responses_with("doc_4")
        assert next(hits).response_id == "r00"
        assert next(hits).response_id == "r01"
        hits.close()


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
