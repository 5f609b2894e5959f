"""Spans of other instrumentations are found where they are open, and a change of theirs costs nothing more."""

import uuid
from types import SimpleNamespace

import pytest
from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from doctrail_core.model import SpanReference
from langchain_doctrail import neighbours

RUN = uuid.uuid4()
SPAN = NonRecordingSpan(SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=TraceFlags(1)))
REFERENCE = SpanReference("ab".zfill(32), "cd".zfill(16), sampled=True)


class OpenInferenceTracer(BaseCallbackHandler):
    """A fake of OpenInference's handler, as far as it is read."""

    def __init__(self, spans):
        self.spans = spans

    def get_span(self, run):
        return self.spans.get(run)


class TraceloopCallbackHandler(BaseCallbackHandler):
    """A fake of OpenLLMetry's."""

    def __init__(self, spans):
        self.spans = {run: SimpleNamespace(span=span) for run, span in spans.items()}


class OpenTelemetryLangChainCallbackHandler(BaseCallbackHandler):
    """A fake of OpenTelemetry's."""

    def __init__(self, spans, *, own=True):
        held = {run: SimpleNamespace(span=s, _start_span=own) for run, s in spans.items()}
        self._invocation_manager = SimpleNamespace(get_invocation=held.get)


@pytest.fixture
def instrumented(monkeypatch):
    """Have every callback manager get this handler, as instrumentations do it."""

    def instrument(handler):
        original = BaseCallbackManager.__init__

        def init(self, *args, **kwargs):
            original(self, *args, **kwargs)
            self.add_handler(handler)

        monkeypatch.setattr(BaseCallbackManager, "__init__", init)

    return instrument


@pytest.fixture
def find():
    """The look-up as a new process has it."""
    return neighbours._Neighbours().span_of


def test_where_nobody_else_listens_there_is_nothing(find):
    assert find(str(RUN)) is None


@pytest.mark.parametrize(
    "kind",
    [OpenInferenceTracer, TraceloopCallbackHandler, OpenTelemetryLangChainCallbackHandler],
)
def test_the_span_of_a_run_is_found_as_long_as_it_is_open(kind, find, instrumented):
    instrumented(kind({RUN: SPAN}))
    assert find(str(RUN)) == REFERENCE
    assert find(str(uuid.uuid4())) is None


def test_an_instrumentation_that_comes_or_goes_later_is_noticed(find, instrumented, monkeypatch):
    assert find(str(RUN)) is None
    instrumented(OpenInferenceTracer({RUN: SPAN}))
    assert find(str(RUN)) == REFERENCE
    monkeypatch.undo()
    assert find(str(RUN)) is None


def test_of_two_the_one_that_has_a_span_is_taken(find, instrumented):
    instrumented(OpenTelemetryLangChainCallbackHandler({}))
    instrumented(OpenInferenceTracer({RUN: SPAN}))
    assert find(str(RUN)) == REFERENCE


def test_a_span_that_is_not_sampled_is_one_all_the_same(find, instrumented):
    unsampled = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0)))
    instrumented(OpenInferenceTracer({RUN: unsampled}))
    assert find(str(RUN)).sampled is False


def test_a_span_without_ids_is_none(find, instrumented):
    instrumented(OpenInferenceTracer({RUN: NonRecordingSpan(SpanContext(0, 0, is_remote=False))}))
    assert find(str(RUN)) is None


def test_a_search_in_a_search_that_has_no_span_of_its_own_is_not_that_of_the_outer_one(
    find, instrumented
):
    instrumented(OpenTelemetryLangChainCallbackHandler({RUN: SPAN}, own=False))
    assert find(str(RUN)) is None


@pytest.mark.parametrize("run_id", [f"{RUN}/documents", "", "LLM.chat-7"])
def test_a_run_that_is_not_langchains_is_nobody_elses(run_id, find, instrumented):
    instrumented(OpenInferenceTracer({RUN: SPAN}))
    assert find(run_id) is None


def test_a_handler_that_is_not_as_it_was_is_told_of_once(find, instrumented, caplog):
    changed = OpenInferenceTracer({})
    changed.get_span = None
    instrumented(changed)
    assert [find(str(RUN)), find(str(RUN))] == [None, None]
    assert [r.getMessage() for r in caplog.records] == [
        "doctrail cannot read the spans of OpenInferenceTracer, and writes its own beside them"
    ]


def test_another_handler_that_everybody_gets_is_left_alone(find, instrumented):
    instrumented(BaseCallbackHandler())
    assert find(str(RUN)) is None


def test_an_instrumentation_that_breaks_callback_managers_is_told_of_once(
    find, monkeypatch, caplog
):
    def broken(self, *args, **kwargs):
        raise TypeError("the handlers are elsewhere now")

    monkeypatch.setattr(BaseCallbackManager, "__init__", broken)
    assert [find(str(RUN)), find(str(RUN))] == [None, None]
    assert [r.getMessage() for r in caplog.records] == [
        "doctrail cannot tell who else traces LangChain"
    ]
