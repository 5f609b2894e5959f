"""What is received is kept, once, until its answer is on record."""

from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail.receiver.assembling import Assembling, Waits
from doctrail.receiver.inbox import Inbox, InboxFullError
from doctrail.receiver.span import ReceivedEvent, ReceivedLink, ReceivedSpan
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.newer_sqlite import connect

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "1af7651916cd43dd8448eb211c80319c"


def span(number, parent=None, *, trace=TRACE, remote=False, text="x"):
    return ReceivedSpan(
        trace_id=trace,
        span_id=f"{number:016x}",
        parent_id=None if parent is None else f"{parent:016x}",
        name="retrieve",
        kind="client",
        start=1,
        end=2,
        attributes={"input.value": text},
        events=(ReceivedEvent("exception", 5, {"a": [1, None]}),),
        links=(ReceivedLink("01" * 16, "02" * 8),),
        parent_is_remote=remote,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "inbox.db"


@pytest.fixture
def inbox(path):
    with closing(Inbox(path)) as inbox:
        yield inbox


def test_what_was_put_in_is_there_after_the_process_was_gone(path):
    with closing(Inbox(path)) as inbox:
        assert inbox.put([span(1), span(3, trace=OTHER), span(2, 1)]) == [TRACE, OTHER]
        size = inbox.size
    with closing(Inbox(path)) as inbox:
        assert inbox.traces() == [TRACE, OTHER]
        assert inbox.take(TRACE).spans == (span(1), span(2, 1))
        assert inbox.size == size > 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_any_value_comes_out_as_it_went_in(tmp_path_factory, value):
    whole = span(1, text=value)
    with closing(Inbox(tmp_path_factory.mktemp("inbox") / "inbox.db")) as inbox:
        inbox.put([whole])
        assert inbox.take(TRACE).spans == (whole,)


def test_a_span_that_comes_twice_is_one_span_and_the_first_counts(inbox):
    inbox.put([span(1), span(1)])
    assert inbox.put([span(1, text="other"), span(2, 1)]) == [TRACE]
    assert inbox.put([span(1), span(2, 1)]) == []
    assert inbox.take(TRACE).spans == (span(1), span(2, 1))


def test_of_a_span_that_was_told_of_while_it_was_under_way_the_end_counts(inbox):
    under_way = replace(span(1, text="a long beginning"), end=0)
    inbox.put([under_way])
    assert inbox.put([span(1)]) == [TRACE]
    assert inbox.put([under_way]) == []
    assert inbox.take(TRACE).spans == (span(1),)
    inbox.forget(TRACE, [span(1).span_id])
    assert inbox.size == 0


def test_no_number_of_the_protocol_is_too_large(inbox):
    late = replace(span(1), start=(1 << 64) - 1, end=(1 << 64) - 1)
    inbox.put([late])
    assert inbox.take(TRACE).spans == (late,)


def test_a_span_that_comes_again_after_its_trace_was_recorded_is_known(inbox):
    inbox.put([span(1), span(2, 1)])
    inbox.forget(TRACE, [span(1).span_id])
    assert inbox.put([span(1), span(1, trace=OTHER)]) == [OTHER]
    taken = inbox.take(TRACE)
    assert taken.spans == (span(2, 1),)
    assert taken.known == {span(1).span_id}


def test_what_was_forgotten_frees_its_room_and_leaves_no_text(path, inbox):
    inbox.put([span(1, text="the secret deadline"), span(2, 1)])
    inbox.forget(TRACE, [span(1).span_id, span(2).span_id])
    inbox.tidy()
    assert inbox.size == 0
    assert inbox.traces() == []
    files = list(path.parent.iterdir())
    assert path in files
    assert not any(b"secret" in file.read_bytes() for file in files)


def test_no_more_is_taken_than_there_is_room_for(path):
    with closing(Inbox(path, room=100)) as inbox:
        inbox.put([span(1)])
        with pytest.raises(InboxFullError, match="bytes wait"):
            inbox.put([span(2)])
        inbox.forget(TRACE, [span(1).span_id])
        inbox.put([span(2)])


def test_what_cannot_be_kept_is_not_kept_by_halves(path, inbox):
    with closing(connect(f"file:{path}", timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            inbox.put([span(1), span(2)])
        other.execute("ROLLBACK")
    assert inbox.traces() == []
    assert inbox.size == 0


def test_a_disk_that_is_full_costs_nothing_that_was_kept(path, inbox):
    inbox.put([span(1)])
    pages = inbox._connection.execute("PRAGMA page_count").fetchone()[0]
    inbox._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StoreError, match="full"):
        inbox.put([span(n, text="x" * 10_000) for n in range(2, 10)])
    assert inbox.take(TRACE).spans == (span(1),)
    inbox._connection.execute("PRAGMA max_page_count = 1000000")
    inbox.put([span(2)])
    assert inbox.take(TRACE).spans == (span(1), span(2))


def test_a_trace_that_is_large_beyond_measure_is_taken_in_parts(inbox, monkeypatch):
    monkeypatch.setattr("doctrail.receiver.inbox._LARGEST_TRACE", 2000)
    inbox.put([span(n, text="x" * 600) for n in range(1, 6)])
    first = inbox.take(TRACE)
    assert 1 < len(first.spans) < 5
    assert not first.is_all
    inbox.forget(TRACE, [f"{n:016x}" for n in range(1, 5)])
    assert inbox.take(TRACE).is_all


def test_only_the_owner_may_read_what_was_received(path, inbox):
    assert path.stat().st_mode & 0o077 == 0


def test_the_parents_that_did_not_come_are_told_by_whether_they_are_in_another_process(inbox):
    inbox.put([span(2, 1)])
    assert inbox.missing(TRACE) == {False}
    inbox.put([span(1, 9, remote=True)])
    assert inbox.missing(TRACE) == {True}
    inbox.put([span(9)])
    assert inbox.missing(TRACE) == set()
    inbox.forget(TRACE, [span(n).span_id for n in (1, 2, 9)])
    inbox.put([span(3, 2)])
    assert inbox.missing(TRACE) == set()


WAITS = Waits(quiet=10, remote=60, patience=600, longest=3600)


def assembling(missing=()):
    kinds = set(missing)
    return Assembling(WAITS, lambda _: kinds), kinds


def test_a_trace_that_lacks_nothing_is_complete_when_nothing_more_came_for_a_while():
    traces, _ = assembling()
    traces.arrived(TRACE, 0)
    traces.arrived(TRACE, 8)
    assert list(traces.complete(17.9)) == []
    assert list(traces.complete(18)) == [TRACE]
    assert list(traces.complete(100)) == []
    assert len(traces) == 0


def test_a_trace_whose_first_span_is_still_to_come_is_waited_for_longer():
    traces, _ = assembling({False})
    traces.arrived(TRACE, 0)
    assert list(traces.complete(599)) == []
    assert list(traces.complete(600)) == [TRACE]


def test_a_trace_that_began_in_another_process_is_waited_for_a_little():
    traces, _ = assembling({True})
    traces.arrived(TRACE, 0)
    assert list(traces.complete(59)) == []
    assert list(traces.complete(60)) == [TRACE]


def test_a_first_span_that_comes_late_completes_its_trace():
    traces, kinds = assembling({False})
    traces.arrived(TRACE, 0)
    assert list(traces.complete(10)) == []
    kinds.clear()
    traces.arrived(TRACE, 300)
    assert list(traces.complete(309)) == []
    assert list(traces.complete(310)) == [TRACE]


def test_a_trace_that_never_falls_silent_is_over_after_the_longest_wait():
    traces, _ = assembling()
    for now in range(0, 3600, 5):
        traces.arrived(TRACE, now)
        assert list(traces.complete(now)) == []
    assert list(traces.complete(3600)) == [TRACE]


def test_a_trace_is_complete_again_after_more_of_it_came():
    traces, _ = assembling()
    traces.arrived(TRACE, 0)
    assert list(traces.complete(10)) == [TRACE]
    traces.arrived(TRACE, 20)
    assert list(traces.complete(30)) == [TRACE]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50)), max_size=20))
def test_each_trace_is_complete_once_after_its_last_span(arrivals):
    traces, _ = assembling()
    now = 0.0
    since_last = {}
    for trace_id, pause in arrivals:
        now += pause
        for each in traces.complete(now):
            since_last[each] += 1
        traces.arrived(trace_id, now)
        since_last[trace_id] = 0
    for each in traces.complete(now + 10):
        since_last[each] += 1
    assert set(since_last.values()) <= {1}
    assert len(traces) == 0


@given(st.lists(st.uuids(), unique=True))
def test_traces_that_came_together_are_complete_in_the_order_in_which_they_came(ids):
    traces = [each.hex for each in ids]
    assembling = Assembling(Waits(quiet=10.0), lambda _: ())
    for trace in traces:
        assembling.arrived(trace, 0.0)
    assert list(assembling.complete(10.0)) == traces


def test_the_file_of_a_backlog_that_was_recorded_is_small_again_at_the_next_start(path):
    with closing(Inbox(path)) as inbox:
        inbox.put([span(number, text="x" * 10_000) for number in range(1, 101)])
        inbox.forget(TRACE, [f"{number:016x}" for number in range(1, 101)])
    with closing(Inbox(path)):
        pass
    assert path.stat().st_size < 100_000
