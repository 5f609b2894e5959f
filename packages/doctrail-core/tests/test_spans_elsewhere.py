"""Where another instrumentation writes a run's span, we write none, and all else is as if it were ours."""

import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import TraceFlags, format_span_id, format_trace_id

from doctrail_core import Settings
from doctrail_core.capture import scope
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    Reranked,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import Message, RankedChunk, SpanReference
from doctrail_core.testing import CapturedLineage, capture_trails

TEXT = "The renewal deadline is February 28th."


class Others:
    """Another instrumentation: it has spans open for some runs, from some time on."""

    def __init__(self, lineage: CapturedLineage) -> None:
        self.lineage = lineage
        self.open = {}
        self.asked = []

    def begin(self, run_id, under=None):
        """Open a span of the same provider."""
        from opentelemetry import trace

        tracer = self.lineage.tracer_provider.get_tracer("others")
        around = trace.set_span_in_context(self.open[under]) if under else None
        self.open[run_id] = tracer.start_span(f"others {run_id}", context=around)

    def end(self, *run_ids):
        for run_id in run_ids:
            self.open[run_id].end()

    def find(self, run_id):
        self.asked.append(run_id)
        span = self.open.get(run_id)
        return None if span is None else reference(span)


def reference(span):
    context = span.get_span_context()
    return SpanReference(
        format_trace_id(context.trace_id),
        format_span_id(context.span_id),
        bool(context.trace_flags & TraceFlags.SAMPLED),
    )


@pytest.fixture
def finders(monkeypatch):
    """Those who say what is elsewhere, for this test alone."""
    found = []
    monkeypatch.setattr(scope, "_traced", found)
    return found


@pytest.fixture
def lineage():
    with capture_trails() as captured:
        yield captured


@pytest.fixture
def others(lineage, finders):
    one = Others(lineage)
    scope.when_traced_elsewhere(one.find)
    assert finders == [one.find]
    return one


def search(lineage, run_id="ret", parent="r", **told):
    lineage.record(RetrievalStarted(run_id, parent, "R", "q", "test", **told))
    lineage.record(RetrievalEnded(run_id, [RetrievedChunk(TEXT, "c0", "doc")]))


def ask(lineage, run_id="llm", parent="r", **told):
    lineage.record(PromptSent(run_id, parent, [Message("user", TEXT)], "test", "m-1", **told))
    lineage.record(GenerationEnded(run_id, "It is."))


def test_what_others_wrote_is_left_to_them_and_ours_hang_below_it(lineage, others):
    others.begin("r")
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    search(lineage)
    others.begin("llm", under="r")
    ask(lineage)
    lineage.record(RunEnded("r", "It is."))
    others.end("llm", "r")
    ((name, below),) = lineage.span_tree()
    assert name == "others r"
    assert {child for child, _ in below} == {"retrieval R", "context assembly", "others llm"}
    (trail,) = lineage.trails
    assert trail.trace_id == reference(others.open["r"]).trace_id
    assert trail.generations[0].span_id == reference(others.open["llm"]).span_id


def test_a_span_that_others_open_after_us_is_found_before_the_first_child(lineage, others):
    """Whichever handler is called first."""
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    others.begin("r")
    search(lineage)
    lineage.record(RunEnded("r", "It is."))
    others.end("r")
    assert lineage.span_tree() == [["others r", [["retrieval R", []]]]]


def test_a_span_without_children_is_looked_for_until_its_end(lineage, others):
    lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
    others.begin("ret")
    lineage.record(RetrievalEnded("ret", [RetrievedChunk(TEXT, "c0", "doc")]))
    others.end("ret")
    assert [span.name for span in lineage.spans] == ["others ret"]
    assert lineage.trails[0].trace_id == reference(others.open["ret"]).trace_id


def test_what_is_put_on_record_before_a_model_answers_settles_nothing(lineage, others):
    told = [RetrievedChunk(TEXT, "c0", "doc")]
    sent = PromptSent("llm", None, [Message("user", TEXT)], "test", "m-1", carried=told)
    lineage.record(sent)
    others.begin("llm")
    lineage.record(GenerationEnded("llm", "It is."))
    others.end("llm")
    assert [kind for kind, _ in lineage.entries] == ["retrieved", "answered"]
    assert "chat m-1" not in [span.name for span in lineage.spans]
    assert lineage.trails[0].trace_id == reference(others.open["llm"]).trace_id


def test_a_span_that_nobody_else_writes_is_ours_with_the_time_when_it_began(lineage, others):
    lineage.record(RunStarted("r", None, "app", "test", "q", at=1_000))
    search(lineage, at=2_000)
    lineage.record(RunEnded("r", "It is."))
    assert lineage.span_tree() == [["invoke_workflow app", [["retrieval R", []]]]]
    assert sorted(span.start_time for span in lineage.spans) == [1_000, 2_000]


def test_once_settled_nobody_is_asked_again(lineage, others):
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    for number in range(5):
        search(lineage, f"ret-{number}")
    lineage.record(RunEnded("r", "It is."))
    assert others.asked.count("r") == 2
    others.begin("late")
    assert others.asked.count("ret-1") == 2


def test_a_finder_that_raises_costs_a_fault_and_nothing_else(lineage, finders):
    def broken(run_id):
        raise RuntimeError(f"no {run_id}")

    scope.when_traced_elsewhere(broken)
    lineage.record(RunStarted("r", None, "app", "test", "q", "session-7"))
    search(lineage)
    ask(lineage)
    lineage.record(RunEnded("r", "It is."))
    ((name, below),) = lineage.span_tree()
    assert name == "invoke_workflow app"
    assert [child for child, _ in below] == ["retrieval R", "context assembly", "chat m-1"]
    assert lineage.trails[0].question == "q"
    assert {where for where, _ in lineage.errors} == {"asking for the spans of others"}


def test_the_first_finder_that_knows_it_counts(lineage, others):
    scope.when_traced_elsewhere(lambda _: pytest.fail("it was known already"))
    others.begin("ret")
    lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", []))
    assert lineage.errors == []
    assert lineage.spans == ()


@pytest.mark.parametrize("spans", ["all", "none"])
def test_in_other_modes_nobody_is_asked(finders, spans):
    with capture_trails(Settings(spans=spans)) as lineage:
        scope.when_traced_elsewhere(lambda _: pytest.fail("asked"))
        search(lineage, parent=None)
        assert lineage.errors == []
        assert len(lineage.spans) == (1 if spans == "all" else 0)


def test_what_others_wrote_is_the_ambient_span_inside_of_it(lineage, others):
    others.begin("ret")
    lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
    with lineage.within("ret"):
        lineage.tracer_provider.get_tracer("db").start_span("SELECT").end()
    lineage.record(RetrievalEnded("ret", []))
    others.end("ret")
    assert lineage.span_tree() == [["others ret", [["SELECT", []]]]]


def test_a_failed_run_of_others_leaves_no_span_of_ours(lineage, others):
    others.begin("r")
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    others.begin("ret", under="r")
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(RunFailed("ret", ValueError("no")))
    lineage.record(RunFailed("r", ValueError("no")))
    assert lineage.spans == ()
    assert lineage.trails[0].status == "error"


def test_a_check_is_linked_to_the_span_that_others_wrote(lineage, others, make_assessment):
    others.begin("llm")
    ask(lineage, parent=None)
    (trail,) = lineage.trails
    lineage.assessed(make_assessment(trail, generation_id="llm"))
    (span,) = lineage.spans
    (link,) = span.links
    assert link.context.span_id == others.open["llm"].get_span_context().span_id
    assert link.context.trace_id == others.open["llm"].get_span_context().trace_id


def test_a_model_call_that_others_wrote_in_another_trace_is_linked_to_by_nobody(
    lineage, others, make_assessment
):
    """A trail has one trace; a link into it with the id of a span of another would lead nowhere."""
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    others.begin("llm")
    ask(lineage)
    lineage.record(RunEnded("r", "It is."))
    (trail,) = lineage.trails
    assert trail.trace_id != reference(others.open["llm"]).trace_id
    assert trail.generations[0].span_id is None
    lineage.assessed(make_assessment(trail, generation_id="llm"))
    (span,) = [span for span in lineage.spans if span.name.startswith("grounding")]
    assert span.links == ()


class Unsampled:
    """What others have open is not sampled."""

    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    def find(self, run_id):
        return SpanReference(self.trace_id, self.span_id, sampled=False) if run_id == "r" else None


def test_below_a_span_of_others_that_is_not_sampled_ours_are_not_either(lineage, finders):
    scope.when_traced_elsewhere(Unsampled().find)
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    search(lineage)
    ask(lineage)
    lineage.record(RunEnded("r", "It is."))
    assert lineage.spans == ()
    (trail,) = lineage.trails
    assert trail.trace_id == Unsampled.trace_id
    assert trail.generations[0].span_id is not None
    assert len(trail.contexts) == 1
    assert lineage.errors == []


def test_the_parent_in_this_process_is_a_local_one_to_samplers(finders):
    """Who samples what comes from elsewhere anew must not do so inside of one process."""
    from doctrail_core import Lineage
    from doctrail_core.testing.capture import MemoryStorage

    exporter = InMemorySpanExporter()
    never: Sampler = TraceIdRatioBased(0.0)
    provider = TracerProvider(
        sampler=ParentBased(root=never, remote_parent_sampled=never), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    lineage = Lineage(Settings(), tracer_provider=provider, storage=MemoryStorage())
    seen = SpanReference(Unsampled.trace_id, Unsampled.span_id)
    scope.when_traced_elsewhere(lambda run_id: seen if run_id == "r" else None)
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    search(lineage)
    lineage.record(RunEnded("r", "It is."))
    assert [span.name for span in exporter.get_finished_spans()] == ["retrieval R"]
    provider.shutdown()


# Events that bring the span along, as the door's do.

ROOT = SpanReference(Unsampled.trace_id, "00000000000000a1")
MODEL = SpanReference(Unsampled.trace_id, "00000000000000a2")


def received(lineage):
    lineage.record(RunStarted("r", None, "app", "test", "q", span=ROOT))
    search(lineage, span=SpanReference(Unsampled.trace_id, "00000000000000a3"))
    ranked, started = [RankedChunk("c0", 0.5)], lineage.now()
    there = SpanReference(Unsampled.trace_id, "00000000000000a5")
    lineage.record(Reranked("r", "Judge", started, ranked, ranked, span=there))
    ask(lineage, span=MODEL)
    there = SpanReference(Unsampled.trace_id, "00000000000000a4")
    lineage.record(ToolCalled("tool", "r", "search", "test", span=there))
    lineage.record(ToolReturned("tool"))
    lineage.record(RunEnded("r", "It is."))


@pytest.mark.parametrize("spans", ["missing", "none"])
def test_the_trail_names_the_spans_that_the_events_bring(finders, spans, make_assessment):
    with capture_trails(Settings(spans=spans)) as lineage:
        received(lineage)
        (trail,) = lineage.trails
        assert trail.trace_id == ROOT.trace_id
        assert trail.generations[0].span_id == MODEL.span_id
        assert len(trail.reranks) == 1
        lineage.assessed(make_assessment(trail, generation_id="llm"))
        names = [span.name for span in lineage.spans]
        added = ["context assembly", "grounding scripted"]
        assert names == (added if spans == "missing" else [])
        if spans == "missing":
            assembly, check = lineage.spans
            assert format_span_id(assembly.parent.span_id) == ROOT.span_id
            (link,) = check.links
            assert format_span_id(link.context.span_id) == MODEL.span_id


def test_with_all_spans_ours_are_there_beside_those_that_the_events_bring(finders):
    with capture_trails(Settings(spans="all")) as lineage:
        received(lineage)
        ((name, below),) = lineage.span_tree()
        assert name == "invoke_workflow app"
        assert sorted(child for child, _ in below) == [
            "chat m-1",
            "context assembly",
            "execute_tool search",
            "rerank Judge",
            "retrieval R",
        ]
        (trail,) = lineage.trails
        assert trail.trace_id != ROOT.trace_id
        assert trail.generations[0].span_id != MODEL.span_id


def test_threads_that_begin_children_at_once_ask_and_settle_once(lineage, others):
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    asked, another = [], threading.Event()

    def slowly(run_id):
        """Stay until another thread asks, too, which none does."""
        if run_id == "r":
            asked.append(run_id)
            if len(asked) == 1:
                another.wait(0.3)
            another.set()

    scope.when_traced_elsewhere(slowly)
    gate = threading.Barrier(8)

    def begin(number):
        gate.wait(20)
        search(lineage, f"ret-{number}")

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    lineage.record(RunEnded("r", "It is."))
    assert others.asked.count("r") == 2
    ((_, below),) = lineage.span_tree()
    assert len(below) == 8
