"""What other instrumentations have open is read with care, and not at all where there are none."""

from types import SimpleNamespace

import pytest
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index_instrumentation import get_dispatcher
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags

from doctrail_core.model import SpanReference
from llama_index.observability.doctrail import LineageInstrumentor, handlers, neighbours

OPENINFERENCE = "openinference.instrumentation.llama_index._handler"
OPENLLMETRY = "opentelemetry.instrumentation.llamaindex.dispatcher_wrapper"
GENAI = "opentelemetry.instrumentation.genai.llama_index._handler"


def span(*, sampled=True):
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=flags))


def listens(module, **kept):
    """A handler as this module would have one, which keeps these of its open spans."""
    handler = type("Handler", (SimpleSpanHandler,), {"__module__": module})()
    handler.open_spans = {name.replace("_", "."): one for name, one in kept.items()}
    get_dispatcher().add_span_handler(handler)
    return handler


def invocation(started, **kwargs):
    return SimpleNamespace(_invocation=SimpleNamespace(span=span(), _start_span=started))


NAMED = SpanReference(f"{0xABC:032x}", f"{0xDEF:016x}")


@pytest.mark.parametrize(
    ("module", "kept"),
    [
        (OPENINFERENCE, SimpleNamespace(_otel_span=span())),
        (OPENLLMETRY, SimpleNamespace(otel_span=span())),
        (GENAI, invocation(started=True)),
    ],
)
def test_the_span_of_another_instrumentation_is_found(module, kept):
    listens(module, a_b=kept)
    assert neighbours.any_listens()
    assert neighbours.written("a.b") == NAMED
    assert neighbours.written("a.c") is None


def test_a_span_that_is_not_sampled_says_so():
    listens(OPENINFERENCE, a_b=SimpleNamespace(_otel_span=span(sampled=False)))
    assert neighbours.written("a.b") == SpanReference(NAMED.trace_id, NAMED.span_id, sampled=False)


@pytest.mark.parametrize(
    ("module", "kept"),
    [
        (OPENINFERENCE, SimpleNamespace(_span=span())),
        (OPENINFERENCE, SimpleNamespace(_otel_span="a span")),
        (OPENINFERENCE, SimpleNamespace(_otel_span=INVALID_SPAN)),
        (OPENLLMETRY, SimpleNamespace(otel_span=None)),
        (GENAI, invocation(started=False)),
        (GENAI, SimpleNamespace(_invocation=None)),
    ],
)
def test_what_is_not_as_expected_is_as_if_it_were_not_there(module, kept):
    listens(module, a_b=kept)
    assert neighbours.written("a.b") is None


def test_what_cannot_be_read_is_said_once(caplog):
    neighbours._say_once.cache_clear()
    listens(OPENINFERENCE, a_b=SimpleNamespace(_span=span()))
    assert [neighbours.written("a.b"), neighbours.written("a.b")] == [None, None]
    [said] = caplog.messages
    assert said.startswith(f"doctrail cannot read the spans of {OPENINFERENCE} (AttributeError)")


def test_a_handler_without_open_spans_is_none_to_ask():
    listens(OPENINFERENCE).open_spans = None
    assert neighbours.written("a.b") is None


@pytest.mark.parametrize("module", ["mine", "openinference.instrumentation.llama_index_of_mine"])
def test_handlers_of_others_are_left_alone(module):
    listens(module, a_b=SimpleNamespace(_otel_span=span()))
    assert not neighbours.any_listens()
    assert neighbours.written("a.b") is None


def test_only_who_writes_spans_of_agents_is_asked_for_one():
    listens(OPENINFERENCE, a_b=SimpleNamespace(_otel_span=span()))
    assert neighbours.agent("a.b") is None
    listens(GENAI, a_b=invocation(started=True))
    assert neighbours.agent("a.b") == NAMED


def test_who_begins_to_listen_later_is_told_first_from_then_on(rag, captured):
    """Of that very query, too: each is told once of every span."""
    LineageInstrumentor(captured).install()
    entered = []

    class Listening(SimpleSpanHandler):
        def span_enter(self, id_, *args, **kwargs):
            entered.append((id_, handlers.RUNS._open.get(id_)))

    get_dispatcher().add_span_handler(Listening())
    rag.engine(rag.retriever()).query(rag.question)
    assert [found for _, found in entered] == [None] * len(entered)
    assert len({id_ for id_, _ in entered}) == len(entered)
    assert get_dispatcher().span_handlers[-1] is handlers._SPANS
    assert get_dispatcher().span_handlers.count(handlers._SPANS) == 1
    assert [len(trail.retrievals) for trail in captured.trails] == [1]


def test_who_no_longer_listens_is_not_brought_back(rag, captured):
    instrumentor = LineageInstrumentor(captured).install()
    instrumentor.uninstall()
    rag.llm.complete("Well?")
    assert not any(handler is handlers._SPANS for handler in get_dispatcher().span_handlers)
