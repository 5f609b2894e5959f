"""Every run that began is open, in exactly one trail, or dropped for a reason, whatever happens."""

import os
import random
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.capture.events import (
    Event,
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.capture.response import StartEvent
from doctrail_core.capture.scope import suppress
from doctrail_core.capture.tally import Tally
from doctrail_core.model import Message, Trail
from doctrail_core.testing import CapturedLineage, capture_trails


@pytest.fixture
def lineage():
    with capture_trails() as captured:
        yield captured


def search(lineage: CapturedLineage, run_id: str, parent_id: str | None = None) -> None:
    lineage.record(RetrievalStarted(run_id, parent_id, "R", "q", "test"))
    lineage.record(RetrievalEnded(run_id, [RetrievedChunk("text", "c", "d")]))


def test_what_is_in_a_trail_is_recorded_and_what_is_running_is_open(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    search(lineage, "s", "r")
    assert lineage.tally == Tally(2, 0, {})
    assert lineage.tally.open == 2
    lineage.record(RunEnded("r"))
    assert lineage.tally == Tally(2, 2, {})
    assert lineage.tally.open == 0


def test_a_response_without_a_search_or_a_model_call_is_dropped_and_is_no_fault(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(ToolCalled("t", "r", "tool", "test"))
    lineage.record(ToolReturned("t"))
    lineage.record(RunEnded("r"))
    assert lineage.tally == Tally(2, 0, {"no search and no model call": 2})
    assert (lineage.dropped, lineage.errors) == ({}, [])


def test_what_is_suppressed_is_dropped_and_its_end_outside_is_no_fault(lineage):
    with suppress():
        lineage.record(RetrievalStarted("s", None, "R", "q", "test"))
    lineage.record(RetrievalEnded("s", []))
    assert lineage.tally == Tally(1, 0, {"suppressed": 1})
    assert lineage.dropped == {}


def test_what_is_told_twice_is_recorded_once(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    for _ in range(2):
        lineage.record(RetrievalStarted("s", "r", "R", "q", "test"))
    for _ in range(2):
        lineage.record(RetrievalEnded("s", []))
    lineage.record(RunEnded("r"))
    assert lineage.tally == Tally(3, 2, {"told twice": 1})
    assert lineage.dropped == {}


@pytest.mark.parametrize("ends_with", [[object()], [RetrievedChunk(text=5)]])
def test_what_cannot_be_recorded_is_counted_and_keeps_nothing_open(lineage, ends_with):
    lineage.record(RunStarted("r", None, "chain", "test"))
    search(lineage, "s", "r")
    lineage.record(RetrievalStarted("bad", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("bad", ends_with))
    lineage.record(RunEnded("r"))
    assert lineage.tally == Tally(3, 2, {"could not be recorded": 1})
    assert [where for where, _ in lineage.errors] == ["recorder.RetrievalEnded"]
    [trail] = lineage.trails
    assert [r.retrieval_id for r in trail.retrievals] == ["s"]
    assert lineage.open_count == 0


def test_a_search_alone_that_cannot_be_recorded_keeps_nothing_open(lineage):
    lineage.record(RetrievalStarted("bad", None, "R", "q", "test"))
    lineage.record(RetrievalEnded("bad", [object()]))
    assert lineage.tally == Tally(1, 0, {"no search and no model call": 1})
    assert (lineage.open_count, len(lineage.errors)) == (0, 1)


@pytest.mark.parametrize("end", [RunEnded("r", output=5), RunEnded("r", question=5)])
def test_a_response_whose_end_makes_no_sense_closes_all_the_same(lineage, end):
    lineage.record(RunStarted("r", None, "chain", "test"))
    search(lineage, "s", "r")
    lineage.record(end)
    assert lineage.tally == Tally(2, 2, {})
    assert (lineage.open_count, len(lineage.errors)) == (0, 1)


def test_a_response_that_cannot_be_completed_is_counted(lineage, monkeypatch):
    monkeypatch.setattr(lineage, "_closed", None)
    monkeypatch.setattr(lineage._recorder.reports, "closed", None)
    search(lineage, "s")
    assert lineage.tally == Tally(1, 0, {"could not be recorded": 1})
    assert [where for where, _ in lineage.errors] == ["completing a response"]


class Slow(Mapping[str, str]):
    """Metadata that take their time to be read."""

    def __init__(self) -> None:
        self.reading, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[str]:
        self.reading.set()
        assert self.go_on.wait(20)
        return iter(())

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)


def test_a_search_that_ends_while_its_response_fails_is_in_the_trail(lineage):
    metadata = Slow()
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("s", "r", "R", "q", "test"))
    chunk = RetrievedChunk("text", "c", "d", metadata=metadata)
    searching = threading.Thread(target=lineage.record, args=(RetrievalEnded("s", [chunk]),))
    searching.start()
    assert metadata.reading.wait(20)
    lineage.record(RunFailed("r", ValueError()))
    assert lineage.trails == []
    metadata.go_on.set()
    searching.join(20)
    [trail] = lineage.trails
    assert (trail.status, list(trail.chunks)) == ("error", ["c"])
    assert lineage.tally == Tally(2, 2, {})


def test_a_child_process_counts_what_begins_in_it(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    there, here = os.pipe()
    if (child := os.fork()) == 0:
        search(lineage, "s")
        os.write(here, repr(lineage.tally).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(there, 1000).decode() == repr(Tally(1, 1, {}))
    for end in (there, here):
        os.close(end)
    assert lineage.tally == Tally(1, 0, {})
    lineage.record(RunEnded("r"))


# --- random trees


_KINDS = ("run", "retrieval", "generation", "tool")
_ENDS = ("ends", "fails", "is cancelled", "ends oddly", "says nonsense")
_run = st.integers(0, 11)

actions = st.one_of(
    st.tuples(st.just("start"), _run, st.sampled_from(_KINDS), st.none() | _run),
    st.tuples(st.just("end"), _run, st.sampled_from(_ENDS)),
    st.tuples(st.sampled_from(("enter", "leave", "suppress", "allow", "flush"))),
)


class Storm:
    """A host that does everything that a host can do wrong, and knows what it began."""

    def __init__(self, lineage: CapturedLineage) -> None:
        self.lineage = lineage
        self.began: list[str] = []
        self.record, lineage.record = lineage.record, self.observe
        self.requests: set[str] = set()
        self.kinds: dict[str, str] = {}
        self.names: dict[int, str] = {}
        self.blocks: list[ExitStack] = []

    def observe(self, event: Event) -> None:
        """Note what begins, also what a scope tells by itself."""
        if isinstance(event, StartEvent):
            self.began.append(event.run_id)
        if isinstance(event, RunStarted):
            self.requests.add(event.run_id)
        self.record(event)

    def play(self, action: tuple) -> None:
        getattr(self, action[0])(*action[1:])

    def start(self, number: int, kind: str, parent: int | None) -> None:
        """Begin a run; one that is open already is thereby told twice."""
        run_id = self.names.setdefault(number, f"run-{len(self.began)}")
        around = None if parent is None else self.names.get(parent, "nobody")
        self.kinds.setdefault(run_id, kind)
        starts = {
            "run": RunStarted(run_id, around, "name", "test", "asked"),
            "retrieval": RetrievalStarted(run_id, around, "R", "q", "test"),
            "generation": PromptSent(run_id, around, [Message("user", "text")], "test"),
            "tool": ToolCalled(run_id, around, "tool", "test"),
        }
        self.lineage.record(starts[kind])

    def end(self, number: int, how: str) -> None:
        """End a run, which may have ended or never begun."""
        run_id = self.names.get(number, "nobody")
        kind = self.kinds.get(run_id, "run")
        ends = {
            "run": RunEnded(run_id, "said"),
            "retrieval": RetrievalEnded(run_id, [RetrievedChunk("text", "c", "d")]),
            "generation": GenerationEnded(run_id, "said"),
            "tool": ToolReturned(run_id, "result"),
        }
        odd = {
            "fails": RunFailed(run_id, ValueError("no")),
            "is cancelled": RunFailed(run_id, KeyboardInterrupt()),
            "ends oddly": RunEnded(run_id, None, abandoned=True),
            "says nonsense": RetrievalEnded(run_id, [object()])
            if kind == "retrieval"
            else RunEnded(run_id, output=5),
        }
        self.lineage.record(odd.get(how, ends[kind]))
        if how != "ends oddly":  # else its end is told again later on
            self.names.pop(number, None)

    def enter(self) -> None:
        block = ExitStack()
        block.enter_context(self.lineage.scope())
        self.blocks.append(block)

    def suppress(self) -> None:
        block = ExitStack()
        block.enter_context(suppress())
        self.blocks.append(block)

    def leave(self) -> None:
        if self.blocks:
            self.blocks.pop().close()

    allow = leave

    def flush(self) -> None:
        self.lineage.close()

    def over(self) -> None:
        while self.blocks:
            self.leave()
        self.lineage.close()


def runs_of(trail: Trail, requests: Collection[str]) -> Iterator[str]:
    inner = [
        *(r.retrieval_id for r in trail.retrievals),
        *(g.generation_id for g in trail.generations),
        *(t.tool_run_id for t in trail.tool_calls),
        *(s.step_id for s in trail.steps),
    ]
    yield from inner
    if trail.response_id in requests and trail.response_id not in inner:
        yield trail.response_id


@settings(max_examples=400, deadline=None)
@given(st.lists(actions, max_size=60))
def test_every_run_that_begins_ends_up_in_one_place(actions):
    with capture_trails() as lineage:
        storm = Storm(lineage)
        for action in actions:
            storm.play(action)
        storm.over()
        tally = lineage.tally
        recorded = [i for trail in lineage.trails for i in runs_of(trail, storm.requests)]
        assert tally.started == len(storm.began)
        assert tally.recorded == len(recorded)
        assert tally.open == lineage.open_count == 0
        assert Counter(recorded) - Counter(storm.began) == Counter(), "more than began"
        odd = {type(error) for _, error in lineage.errors}  # of ends that make no sense
        assert odd <= {AssertionError, AttributeError, TypeError}
        left = Counter(storm.began) - Counter(recorded)
        assert left.total() == sum(tally.dropped.values())


def test_threads_that_end_and_fail_each_others_runs_lose_none():
    with capture_trails() as lineage:
        record, began, shared = lineage.record, [], deque[str](maxlen=24)

        def observe(event: Event) -> None:
            if isinstance(event, StartEvent):
                began.append(event.run_id)
            record(event)

        def work(seed: int) -> None:
            rng = random.Random(seed)  # noqa: S311  # a storm that can be had again
            for number in range(400):
                run_id, around = f"{seed}-{number}", rng.choice([None, *list(shared)])
                if rng.random() < 0.3:
                    observe(RunStarted(run_id, around, "name", "test"))
                else:
                    observe(RetrievalStarted(run_id, around, "R", "q", "test"))
                shared.append(run_id)
                left = rng.choice(list(shared))
                ends = (RunEnded(left), RunFailed(left, ValueError()), RunFailed(left, KeyError()))
                observe(rng.choice(ends))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        lineage.close()
        recorded = Counter(i for trail in lineage.trails for i in runs_of(trail, began))
        tally = lineage.tally
        assert lineage.errors == []
        assert tally.started == len(began) == 3200
        assert (tally.open, lineage.open_count) == (0, 0)
        assert tally.recorded == recorded.total()
        assert max(recorded.values()) == 1
        assert set(tally.dropped) <= {"no search and no model call"}
