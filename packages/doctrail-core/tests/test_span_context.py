"""What the code around says: whose request it is, which span it is in, and that it wants no spans."""

import asyncio
import contextvars
import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace

from doctrail_core import Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    Reranked,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.model import Message, RankedChunk
from doctrail_core.testing import capture_trails

TEXT = "The renewal deadline is February 28th."
SUPPRESS = context._SUPPRESS_INSTRUMENTATION_KEY


@contextmanager
def said(**values):
    """Code that is marked so; dots are written as two underscores."""
    around = context.get_current()
    for name, value in values.items():
        around = context.set_value(name.replace("__", "."), value, around)
    token = context.attach(around)
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def carried(**values):
    """Baggage."""
    around = context.get_current()
    for name, value in values.items():
        around = baggage.set_baggage(name.replace("__", "."), value, around)
    token = context.attach(around)
    try:
        yield
    finally:
        context.detach(token)


def search(lineage, parent="r", run_id="ret"):
    lineage.record(RetrievalStarted(run_id, parent, "R", "q", "test"))
    lineage.record(RetrievalEnded(run_id, [RetrievedChunk(TEXT, "c0", "doc")]))


def ask(lineage, parent="r", run_id="llm"):
    lineage.record(PromptSent(run_id, parent, [Message("user", TEXT)], "test", "m-1"))
    lineage.record(GenerationEnded(run_id, "It is."))


def answer(lineage, session_id=None, user_id=None):
    lineage.record(RunStarted("r", None, "app", "test", "q", session_id, user_id))
    search(lineage)
    ask(lineage)
    lineage.record(RunEnded("r", "It is."))


def told(lineage, name):
    """What the spans say under this name, each value once."""
    return {(span.attributes or {}).get(name) for span in lineage.spans}


# Whose request it is.


@pytest.mark.parametrize(
    ("host", "marks", "bag", "expected"),
    [
        ("host", {"session__id": "marked"}, {"session__id": "carried"}, "host"),
        (None, {"session__id": "marked"}, {"session__id": "carried"}, "marked"),
        (None, {}, {"session__id": "carried"}, "carried"),
        (None, {}, {"gen_ai__conversation__id": "talk"}, "talk"),
        (None, {"gen_ai__conversation__id": "talk"}, {"session__id": "carried"}, "talk"),
        (None, {"session__id": "marked", "gen_ai__conversation__id": "talk"}, {}, "marked"),
        (None, {"session__id": 17}, {}, "17"),
        (None, {"session__id": object()}, {"session__id": "carried"}, "carried"),
        (None, {}, {}, None),
    ],
)
def test_the_session_is_what_the_host_says_else_the_code_around_else_the_baggage(
    host, marks, bag, expected
):
    with capture_trails() as lineage, carried(**bag), said(**marks):
        answer(lineage, host)
        assert told(lineage, "session.id") == {expected}
        assert told(lineage, "gen_ai.conversation.id") == {expected}
        assert lineage.trails[0].session_id == expected


@pytest.mark.parametrize(
    ("host", "marks", "bag", "expected"),
    [
        ("host", {"user__id": "marked"}, {"user__id": "carried"}, "host"),
        (None, {"user__id": "marked"}, {"user__id": "carried"}, "marked"),
        (None, {}, {"user__id": "carried"}, "carried"),
    ],
)
def test_the_user_likewise(host, marks, bag, expected):
    with capture_trails() as lineage, carried(**bag), said(**marks):
        answer(lineage, None, host)
        assert told(lineage, "user.id") == {expected}
        assert lineage.trails[0].user_id == expected


def test_the_innermost_mark_counts():
    with capture_trails() as lineage:
        with said(session__id="outer"), said(session__id="inner"):
            answer(lineage)
        assert told(lineage, "session.id") == {"inner"}


def test_a_block_takes_the_session_of_a_mark_inside_of_it():
    with capture_trails() as lineage:
        with lineage.scope(), said(session__id="inner"):
            lineage.record(RunStarted("chain", None, "app", "test", "q"))
            search(lineage, "chain")
            lineage.record(RunEnded("chain", "It is."))
        assert lineage.trails[0].session_id == "inner"
        root = next(s for s in lineage.spans if s.parent is None)
        assert root.attributes["session.id"] == "inner"


def test_metadata_tags_and_prompt_version_are_on_all_spans_of_the_answer():
    marks = {"metadata": '{"tenant": "acme"}', "tag__tags": ["beta"]}
    with capture_trails() as lineage:
        with said(**marks, llm__prompt_template__version="v2"):
            answer(lineage)
        assert len(lineage.spans) == 4
        assert told(lineage, "metadata") == {'{"tenant": "acme"}'}
        assert told(lineage, "tag.tags") == {("beta",)}
        assert told(lineage, "llm.prompt_template.version") == {"v2"}


def test_a_mark_further_in_is_on_the_spans_that_begin_there_and_below():
    with capture_trails() as lineage:
        with said(metadata="outer"):
            lineage.record(RunStarted("r", None, "app", "test", "q"))
            with said(metadata="inner"):
                lineage.record(RunStarted("node", "r", "node", "test"))
            in_a_thread(lambda: search(lineage, "node"))
            lineage.record(RunEnded("node"))
            lineage.record(RunEnded("r", "It is."))
        marked = {span.name: span.attributes["metadata"] for span in lineage.spans}
        assert marked == {
            "retrieval R": "inner",
            "node": "inner",
            "invoke_workflow app": "outer",
        }


def test_a_thread_without_the_context_has_the_marks_and_the_parent_of_its_run():
    with capture_trails() as lineage:
        with said(metadata="m"):
            lineage.record(RunStarted("r", None, "app", "test", "q", "s"))
            in_a_thread(lambda: search(lineage))
            lineage.record(RunEnded("r", "It is."))
        assert told(lineage, "metadata") == {"m"}
        assert told(lineage, "session.id") == {"s"}
        assert lineage.span_tree() == [["invoke_workflow app", [["retrieval R", []]]]]


def test_openinferences_own_context_managers_are_understood():
    marking = pytest.importorskip("openinference.instrumentation")
    with capture_trails() as lineage:
        around = marking.using_attributes(
            session_id="s",
            user_id="u",
            metadata={"tenant": "acme"},
            tags=["beta"],
            prompt_template="Say {what}",
            prompt_template_version="v2",
            prompt_template_variables={"what": "it"},
        )
        with around:
            answer(lineage)
        assert told(lineage, "session.id") == {"s"}
        assert told(lineage, "user.id") == {"u"}
        assert told(lineage, "metadata") == {'{"tenant": "acme"}'}
        assert told(lineage, "tag.tags") == {("beta",)}
        assert told(lineage, "llm.prompt_template.version") == {"v2"}


# Which span it is in.


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def users(lineage, name):
    return lineage.tracer_provider.get_tracer("app").start_span(name).end()


def test_what_a_search_opens_inside_is_below_it():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "q"))
        lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
        with lineage.within("ret"):
            users(lineage, "SELECT")
        users(lineage, "elsewhere")
        lineage.record(RetrievalEnded("ret", [RetrievedChunk(TEXT, "c0", "doc")]))
        lineage.record(RunEnded("r", "It is."))
        tree = [["invoke_workflow app", [["retrieval R", [["SELECT", []]]]]], ["elsewhere", []]]
        assert lineage.span_tree() == tree


def test_what_a_block_opens_is_below_it_and_the_context_is_as_before_after_it():
    with capture_trails() as lineage:
        before = context.get_current()
        with lineage.scope():
            users(lineage, "SELECT")
            answer(lineage)
        assert context.get_current() is before
        ((name, below),) = lineage.span_tree()
        assert name.startswith("invoke_workflow")
        assert {child for child, _ in below} == {"SELECT", "app"}


async def test_what_blocks_by_hand_open_is_below_them():
    from doctrail_core.manual import generation, response, retrieval, tool

    with capture_trails() as lineage:
        before = context.get_current()
        with response("q", lineage=lineage):
            users(lineage, "in response")
            with retrieval("q", lineage=lineage) as search:
                users(lineage, "in retrieval")
                search.found([TEXT])
            async with tool("search", lineage=lineage):
                users(lineage, "in tool")
            with generation(TEXT, model="m-1", lineage=lineage) as call:
                users(lineage, "in generation")
                call.said("It is.")
        assert context.get_current() is before
        by_id = {span.context.span_id: span.name for span in lineage.spans}
        above = {s.name: by_id[s.parent.span_id] for s in lineage.spans if s.name.startswith("in ")}
        assert [
            above[f"in {block}"].split(" ")[0] for block in ("retrieval", "tool", "generation")
        ] == [
            "retrieval",
            "execute_tool",
            "chat",
        ]
        assert above["in response"].startswith("invoke_workflow")


def test_a_block_that_raises_leaves_the_context_as_it_was():
    with capture_trails() as lineage:
        before = context.get_current()
        with pytest.raises(KeyError), lineage.scope():
            raise KeyError
        assert context.get_current() is before


def test_within_a_run_that_is_not_open_nothing_happens():
    with capture_trails() as lineage:
        before = context.get_current()
        with lineage.within("nobody"):
            assert context.get_current() is before
        assert lineage.errors == []


@pytest.mark.parametrize("spans", ["none", "missing"])
def test_without_tracing_the_context_stays(spans):
    from doctrail_core import Lineage
    from doctrail_core.testing.capture import MemoryStorage

    lineage = Lineage(Settings(spans=spans), storage=MemoryStorage())
    lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
    before = context.get_current()
    with lineage.within("ret"):
        assert context.get_current() is before
    lineage.record(RetrievalEnded("ret", []))


def test_a_generator_that_is_closed_elsewhere_disturbs_nobody(caplog):
    """By another thread, or by the garbage collector, in another context."""

    def stream(lineage):
        with lineage.scope() as opened:
            opened.answer = "It is."
            yield 1
            yield 2

    with capture_trails() as lineage, caplog.at_level(logging.DEBUG):
        running = stream(lineage)
        contextvars.copy_context().run(next, running)
        before = context.get_current()
        in_a_thread(running.close)
        assert context.get_current() is before
        left = stream(lineage)
        contextvars.copy_context().run(next, left)
        del left
        gc.collect()
        assert context.get_current() is before
        assert "detach" not in caplog.text
        assert lineage.open_count == 0


async def test_blocks_of_tasks_at_once_keep_apart():
    async def one(lineage, number):
        with lineage.scope(session_id=f"s{number}"):
            await asyncio.sleep(0)
            users(lineage, f"SELECT {number}")
            await asyncio.sleep(0)
            search(lineage, None, f"ret-{number}")

    with capture_trails() as lineage:
        before = context.get_current()
        await asyncio.gather(*(one(lineage, number) for number in range(8)))
        assert context.get_current() is before
        by_id = {span.context.span_id: span for span in lineage.spans}
        for span in lineage.spans:
            if span.name.startswith("SELECT"):
                root = by_id[span.parent.span_id]
                assert root.attributes["session.id"] == f"s{span.name[-1]}"


steps = st.lists(
    st.sampled_from(["enter", "leave", "leave the first", "attach", "detach", "within", "end"]),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_blocks_in_whatever_order_never_leak_when_all_are_left(todo):
    """Blocks are context managers that somebody may leave in another order, with marks of others between."""

    def run():
        with capture_trails() as lineage:
            managers, tokens = [], []
            before = context.get_current()
            for step in todo:
                if step == "enter":
                    managers.append(lineage.scope())
                    managers[-1].__enter__()
                elif step == "within":
                    managers.append(lineage.within("nobody"))
                    managers[-1].__enter__()
                elif step == "attach" and not managers:
                    tokens.append(context.attach(context.set_value("x", 1)))
                elif step == "detach" and tokens and not managers:
                    context.detach(tokens.pop())
                elif step in ("leave", "end") and managers:
                    managers.pop().__exit__(None, None, None)
            while managers:
                managers.pop().__exit__(None, None, None)
            while tokens:
                context.detach(tokens.pop())
            assert context.get_current() == before
            assert lineage.open_count == 0
            assert lineage.errors == []

    contextvars.copy_context().run(run)


def test_a_span_that_is_the_ambient_one_already_stays_the_object_that_it_is():
    """So that who writes to the current span writes to one that records."""
    with capture_trails() as lineage:
        tracer = lineage.tracer_provider.get_tracer("app")
        with tracer.start_as_current_span("POST /ask") as span:
            from doctrail_core.telemetry.spans import _inside

            with _inside(trace.NonRecordingSpan(span.get_span_context())):
                assert trace.get_current_span() is span


def test_children_that_begin_at_once_have_one_parent():
    def begin(lineage, gate, number):
        gate.wait(20)
        search(lineage, "r", f"ret-{number}")

    for _ in range(30):
        with capture_trails() as lineage, ThreadPoolExecutor(8) as pool:
            gate = threading.Barrier(8)
            lineage.record(RunStarted("r", None, "app", "test", "q"))
            list(pool.map(lambda n, one=lineage, g=gate: begin(one, g, n), range(8)))
            lineage.record(RunEnded("r", "It is."))
            ((_, below),) = lineage.span_tree()
            assert len(below) == 8


# That no spans are wanted.


def by_key():
    return said(**{SUPPRESS: True})


def plainly():
    return said(suppress_instrumentation=True)


def by_openinference():
    return pytest.importorskip("openinference.instrumentation").suppress_tracing()


def by_opentelemetry():
    return pytest.importorskip("opentelemetry.instrumentation.utils").suppress_instrumentation()


@pytest.mark.parametrize("suppress", [by_key, plainly, by_openinference, by_opentelemetry])
def test_where_tracing_is_suppressed_there_are_no_spans_and_the_record_is_complete(
    suppress, make_assessment
):
    with capture_trails() as plain:
        answer(plain)
    with capture_trails() as lineage:
        with suppress():
            answer(lineage)
        (trail,) = lineage.trails
        lineage.assessed(make_assessment(trail, generation_id="llm"))
        assert lineage.spans == ()
        assert trail.trace_id is None
        assert [g.span_id for g in trail.generations] == [None]
        assert trail.contexts == plain.trails[0].contexts
        assert [kind for kind, _ in lineage.entries] == ["retrieved", "answered", "assessed"]
        assert lineage.errors == []


def test_what_is_suppressed_in_the_middle_has_no_spans_and_the_rest_has():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "q"))
        search(lineage)
        with by_key():
            lineage.record(RunStarted("quiet", "r", "quiet", "test"))
            ranked = [RankedChunk("c0", 0.5)]
            lineage.record(Reranked("r", "Judge", lineage.now(), ranked, ranked))
            ask(lineage, "r", "muted")
        ask(lineage, "quiet", "unheard")
        lineage.record(RunEnded("quiet"))
        ask(lineage)
        lineage.record(RunEnded("r", "It is."))
        below = [["retrieval R", []], ["context assembly", []], ["chat m-1", []]]
        assert lineage.span_tree() == [["invoke_workflow app", below]]
        (trail,) = lineage.trails
        assert [g.generation_id for g in trail.generations] == ["muted", "unheard", "llm"]
        assert [g.span_id is None for g in trail.generations] == [True, True, False]
        assert len(trail.contexts) == 3
        assert len(trail.reranks) == 1


def test_what_begins_suppressed_stays_so_though_it_ends_outside():
    with capture_trails() as lineage:
        with by_key():
            lineage.record(RunStarted("r", None, "app", "test", "q"))
        search(lineage)
        ask(lineage)
        lineage.record(RunEnded("r", "It is."))
        assert lineage.spans == ()
        assert lineage.trails[0].answer == "It is."


def test_spans_of_others_inside_of_a_suppressed_search_stay_where_they_were():
    with capture_trails() as lineage:
        tracer = lineage.tracer_provider.get_tracer("app")
        with tracer.start_as_current_span("POST /ask"):
            with by_key():
                lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
            with lineage.within("ret"):
                users(lineage, "SELECT")
            lineage.record(RetrievalEnded("ret", []))
        assert lineage.span_tree() == [["POST /ask", [["SELECT", []]]]]
