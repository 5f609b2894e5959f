"""Spans that other instrumentations really wrote (see `recorded/record.py`) become trails."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from doctrail.receiver.decoding import decode
from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation import translate
from doctrail_core.model import Retrieval, Trail
from doctrail_core.testing import capture_trails

RECORDED = Path(__file__).parent / "recorded"
QUESTION = "When must the renewal of an enterprise contract be declared?"
FOLLOW_UP = "And who signs the notice of renewal?"
ANSWER = "The renewal must be declared by February 28th."
SEARCH = "renewal deadline enterprise"
DEADLINE, LAPSE, SIGNATURE, LUNCH = (
    "contract_1::0",
    "contract_1::1",
    "contract_2::0",
    "handbook_7::3",
)

RECORDINGS = sorted(
    path.stem
    for path in RECORDED.glob("*_*.*.json")
    if not path.stem.startswith(("openllmetry_chroma", "openllmetry_langchain_0"))
)
WITH_TEXTS = [
    name
    for name in RECORDINGS
    if not name.startswith("genai") and not name.endswith((".hidden", "_search", "_alone"))
]


def recorded(name: str) -> list[ReceivedSpan]:
    decoded = decode((RECORDED / f"{name}.json").read_bytes(), "json")
    assert decoded.rejected == 0
    return decoded.spans


def trails_of(spans: Sequence[ReceivedSpan]) -> list[Trail]:
    with capture_trails() as lineage:
        for response in translate(spans):
            for event in response.events:
                lineage.record(event)
        assert lineage.errors == []
        assert lineage.dropped == {}
        assert [t.response_id for t in lineage.trails] == [r.response_id for r in translate(spans)]
        return list(lineage.trails)


def trail_of(name: str) -> Trail:
    (trail,) = trails_of(recorded(name))
    return trail


def found(retrieval: Retrieval) -> list[tuple[str, str]]:
    return [(hit.chunk.chunk_id, hit.chunk.document_id) for hit in retrieval.hits]


def arrived(trail: Trail) -> dict[str, str]:
    return {a.chunk_id: a.state for context in trail.contexts for a in context.arrivals}


def ids(chunk_ids: Iterable[str]) -> list[tuple[str, str]]:
    return [(chunk_id, chunk_id.split("::")[0]) for chunk_id in chunk_ids]


# --- what all have in common


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recording_has_the_search_and_each_trail_its_trace(name: str) -> None:
    trails = trails_of(recorded(name))
    assert trails
    assert any(trail.retrievals for trail in trails)
    for trail in trails:
        assert trail.trace_id
        assert trail.response_id.replace("-", "") == trail.trace_id
        assert trail.framework in {"langchain", "llama_index", "haystack"}


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_order_of_the_spans_does_not_matter(name: str) -> None:
    spans = recorded(name)
    told = repr(translate(spans))
    for seed in range(3):
        shuffled = [*spans, *spans[::2]]
        random.Random(seed).shuffle(shuffled)  # noqa: S311  # no secret
        assert repr(translate(shuffled)) == told


@pytest.mark.parametrize("name", WITH_TEXTS)
def test_the_texts_of_what_was_retrieved_are_found_in_the_prompts(name: str) -> None:
    trails = trails_of(recorded(name))
    assert all(hit.chunk.text for t in trails for r in t.retrievals for hit in r.hits)
    assert "full" in {state for trail in trails for state in arrived(trail).values()}


# --- OpenInference


def test_an_answer_of_a_langchain_chain_is_one_trail() -> None:
    trail = trail_of("openinference_langchain.in_session")
    assert (trail.question, trail.answer, trail.status) == (QUESTION, ANSWER, "ok")
    assert (trail.session_id, trail.user_id) == ("session-1", "user-1")
    assert trail.steps == ()  # what holds a chain together is no step that anybody looks for
    (retrieval,) = trail.retrievals
    assert (retrieval.retriever, retrieval.query) == ("VectorStoreRetriever", QUESTION)
    assert retrieval.store == "InMemoryVectorStore"
    assert found(retrieval) == ids([DEADLINE, LAPSE, SIGNATURE])
    assert {hit.score for hit in retrieval.hits} == {None}
    assert arrived(trail) == dict.fromkeys([DEADLINE, LAPSE, SIGNATURE], "full")
    (generation,) = trail.generations
    assert [message.role for message in generation.messages] == ["system", "user"]
    assert (generation.model, generation.provider) == ("fake-model-1", "openai")
    assert generation.parameters == {"model_name": "fake-model-1", "temperature": 0.2}
    assert generation.usage
    assert generation.usage.total_tokens == 59
    assert generation.finish_reasons == ("stop",)
    assert generation.message_id == "msg-1"
    assert {d.document_id: (d.grade, d.involvement) for d in trail.documents} == {
        "contract_1": ("in_prompt", "direct"),
        "contract_2": ("in_prompt", "direct"),
    }


def test_ids_that_langchain_has_only_in_its_output_are_taken_from_there() -> None:
    (span,) = [
        span
        for span in recorded("openinference_langchain.in_session")
        if span.attributes.get("openinference.span.kind") == "RETRIEVER"
    ]
    assert "retrieval.documents.0.document.id" not in span.attributes
    (alone,) = trails_of([span])
    assert found(alone.retrievals[0]) == ids([DEADLINE, LAPSE, SIGNATURE])
    hidden = {k: v for k, v in span.attributes.items() if k != "output.value"}
    (derived,) = trails_of([_with(span, attributes=hidden)])
    assert {hit.chunk.chunk_id_origin for hit in derived.retrievals[0].hits} == {"derived"}


def test_a_streamed_answer_is_whole() -> None:
    for name in ("openinference_langchain", "openinference_llama_index", "genai_langchain"):
        trail = trail_of(f"{name}.streamed")
        assert (trail.answer or "").strip() == ANSWER
        assert trail.generations[-1].output == trail.answer
        assert trail.question == QUESTION


def test_the_second_question_of_a_session_is_a_turn_of_it() -> None:
    first, second = trails_of(recorded("openinference_langchain.conversation"))
    assert first.session_id == second.session_id == "conversation-1"
    assert (first.turn, second.turn) == (1, 2)
    assert second.question == FOLLOW_UP
    roles = [message.role for message in second.generations[0].messages]
    assert roles == ["system", "user", "assistant", "user"]


def test_an_agents_search_is_inside_of_its_tool_and_its_model_heard_the_result() -> None:
    trail = trail_of("openinference_langchain.agent")
    assert (trail.question, trail.answer, trail.session_id) == (QUESTION, ANSWER, "thread-9")
    assert [step.name for step in trail.steps] == ["model", "tools", "tools", "model"]
    search, today = sorted(trail.tool_calls, key=lambda call: call.name)
    assert (search.name, search.tool_call_id) == ("search_contracts", "call-1")
    assert (today.name, today.result, today.tool_call_id) == ("today", "January 15th", "call-2")
    (retrieval,) = trail.retrievals
    assert retrieval.parent_id == search.tool_run_id
    assert (retrieval.query, retrieval.tool_call_id) == (SEARCH, "call-1")
    first, second = trail.generations
    assert [(r.name, r.tool_call_id) for r in first.tool_requests] == [
        ("search_contracts", "call-1"),
        ("today", "call-2"),
    ]
    assert [m.tool_call_id for m in second.messages if m.role == "tool"] == ["call-1", "call-2"]
    assert arrived(trail) == {LAPSE: "full", DEADLINE: "full"}


def test_a_reranker_of_langchain_drops_inside_its_retriever() -> None:
    trail = trail_of("openinference_langchain.reranked")
    inner, outer = trail.retrievals
    assert (inner.retriever, inner.enclosing_id) == ("VectorStoreRetriever", outer.retrieval_id)
    assert (len(inner.hits), len(outer.hits)) == (4, 2)
    (context,) = trail.contexts
    dropped = {a.chunk_id: a.reason for a in context.arrivals if a.state == "absent"}
    assert dropped == {SIGNATURE: "filtered", LUNCH: "filtered"}


def test_a_model_that_words_searches_answers_nobody() -> None:
    trail = trail_of("openinference_langchain.rewritten")
    rewriting, answering = trail.generations
    assert (rewriting.auxiliary, answering.auxiliary) == (True, False)
    assert [r.query for r in trail.retrievals] == [SEARCH, "notice of renewal", QUESTION]
    assert len(trail.contexts) == 1


def test_two_calls_with_nothing_around_them_are_two_answers() -> None:
    searched, answered = trails_of(recorded("openinference_langchain.searched_alone"))
    assert (len(searched.retrievals), len(searched.generations)) == (1, 0)
    assert (len(answered.retrievals), answered.answer) == (0, ANSWER)


@pytest.mark.parametrize("name", ["openinference_langchain", "openllmetry_langchain"])
def test_what_went_wrong_is_named_as_it_was(name: str) -> None:
    search = trail_of(f"{name}.failing_search")
    assert (search.status, search.error) == ("error", "ConnectionError: the store is gone")
    assert search.retrievals[0].error == "ConnectionError: the store is gone"
    model = trail_of(f"{name}.failing_model")
    assert (model.status, model.error) == ("error", "TimeoutError: the model took too long")
    assert model.generations[0].error == model.error
    assert set(arrived(model).values()) == {"full"}


@pytest.mark.parametrize(
    "name",
    ["openinference_llama_index", "genai_langchain"],
)
def test_errors_of_other_instrumentations_are_named_too(name: str) -> None:
    assert trail_of(f"{name}.failing_search").error == "ConnectionError: the store is gone"
    assert trail_of(f"{name}.failing_model").error == "TimeoutError: the model took too long"


@pytest.mark.parametrize("name", [n for n in RECORDINGS if n.endswith(".hidden")])
def test_what_was_hidden_is_nowhere_and_the_rest_is_there(name: str) -> None:
    trail = trail_of(name)
    assert (trail.question or "", trail.answer) == ("", None)
    assert "__REDACTED__" not in repr(trail)
    assert "renewal" not in repr(trail)
    assert len(trail.retrievals) == len(trail.generations) == 1
    assert trail.generations[0].messages == ()
    assert trail.generations[0].model == "fake-model-1"


def test_chunks_whose_texts_are_hidden_keep_their_ids_and_nothing_is_said_of_the_prompt() -> None:
    trail = trail_of("openinference_llama_index.hidden")
    hits = trail.retrievals[0].hits
    assert [hit.chunk.chunk_id for hit in hits] == [DEADLINE, LAPSE, SIGNATURE]
    assert {(hit.chunk.text, hit.chunk.content_hash) for hit in hits} == {(None, None)}
    assert [round(hit.score or 0, 2) for hit in hits] == [0.82, 0.66, 0.32]
    assert arrived(trail) == {}
    assert {d.grade for d in trail.documents} == {"retrieved"}


def test_documents_that_are_hidden_in_one_place_are_taken_from_the_other() -> None:
    trail = trail_of("openinference_langchain.documents_hidden")
    assert found(trail.retrievals[0]) == ids([DEADLINE, LAPSE, SIGNATURE])
    assert set(arrived(trail).values()) == {"full"}


def test_the_two_spans_of_a_search_in_llama_index_are_one_search() -> None:
    spans = recorded("openinference_llama_index.in_session")
    kinds = [span.attributes.get("openinference.span.kind") for span in spans]
    assert kinds.count("RETRIEVER") == kinds.count("LLM") == 2
    (trail,) = trails_of(spans)
    (retrieval,) = trail.retrievals
    assert (retrieval.retriever, retrieval.query) == ("VectorIndexRetriever", QUESTION)
    assert found(retrieval) == ids([DEADLINE, LAPSE, SIGNATURE])
    assert [round(hit.score or 0, 2) for hit in retrieval.hits] == [0.82, 0.66, 0.32]
    (generation,) = trail.generations  # `predict` around `complete` is one call
    assert generation.messages[0].text
    assert generation.messages[0].text.startswith("Context information is below.")
    assert (trail.question, trail.answer, trail.steps) == (QUESTION, ANSWER, ())
    assert (trail.session_id, trail.user_id) == ("session-1", "user-1")


def test_making_an_index_is_no_answer() -> None:
    spans = recorded("openinference_llama_index.searched_alone")
    assert len({span.trace_id for span in spans}) == 2
    (trail,) = trails_of(spans)
    assert len(trail.retrievals) == 1


def test_a_missing_score_of_llama_index_is_told_from_zero_by_what_was_printed() -> None:
    spans = recorded("openinference_llama_index.unscored")
    (found_by,) = [s for s in spans if "retrieval.documents.0.document.score" in s.attributes]
    assert found_by.attributes["retrieval.documents.0.document.score"] == 0.0
    (trail,) = trails_of(spans)
    assert [hit.score for hit in trail.retrievals[0].hits] == [None, None]
    printed = str(found_by.attributes["output.value"])
    for output in (printed.replace("None", "0.0"), "__REDACTED__"):
        told = _with(found_by, attributes=found_by.attributes | {"output.value": output})
        (zero,) = trails_of([told])
        assert [hit.score for hit in zero.retrievals[0].hits] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "by", "given", "scores"),
    [
        ("openinference_llama_index.reranked", "WordReranker", 4, [9.0, 5.0]),
        ("openinference_haystack.reranked", "WordRanker", 3, [9.0, 5.0]),
    ],
)
def test_a_reranker_says_what_it_was_given_and_what_it_kept(
    name: str, by: str, given: int, scores: list[float]
) -> None:
    trail = trail_of(name)
    (rerank,) = trail.reranks
    assert (rerank.by, rerank.model, rerank.top_k, rerank.query) == (by, "word-count", 2, QUESTION)
    assert (len(rerank.given), [kept.score for kept in rerank.kept]) == (given, scores)
    assert [kept.chunk_id for kept in rerank.kept] == [DEADLINE, LAPSE]
    (context,) = trail.contexts
    reasons = {a.chunk_id: (a.reason, a.reason_detail) for a in context.arrivals if a.reason}
    assert reasons[SIGNATURE] == ("filtered", f"by {by}")
    assert arrived(trail)[DEADLINE] == "full"


def test_an_agent_of_llama_index_that_hides_its_question_is_asked_what_its_model_was() -> None:
    trail = trail_of("openinference_llama_index.agent")
    assert (trail.question, trail.answer) == (QUESTION, ANSWER)
    (call,) = trail.tool_calls
    assert (call.name, call.arguments) == ("search_contracts", f'{{"query": "{SEARCH}"}}')
    assert trail.retrievals[0].parent_id == call.tool_run_id
    assert len(trail.generations) == 2  # what only prepares a call is none
    assert arrived(trail) == {LAPSE: "full", DEADLINE: "full"}


def test_a_conversation_of_llama_index_is_as_many_answers_as_questions() -> None:
    first, second = trails_of(recorded("openinference_llama_index.conversation"))
    assert (first.question, second.question) == (QUESTION, FOLLOW_UP)
    assert (len(first.generations), len(second.generations)) == (1, 2)


def test_haystack_has_ids_scores_and_the_prompt_that_was_built() -> None:
    trail = trail_of("openinference_haystack.reranked")
    assert (trail.framework, trail.question, trail.answer) == ("haystack", QUESTION, ANSWER)
    (retrieval,) = trail.retrievals
    assert retrieval.retriever == "InMemoryBM25Retriever"
    assert found(retrieval) == ids([DEADLINE, LAPSE, SIGNATURE])
    assert all(hit.score for hit in retrieval.hits)


# --- OpenTelemetry's GenAI conventions


def test_an_answer_of_opentelemetrys_langchain_instrumentation_has_ids_and_no_texts() -> None:
    trail = trail_of("genai_langchain.asked")
    assert (trail.question, trail.answer) == (QUESTION, ANSWER)
    hits = trail.retrievals[0].hits
    assert [hit.chunk.chunk_id for hit in hits] == [DEADLINE, LAPSE, SIGNATURE]
    assert {(hit.chunk.text, hit.score) for hit in hits} == {(None, None)}
    assert arrived(trail) == {}  # nobody can tell
    (generation,) = trail.generations
    assert [message.role for message in generation.messages] == ["system", "user"]
    assert (generation.model, generation.parameters) == ("fake-model-1", {"temperature": 0.2})


def test_scores_and_the_number_asked_for_are_taken_where_they_are() -> None:
    (retrieval,) = trail_of("genai_llama_index.asked").retrievals
    assert retrieval.k == 3
    assert [round(hit.score or 0, 2) for hit in retrieval.hits] == [0.82, 0.66, 0.32]


@pytest.mark.parametrize("name", ["genai_langchain", "genai_llama_index"])
def test_an_agent_of_the_genai_conventions_searches_by_its_tool(name: str) -> None:
    trail = trail_of(f"{name}.agent")
    assert (trail.question, trail.answer) == (QUESTION, ANSWER)
    (search,) = [call for call in trail.tool_calls if call.name == "search_contracts"]
    assert (search.tool_call_id, trail.retrievals[0].parent_id) == ("call-1", search.tool_run_id)
    assert search.result
    assert search.result.startswith("An enterprise contract")


def test_a_conversations_question_is_found_in_the_json_of_a_chains_input() -> None:
    first, second = trails_of(recorded("genai_langchain.conversation"))
    assert (first.question, second.question) == (QUESTION, FOLLOW_UP)
    assert first.session_id == second.session_id == "conversation-1"


# --- OpenLLMetry


def test_what_openllmetry_drops_is_derived_and_never_invented() -> None:
    trail = trail_of("openllmetry_langchain.asked")
    assert (trail.question, trail.answer) == (QUESTION, ANSWER)
    (retrieval,) = trail.retrievals
    assert (retrieval.retriever, retrieval.query) == ("VectorStoreRetriever", QUESTION)
    assert [h.chunk.document_id for h in retrieval.hits] == [
        "contract_1",
        "contract_1",
        "contract_2",
    ]
    assert {(h.chunk.chunk_id_origin, h.score) for h in retrieval.hits} == {("derived", None)}
    assert set(arrived(trail).values()) == {"full"}
    (generation,) = trail.generations
    assert (generation.model, generation.provider) == ("fake-model-1", "openai")
    assert [message.role for message in generation.messages] == ["system", "user"]


def test_the_agent_and_the_graph_in_it_are_one_run() -> None:
    trail = trail_of("openllmetry_langchain.agent")
    assert (trail.question, trail.answer, trail.session_id) == (QUESTION, ANSWER, "thread-9")
    assert [step.name for step in trail.steps] == ["model", "tools", "tools", "model"]
    (search,) = [call for call in trail.tool_calls if call.name == "search_contracts"]
    assert (search.arguments, search.tool_call_id) == (f'{{"query": "{SEARCH}"}}', "call-1")
    assert set(arrived(trail).values()) == {"full"}


def test_an_earlier_openllmetry_tells_of_no_search_and_the_rest_is_there() -> None:
    trail = trail_of("openllmetry_langchain_0_40.asked")
    assert (trail.question, trail.answer, trail.retrievals) == (QUESTION, ANSWER, ())
    (generation,) = trail.generations
    assert [message.role for message in generation.messages] == ["system", "user"]
    assert (generation.model, generation.provider) == ("fake-model-1", None)


def test_an_earlier_openllmetrys_tool_calls_are_requests_and_results() -> None:
    chose, answered = trails_of(recorded("openllmetry_langchain_0_40.tool_called"))
    (request,) = chose.generations[0].tool_requests
    assert (request.name, request.arguments) == ("today", '{"zone": "UTC"}')
    assert (chose.answer, chose.generations[0].output) == (None, None)
    said = answered.generations[0].messages
    assert [(m.role, m.text, m.tool_call_id) for m in said] == [
        ("user", QUESTION, None),
        ("assistant", None, None),
        ("tool", "January 15th", "call-1"),
    ]


def test_a_search_in_a_store_has_its_ids_distances_and_parameters() -> None:
    (retrieval,) = trail_of("openllmetry_chroma.asked").retrievals
    assert (retrieval.retriever, retrieval.store, retrieval.k) == ("chroma.query", "chroma", 2)
    assert retrieval.filters == "{'document_id': 'contract_1'}"
    assert found(retrieval) == ids([DEADLINE, LAPSE])
    assert [(h.score, h.score_kind) for h in retrieval.hits] == [
        (4.0, "distance"),
        (6.0, "distance"),
    ]


def _with(span: ReceivedSpan, **changed: object) -> ReceivedSpan:
    return replace(span, **changed)  # type: ignore[arg-type]  # the fields that the tests name
