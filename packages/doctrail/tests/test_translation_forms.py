"""What spans may look like that no recording has: older conventions, other languages, broken traces."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from doctrail.receiver.span import ReceivedEvent, ReceivedSpan
from doctrail.receiver.translation import translate
from doctrail.receiver.translation.exchange import answer_in, question_in
from doctrail.receiver.translation.messages import messages_in
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RunEnded,
    RunStarted,
)
from doctrail_core.model import Message, Trail
from doctrail_core.testing import capture_trails

TRACE = "0123456789abcdef0123456789abcdef"
RESPONSE = "01234567-89ab-cdef-0123-456789abcdef"
SECOND = 1_000_000_000
EPOCH = 1_767_225_600 * SECOND
TEXT = "The renewal of an enterprise contract must be declared by February 28th of each year."
QUESTION = "When must the renewal be declared?"
ANSWER = "By February 28th."


def span(  # a span has as many
    number: int,
    kind: str | None = None,
    parent: int | None = None,
    at: tuple[float, float] = (0, 1),
    attributes: Mapping[str, Any] | None = None,
    name: str | None = None,
    **rest: Any,
) -> ReceivedSpan:
    told = {"openinference.span.kind": kind} if kind else {}
    start, end = (EPOCH + int(second * SECOND) for second in at)
    return ReceivedSpan(
        **{
            "trace_id": TRACE,
            "span_id": f"{number:016x}",
            "parent_id": None if parent is None else f"{parent:016x}",
            "name": name or f"span {number}",
            "kind": "internal",
            "start": start,
            "end": end,
            "attributes": told | dict(attributes or {}),
            "scope": "openinference.instrumentation.example",
            **rest,
        }
    )


def search(number: int, parent: int | None = None, at: tuple[float, float] = (1, 2), **rest: Any):
    told = {
        "input.value": QUESTION,
        "retrieval.documents.0.document.id": "c1",
        "retrieval.documents.0.document.content": TEXT,
        "retrieval.documents.0.document.metadata": '{"document_id": "d1"}',
    }
    return span(number, "RETRIEVER", parent, at, told | rest.pop("more", {}), **rest)


def model(number: int, parent: int | None = None, at: tuple[float, float] = (3, 4), **rest: Any):
    told = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": f"{TEXT}\n\n{QUESTION}",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": ANSWER,
    }
    return span(number, "LLM", parent, at, told | rest.pop("more", {}), **rest)


def trails_of(*spans: ReceivedSpan) -> list[Trail]:
    with capture_trails() as lineage:
        for response in translate(spans):
            for event in response.events:
                lineage.record(event)
        assert lineage.errors == []
        assert lineage.dropped == {}
        assert lineage.tally.open == 0
        return list(lineage.trails)


def trail_of(*spans: ReceivedSpan) -> Trail:
    (trail,) = trails_of(*spans)
    return trail


def kinds(spans: Sequence[ReceivedSpan]) -> list[str]:
    (response,) = translate(spans)
    return [type(event).__name__ for event in response.events]


# --- older and other forms of messages


def test_numbered_prompts_and_completions_are_messages() -> None:
    told = {
        "llm.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "gpt-4",
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.10.role": "tool",
        "gen_ai.prompt.10.content": TEXT,
        "gen_ai.prompt.10.tool_call_id": "call-1",
        "gen_ai.prompt.2.role": "user",
        "gen_ai.prompt.2.content": json.dumps([{"type": "text", "text": QUESTION}]),
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": ANSWER,
        "gen_ai.completion.0.finish_reason": "stop",
        "gen_ai.completion.0.tool_calls.0.name": "search",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"query": "q"}',
        "gen_ai.completion.0.tool_calls.0.id": "call-2",
        "gen_ai.usage.prompt_tokens": 7,
        "gen_ai.usage.completion_tokens": 3,
        "llm.usage.total_tokens": 10,
    }
    (generation,) = trail_of(span(1, attributes=told)).generations
    assert generation.messages == (
        Message("system", "Be brief."),
        Message("user", QUESTION),
        Message("tool", TEXT, "call-1"),
    )
    assert (generation.output, generation.finish_reasons) == (ANSWER, ("stop",))
    assert (generation.model, generation.provider) == ("gpt-4", "OpenAI")
    (request,) = generation.tool_requests
    assert (request.name, request.arguments, request.tool_call_id) == (
        "search",
        '{"query": "q"}',
        "call-2",
    )
    assert generation.usage
    assert (generation.usage.input_tokens, generation.usage.total_tokens) == (7, 10)


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def event(name: str, at: int = 0, **attributes: Any) -> ReceivedEvent:
    return ReceivedEvent(name, EPOCH + at, {k.replace("__", "."): v for k, v in attributes.items()})


@pytest.mark.parametrize(
    "events",
    [
        [
            event("gen_ai.choice", 3, message=json.dumps({"content": ANSWER})),
            event("gen_ai.user.message", 2, content=QUESTION),
            event("gen_ai.system.message", 1, content="Be brief."),
        ],
        [
            event("gen_ai.system.message", 1, gen_ai__event__content='{"content": "Be brief."}'),
            event("gen_ai.user.message", 2, gen_ai__event__content={"content": QUESTION}),
            event(
                "gen_ai.choice",
                3,
                gen_ai__event__content={"index": 0, "message": {"content": ANSWER}},
            ),
        ],
        [
            event(
                "gen_ai.content.prompt",
                gen_ai__prompt=json.dumps(
                    [
                        {"role": "system", "content": "Be brief."},
                        {"role": "user", "content": QUESTION},
                    ]
                ),
            ),
            event(
                "gen_ai.content.completion",
                gen_ai__completion=json.dumps([{"role": "assistant", "content": ANSWER}]),
            ),
        ],
        [
            event(
                "gen_ai.client.inference.operation.details",
                gen_ai__system_instructions=[{"type": "text", "content": "Be brief."}],
                gen_ai__input__messages=[
                    {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}
                ],
                gen_ai__output__messages=[
                    {"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]}
                ],
            )
        ],
    ],
)
def test_messages_in_events_of_the_span_are_messages(events: list[ReceivedEvent]) -> None:
    (generation,) = trail_of(span(1, attributes=CHAT, events=tuple(events))).generations
    assert generation.messages == (Message("system", "Be brief."), Message("user", QUESTION))
    assert generation.output == ANSWER


@pytest.mark.parametrize("form", [json.dumps, lambda value: value])
def test_messages_are_json_or_structured(form: Any) -> None:
    told = {
        "gen_ai.input.messages": form(
            [
                {"role": "user", "parts": [{"type": "text", "content": QUESTION}]},
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}}],
                },
                {
                    "role": "tool",
                    "parts": [{"type": "tool_call_response", "id": "c", "response": TEXT}],
                },
            ]
        ),
        "gen_ai.output.messages": form(
            [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Let me think."},
                        {"type": "text", "content": ANSWER},
                        {"type": "tool_call", "id": "d", "name": "g", "arguments": {"b": 2}},
                    ],
                    "finish_reason": "stop",
                }
            ]
        ),
        "gen_ai.response.id": "msg-7",
        "gen_ai.response.finish_reasons": form(["stop"]),
    }
    (generation,) = trail_of(span(1, attributes=CHAT | told)).generations
    assert generation.messages == (
        Message("user", QUESTION),
        Message("assistant", None),
        Message("tool", TEXT, "c"),
    )
    assert (generation.output, generation.message_id) == (ANSWER, "msg-7")
    assert [(r.name, r.arguments) for r in generation.tool_requests] == [("g", '{"b": 2}')]
    assert generation.finish_reasons == ("stop",)


def test_prompts_of_completion_models_are_what_the_user_said() -> None:
    several = {"llm.prompts.0.prompt.text": "One.", "llm.prompts.1.prompt.text": "Two."}
    for told in (several, {"llm.prompts": ["One.", "Two."]}):
        completion = {"llm.choices.0.completion.text": ANSWER}
        (generation,) = trail_of(span(1, "LLM", attributes=told | completion)).generations
        assert generation.messages == (Message("user", "One."), Message("user", "Two."))
        assert generation.output == ANSWER


def test_parts_of_a_message_are_read_and_pictures_are_not() -> None:
    told = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Look:",
        "llm.input_messages.0.message.contents.1.message_content.type": "image",
        "llm.input_messages.0.message.contents.1.message_content.image.image.url": "data:abc",
        "llm.input_messages.0.message.contents.2.message_content.text": QUESTION,
    }
    (generation,) = trail_of(span(1, "llm", attributes=told)).generations
    assert generation.messages == (Message("user", f"Look:\n{QUESTION}"),)


def test_a_message_whose_text_is_hidden_has_none() -> None:
    told = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "__REDACTED__",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.contents.0.message_content.text": "__REDACTED__",
    }
    (generation,) = trail_of(span(1, "LLM", attributes=told)).generations
    assert generation.messages == (Message("user", None), Message("user", None))


# --- searches


def results(*found: Mapping[str, Any]) -> tuple[ReceivedEvent, ...]:
    return tuple(
        ReceivedEvent(
            "db.query.result", EPOCH + n, {f"db.query.result.{k}": v for k, v in f.items()}
        )
        for n, f in enumerate(found)
    )


def test_a_vector_stores_results_are_in_its_events() -> None:
    found = results(
        {"id": "a", "document": TEXT, "distance": 0.25, "metadata": '{"document_id": "d1"}'},
        {"id": "b", "document": "Lunch.", "score": 0.5},
    )
    told = {"db.system": "chroma", "db.vector.query.top_k": 2}
    (retrieval,) = trail_of(span(1, attributes=told, name="chroma.query", events=found)).retrievals
    assert (retrieval.store, retrieval.k) == ("chroma", 2)
    assert [(h.chunk.chunk_id, h.score, h.score_kind) for h in retrieval.hits] == [
        ("a", 0.25, "distance"),
        ("b", 0.5, "unknown"),
    ]
    assert retrieval.hits[0].chunk.document_id == "d1"


def test_the_store_below_a_retriever_is_the_same_search_and_tells_what_that_does_not() -> None:
    told = {"input.value": QUESTION}
    retriever = span(1, "RETRIEVER", attributes=told, name="Retriever")
    found = results({"id": "a", "document": TEXT, "score": 0.5})
    scope = "opentelemetry.instrumentation.chromadb"
    (retrieval,) = trail_of(
        retriever, span(2, parent=1, name="chroma.query", events=found, scope=scope)
    ).retrievals
    assert (retrieval.retriever, retrieval.query) == ("Retriever", QUESTION)
    assert [h.chunk.chunk_id for h in retrieval.hits] == ["a"]


def test_a_retriever_that_asks_others_holds_their_searches() -> None:
    trail = trail_of(search(1, name="Outer", at=(0, 9)), search(2, 1, name="Inner"))
    assert [(r.retriever, bool(r.enclosing_id)) for r in trail.retrievals] == [
        ("Inner", True),
        ("Outer", False),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        QUESTION,
        json.dumps({"query": QUESTION}),
        json.dumps({"query_bundle": {"query_str": QUESTION, "embedding": None}}),
        json.dumps({"args": [QUESTION], "kwargs": {}}),
        json.dumps({"input": {"query": QUESTION}, "k": 3}),
    ],
)
def test_the_query_stands_in_the_input_in_many_forms(asked: str) -> None:
    (retrieval,) = trail_of(search(1, more={"input.value": asked})).retrievals
    assert retrieval.query == QUESTION


def test_the_number_and_the_filters_that_were_asked_for_are_told() -> None:
    asked = json.dumps({"query": QUESTION, "top_k": 4, "filters": {"year": 2026}})
    (retrieval,) = trail_of(search(1, more={"input.value": asked})).retrievals
    assert (retrieval.k, retrieval.filters) == (4, {"year": 2026})


def test_a_tool_that_found_documents_is_a_search() -> None:
    found = search(1)
    told = dict(found.attributes) | {"openinference.span.kind": "TOOL"}
    (retrieval,) = trail_of(span(1, attributes=told)).retrievals
    assert [h.chunk.chunk_id for h in retrieval.hits] == ["c1"]


def test_a_retriever_that_is_called_an_agent_is_a_search() -> None:
    told = dict(search(1).attributes) | {"openinference.span.kind": "AGENT"}
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)),
        span(2, None, 1, (1, 2), told, name="AgentDocsRetriever"),
        model(3, 1),
    )
    assert [r.retriever for r in trail.retrievals] == ["AgentDocsRetriever"]
    assert trail.steps == ()


def test_a_step_that_kept_no_document_filtered_all_of_them() -> None:
    given = "<NodeWithScore(node=TextNode(id_=c1), score=0.9)>"
    told = {"input.value": json.dumps({"nodes": [given]}), "output.value": "[]"}
    step = span(3, "CHAIN", 1, (2, 3), told, name="Cutoff._postprocess_nodes")
    other = {"llm.input_messages.0.message.content": QUESTION}
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), search(2, 1), step, model(4, 1, more=other))
    (context,) = trail.contexts
    assert [(a.reason, a.reason_detail) for a in context.arrivals] == [("filtered", "by Cutoff")]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "Cutoff._postprocess_nodes",
            {
                "input.value": json.dumps(
                    {
                        "nodes": [
                            "<NodeWithScore(node=TextNode(id_=c1), score=0.9)>",
                            "<NodeWithScore(node=TextNode(id_=c(2)), score=None)>",
                        ]
                    }
                ),
                "output.value": json.dumps(["<NodeWithScore(node=TextNode(id_=c1), score=0.9)>"]),
            },
        ),
        (
            "Cutoff",
            {
                "input.documents.0.document.id": "c1",
                "input.documents.1.document.id": "c(2)",
                "output.documents.0.document.id": "c1",
            },
        ),
    ],
)
def test_a_step_that_kept_some_documents_filtered_the_others(
    name: str, told: dict[str, Any]
) -> None:
    doc = "retrieval.documents.1.document"
    both = {f"{doc}.id": "c(2)", f"{doc}.content": "Lunch is served from noon on."}
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)),
        search(2, 1, more=both),
        span(3, "CHAIN", 1, (2, 3), told, name=name),
        model(4, 1),
    )
    (context,) = trail.contexts
    assert {a.chunk_id: (a.reason, a.reason_detail) for a in context.arrivals} == {
        "c1": (None, None),
        "c(2)": ("filtered", "by Cutoff"),
    }
    assert (trail.reranks, trail.steps) == ((), ())


@pytest.mark.parametrize("printed", ["[1]", '["<Node>"]', '["<NodeWithScore(node=None)>"]', "{"])
def test_nodes_that_are_printed_otherwise_choose_nothing(printed: str) -> None:
    given = "<NodeWithScore(node=TextNode(id_=c1), score=0.9)>"
    told = {"input.value": json.dumps({"nodes": [given]}), "output.value": printed}
    step = span(3, "CHAIN", 1, (2, 3), told, name="Cutoff._postprocess_nodes")
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), search(2, 1), step, model(4, 1))
    assert [a.reason for c in trail.contexts for a in c.arrivals] == [None]


def test_a_reranked_chunk_without_an_id_has_the_one_that_the_recorder_derives() -> None:
    found = {"retrieval.documents.0.document.content": TEXT}
    ranked = {
        "reranker.input_documents.0.document.content": TEXT,
        "reranker.output_documents.0.document.content": TEXT,
        "reranker.output_documents.0.document.score": 0.9,
    }
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)),
        span(2, "RETRIEVER", 1, (1, 2), found),
        span(3, "RERANKER", 1, (2, 3), ranked),
        model(4, 1, (4, 5)),
    )
    (kept,) = trail.reranks[0].kept
    assert kept.chunk_id == trail.retrievals[0].hits[0].chunk.chunk_id


def test_a_reranker_drops_only_what_it_was_given() -> None:
    told = "retrieval.documents.0.document"
    other = {f"{told}.id": "c2", f"{told}.content": "Lunch is served from noon on."}
    given = {
        "reranker.input_documents.0.document.id": "c3",
        "reranker.input_documents.1.document.id": "c1",
        "reranker.output_documents.0.document.id": "c1",
    }
    third = {f"{told}.id": "c3", f"{told}.content": "The canteen is closed on Sundays."}
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)),
        search(2, 1),
        search(3, 1, more=other),
        search(4, 1, more=third),
        span(5, "RERANKER", 1, (2, 3), given),
        model(6, 1),
    )
    (context,) = trail.contexts
    assert {a.chunk_id: a.reason for a in context.arrivals} == {
        "c1": None,
        "c2": "not observed",
        "c3": "filtered",
    }


# --- which spans are what


def test_guards_and_rerankers_ask_models_that_answer_nobody() -> None:
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)),
        search(2, 1),
        span(3, "RERANKER", 1, (2, 3)),
        model(4, 3, (2.1, 2.9)),
        span(5, "GUARDRAIL", 1, (3, 4)),
        model(6, 5, (3.1, 3.9)),
        model(7, 1, (5, 6)),
    )
    assert [g.auxiliary for g in trail.generations] == [True, True, False]
    assert len(trail.contexts) == 1


def test_evaluations_are_no_part_of_an_answer_and_no_answer() -> None:
    judged = (span(8, "EVALUATOR", 1, (7, 8)), model(9, 8, (7.1, 7.9)))
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), search(2, 1), model(3, 1), *judged)
    assert len(trail.generations) == 1
    assert trails_of(*judged) == []


def test_embeddings_and_prompts_are_told_by_what_is_around_them() -> None:
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)),
        span(2, "PROMPT", 1, (0.1, 0.2)),
        span(3, "EMBEDDING", 1, (0.2, 2)),
        search(4, 3, (0.5, 1)),
        model(5, 1),
    )
    assert trail.steps == ()
    assert trail.retrievals[0].parent_id is None


def test_a_providers_call_inside_a_frameworks_is_one_call_told_by_both() -> None:
    outer = span(2, "LLM", 1, (3, 6), {"output.value": ANSWER, "llm.provider": "acme"})
    told = CHAT | {"gen_ai.usage.input_tokens": 7, "gen_ai.input.messages": json.dumps(QUESTION)}
    messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}])
    inner = span(3, None, 2, (4, 5), told | {"gen_ai.input.messages": messages}, scope="otel")
    (generation,) = trail_of(span(1, "CHAIN", at=(0, 9)), outer, inner).generations
    assert (generation.model, generation.provider, generation.output) == ("m", "acme", ANSWER)
    assert generation.messages == (Message("user", QUESTION),)
    assert generation.usage
    assert generation.usage.input_tokens == 7
    assert generation.span_id == outer.span_id


def provider(number: int, at: tuple[float, float], said: str = ANSWER, **rest: Any) -> ReceivedSpan:
    told = CHAT | {
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"content": said}]}],
    }
    return span(number, None, 1, at, told, **{"scope": "opentelemetry.openai", **rest})


def test_a_providers_call_beside_a_frameworks_is_one_call_if_it_said_the_same_meanwhile() -> None:
    request = span(1, at=(0, 30), scope="fastapi")
    (generation,) = trail_of(request, *chain(10, 1, 0), provider(2, (3.1, 3.9))).generations
    assert generation.span_id == f"{12:016x}"
    assert generation.usage
    assert (generation.usage.input_tokens, generation.model) == (7, "m")
    for other in (
        provider(2, (3.1, 3.9), said="Something else."),
        provider(2, (3.1, 4.1)),
        provider(2, (3.1, 3.9), scope="openinference.instrumentation.example"),
    ):
        trails = trails_of(request, *chain(10, 1, 0), other)
        assert sum(len(trail.generations) for trail in trails) == 2


def test_several_calls_inside_one_are_several() -> None:
    outer = span(2, "LLM", 1, (3, 9))
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), outer, model(3, 2, (4, 5)), model(4, 2, (6, 7)))
    assert [g.span_id for g in trail.generations] == [f"{3:016x}", f"{4:016x}"]


def test_a_span_of_the_applications_own_is_a_step() -> None:
    own = span(2, "CHAIN", 1, (0, 8), {"input.value": "part"}, name="answer", scope="my.app")
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), own, search(3, 2), model(4, 2))
    (step,) = trail.steps
    assert (step.name, step.input) == ("answer", "part")
    assert trail.generations[0].parent_id == step.step_id


def test_a_sub_agent_is_a_step() -> None:
    told = {"agent.name": "researcher"}
    trail = trail_of(
        span(1, "AGENT", at=(0, 9)), span(2, "AGENT", 1, (1, 8), told), search(3, 2), model(4, 2)
    )
    assert [step.name for step in trail.steps] == ["researcher"]


def test_an_agent_or_a_tool_that_is_told_twice_is_one() -> None:
    agent, tool = {"agent.name": "researcher"}, {"tool.name": "look_up"}
    trail = trail_of(
        span(1, "AGENT", None, (0, 9), agent),
        span(2, "AGENT", 1, (1, 8), agent | {"input.value": QUESTION}),
        span(3, "TOOL", 2, (1, 3), tool),
        span(4, "TOOL", 3, (1.1, 2.9), tool | {"output.value": TEXT}),
        search(5, 4, (1.5, 2)),
        model(6, 2),
    )
    assert (trail.question, trail.steps) == (QUESTION, ())
    (call,) = trail.tool_calls
    assert call.result == TEXT
    assert trail.retrievals[0].parent_id == call.tool_run_id


def test_a_chain_that_nothing_happens_in_is_no_step() -> None:
    trail = trail_of(
        span(1, "CHAIN", at=(0, 9)), span(2, "AGENT", 1, (1, 2)), search(3, 1), model(4, 1)
    )
    assert trail.steps == ()


def test_a_guessed_role_or_number_is_none() -> None:
    told = {
        "llm.input_messages.0.message.content": QUESTION,
        "llm.token_count.prompt": "many",
        "llm.token_count.completion": True,
        "llm.finish_reason": ["stop"],
        "llm.model_name": 4,
    }
    (generation,) = trail_of(span(1, "LLM", attributes=told)).generations
    assert generation.messages == (Message("user", QUESTION),)
    assert (generation.usage, generation.finish_reasons, generation.model) == (None, (), "4")


# --- which spans are one answer


def test_what_a_request_called_one_by_one_is_one_answer() -> None:
    request = span(1, at=(0, 9), name="POST /chat", scope="fastapi")
    trail = trail_of(request, search(2, 1), model(3, 1))
    assert trail.response_id == RESPONSE
    assert (trail.answer, trail.documents[0].grade) == (ANSWER, "in_prompt")


def test_a_search_before_a_chain_that_only_answers_is_part_of_the_answer() -> None:
    request = span(1, at=(0, 9), scope="fastapi")
    chain = span(3, "CHAIN", 1, (3, 8), {"input.value": QUESTION, "output.value": ANSWER})
    trail = trail_of(request, search(2, 1), chain, model(4, 3))
    assert (len(trail.retrievals), len(trail.generations)) == (1, 1)
    assert trail.documents[0].grade == "in_prompt"


def test_spans_under_one_parent_that_never_came_are_one_answer() -> None:
    trail = trail_of(search(2, 1), model(3, 1))
    assert (len(trail.retrievals), len(trail.generations)) == (1, 1)
    assert trail.trace_id == TRACE
    other_parents = trail_of(search(2, 1), model(3, 8))
    assert (len(other_parents.retrievals), len(other_parents.generations)) == (1, 1)


def test_a_search_that_asks_a_model_first_has_not_answered_yet() -> None:
    request = span(1, at=(0, 9), scope="fastapi")
    trail = trail_of(request, search(2, 1), model(3, 2, (1.1, 1.9)), model(4, 1))
    assert [g.auxiliary for g in trail.generations] == [True, False]


def chain(number: int, parent: int | None, start: float) -> list[ReceivedSpan]:
    return [
        span(number, "CHAIN", parent, (start, start + 9)),
        search(number + 1, number, (start + 1, start + 2)),
        model(number + 2, number, (start + 3, start + 4)),
    ]


def test_two_chains_of_one_request_are_two_answers() -> None:
    request = span(1, at=(0, 30), scope="fastapi")
    spans = [request, *chain(10, 1, 0), *chain(20, 1, 10)]
    assert [t.response_id for t in trails_of(*spans)] == [RESPONSE, f"{RESPONSE}:{20:016x}"]


def test_questions_that_a_script_asks_one_after_the_other_are_as_many_answers() -> None:
    parts = [
        s
        for n in (10, 20)
        for s in (
            span(n, None, 1, (n, n + 9)),
            search(n + 1, n, (n, n + 1)),
            model(n + 2, n, (n + 2, n + 3)),
        )
    ]
    trails = trails_of(span(1, at=(0, 40)), *parts)
    assert [(len(t.retrievals), len(t.generations)) for t in trails] == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("told", "response_id"),
    [
        ("resp-001", "resp-001"),
        ("", RESPONSE),
        ("../../etc", RESPONSE),
        ("a b", RESPONSE),
        ("x" * 201, RESPONSE),
        (f"{RESPONSE}:{3:016x}", RESPONSE),
        (7, RESPONSE),
    ],
)
def test_the_applications_own_id_of_an_answer_is_taken_if_it_is_one(
    told: object, response_id: str
) -> None:
    root = span(1, "CHAIN", at=(0, 9), attributes={"doctrail.response.id": told})
    assert trail_of(root, search(2, 1), model(3, 1)).response_id == response_id


def test_two_answers_never_have_one_id() -> None:
    told = {"doctrail.response.id": "mine"}
    spans = [*chain(10, None, 0), *chain(20, None, 10)]
    spans = [
        span(
            int(s.span_id, 16),
            attributes={**s.attributes, **told},
            parent=s.parent_id and int(s.parent_id, 16),
        )
        for s in spans
    ]
    assert len({response.response_id for response in translate(spans)}) == 2


def test_our_own_spans_are_left_out() -> None:
    ours = [search(2, 1, scope="doctrail"), model(3, 1, scope="doctrail")]
    assert translate(ours) == []
    assert len(trail_of(span(1, "CHAIN", at=(0, 9)), model(4, 1), *ours).generations) == 1


# --- who asked


@pytest.mark.parametrize(
    "told",
    [
        {"session.id": "s", "user.id": "u"},
        {"metadata": '{"session_id": "s", "user_id": "u"}'},
        {"metadata": {"thread_id": "s", "user_id": "u"}},
        {"gen_ai.conversation.id": "s", "enduser.id": "u"},
        {
            "traceloop.association.properties.session_id": "s",
            "traceloop.association.properties.user_id": "u",
        },
    ],
)
def test_session_and_user_are_taken_where_they_are(told: Mapping[str, Any]) -> None:
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), search(2, 1), model(3, 1, more=told))
    assert (trail.session_id, trail.user_id) == ("s", "u")


# --- clocks and broken traces


def moments(*spans: ReceivedSpan) -> list[tuple[str, float]]:
    (response,) = translate(spans)
    at = [(type(e).__name__, getattr(e, "at", None)) for e in response.events]
    return [(name, (moment - EPOCH) / SECOND) for name, moment in at if moment is not None]


def test_events_come_in_an_order_that_may_have_been() -> None:
    spans = [span(1, "CHAIN", at=(0, 9)), search(2, 1, (1, 3)), model(3, 1, (3, 4))]
    assert kinds(spans) == [
        RunStarted.__name__,
        RetrievalStarted.__name__,
        RetrievalEnded.__name__,
        PromptSent.__name__,
        GenerationEnded.__name__,
        RunEnded.__name__,
    ]


def test_an_answer_that_streams_on_after_its_chain_ends_inside_of_it() -> None:
    spans = [span(1, "CHAIN", at=(0, 4)), search(2, 1), model(3, 1, (3, 7))]
    assert kinds(spans)[-2:] == ["GenerationEnded", "RunEnded"]
    assert moments(*spans)[-2:] == [("GenerationEnded", 7.0), ("RunEnded", 4.0)]
    assert trail_of(*spans).answer == ANSWER


def test_a_child_that_starts_before_its_parent_starts_with_it() -> None:
    spans = [span(1, "CHAIN", at=(2, 9)), search(2, 1, (1, 3)), model(3, 1, (4, 5))]
    assert moments(*spans)[:2] == [("RunStarted", 2.0), ("RetrievalStarted", 2.0)]


def test_a_part_by_another_clock_is_moved_into_what_called_it() -> None:
    elsewhere = {"service.name": "search"}
    early = search(2, 1, (-100, -99), resource=elsewhere)
    told = moments(span(1, "CHAIN", at=(0, 9)), early, model(3, 1))
    assert ("RetrievalStarted", 0.0) in told
    assert ("RetrievalEnded", 1.0) in told
    late = search(2, 1, (100, 102), resource=elsewhere)
    assert ("RetrievalEnded", 9.0) in moments(span(1, "CHAIN", at=(0, 9)), late, model(3, 1))
    trail = trail_of(span(1, "CHAIN", at=(0, 9)), early, model(3, 1))
    assert trail.documents[0].grade == "in_prompt"


def test_a_search_by_a_clock_that_is_a_little_ahead_ends_before_the_call_that_read_it() -> None:
    elsewhere = {"service.name": "search"}
    ahead = search(2, 1, (0.1, 2.2), resource=elsewhere)
    spans = [span(1, "CHAIN", at=(0, 9)), ahead, model(3, 1, (2, 5))]
    assert trail_of(*spans).documents[0].grade == "in_prompt"
    here = [span(1, "CHAIN", at=(0, 9)), search(2, 1, (0.1, 2.2)), model(3, 1, (2, 5))]
    assert ("RetrievalEnded", 2.2) in moments(*here)


def test_an_answer_is_of_the_service_that_sent_it() -> None:
    sent = span(1, "CHAIN", at=(0, 9), resource={"service.name": "shop"})
    assert trail_of(sent, search(2, 1), model(3, 1)).service == "shop"
    odd = span(1, "CHAIN", at=(0, 9), resource={"service.name": 5})
    assert trail_of(odd, search(2, 1), model(3, 1)).service is None


def test_times_that_are_missing_or_reversed_are_those_around_them() -> None:
    none = span(1, "CHAIN")
    root = _timed(none, 0, 0)
    assert moments(root, search(2, 1), model(3, 1))[0] == ("RunStarted", 1.0)
    reversed_ = _timed(search(2, 1), EPOCH + 2 * SECOND, EPOCH + SECOND)
    told = moments(span(1, "CHAIN", at=(0, 9)), reversed_, model(3, 1))
    assert ("RetrievalStarted", 2.0) in told
    assert ("RetrievalEnded", 2.0) in told
    ended = _timed(search(2, 1), 0, EPOCH + 2 * SECOND)
    told = moments(span(1, "CHAIN", at=(0, 9)), ended, model(3, 1))
    assert ("RetrievalStarted", 2.0) in told
    lost = _timed(search(2, 1), 0, 0)
    assert trail_of(span(1, "CHAIN", at=(0, 9)), lost, model(3, 1)).retrievals


def _timed(one: ReceivedSpan, start: int, end: int) -> ReceivedSpan:
    from dataclasses import replace

    return replace(one, start=start, end=end)


def test_spans_that_name_each_other_as_parents_are_told_once() -> None:
    circle = [span(1, "CHAIN", 3, (0, 9)), search(2, 1), span(3, "CHAIN", 2, (1, 8)), model(4, 3)]
    trail = trail_of(*circle)
    assert (len(trail.retrievals), len(trail.generations)) == (1, 1)
    (alone,) = trails_of(search(5, 5))
    assert len(alone.retrievals) == 1


def test_a_span_that_is_sent_again_counts_once_as_it_was_last() -> None:
    under_way = search(2, 1, (1, 1.5), more={"retrieval.documents.0.document.id": "old"})
    spans = [span(1, "CHAIN", at=(0, 9)), under_way, search(2, 1), model(3, 1)]
    (retrieval,) = trail_of(*spans).retrievals
    assert [h.chunk.chunk_id for h in retrieval.hits] == ["c1"]


def test_a_chain_of_ten_thousand_spans_is_one_answer() -> None:
    spans = [span(n, "CHAIN", n - 1 or None, (0, 99)) for n in range(1, 10_000)]
    trail = trail_of(*spans, search(20_001, 9_999), model(20_002, 9_999))
    assert (len(trail.retrievals), trail.answer) == (1, ANSWER)


@pytest.mark.parametrize(
    ("told", "status", "error"),
    [
        (
            {"exception.type": "builtins.ValueError", "exception.message": "no"},
            "error",
            "ValueError: no",
        ),
        ({"exception.type": "asyncio.CancelledError"}, "aborted", "CancelledError: stopped"),
        ({"exception.type": "not a name!\0"}, "error", "Error: stopped"),
        ({}, "error", "Error: stopped"),
    ],
)
def test_a_failure_has_the_name_that_it_had(told: dict[str, str], status: str, error: str) -> None:
    raised = (ReceivedEvent("exception", EPOCH, told),) if told else ()
    message = "stopped\nTraceback (most recent call last):\n  secret.py"
    root = span(1, "CHAIN", at=(0, 9), status="error", status_message=message, events=raised)
    trail = trail_of(root, search(2, 1), model(3, 1))
    assert (trail.status, trail.error) == (status, error)


def test_an_exception_that_was_dealt_with_is_no_failure() -> None:
    raised = (ReceivedEvent("exception", EPOCH, {"exception.type": "ValueError"}),)
    trail = trail_of(span(1, "CHAIN", at=(0, 9), events=raised), search(2, 1), model(3, 1))
    assert trail.status == "ok"


# --- LangChain in JavaScript


def constructed(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain_core", *kind.split()],
        "kwargs": kwargs,
    }


def test_what_langchain_writes_in_javascript_is_understood() -> None:
    found = constructed("documents Document", pageContent=TEXT, metadata={"source": "d1"}, id="c1")
    (retrieval,) = trail_of(
        span(
            1,
            "RETRIEVER",
            attributes={
                "input.value": json.dumps({"query": QUESTION}),
                "output.value": json.dumps({"documents": [found]}),
            },
        )
    ).retrievals
    (hit,) = retrieval.hits
    assert (hit.chunk.chunk_id, hit.chunk.document_id, hit.chunk.text) == ("c1", "d1", TEXT)
    said = [
        constructed("messages HumanMessage", content=QUESTION),
        constructed("messages AIMessageChunk", content=ANSWER),
    ]
    assert question_in({"messages": said}) == QUESTION
    assert answer_in({"messages": said}) == ANSWER


# --- questions and answers in JSON


@pytest.mark.parametrize(
    "value",
    [
        QUESTION,
        {"question": QUESTION, "history": []},
        {"messages": [["system", "Be brief."], ["user", QUESTION]]},
        {"messages": [{"type": "human", "data": {"content": QUESTION}}]},
        {
            "messages": [
                {"lc": 1, "id": ["HumanMessage"], "kwargs": {"type": "human", "content": QUESTION}}
            ]
        },
        [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
        [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Hm."}],
        {"data": {"search": {"query": QUESTION}, "rank": {"query": "other"}}},
        {"message": QUESTION},
        {"inputs": json.dumps({"question": QUESTION}), "tags": []},
    ],
)
def test_a_question_is_found_in_what_a_run_was_given(value: object) -> None:
    assert question_in(value if isinstance(value, str) else json.dumps(value)) == QUESTION
    assert question_in(value) == QUESTION


@pytest.mark.parametrize(
    "value",
    [
        ANSWER,
        {"answer": ANSWER, "context": TEXT},
        {"type": "ai", "data": {"content": ANSWER, "type": "ai"}},
        {"outputs": {"lc": 1, "id": ["AIMessage"], "kwargs": {"type": "ai", "content": ANSWER}}},
        {
            "messages": [
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": ANSWER},
            ]
        },
        {"generations": [[{"text": ANSWER, "type": "ChatGeneration"}]]},
        {
            "model": "m",
            "output": {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]},
        },
        [{"role": "assistant", "blocks": [{"block_type": "text", "text": ANSWER}]}],
    ],
)
def test_an_answer_is_found_in_what_a_run_gave(value: object) -> None:
    assert answer_in(value if isinstance(value, str) else json.dumps(value)) == ANSWER
    assert answer_in(value) == ANSWER


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "__REDACTED__",
        7,
        "{}",
        "[]",
        '{"context": "text", "n": 1}',
        "AgentOutput(response=ChatMessage(role='assistant'))",
        "<NodeWithScore(node=TextNode(id_=1))>",
        '{"type": "human", "data": {"content": "a question"}}',
    ],
)
def test_what_is_no_answer_is_none(value: object) -> None:
    assert answer_in(value) is None


def test_nothing_is_read_deeper_than_anybody_writes() -> None:
    value: Any = ANSWER
    for _ in range(100):
        value = {"output": value, "input": value, "messages": [value]}
    assert answer_in(value) is None
    assert question_in(value) is None
    assert messages_in([[[[[[[[[["user", "deep"]]]]]]]]]]) == []
