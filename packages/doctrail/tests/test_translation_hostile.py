"""Whatever spans say, translating them never raises and depends on the set of them alone."""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from doctrail.receiver.span import ReceivedEvent, ReceivedSpan
from doctrail.receiver.translation import translate
from doctrail_core.capture.events import (
    Event,
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.testing import capture_trails

STARTS = (RunStarted, RetrievalStarted, PromptSent, ToolCalled)
ENDS = (RunEnded, RunFailed, RetrievalEnded, GenerationEnded, ToolReturned)

NAMES = st.sampled_from(
    [
        "agent.name",
        "db.query.result.document",
        "db.query.result.id",
        "db.query.result.metadata",
        "db.query.result.score",
        "doctrail.response.id",
        "error.type",
        "exception.message",
        "exception.type",
        "gen_ai.agent.name",
        "gen_ai.choice",
        "gen_ai.completion",
        "gen_ai.completion.0.content",
        "gen_ai.conversation.id",
        "gen_ai.data_source.id",
        "gen_ai.event.content",
        "gen_ai.input.messages",
        "gen_ai.operation.name",
        "gen_ai.output.messages",
        "gen_ai.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.0.role",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.retrieval.documents",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.top_k",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.usage.input_tokens",
        "graph.node.id",
        "input.value",
        "llm.choices",
        "llm.finish_reason",
        "llm.input_messages",
        "llm.input_messages.0.message.content",
        "llm.input_messages.0.message.contents.0.message_content.text",
        "llm.input_messages.0.message.role",
        "llm.input_messages.9999999999999999999999.message.role",
        "llm.invocation_parameters",
        "llm.model_name",
        "llm.output_messages.0.message.content",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
        "llm.prompts",
        "llm.request.type",
        "llm.token_count.prompt",
        "metadata",
        "output.value",
        "reranker.input_documents.0.document.id",
        "reranker.output_documents",
        "reranker.output_documents.0.document.id",
        "reranker.query",
        "retrieval.documents",
        "retrieval.documents.0.document.content",
        "retrieval.documents.0.document.id",
        "retrieval.documents.0.document.metadata",
        "retrieval.documents.0.document.score",
        "retrieval.documents.x.document.id",
        "session.id",
        "tool.name",
        "tool_call.id",
        "traceloop.association.properties",
        "traceloop.entity.input",
        "traceloop.entity.name",
        "traceloop.entity.output",
        "traceloop.span.kind",
        "user.id",
    ]
)
KINDS = st.sampled_from(
    [
        "AGENT",
        "CHAIN",
        "EMBEDDING",
        "EVALUATOR",
        "GUARDRAIL",
        "LLM",
        "PROMPT",
        "RERANKER",
        "RETRIEVER",
        "TOOL",
        "UNKNOWN",
    ]
)
OPERATIONS = st.sampled_from(
    [
        "chat",
        "embeddings",
        "execute_task",
        "execute_tool",
        "invoke_agent",
        "invoke_workflow",
        "rerank",
        "retrieval",
        "search_memory",
        "vector_db_retrieve",
    ]
)
WORDS = st.sampled_from(
    [
        "__REDACTED__",
        '{"query": "q"}',
        '{"documents": [{"id": "a", "page_content": "t", "metadata": {"source": "s"}}]}',
        '{"messages": [["user", "q"], {"type": "ai", "data": {"content": "a"}}]}',
        '[{"role": "tool", "parts": [{"type": "tool_call_response", "response": {"n": 1}}]}]',
        "[" * 2000,
        '{"n": NaN, "big": 1e999}',
        "chat",
        "task",
        "9" * 5000,
        "nan",
        "\ud800",
        "\0",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS | KINDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            NAMES | st.sampled_from(["content", "type", "role", "id"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=8)
IDS = st.integers(1, 8).map(lambda number: f"{number:016x}")
TIMES = st.sampled_from([0, 1, 5, 2**63, 2**64 - 1]) | st.integers(0, 100)
EVENTS = st.builds(
    ReceivedEvent,
    st.sampled_from(["exception", "db.query.result", "gen_ai.user.message", "gen_ai.choice", ""]),
    TIMES,
    ATTRIBUTES,
)


@st.composite
def spans(draw: st.DrawFn) -> ReceivedSpan:
    told = draw(ATTRIBUTES)
    said = draw(st.sampled_from(["openinference.span.kind", "gen_ai.operation.name", ""]))
    if said:
        told[said] = draw(KINDS if said.startswith("open") else OPERATIONS)
    return ReceivedSpan(
        trace_id=draw(st.sampled_from(["a" * 32, "b" * 32])),
        span_id=draw(IDS),
        parent_id=draw(st.none() | IDS),
        name=draw(st.sampled_from(["A.retrieve", "A._retrieve", "chat", "", "\ud800"])),
        kind=draw(st.sampled_from(["internal", "server", "consumer"])),
        start=draw(TIMES),
        end=draw(TIMES),
        attributes=told,
        events=tuple(draw(st.lists(EVENTS, max_size=2))),
        status=draw(st.sampled_from(["unset", "ok", "error"])),
        status_message=draw(st.text(max_size=5)),
        scope=draw(st.sampled_from(["", "doctrail", "openinference.instrumentation.x", "app"])),
        resource=draw(st.sampled_from([{}, {"service.name": "a"}])),
    )


def sane(events: Sequence[Event], response_id: str) -> None:
    """Every run begins once, within a run that is open, and ends once; the response begins and ends."""
    open_runs: set[str] = set()
    seen: set[str] = set()
    for event in events:
        if isinstance(event, STARTS):
            assert event.run_id not in seen
            assert event.parent_id is None or event.parent_id in open_runs
            open_runs.add(event.run_id)
            seen.add(event.run_id)
        elif isinstance(event, ENDS):
            assert event.run_id in open_runs
            open_runs.discard(event.run_id)
        else:
            assert event.run_id in open_runs
        assert getattr(event, "at", 0) is not None
    assert open_runs == set()
    assert events[0].run_id == events[-1].run_id == response_id
    assert [e for e in events if isinstance(e, STARTS) and e.parent_id is None] == [events[0]]


HARD = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)


@HARD
@given(st.lists(spans(), max_size=10), st.randoms(use_true_random=False))
def test_nothing_that_a_span_says_makes_it_raise_and_the_order_does_not_matter(
    told: list[ReceivedSpan], order: Any
) -> None:
    found = translate(told)
    for response in found:
        sane(response.events, response.response_id)
    assert len({response.response_id for response in found}) == len(found)
    shuffled = told + told[: len(told) // 2]
    order.shuffle(shuffled)
    assert repr(translate(shuffled)) == repr(found)


@HARD
@given(st.lists(spans(), min_size=1, max_size=6))
def test_the_recorder_takes_whatever_comes_of_it(told: list[ReceivedSpan]) -> None:
    with capture_trails() as lineage:
        found = translate(told)
        for response in found:
            for event in response.events:
                lineage.record(event)
        assert lineage.errors == []
        assert lineage.tally.open == 0
        assert [t.response_id for t in lineage.trails] == [r.response_id for r in found]


@given(st.dictionaries(st.text(), VALUES, max_size=5))
@example({"openinference.span.kind": "RETRIEVER", "": {"": {"": 1}}})
def test_any_name_is_an_attribute(told: dict[str, Any]) -> None:
    span = ReceivedSpan("a" * 32, "b" * 16, None, "chat", "client", 1, 2, told)
    translate([span])
