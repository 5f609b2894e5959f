"""Answers of received traces are put on record, each once, whatever comes between."""

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail.receiver.assembling import Waits
from doctrail.receiver.door import Door
from doctrail.receiver.inbox import Inbox
from doctrail.receiver.recording import Recording
from doctrail.receiver.span import ReceivedSpan
from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.durable.faults import read_faults
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.model import Message, SpanReference
from doctrail_core.trails import open_trails

TRACE = "0af7651916cd43dd8448eb211c80319c"
ANSWER = str(UUID(TRACE))
OTHER = "1af7651916cd43dd8448eb211c80319c"
NOW = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Response:
    response_id: str
    trace_id: str
    events: list


def translate(spans):
    """An answer for each span that is beneath no other, as the real one has it."""
    ids = {span.span_id for span in spans}
    tops = [span for span in spans if span.parent_id not in ids and span.name != "noise"]
    if any(span.name == "poison" for span in spans):
        raise RuntimeError("a fault of ours")
    return [_response(top, number) for number, top in enumerate(tops)]


def _response(top, number):
    run = str(UUID(top.trace_id)) + (f":{top.span_id}" if number else "")
    place = SpanReference(top.trace_id, top.span_id)
    search, call = f"{top.span_id}-search", f"{top.span_id}-call"
    chunk = RetrievedChunk("The deadline is February 28th.", "doc/1", "doc")
    prompt = [Message("user", "The deadline is February 28th.\nWhen?")]
    events = [
        RunStarted(run, None, top.name, "otlp", "When?", at=NOW, span=place),
        RetrievalStarted(search, run, "Retriever", "When?", "otlp", at=NOW),
        RetrievalEnded(search, [chunk], at=NOW),
        PromptSent(call, run, prompt, "otlp", "m-1", at=NOW),
        GenerationEnded(call, "On February 28th.", at=NOW),
        RunEnded(run, "On February 28th.", at=NOW),
    ]
    return Response(run, top.trace_id, events)


def span(number, parent=None, *, trace=TRACE, name="chain"):
    parent_id = None if parent is None else f"{parent:016x}"
    return ReceivedSpan(trace, f"{number:016x}", parent_id, name, "internal", NOW, NOW)


@dataclass
class Bench:
    """A door with a clock that is moved by hand."""

    home: object
    inbox: Inbox
    lineage: Lineage
    now: float = 0.0

    def __post_init__(self):
        self.recording = Recording(self.lineage, self.inbox, translate)
        self.door = self.reopened()

    def reopened(self):
        """As after a restart."""
        waits = Waits(quiet=10, remote=60, patience=600)
        return Door(self.recording, waits, clock=lambda: self.now)

    def receive(self, *spans):
        self.door.receive(spans)

    def wait(self, seconds=10):
        self.now += seconds
        self.door.record_complete()

    def answers(self):
        assert self.lineage.flush()
        with open_trails(Home(self.home), drain=False) as trails:
            return [summary.response_id for summary in trails.responses()]

    def entries(self):
        assert self.lineage.flush()
        with open_ledger(Home(self.home)) as ledger:
            return [(entry.kind, entry.response) for entry in ledger.entries()]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@contextmanager
def bench_in(home):
    Home(home).ensure()
    kept = Settings(home=home, spans="none", durability="strict", when_unrecorded="refuse")
    with closing(Inbox(home / "inbox.db")) as inbox, closing(Lineage(kept)) as lineage:
        yield Bench(home, inbox, lineage)


@pytest.fixture
def bench(home):
    with bench_in(home) as bench:
        yield bench


def test_no_text_of_what_was_recorded_stays_in_the_inbox(bench):
    bench.receive(replace(span(1), attributes={"input.value": "the secret deadline"}))
    assert any(b"secret" in file.read_bytes() for file in bench.home.glob("inbox.db*"))
    bench.wait()
    assert not any(b"secret" in file.read_bytes() for file in bench.home.glob("inbox.db*"))


def test_a_complete_trace_becomes_an_answer_and_leaves_the_inbox(bench):
    bench.receive(span(2, 1))
    bench.receive(span(1))
    bench.wait(9)
    assert bench.inbox.traces() == [TRACE]
    bench.wait(1)
    assert bench.answers() == [ANSWER]
    assert bench.inbox.traces() == []
    trail = bench.lineage.get(ANSWER)
    assert trail.trace_id == TRACE
    assert trail.answer == "On February 28th."
    assert bench.recording.outcomes == {"recorded": 1}


def test_spans_that_are_sent_again_make_no_second_answer(bench):
    bench.receive(span(1), span(2, 1))
    bench.receive(span(1), span(2, 1))
    bench.wait()
    bench.receive(span(2, 1), span(1))
    bench.wait(1000)
    assert bench.answers() == [ANSWER]
    assert bench.recording.outcomes == {"recorded": 1}


def test_a_trace_whose_first_span_never_comes_is_recorded_as_far_as_it_came(bench):
    bench.receive(span(2, 1))
    bench.wait(599)
    assert bench.recording.outcomes == {}
    bench.wait(1)
    assert bench.answers() == [ANSWER]


def test_what_an_earlier_process_left_in_the_inbox_is_recorded(bench):
    bench.receive(span(1))
    bench.door = bench.reopened()
    bench.wait()
    assert bench.answers() == [ANSWER]


def test_a_process_that_died_before_the_inbox_could_forget_made_no_second_answer(bench):
    bench.receive(span(1))
    forgotten = bench.inbox.forget
    bench.inbox.forget = lambda *_: None
    bench.wait()
    entries = bench.entries()
    assert (bench.answers(), len(bench.inbox.traces())) == ([ANSWER], 1)
    bench.inbox.forget = forgotten
    bench.door = bench.reopened()
    bench.wait()
    assert bench.answers() == [ANSWER]
    assert bench.entries() == entries
    assert bench.inbox.traces() == []
    assert bench.recording.outcomes == {"recorded": 1, "on record before": 1}


def test_a_process_that_died_while_it_recorded_made_one_answer_of_it(bench):
    bench.receive(span(1))
    for event in translate([span(1)])[0].events[:-1]:
        bench.lineage.record(event)
    bench.lineage.close()  # as the ledger has it then: the sources, and no answer
    bench.lineage = Lineage(bench.lineage.settings)
    bench.recording.lineage = bench.lineage
    bench.wait()
    assert bench.answers() == [ANSWER]


def test_a_late_span_of_a_recorded_answer_changes_nothing_and_is_counted(bench):
    bench.receive(span(1), span(2, 1))
    bench.wait()
    entries = bench.entries()
    bench.receive(span(3, 2), span(4, 3))
    bench.wait()
    assert bench.entries() == entries
    assert bench.inbox.traces() == []
    assert bench.recording.outcomes == {"recorded": 1, "too late": 2}


def test_an_answer_that_comes_late_in_a_trace_gets_an_id_of_its_own(bench):
    bench.receive(span(1))
    bench.wait()
    bench.receive(span(7), span(8, 7))
    bench.wait()
    assert sorted(bench.answers()) == [ANSWER, f"{ANSWER}:late:{7:016x}"]
    assert bench.lineage.get(f"{ANSWER}:late:{7:016x}").generations


def test_of_a_trace_that_is_large_beyond_measure_nothing_stays_in_the_inbox(bench, monkeypatch):
    monkeypatch.setattr("doctrail.receiver.inbox._LARGEST_TRACE", 500)
    bench.receive(*(span(n, 1 if n > 1 else None) for n in range(1, 20)))
    bench.wait()
    assert bench.answers() == [ANSWER]
    assert bench.inbox.traces() == []
    assert bench.recording.outcomes["too late"] > 0


def test_spans_in_a_circle_are_recorded_at_last_as_what_they_are(bench):
    bench.receive(span(1))
    bench.wait()
    bench.receive(span(3, 4), span(4, 3))
    bench.wait()
    assert bench.recording.outcomes["no answer"] == 1
    assert bench.inbox.traces() == []


def test_what_the_application_itself_put_on_record_is_not_recorded_again(bench):
    theirs = translate([span(1)])[0].events
    own = [
        replace(
            event,
            **{
                name: "app-1"
                for name in ("run_id", "parent_id")
                if getattr(event, name, None) == ANSWER
            },
        )
        for event in theirs
    ]
    for event in own:
        bench.lineage.record(event)
    bench.receive(span(1), span(2, trace=OTHER))
    bench.wait()
    assert sorted(bench.answers()) == sorted(["app-1", str(UUID(OTHER))])
    assert bench.recording.outcomes == {"recorded": 1, "on record before": 1}


def test_a_trace_without_an_answer_is_forgotten(bench):
    bench.receive(span(1, name="noise"))
    bench.wait()
    assert bench.inbox.traces() == []
    assert bench.recording.outcomes == {"no answer": 1}


def test_a_trace_that_we_fail_at_costs_the_others_nothing_and_waits_for_the_next_start(bench):
    bench.receive(span(1, name="poison"), span(1, trace=OTHER))
    bench.wait()
    assert bench.answers() == [str(UUID(OTHER))]
    assert bench.inbox.traces() == [TRACE]
    bench.wait(1000)
    assert bench.recording.outcomes == {"recorded": 1, "set aside": 1}


def test_while_nothing_can_be_recorded_everything_waits(bench, monkeypatch):
    monkeypatch.setattr("doctrail.receiver.door._RESPITE", 0.01)
    bench.receive(span(1), span(1, trace=OTHER))
    spool = bench.home / "spool"
    spool.write_text("no folder")
    tries = []

    def fault(where, error):
        tries.append(type(error).__name__)
        if len(tries) == 3:
            spool.unlink()

    monkeypatch.setattr(bench.door, "fault", fault)
    bench.wait()
    assert sorted(bench.answers()) == sorted([ANSWER, str(UUID(OTHER))])
    assert tries == ["NotRecordedError"] * 3
    assert bench.inbox.traces() == []
    assert bench.lineage.open_count == 0


def test_a_door_that_is_closed_leaves_the_rest_in_the_inbox(bench):
    bench.receive(span(1))
    bench.door.open()
    bench.door.close()
    bench.wait()
    assert bench.inbox.traces() == [TRACE]


def test_what_real_instrumentations_wrote_is_recorded_as_it_is_translated(bench):
    from doctrail.receiver.decoding import decode
    from doctrail.receiver.translation import translate as really

    bench.recording.translate = really
    sent = []
    for file in sorted((Path(__file__).parent / "recorded").glob("*_*.*.json")):
        spans = decode(file.read_bytes(), "json").spans
        bench.receive(*reversed(spans))
        sent += spans
    bench.wait(600)
    expected = {response.response_id for response in really(sent)}
    assert len(expected) > 30
    assert set(bench.answers()) == expected
    assert bench.recording.outcomes["recorded"] == len(expected)
    assert set(bench.recording.outcomes) <= {"recorded", "no answer"}
    assert bench.lineage.open_count == 0
    assert not bench.lineage.tally.dropped
    assert list(read_faults(Home(bench.home))) == []


def recordings():
    return sorted((Path(__file__).parent / "recorded").glob("openinference_*.*.json"))


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_what_is_recorded_depends_neither_on_order_nor_on_repeats_nor_on_restarts(
    tmp_path_factory, data
):
    from doctrail.receiver.decoding import decode
    from doctrail.receiver.translation import translate as really

    chosen = data.draw(st.lists(st.sampled_from(recordings()), min_size=1, max_size=3, unique=True))
    spans = [span for file in chosen for span in decode(file.read_bytes(), "json").spans]
    sent = data.draw(st.permutations(spans + data.draw(st.lists(st.sampled_from(spans)))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    with bench_in(tmp_path_factory.mktemp("any") / "home") as bench:
        bench.recording.translate = really
        for start, end in pairwise([0, *cuts, len(sent)]):
            bench.receive(*sent[start:end])
            if data.draw(st.booleans()):
                bench.door = bench.reopened()
        bench.wait(600)
        bench.receive(*sent)
        bench.wait(600)
        assert set(bench.answers()) == {response.response_id for response in really(spans)}
        assert set(bench.recording.outcomes) <= {"recorded", "no answer"}
        assert bench.inbox.traces() == []


@pytest.mark.parametrize("seconds", [0, 10])
def test_an_id_that_two_traces_claim_is_that_of_the_first_and_costs_neither_its_answer(
    bench, seconds
):
    def claiming(spans):
        return [_claiming(response) for response in translate(spans)]

    bench.recording.translate = claiming
    bench.receive(span(1))
    bench.wait(seconds)
    bench.receive(span(1, trace=OTHER))
    bench.wait()
    other = f"{UUID(OTHER)}:{span(1).span_id}"
    assert sorted(bench.answers()) == sorted(["order-1", other])
    assert bench.lineage.get("order-1").trace_id == TRACE
    assert bench.lineage.get(other).trace_id == OTHER
    bench.receive(span(1), span(1, trace=OTHER))
    bench.wait()
    assert bench.recording.outcomes == {"recorded": 2}


def _claiming(response):
    def claimed(event):
        ids = {
            n: "order-1"
            for n in ("run_id", "parent_id")
            if _named(event, n) == response.response_id
        }
        return replace(event, **ids)

    events = [claimed(event) for event in response.events]
    return replace(response, response_id="order-1", events=events)


def _named(event, name):
    return getattr(event, name, None)
