"""The spans of an answer: their tree, their attributes, and what they keep to themselves."""

import json

import pytest
from inline_snapshot import snapshot
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
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
from doctrail_core.model import Message, Usage
from doctrail_core.testing import CapturedLineage, capture_trails
from doctrail_core.testing.capture import MemoryStorage

RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th."
QUESTION = "When is the renewal deadline?"


def answer(lineage: Lineage, chunks=2):
    lineage.record(RunStarted("r", None, "RunnableSequence", "test", QUESTION, "session-7", "ada"))
    lineage.record(RetrievalStarted("ret", "r", "VectorStoreRetriever", QUESTION, "test"))
    lineage.record(RetrievalDescribed("ret", 2, {"tenant": "acme"}, "similarity", "FAISS"))
    found = [
        RetrievedChunk(f"{RENEWAL} {n}", f"c{n}", "doc_4821", n, score=0.5, score_kind="distance")
        for n in range(chunks)
    ]
    lineage.record(RetrievalEnded("ret", found))
    lineage.record(ToolCalled("tool", "r", "search", "test", '{"q": "renewal"}', "call_1"))
    lineage.record(ToolReturned("tool", "result"))
    prompt = [Message("system", f"{RENEWAL} 0"), Message("user", QUESTION)]
    lineage.record(PromptSent("llm", "r", prompt, "test", "m-1", "openai", {"temperature": 0}))
    ended = GenerationEnded("llm", "February 28th.", None, Usage(10, 4, 14), ["stop"], "msg-1")
    lineage.record(ended)
    lineage.record(RunEnded("r", "February 28th."))


def named(lineage: CapturedLineage, name: str) -> ReadableSpan:
    return next(span for span in lineage.spans if span.name == name)


REQUEST = "invoke_workflow RunnableSequence"


def test_an_answer_is_one_trace_with_a_span_per_stage():
    with capture_trails() as lineage:
        answer(lineage)
        assert lineage.span_tree() == [
            [
                REQUEST,
                [
                    ["retrieval FAISS", []],
                    ["context assembly", []],
                    ["execute_tool search", []],
                    ["chat m-1", []],
                ],
            ]
        ]
        traces = {span.context.trace_id for span in lineage.spans if span.context}
        assert [f"{trace:032x}" for trace in traces] == [lineage.trails[0].trace_id]


def test_spans_say_by_ids_what_each_stage_did():
    conventions = frozenset({"openinference", "genai"})
    with capture_trails(Settings(span_families=conventions)) as lineage:
        answer(lineage)
        told = {span.name: dict(span.attributes or {}) for span in lineage.spans}
        assert told == snapshot(
            {
                "retrieval FAISS": {
                    "retrieval.documents.0.document.id": "c0",
                    "retrieval.documents.0.document.score": 0.5,
                    "retrieval.documents.1.document.id": "c1",
                    "retrieval.documents.1.document.score": 0.5,
                    "doctrail.response.id": "r",
                    "doctrail.retrieval.hits": '[{"chunk_id":"c0","document_id":"doc_4821","index":0,"score":0.5,"score_kind":"distance","content_hash":"sha256:bbd3c2e63a473c8de87b4e0cd188cc9e0def1ce8957702db51cab470ba831b81"},{"chunk_id":"c1","document_id":"doc_4821","index":1,"score":0.5,"score_kind":"distance","content_hash":"sha256:987446a4edef0894fe2f948ee4ecec9e33fad5b86812738b2f849c64971b0f90"}]',
                    "gen_ai.retrieval.documents": '[{"id":"c0","score":0.5},{"id":"c1","score":0.5}]',
                    "doctrail.retrieval.search_type": "similarity",
                    "doctrail.retrieval.retriever": "VectorStoreRetriever",
                    "doctrail.query.hash": "hmac-sha256:b634f380af0745e3d68c526fd450281d8d91f6d29ef40e1b9a1106f078596528",
                    "session.id": "session-7",
                    "user.id": "ada",
                    "gen_ai.data_source.id": "FAISS",
                    "gen_ai.conversation.id": "session-7",
                    "gen_ai.retrieval.top_k": 2,
                    "gen_ai.operation.name": "retrieval",
                    "openinference.span.kind": "RETRIEVER",
                },
                "execute_tool search": {
                    "doctrail.response.id": "r",
                    "session.id": "session-7",
                    "user.id": "ada",
                    "tool.name": "search",
                    "gen_ai.tool.name": "search",
                    "gen_ai.conversation.id": "session-7",
                    "gen_ai.tool.call.id": "call_1",
                    "gen_ai.operation.name": "execute_tool",
                    "openinference.span.kind": "TOOL",
                },
                "chat m-1": {
                    "doctrail.response.id": "r",
                    "session.id": "session-7",
                    "user.id": "ada",
                    "llm.token_count.prompt": 10,
                    "llm.token_count.completion": 4,
                    "llm.token_count.total": 14,
                    "gen_ai.usage.input_tokens": 10,
                    "gen_ai.usage.output_tokens": 4,
                    "gen_ai.response.finish_reasons": ("stop",),
                    "gen_ai.conversation.id": "session-7",
                    "gen_ai.response.id": "msg-1",
                    "llm.provider": "openai",
                    "gen_ai.provider.name": "openai",
                    "llm.model_name": "m-1",
                    "gen_ai.request.model": "m-1",
                    "gen_ai.operation.name": "chat",
                    "openinference.span.kind": "LLM",
                },
                "context assembly": {
                    "input.documents.0.document.id": "c0",
                    "input.documents.1.document.id": "c1",
                    "input.documents.0.document.score": 0.5,
                    "output.documents.0.document.id": "c0",
                    "input.documents.1.document.score": 0.5,
                    "doctrail.context.arrivals": '[{"chunk_id":"c0","state":"full","coverage":1.0,"order":0,"share":0.7019},{"chunk_id":"c1","state":"absent","coverage":0.0,"share":0.0,"reason":"not observed"}]',
                    "doctrail.context.offered": 2,
                    "doctrail.context.arrived": 1,
                    "doctrail.context.truncated": 0,
                    "doctrail.context.prompt.length": 104,
                    "doctrail.context.unexplained.length": 29,
                    "doctrail.response.id": "r",
                    "session.id": "session-7",
                    "user.id": "ada",
                    "openinference.span.kind": "CHAIN",
                    "gen_ai.conversation.id": "session-7",
                },
                "invoke_workflow RunnableSequence": {
                    "doctrail.response.document_ids": ("doc_4821",),
                    "doctrail.framework": "test",
                    "doctrail.query.hash": "hmac-sha256:b634f380af0745e3d68c526fd450281d8d91f6d29ef40e1b9a1106f078596528",
                    "doctrail.session.turn": 1,
                    "doctrail.response.status": "ok",
                    "doctrail.response.id": "r",
                    "session.id": "session-7",
                    "user.id": "ada",
                    "openinference.span.kind": "CHAIN",
                    "gen_ai.conversation.id": "session-7",
                    "gen_ai.workflow.name": "RunnableSequence",
                    "gen_ai.operation.name": "invoke_workflow",
                },
            }
        )


def test_no_text_is_on_a_span_unless_it_was_asked_for():
    with capture_trails() as lineage:
        answer(lineage)
        written = " ".join(str(span.to_json()) for span in lineage.spans)
        assert "February" not in written
        assert "renewal deadline" not in written
        assert "acme" not in written


def test_texts_stand_under_the_conventions_names_when_asked_for():
    with capture_trails(Settings(span_content=True)) as lineage:
        answer(lineage)
        request = named(lineage, REQUEST).attributes or {}
        retrieval = named(lineage, "retrieval FAISS").attributes or {}
        model = named(lineage, "chat m-1").attributes or {}
        assert (request["input.value"], request["output.value"]) == (QUESTION, "February 28th.")
        assert retrieval["retrieval.documents.0.document.content"] == f"{RENEWAL} 0"
        assert retrieval["gen_ai.retrieval.query.text"] == QUESTION
        assert model["llm.input_messages.1.message.content"] == QUESTION
        assert model["llm.output_messages.0.message.content"] == "February 28th."


def test_many_documents_evict_neither_the_best_ranks_nor_the_core_attributes():
    with capture_trails(Settings(span_content=True)) as lineage:
        answer(lineage, chunks=200)
        span = named(lineage, "retrieval FAISS")
        told = span.attributes or {}
        assert span.dropped_attributes == 0
        assert told["retrieval.documents.0.document.id"] == "c0"
        assert told["openinference.span.kind"] == "RETRIEVER"
        assert len(json.loads(str(told["doctrail.retrieval.hits"]))) == 200


def test_an_absent_score_is_on_no_span():
    with capture_trails() as lineage:
        lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
        lineage.record(RetrievalEnded("ret", [RetrievedChunk(RENEWAL, "c0", "doc_4821")]))
        (span,) = lineage.spans
        told = span.attributes or {}
        assert not [name for name in told if "score" in name]
        assert json.loads(str(told["gen_ai.retrieval.documents"])) == [{"id": "c0"}]


def test_a_failed_stage_is_an_error_whose_message_stays_private():
    with capture_trails() as lineage:
        lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
        lineage.record(RunFailed("ret", ValueError("the secret")))
        (span,) = lineage.spans
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "ValueError"
        assert "the secret" not in span.to_json()


def test_every_span_ends_also_those_of_runs_that_never_do():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
        lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
        lineage.record(PromptSent("llm", "r", [], "test", "m-1"))
        lineage.record(RunFailed("r", KeyboardInterrupt()))
        assert sorted(s.name for s in lineage.spans) == [
            "chat m-1",
            "invoke_workflow chain",
            "retrieval R",
        ]


def test_a_response_hangs_under_the_callers_span():
    with capture_trails() as lineage:
        tracer = lineage.tracer_provider.get_tracer("app")
        with tracer.start_as_current_span("POST /ask"):
            answer(lineage)
        ((name, below),) = lineage.span_tree()
        assert (name, [child for child, _ in below]) == ("POST /ask", [REQUEST])


def test_an_unsampled_response_is_recorded_with_its_trace_id():
    storage = MemoryStorage()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    lineage = Lineage(Settings(), tracer_provider=provider, storage=storage)
    answer(lineage)
    (trail,) = storage.trails.closed
    assert trail.trace_id is not None
    assert storage.faults.errors == []


class Broken(SpanProcessor):
    """A processor of the application with a defect."""

    def __init__(self, *fails, at=REQUEST):
        self.fails, self.at = fails, at

    def on_start(self, span, parent_context=None):
        self.meet("start", span)

    def on_end(self, span):
        self.meet("end", span)

    def meet(self, moment, span):
        if moment in self.fails and span.name.startswith(self.at):
            raise RuntimeError("a defect of the application")


def recorded_beside(processor):
    """What is on record, and the names of the spans that got past the processor."""
    storage, exporter = MemoryStorage(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    answer(Lineage(Settings(), tracer_provider=provider, storage=storage))
    return storage, sorted(span.name for span in exporter.get_finished_spans())


@pytest.mark.parametrize("fails", [("start",), ("end",), ("start", "end")])
@pytest.mark.parametrize("at", ["", REQUEST, "retrieval", "context", "chat"])
def test_a_span_processor_that_raises_costs_nothing_that_is_on_record(fails, at):
    sound, _ = recorded_beside(SpanProcessor())
    storage, _ = recorded_beside(Broken(*fails, at=at))
    assert [kind for kind, _ in storage.ledger.entries] == [k for k, _ in sound.ledger.entries]
    (trail,), (whole,) = storage.trails.closed, sound.trails.closed
    assert (trail.status, trail.answer, trail.documents) == ("ok", whole.answer, whole.documents)
    assert len(trail.generations) == len(trail.retrievals) == len(trail.contexts) == 1
    assert {where for where, _ in storage.faults.errors} == {"spans"}


def test_inside_of_a_span_that_could_not_be_started_there_is_none():
    assert recorded_beside(Broken("start", at=REQUEST))[1] == []
    _, names = recorded_beside(Broken("start", at="retrieval"))
    assert names == ["chat m-1", "context assembly", "execute_tool search", REQUEST]


@pytest.mark.parametrize("settings", [Settings(spans="none"), Settings()])
def test_without_a_provider_or_spans_there_is_no_trace_id(settings):
    storage = MemoryStorage()
    lineage = Lineage(settings, storage=storage)
    answer(lineage)
    assert storage.trails.closed[0].trace_id is None
    assert storage.faults.errors == []


def test_a_session_that_is_told_inside_of_the_request_is_on_its_context_assembly():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", QUESTION))
        lineage.record(RunStarted("step", "r", "step", "test", QUESTION, "session-7", "ada"))
        lineage.record(RetrievalStarted("ret", "step", "R", QUESTION, "test"))
        lineage.record(RetrievalEnded("ret", [RetrievedChunk(RENEWAL, "c0", "doc")]))
        lineage.record(RunEnded("step", "found"))
        lineage.record(PromptSent("llm", "r", [Message("user", RENEWAL)], "test", "m-1"))
        lineage.record(GenerationEnded("llm", "February 28th."))
        lineage.record(RunEnded("r", "February 28th."))
        told = named(lineage, "context assembly").attributes or {}
        assert (told["session.id"], told["user.id"]) == ("session-7", "ada")


def test_a_call_is_named_after_the_model_that_its_answer_names():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
        lineage.record(PromptSent("llm", "r", [], "test"))
        lineage.record(GenerationEnded("llm", "yes", "m-2"))
        lineage.record(RunEnded("r"))
        assert "chat m-2" in [span.name for span in lineage.spans]
