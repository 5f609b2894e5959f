"""However much there is, and whatever it is, each span arrives, with what matters most."""

import json
import math
from contextlib import contextmanager
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationEnded,
    PromptSent,
    Reranked,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import Message, RankedChunk, SpanReference, ToolRequest, Usage
from doctrail_core.telemetry.stages import Written, as_json, writable
from doctrail_core.testing.capture import MemoryStorage, TickingClock

try:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
except ImportError:  # it is no dependency of this package
    encode_spans = None

TEXT = "The renewal deadline is February 28th, number {}."
STAGES = {
    "invoke_agent": "AGENT",
    "invoke_workflow": "CHAIN",
    "retrieval": "RETRIEVER",
    "rerank": "RERANKER",
    "context assembly": "CHAIN",
    "chat": "LLM",
    "execute_tool": "TOOL",
}


class Traced:
    """A lineage whose spans have these limits."""

    def __init__(self, settings=None, **limits):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(span_limits=SpanLimits(**limits), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.storage = MemoryStorage()
        self.lineage = Lineage(
            settings or Settings(span_content=True, service="shop"),
            tracer_provider=self.provider,
            clock=TickingClock(),
            storage=self.storage,
        )

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def named(self, start):
        return next(span for span in self.spans if span.name.startswith(start))


@contextmanager
def traced(settings=None, **limits):
    one = Traced(settings, **limits)
    yield one
    one.lineage.close()
    one.provider.shutdown()


def answer(lineage, documents=200, messages=300, requests=100, text=TEXT, **odd):
    """As much as there can be, in every stage."""
    ids = [f"c{n}" for n in range(documents)]
    lineage.record(RunStarted("r", None, "app", "test", "When?", "session-7", "ada", agent=True))
    lineage.record(RetrievalStarted("ret", "r", "Retriever", "When?", "test"))
    described = RetrievalDescribed("ret", odd.get("k", 200), {"a": 1}, "similarity", "handbook")
    lineage.record(described)
    found = [
        RetrievedChunk(text.format(n), ids[n], f"d{n}", n, {"page": n}, 1 - n / 1000)
        for n in range(documents)
    ]
    lineage.record(RetrievalEnded("ret", found))
    ranked = [RankedChunk(chunk_id, 0.5) for chunk_id in ids]
    started = lineage.now()
    lineage.record(Reranked("r", "Judge", started, ranked, ranked, "When?", "rr-1", 200))
    lineage.record(ContextSelected("r", ids[:50], "Judge"))
    lineage.record(ToolCalled("tool", "r", "search", "test", "{}", "call_0"))
    lineage.record(ToolReturned("tool", "found"))
    prompt = [Message("system", "\n".join(text.format(n) for n in range(50)))]
    prompt += [Message("tool", f"said {n}", f"call_{n}") for n in range(messages - 1)]
    sent = PromptSent("llm", "r", prompt, "test", "m-1", "openai", {"temperature": 0})
    lineage.record(sent)
    asks = [ToolRequest("search", '{"q": 1}', f"call_{n}") for n in range(requests)]
    usage = Usage(10, 4, 14)
    lineage.record(GenerationEnded("llm", "It is.", "m-2", usage, ["stop"], "msg-1", asks))
    lineage.record(RunEnded("r", "It is."))


def test_much_of_everything_drops_no_attribute():
    with traced() as told:
        answer(told.lineage)
        assert {span.name: span.dropped_attributes for span in told.spans} == {
            "retrieval handbook": 0,
            "rerank Judge": 0,
            "execute_tool search": 0,
            "chat m-1": 0,
            "context assembly": 0,
            "invoke_agent app": 0,
        }


def test_all_documents_and_messages_are_in_one_attribute_each():
    with traced() as told:
        answer(told.lineage)
        retrieval = told.named("retrieval").attributes
        for name in ("doctrail.retrieval.hits", "gen_ai.retrieval.documents", "output.value"):
            assert len(json.loads(retrieval[name])) == 200
        model = told.named("chat").attributes
        assert len(json.loads(model["gen_ai.input.messages"])) == 300
        (reply,) = json.loads(model["gen_ai.output.messages"])
        assert len(reply["parts"]) == 101
        arrivals = json.loads(told.named("context").attributes["doctrail.context.arrivals"])
        assert len(arrivals) == 200


def test_the_best_ranks_the_instructions_and_the_latest_messages_have_attributes_of_their_own():
    with traced() as told:
        answer(told.lineage)
        retrieval, model = told.named("retrieval").attributes, told.named("chat").attributes
        ids = [retrieval[f"retrieval.documents.{n}.document.id"] for n in range(16)]
        assert ids == [f"c{n}" for n in range(16)]
        assert "retrieval.documents.16.document.id" not in retrieval
        contents = [model[f"llm.input_messages.{n}.message.content"] for n in range(16)]
        assert contents[0].startswith("The renewal deadline")
        assert contents[1:] == [f"said {n}" for n in range(284, 299)]


CORE = {
    "invoke_agent": ["doctrail.response.id", "doctrail.response.status", "input.value"],
    "retrieval": ["doctrail.retrieval.hits", "gen_ai.retrieval.documents", "gen_ai.data_source.id"],
    "rerank": ["reranker.model_name", "reranker.top_k", "session.id"],
    "context assembly": ["doctrail.context.arrivals", "doctrail.response.id"],
    "chat": ["gen_ai.request.model", "llm.model_name", "gen_ai.usage.input_tokens", "session.id"],
    "execute_tool": ["tool.name", "gen_ai.tool.call.id", "session.id"],
}


def test_where_few_attributes_fit_those_that_say_what_the_span_is_are_kept():
    with traced(max_span_attributes=32) as told:
        answer(told.lineage)
        for start, wanted in CORE.items():
            span = told.named(start)
            assert span.attributes["openinference.span.kind"] == STAGES[start]
            assert [name for name in wanted if name not in span.attributes] == [], start
        retrieval = told.named("retrieval")
        assert retrieval.dropped_attributes > 0
        assert retrieval.attributes["retrieval.documents.0.document.id"] == "c0"


@pytest.mark.parametrize("most", range(24, 64))
def test_where_few_attributes_fit_no_document_is_without_its_id(most):
    with traced(max_span_attributes=most) as told:
        answer(told.lineage)
        names = set(told.named("retrieval").attributes)
        listed = {n.split(".")[2] for n in names if n.startswith("retrieval.documents.")}
        assert {f"retrieval.documents.{i}.document.id" for i in listed} <= names


def test_where_few_attributes_fit_an_error_is_still_told():
    with traced(max_span_attributes=8) as told:
        told.lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
        told.lineage.record(RunFailed("ret", ValueError("no")))
        (span,) = told.spans
        assert span.attributes["error.type"] == "ValueError"
        assert span.attributes["gen_ai.operation.name"] == "retrieval"


def test_a_limit_on_the_length_of_values_costs_no_span():
    with traced(max_attribute_length=20) as told:
        answer(told.lineage)
        assert len(told.spans) == 6
        texts = [v for s in told.spans for v in s.attributes.values() if isinstance(v, str)]
        assert max(map(len, texts)) == 20
        assert told.storage.faults.errors == []


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf, "high", True, object()])
def test_what_is_no_score_is_nowhere(score):
    with traced() as told:
        told.lineage.record(RunStarted("r", None, "app", "test", "q"))
        told.lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
        told.lineage.record(RetrievalEnded("ret", [RetrievedChunk("text", "c0", score=score)]))
        ranked = [RankedChunk("c0", score)]
        told.lineage.record(Reranked("r", "Judge", told.lineage.now(), ranked, ranked))
        told.lineage.record(RunEnded("r", "a"))
        written = " ".join(span.to_json() for span in told.spans)
        assert "NaN" not in written
        assert "Infinity" not in written
        assert [n for s in told.spans for n in s.attributes if n.endswith(".score")] == []
        assert json.loads(told.named("retrieval").attributes["gen_ai.retrieval.documents"]) == [
            {"id": "c0"}
        ]


# Hostile values: whatever a host hands out under these names.

NASTY = [
    "\ud800 lone",
    "\x00 nul",
    "é \U0001f600",
    "x" * 100_000,
    "\u202egnirts",
    "",
    "   ",
    10**30,
    -(2**63),
    2**63,
    10**5000,
    math.nan,
    math.inf,
    object(),
    b"\xff\xfe",
    Decimal("1.5"),
    ["a", 1, None],
    [["nested"]],
    {"a": {"b": object()}},
    {1, 2},
    print,
]
nasty = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec=None, categories=None), max_size=20),
    st.integers(),
    st.floats(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
)
nasty_text = st.one_of(
    st.sampled_from([value for value in NASTY if isinstance(value, str)]),
    st.text(st.characters(codec=None, categories=None), max_size=20),
)


def encodable(value):
    if isinstance(value, tuple):
        assert len({type(item) for item in value}) <= 1
        return all(map(encodable, value))
    if isinstance(value, str):
        value.encode()
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool) or (isinstance(value, int) and -(2**63) <= value < 2**63)


@given(st.dictionaries(st.sampled_from("abc"), nasty))
def test_whatever_is_written_can_be_encoded(values):
    written = writable(values)
    assert all(encodable(tuple(v) if isinstance(v, list) else v) for v in written.values())
    assert all(values[name] is not None for name in written)


@given(nasty)
def test_whatever_is_made_json_is_json_and_can_be_encoded(value):
    written = as_json(value)
    if value is None:
        assert written is None
    else:
        written.encode()
        json.loads(written, parse_constant=pytest.fail, parse_int=str)


def test_values_that_are_fit_are_written_as_they_are():
    told = {"a": "text", "b": 1, "c": True, "d": 0.5, "e": ["x", "y"], "f": 2**63 - 1}
    assert writable(told) == told
    assert Written(bulk={"a": None, "b": 1}, core={"c": None}).attributes() == {"b": 1}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nasty_text, nasty_text, nasty_text, nasty, nasty)
def test_no_value_of_a_host_costs_a_span(name, text, identity, number, anything):
    """Also what is typed is not always what a host hands out."""
    with traced() as told:
        lineage = told.lineage
        lineage.record(RunStarted("r", None, name, "test", text, identity or None, identity))
        lineage.record(RunStarted("step", "r", name, name, text))
        lineage.record(RetrievalStarted("ret", "step", name, text, "test"))
        lineage.record(RetrievalDescribed("ret", number, anything, name, name))
        found = RetrievedChunk(text, identity, identity, 0, {"odd": anything, name: text}, number)
        lineage.record(RetrievalEnded("ret", [found]))
        ranked = [RankedChunk(identity, number)]
        started = lineage.now()
        lineage.record(Reranked("step", name, started, ranked, ranked, text, name, number))
        lineage.record(ContextSelected("step", [], name))
        lineage.record(RunEnded("step", text))
        lineage.record(ToolCalled("tool", "r", name, "test", text, identity))
        lineage.record(RunFailed("tool", ValueError(text)))
        prompt = [Message("system", text), Message(name, text, identity)]
        sent = PromptSent("llm", "r", prompt, "test", name, name, {"odd": anything})
        lineage.record(sent)
        usage = Usage(number, number, number)
        asks = [ToolRequest(name, text, identity)]
        ended = GenerationEnded("llm", text, name, usage, [name], identity, asks)
        lineage.record(ended)
        lineage.record(RunEnded("r", text))
        kinds = sorted(span.attributes["openinference.span.kind"] for span in told.spans)
        assert set(kinds) >= {"RETRIEVER", "RERANKER", "TOOL", "LLM"}
        assert kinds.count("CHAIN") >= 2
        for span in told.spans:
            span.name.encode()
            (span.status.description or "").encode()
            assert all(map(encodable, span.attributes.values()))
        can_be_exported(told.spans)


def can_be_exported(spans):
    if encode_spans is not None:
        assert encode_spans(spans).SerializeToString()


def test_a_family_that_fails_costs_neither_the_others_nor_the_span(monkeypatch):
    from doctrail_core.telemetry import openinference

    def broken(*_):
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(openinference, "write", broken)
    with traced() as told:
        answer(told.lineage)
        assert len(told.spans) == 6
        assert told.named("chat").attributes["gen_ai.request.model"] == "m-1"
        assert {where for where, _ in told.storage.faults.errors} == {"spans"}


def test_an_end_that_comes_before_its_start_ends_the_span_at_its_start():
    with traced() as told:
        told.lineage.record(RetrievalStarted("ret", None, "R", "q", "test", at=2_000))
        told.lineage.record(RetrievalEnded("ret", [], at=1_000))
        (span,) = told.spans
        assert (span.start_time, span.end_time) == (2_000, 2_000)


def test_a_span_of_somebody_else_whose_ids_are_none_costs_nothing():
    with traced(Settings(spans="missing")) as told:
        nobody = SpanReference("0" * 32, "0" * 16)
        told.lineage.record(RetrievalStarted("ret", None, "R", "q", "test", span=nobody))
        told.lineage.record(RetrievalEnded("ret", []))
        assert told.storage.faults.errors == []
