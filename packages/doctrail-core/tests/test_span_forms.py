"""The forms that the conventions ask for: messages, models, status, what came when."""

import asyncio
import json
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
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
from doctrail_core.model import Message, RankedChunk, ToolRequest
from doctrail_core.telemetry import doctrail, genai, openinference
from doctrail_core.testing import capture_trails
from doctrail_core.testing.capture import FIRST_TICK, TICK, MemoryStorage

TEXT = "The renewal deadline is February 28th."
TEXTS = Settings(span_content=True)
PROMPT = (Message("user", TEXT),)


def search(lineage, run_id="ret", parent="r", text=TEXT, chunk="c0"):
    lineage.record(RetrievalStarted(run_id, parent, "R", "q", "test", "session-7", "ada"))
    lineage.record(RetrievalEnded(run_id, [RetrievedChunk(text, chunk, "doc")]))


def ask(lineage, run_id="llm", parent="r", messages=PROMPT, **ended):
    lineage.record(PromptSent(run_id, parent, messages, "test", "m-1", session_id="session-7"))
    lineage.record(GenerationEnded(run_id, **({"output": "It is."} | ended)))


def named(lineage, start):
    return next(span for span in lineage.spans if span.name.startswith(start))


# Messages and models, as OpenTelemetry's GenAI conventions have them.


def test_messages_are_made_of_parts():
    messages = [
        Message("system", "Be brief."),
        Message("user", "When?"),
        Message("assistant", None),
        Message("tool", "February 28th.", "call_1"),
        Message("tool", None, "call_2"),
    ]
    with capture_trails(TEXTS) as lineage:
        ask(lineage, parent=None, messages=messages)
        told = json.loads(named(lineage, "chat").attributes["gen_ai.input.messages"])
        assert told == [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "When?"}]},
            {"role": "assistant", "parts": []},
            {
                "role": "tool",
                "parts": [
                    {"type": "tool_call_response", "id": "call_1", "response": "February 28th."}
                ],
            },
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "call_2", "response": ""}],
            },
        ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"q": "renewal", "k": 2}', {"q": "renewal", "k": 2}),
        ("q=renewal", "q=renewal"),
        ('{"q": NaN}', '{"q": NaN}'),
        ("[" * 10_000, "[" * 10_000),
    ],
)
def test_the_arguments_of_a_tool_call_are_an_object_where_the_text_is_one(arguments, told):
    with capture_trails(TEXTS) as lineage:
        ask(lineage, parent=None, tool_requests=[ToolRequest("search", arguments, "call_1")])
        (reply,) = json.loads(named(lineage, "chat").attributes["gen_ai.output.messages"])
        call = {"type": "tool_call", "id": "call_1", "name": "search", "arguments": told}
        said = {"type": "text", "content": "It is."}
        assert reply == {"role": "assistant", "parts": [said, call]}


def test_a_tool_call_without_arguments_or_id_has_none():
    with capture_trails(TEXTS) as lineage:
        ask(lineage, parent=None, output=None, tool_requests=[ToolRequest("search")])
        (reply,) = json.loads(named(lineage, "chat").attributes["gen_ai.output.messages"])
        assert reply["parts"] == [{"type": "tool_call", "name": "search"}]


@pytest.mark.parametrize(
    ("requested", "responded", "names"),
    [
        ("m", "m-2026", ("chat m", "m", "m-2026", "m-2026")),
        ("m", None, ("chat m", "m", None, "m")),
        ("m", "m", ("chat m", "m", None, "m")),
        (None, "m-2026", ("chat m-2026", None, "m-2026", "m-2026")),
        (None, None, ("chat", None, None, None)),
    ],
)
def test_the_model_that_was_asked_for_and_the_one_that_answered(requested, responded, names):
    with capture_trails() as lineage:
        lineage.record(PromptSent("llm", None, [], "test", requested))
        lineage.record(GenerationEnded("llm", "It is.", responded))
        span = named(lineage, "chat")
        attributes = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name")
        assert (span.name, *map(span.attributes.get, attributes)) == names


@pytest.mark.parametrize(
    ("message_id", "told"),
    [("chatcmpl-1", "chatcmpl-1"), ("lc_run--5f0c8a3e-0", None), (None, None)],
)
def test_an_id_that_the_host_made_up_is_not_told_as_the_provider_s(message_id, told):
    with capture_trails() as lineage:
        ask(lineage, run_id="5f0c8a3e", parent=None, message_id=message_id)
        assert named(lineage, "chat").attributes.get("gen_ai.response.id") == told
        assert lineage.trails[0].generations[0].message_id == message_id


# Status.


def statuses(lineage):
    found = {
        span.name.split(" ")[0]: (
            span.status.status_code.name,
            span.attributes.get("error.type"),
        )
        for span in lineage.spans
    }
    status = next(
        (s.attributes["doctrail.response.status"] for s in lineage.spans if s.parent is None), None
    )
    return found, status


def begin(lineage):
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))


def test_what_ended_is_ok():
    with capture_trails() as lineage:
        begin(lineage)
        lineage.record(RetrievalEnded("ret", []))
        lineage.record(RunEnded("r", "It is."))
        ok = ("OK", None)
        assert statuses(lineage) == ({"retrieval": ok, "invoke_workflow": ok}, "ok")


def test_what_raised_is_an_error_of_its_kind():
    with capture_trails() as lineage:
        begin(lineage)
        lineage.record(RunFailed("ret", ValueError("no")))
        lineage.record(RunFailed("r", KeyError("no")))
        told, status = statuses(lineage)
        assert told["retrieval"] == ("ERROR", "ValueError")
        assert told["invoke_workflow"] == ("ERROR", "KeyError")
        assert status == "error"


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt(), SystemExit(1)]
)
def test_what_somebody_stopped_is_no_error(error):
    with capture_trails() as lineage:
        begin(lineage)
        lineage.record(RunFailed("r", error))
        told, status = statuses(lineage)
        assert told["invoke_workflow"] == ("UNSET", type(error).__name__)
        assert told["retrieval"] == ("UNSET", "never ended")
        assert status == "aborted"


def test_what_waits_for_a_human_is_neither():
    with capture_trails() as lineage:
        begin(lineage)
        lineage.record(RetrievalEnded("ret", []))
        lineage.record(RunEnded("r", interrupted=True))
        told, status = statuses(lineage)
        assert told == {"retrieval": ("OK", None), "invoke_workflow": ("UNSET", None)}
        assert status == "interrupted"


def test_what_its_host_lost_is_neither():
    with capture_trails() as lineage:
        begin(lineage)
        lineage.close()
        told, status = statuses(lineage)
        assert told["invoke_workflow"][0] == told["retrieval"][0] == "UNSET"
        assert status == "interrupted"


def test_a_run_in_which_nothing_was_searched_or_asked_has_its_error_too():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "q"))
        lineage.record(RunFailed("r", ValueError("the reason")))
        (span,) = lineage.spans
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ValueError"
        assert span.status.description is None


# A search or a model call that nothing is around.


def test_a_search_alone_is_of_its_session_and_response():
    with capture_trails() as lineage:
        search(lineage, parent=None)
        (span,) = lineage.spans
        assert span.attributes["session.id"] == "session-7"
        assert span.attributes["user.id"] == "ada"
        assert span.attributes["doctrail.response.id"] == lineage.trails[0].response_id == "ret"
        assert lineage.trails[0].trace_id == f"{span.context.trace_id:032x}"


def test_a_model_call_alone_likewise():
    with capture_trails() as lineage:
        ask(lineage, parent=None)
        (span,) = lineage.spans
        assert span.attributes["session.id"] == "session-7"
        assert span.attributes["doctrail.response.id"] == lineage.trails[0].response_id == "llm"
        assert lineage.trails[0].generations[0].span_id == f"{span.context.span_id:016x}"


# What came when.


def test_each_prompt_has_its_assembly_from_what_came_last_before_it():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "q"))
        search(lineage)
        ask(lineage, "first")
        ask(lineage, "second")
        search(lineage, "again", text="Another text that says more of it.", chunk="c1")
        both = (Message("user", f"{TEXT} Another text that says more of it."),)
        ask(lineage, "third", messages=both)
        lineage.record(RunEnded("r", "It is."))
        spans = sorted(lineage.spans, key=lambda span: span.start_time)
        assert [span.name.split(" ")[0] for span in spans] == [
            "invoke_workflow",
            "retrieval",
            "context",
            "chat",
            "context",
            "chat",
            "retrieval",
            "context",
            "chat",
        ]
        ends = [span.end_time for span in spans]
        for place in (2, 4, 7):  # they lie between what was before and the call
            assert spans[place].start_time == ends[place - 1]
            assert spans[place].end_time == spans[place + 1].start_time
        read = [s.attributes["doctrail.context.arrived"] for s in spans if "context" in s.name]
        assert read == [1, 1, 2]


def test_a_rerank_is_written_where_it_happened_with_its_own_times():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "q"))
        search(lineage)
        given = [RankedChunk("c0", 0.5), RankedChunk("c1")]
        told = Reranked("r", "Judge", FIRST_TICK, given, given[:1], at=FIRST_TICK + TICK)
        lineage.record(told)
        lineage.record(RunEnded("r", "It is."))
        span = named(lineage, "rerank Judge")
        assert (span.start_time, span.end_time) == (FIRST_TICK, FIRST_TICK + TICK)
        assert span.attributes["reranker.input_documents.0.document.score"] == 0.5
        assert "reranker.input_documents.1.document.score" not in span.attributes
        assert "reranker.output_documents.1.document.id" not in span.attributes


def test_a_check_has_the_times_of_the_check(make_assessment):
    with capture_trails() as lineage:
        search(lineage, parent=None)
        (trail,) = lineage.trails
        started = trail.ended_at + timedelta(minutes=5)
        lineage.assessed(
            make_assessment(trail, started_at=started, ended_at=started + timedelta(seconds=2))
        )
        span = named(lineage, "grounding")
        assert span.end_time - span.start_time == 2_000_000_000
        assert span.events[0].timestamp == span.end_time


# What nobody records is not built.


def test_for_a_trace_that_is_not_sampled_no_attribute_is_made(monkeypatch, make_assessment):
    def built(*_):
        pytest.fail("it was built for nobody")

    for family in (doctrail, genai, openinference):
        monkeypatch.setattr(family, "write", built)
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    storage = MemoryStorage()
    lineage = Lineage(TEXTS, tracer_provider=provider, storage=storage)
    lineage.record(RunStarted("r", None, "app", "test", "q"))
    search(lineage)
    lineage.record(RetrievalDescribed("ret", 2))
    lineage.record(ToolCalled("tool", "r", "search", "test"))
    lineage.record(ToolReturned("tool", "found"))
    ask(lineage)
    lineage.record(RunEnded("r", "It is."))
    (trail,) = storage.trails.closed
    lineage.assessed(make_assessment(trail, generation_id="llm"))
    assert trail.trace_id is not None
    assert trail.generations[0].span_id is not None
    assert storage.faults.errors == []
