"""What is remembered of sessions: bounded, the same as a naive model would, and read back when needed."""

import gc
import os
import tracemalloc
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.capture import sessions as module
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.capture.sessions import Sessions
from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.model import Hit, Message, Retrieval, Trail
from doctrail_core.testing.capture import MemoryFaults, MemoryStorage
from doctrail_core.text.identity import identify


class Records:
    """A store that has every turn."""

    def __init__(self):
        self.trails = defaultdict(list)
        self.asked = []

    def session(self, session_id, *, limit, known, unmoved):
        self.asked.append((session_id, unmoved))
        return [t for t in self.trails[session_id][-limit:] if t.response_id not in known]


class Nothing:
    def append(self, *_):
        pass


class Forgetful(MemoryStorage):
    """Keeps no trail, so that only what sessions remember takes memory."""

    def __init__(self):
        super().__init__(ledger=Nothing(), trails=Nothing())

    def session(self, session_id, *, limit, known, unmoved):
        return []


def brought(sessions, trail):
    """A turn comes to its end; returns what was known of the session by then."""
    past = sessions.enter(trail.session_id, continued=False)
    sessions.remember(replace(trail, turn=past.turn))
    return past


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def sessions(records):
    return Sessions(records, MemoryFaults())


def test_a_chunk_belongs_to_the_turn_that_brought_it_first(sessions, make_trail):
    for number in range(1, 4):
        past = brought(sessions, make_trail(f"r{number}"))
        assert past.turn == number
    assert [(c.response_id, c.turn) for c in past.chunks.values()] == [("r1", 1)]
    assert [turn.response_id for turn in past.turns] == ["r1", "r2"]


def test_the_store_is_asked_once_per_session_and_not_without_one(sessions, records, make_trail):
    for number in range(3):
        brought(sessions, make_trail(f"r{number}"))
    sessions.remember(make_trail("none", session_id=None))
    assert records.asked == [("session-1", False)]


def test_a_store_that_cannot_be_read_costs_no_more_than_the_past(make_trail):
    class Broken:
        def session(self, session_id, *, limit, known, unmoved):
            raise OSError("gone")

    faults = MemoryFaults()
    assert brought(Sessions(Broken(), faults), make_trail()).turn == 1
    assert [where for where, _ in faults.errors] == ["reading back a session"]


AT = datetime(2026, 1, 1, tzinfo=UTC)


def trail(response_id, session_id, numbers):
    chunks = [identify(f"text {n} " * 20, chunk_id=f"c{n}", document_id="d") for n in numbers]
    hits = tuple(Hit(chunk, rank) for rank, chunk in enumerate(chunks))
    search = Retrieval("ret", "R", "?", "h", hits, AT, AT)
    return Trail(
        response_id, "ok", AT, AT, "h", answer="An answer. " * 9, session_id=session_id,
        retrievals=(search,),
    )  # fmt: skip


@given(
    turns=st.lists(st.tuples(st.sampled_from("ab"), st.sets(st.integers(0, 5))), max_size=40),
    budget=st.sampled_from([10**9, 9_000, 2_000, 1]),
    together=st.sampled_from([10**9, 9_000, 1]),
)
def test_memory_says_what_a_naive_model_says_as_far_as_it_reaches(turns, budget, together):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SESSION_SIZE", budget)
        patch.setattr(module, "_TOTAL_SIZE", together)
        compare_with_naive_model(turns, exact=budget == 10**9)


def compare_with_naive_model(turns, *, exact):
    records, faults = Records(), MemoryFaults()
    sessions = Sessions(records, faults)
    first = defaultdict(dict)  # per session and chunk, who retrieved it first
    by_response = {}
    for number, (session_id, chunks) in enumerate(turns):
        response = f"r{number}"
        past = sessions.enter(session_id, continued=True)
        known = {key[1]: each.response_id for key, each in past.chunks.items()}
        assert past.turn == len(records.trails[session_id]) + 1
        if exact:
            assert known == first[session_id]
            assert [turn.number for turn in past.turns] == list(range(1, past.turn))
        for chunk_id, retrieved_by in known.items():
            assert chunk_id in by_response[retrieved_by]
            assert records.trails[session_id][past.chunks[keyed(past, chunk_id)].turn - 1]
        done = replace(trail(response, session_id, chunks), turn=past.turn)
        records.trails[session_id].append(done)
        sessions.remember(done)
        by_response[response] = {f"c{n}" for n in chunks}
        for n in chunks:
            first[session_id].setdefault(f"c{n}", response)
        assert_counted(sessions)
    assert faults.errors == []


def keyed(past, chunk_id):
    return next(key for key in past.chunks if key[1] == chunk_id)


def assert_counted(sessions):
    held = sessions._sessions.values()
    for session in held:
        assert session.size == module._ITEM_SIZE + sum(map(module._size, session.items.values()))
        assert session.size <= max(module._SESSION_SIZE, module._ITEM_SIZE)
    assert sessions._size == sum(session.counted for session in held)
    assert sessions._size <= module._TOTAL_SIZE


def test_what_is_in_use_outlives_what_is_not(records, monkeypatch):
    monkeypatch.setattr(module, "_SESSION_SIZE", 6_000)
    sessions = Sessions(records, MemoryFaults())
    brought(sessions, trail("r1", "s", [1, 2]))
    kept = next(c for c in sessions.enter("s", continued=False).chunks.values())
    for number in range(3, 30):
        carrying = replace(trail(f"r{number}", "s", [number]), carried=(kept,))
        past = brought(sessions, carrying)
    known = {chunk.chunk.chunk_id: chunk for chunk in past.chunks.values()}
    assert known["c1"].response_id == "r1"
    assert "c2" not in known
    assert "r1" in [turn.response_id for turn in past.turns]


def test_a_session_that_was_given_up_is_read_back(records, monkeypatch):
    monkeypatch.setattr(module, "_TOTAL_SIZE", 3_000)
    sessions = Sessions(records, MemoryFaults())
    for response, session_id in (("r1", "s"), ("r2", "t"), ("r3", "u")):
        past = sessions.enter(session_id, continued=False)
        done = replace(trail(response, session_id, [1]), turn=past.turn)
        records.trails[session_id].append(done)
        sessions.remember(done)
    again = sessions.enter("s", continued=False)
    assert again.turn == 2
    assert [c.response_id for c in again.chunks.values()] == ["r1"]


def test_turns_that_end_at_the_same_time_have_numbers_of_their_own(sessions):
    def turn(number):
        past = sessions.enter("s", continued=False)
        sessions.remember(replace(trail(f"r{number}", "s", [number % 7]), turn=past.turn))
        return past.turn

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(turn, range(400)))
    assert sorted(numbers) == list(range(1, 401))
    assert_counted(sessions)


def test_a_forked_child_begins_anew_whatever_another_thread_was_at(sessions):
    brought(sessions, trail("r1", "s", [1]))
    with sessions._lock:  # held by a thread that the child does not have
        child = os.fork()
        if child == 0:
            fresh = sessions.enter("s", continued=False)
            os._exit(0 if (fresh.turn, fresh.chunks) == (1, {}) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sessions.enter("s", continued=False).turn == 2


def test_two_hundred_turns_in_one_session_take_a_bounded_place():
    lineage = Lineage(Settings(spans="none"), storage=Forgetful())
    history = [Message("system", "Answer from what you are told.")]
    sizes = []
    tracemalloc.start()
    try:
        for number in range(200):
            texts = [f"{number}.{part} " + f"word{number}x{part} " * 200 for part in range(5)]
            found = [RetrievedChunk(t, f"{number}#{p}", f"{number}") for p, t in enumerate(texts)]
            history = [*history[-100:], Message("user", f"Question {number}?")]
            prompt = [*history, Message("user", "\n".join(texts))]
            answer(lineage, f"r{number}", found, prompt, f"The answer to question {number}.")
            history.append(Message("assistant", f"The answer to question {number}."))
            if number % 25 == 24:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert lineage.open_count == 0
    assert lineage.last is not None
    assert lineage.last.turn == 200
    assert max(sizes[-3:]) - min(sizes[-3:]) < 400_000, sizes
    assert max(sizes) < 5_000_000, sizes
    lineage.close()


def answer(lineage, response, found, prompt, said, session="s"):
    lineage.record(RunStarted(response, None, "chain", "test", "?", session))
    lineage.record(RetrievalStarted(f"{response}-s", response, "R", "?", "test"))
    lineage.record(RetrievalEnded(f"{response}-s", found))
    lineage.record(PromptSent(f"{response}-m", response, prompt, "test"))
    lineage.record(GenerationEnded(f"{response}-m", said))
    lineage.record(RunEnded(response, said))
    return lineage.last
