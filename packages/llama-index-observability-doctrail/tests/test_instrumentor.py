"""The instrumentor records everything from install to uninstall; a scope groups what is inside it."""

import contextvars
import threading

import pytest
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index_instrumentation import get_dispatcher

import doctrail_core
from doctrail_core import suppress
from doctrail_core.testing import capture_trails
from llama_index.observability.doctrail import (
    LineageInstrumentor,
    LineageQueryEngine,
    LineageRetriever,
    handlers,
)


def installed():
    root = get_dispatcher()
    return (
        [h for h in root.event_handlers if h is handlers._EVENTS],
        [h for h in root.span_handlers if h is handlers._SPANS],
    )


def test_every_query_is_recorded_until_it_is_uninstalled(rag, captured):
    instrumentor = LineageInstrumentor(captured).install()
    engine = rag.engine(rag.retriever())
    engine.query(rag.question)
    assert [t.question for t in captured.trails] == [rag.question]
    assert instrumentor.last is captured.trails[0]
    instrumentor.uninstall()
    engine.query(rag.question)
    assert len(captured.trails) == 1
    assert installed() == ([], [])


def test_installing_twice_records_once(rag, captured):
    instrumentor = LineageInstrumentor(captured).install().install()
    rag.engine(rag.retriever()).query(rag.question)
    assert len(captured.trails) == 1
    assert [len(found) for found in installed()] == [1, 1]
    instrumentor.uninstall()
    assert installed() == ([], [])


def test_the_handlers_of_others_stay_even_if_they_are_equal(captured):
    class TheirEvents(BaseEventHandler):
        def handle(self, event, **kwargs):
            pass

        def __eq__(self, other):
            return True

        __hash__ = None

    class TheirSpans(BaseSpanHandler):
        def new_span(self, *args, **kwargs):
            pass

        def prepare_to_exit_span(self, *args, **kwargs):
            pass

        def prepare_to_drop_span(self, *args, **kwargs):
            pass

        def __eq__(self, other):
            return True

        __hash__ = None

    root = get_dispatcher()
    events, spans = TheirEvents(), TheirSpans()
    root.add_event_handler(events)
    root.add_span_handler(spans)
    instrumentor = LineageInstrumentor(captured).install()
    assert [len(found) for found in installed()] == [1, 1]
    instrumentor.uninstall()
    assert any(h is events for h in root.event_handlers)
    assert any(h is spans for h in root.span_handlers)


def test_a_scope_alone_has_unwrapped_calls_recorded(rag, captured):
    with captured.scope(session_id="s-1") as opened:
        assert [len(found) for found in installed()] == [1, 1]
        rag.index.as_retriever(similarity_top_k=1).retrieve(rag.question)
    trail = opened.trail
    assert trail is not None
    assert (trail.session_id, trail.framework) == ("s-1", "llama_index")
    assert len(trail.retrievals) == 1


def test_uninstalling_leaves_wrapped_retrievers_at_work(rag, captured):
    engine = rag.engine()
    LineageInstrumentor(captured).install().uninstall()
    engine.query(rag.question)
    assert len(captured.trails) == 1


def test_of_several_the_one_installed_last_records(rag, captured):
    with capture_trails() as other:
        first, second = (
            LineageInstrumentor(other).install(),
            LineageInstrumentor(captured).install(),
        )
        rag.engine(rag.retriever()).query(rag.question)
        second.uninstall()
        rag.engine(rag.retriever()).query(rag.question)
        first.uninstall()
        assert [len(captured.trails), len(other.trails)] == [1, 1]


def test_without_a_lineage_of_its_own_it_records_to_that_of_the_process(rag, captured, monkeypatch):
    monkeypatch.setattr(doctrail_core, "default_lineage", lambda: captured)
    instrumentor = LineageInstrumentor().install()
    rag.engine(rag.retriever()).query(rag.question)
    assert instrumentor.lineage is captured
    assert len(captured.trails) == 1


def test_separate_calls_in_a_scope_are_one_response(rag, captured, instrumented):
    with captured.scope(session_id="s1", user_id="u1") as opened:
        nodes = rag.retriever().retrieve(rag.question)
        context = "\n".join(n.node.get_content() for n in nodes)
        rag.llm.complete(f"{context}\n\n{rag.question}")
    [trail] = captured.trails
    assert trail is opened.trail
    assert [trail.session_id, trail.user_id] == ["s1", "u1"]
    assert [len(trail.retrievals), len(trail.generations)] == [1, 1]
    assert trail.answer == rag.answer
    assert trail.chunk_grades["chunk-renewal"] == "in_prompt"
    assert not trail.generations[0].auxiliary


def test_a_scope_works_with_a_wrapped_retriever_alone(rag, captured):
    retriever = rag.wrapped()
    with captured.scope() as opened:
        nodes = retriever.retrieve(rag.question)
        rag.synthesizer().synthesize(rag.question, nodes)
        rag.llm.complete("And in one word?")
    [trail] = captured.trails
    assert trail.response_id == opened.response_id
    assert [len(trail.retrievals), len(trail.generations)] == [1, 2]


def test_a_query_in_a_scope_belongs_to_it(rag, captured):
    engine = rag.engine()
    with captured.scope() as opened:
        engine.query(rag.question)
        engine.query("How long do refunds take?")
    assert [len(captured.trails), len(opened.trail.retrievals)] == [1, 2]


async def test_an_async_query_in_a_scope_belongs_to_it(rag, captured):
    with captured.scope() as opened:
        await rag.engine().aquery(rag.question)
    assert len(opened.trail.generations) == 1


def test_nothing_inside_suppress_is_recorded(rag, captured, instrumented):
    engine = rag.engine()
    with suppress():
        engine.query(rag.question)
        rag.llm.complete("hello")
    assert captured.trails == []
    engine.query(rag.question)
    assert len(captured.trails) == 1


def test_what_is_suppressed_is_not_even_followed(rag, instrumented):
    followed = []

    class Looking(type(rag.llm)):
        def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
            followed.append(handlers.RUNS.open_count)
            return super().complete(prompt, formatted, **kwargs)

    rag.llm = Looking()
    with suppress():
        rag.engine(rag.retriever()).query(rag.question)
    assert followed == [0]


def test_what_is_suppressed_inside_of_a_query_leaves_no_trace_in_it(rag, captured, instrumented):
    check = rag.engine(rag.retriever())

    class Checking(type(rag.llm)):
        def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
            with suppress():
                check.query("Is that so?")
            return super().complete(prompt, formatted, **kwargs)

    rag.llm = Checking()
    rag.engine(rag.retriever()).query(rag.question)
    [trail] = captured.trails
    assert [len(trail.retrievals), len(trail.generations)] == [1, 1]


def test_a_synthesizer_on_its_own_is_an_answer(rag, captured, instrumented):
    nodes = rag.retriever().retrieve(rag.question)
    response = rag.synthesizer().synthesize(rag.question, nodes)
    retrieved, answered = captured.trails
    assert retrieved.generations == ()
    assert answered.question == rag.question
    assert answered.answer == str(response)


def test_a_model_call_on_its_own_is_an_answer(rag, captured, instrumented):
    rag.llm.complete("Hello?")
    [trail] = captured.trails
    assert trail.answer == rag.answer
    assert trail.retrievals == ()


def test_work_in_a_thread_with_the_context_belongs_to_the_scope(rag, captured, instrumented):
    retriever = rag.retriever()
    with captured.scope() as opened:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(retriever.retrieve, rag.question))
        thread.start()
        thread.join()
        rag.llm.complete("Well?")
    assert len(opened.trail.retrievals) == 1


@pytest.mark.parametrize(
    ("broken", "hook"),
    [
        ("contexts.describe", "span_enter"),
        ("contexts.chunks", "span_exit"),
        ("calls.messages", "LLMChatStartEvent"),
        ("calls.answered", "LLMChatEndEvent"),
    ],
)
def test_an_error_of_ours_is_counted_and_costs_the_user_nothing(
    rag, captured, instrumented, monkeypatch, broken, hook
):
    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(f"llama_index.observability.doctrail.{broken}", fail)
    assert str(rag.engine().query(rag.question)) == rag.answer
    assert {where for where, _ in captured.errors} == {f"llama_index.{hook}"}
    assert len(captured.trails) == 1
    captured.errors.clear()


def test_settings_that_mean_nothing_are_logged_and_cost_the_user_nothing(rag, monkeypatch, caplog):
    def fail():
        raise doctrail_core.SettingsError("content is 'maybe'")

    monkeypatch.setattr(doctrail_core, "default_lineage", fail)
    engine = LineageQueryEngine(rag.engine(LineageRetriever(rag.retriever())))
    assert str(engine.query(rag.question)) == rag.answer
    assert "content is 'maybe'" in caplog.text
