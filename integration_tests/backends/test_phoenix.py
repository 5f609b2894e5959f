"""What is sent to a real Phoenix arrives: tree, kinds, documents, sessions, checks; and no text that is hidden."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from backends.applications import FOLLOW_UP, MANY, SESSION, TROUBLE, USER
from backends.programs import until
from stores.corpus import ANSWER, PAGES, QUESTION

from doctrail_core import Trail

pytestmark = pytest.mark.backend
PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
SHOWN = 16
EVERY = ("langchain", "unscored", "agent", "llama_index", "plain", "many")


@pytest.fixture(params=["texts", "ids"])
def arrived(request):
    return request.getfixturevalue(request.param)


def hits_of(trail: Trail) -> list[dict[str, object]]:
    """Chunk and score, as far as there is one, in the order they were found."""
    (found,) = trail.retrievals
    return [
        {"id": hit.chunk.chunk_id} | ({} if hit.score is None else {"score": hit.score})
        for hit in found.hits
    ]


def test_each_span_arrives_under_its_parent(arrived):
    sent = {
        f"{span.context.span_id:016x}": (
            span.name,
            f"{span.context.trace_id:032x}",
            f"{span.parent.span_id:016x}" if span.parent else None,
        )
        for span in arrived.sent.spans
    }
    seen = {s.id: (s.name, s.trace_id, s.parent_id) for s in arrived.project.spans}
    assert seen == sent


def test_an_answer_is_a_tree_of_stages_by_their_kinds(arrived):
    trace_id = arrived.sent.trail("langchain").trace_id
    ((kind, name, stages),) = arrived.project.tree(trace_id)
    assert (kind, name) == ("CHAIN", "invoke_workflow RunnableSequence")
    assert [(kind, name.split()[0]) for kind, name, _ in stages] == [
        ("RETRIEVER", "retrieval"),
        ("CHAIN", "context"),
        ("LLM", "chat"),
    ]


def test_an_agent_is_one_and_its_search_is_inside_its_tool(arrived):
    ((kind, name, stages),) = arrived.project.tree(arrived.sent.trail("agent").trace_id)
    assert (kind, name) == ("AGENT", "invoke_agent clerk")
    (tool,) = [stage for stage in stages if stage[0] == "TOOL"]
    assert [(kind, name) for kind, name, _ in tool[2]] == [("RETRIEVER", "retrieval FAISS")]
    assert [kind for kind, _, _ in stages].count("LLM") == 2


def test_a_reranker_is_inside_the_search_that_it_is_part_of(arrived):
    ((_, _, stages),) = arrived.project.tree(arrived.sent.trail("reranked").trace_id)
    (search,) = [stage for stage in stages if stage[0] == "RETRIEVER"]
    assert [kind for kind, _, _ in search[2]] == ["RETRIEVER", "RERANKER"]


@pytest.mark.parametrize("application", EVERY)
def test_documents_come_in_order_with_ids_and_scores_and_without_the_scores_they_lack(
    arrived, application
):
    trail = arrived.sent.trail(application)
    seen = arrived.project.one(trail.trace_id, "RETRIEVER").documents()
    assert [{k: d[k] for k in ("id", "score") if k in d} for d in seen] == hits_of(trail)


@pytest.mark.parametrize("application", EVERY)
def test_texts_of_documents_come_when_asked_for(texts, application):
    trail = texts.sent.trail(application)
    (found,) = trail.retrievals
    seen = texts.project.one(trail.trace_id, "RETRIEVER").documents()[:SHOWN]
    assert [d["content"] for d in seen] == [hit.chunk.text for hit in found.hits[:SHOWN]]


def test_metadata_of_documents_come_when_asked_for(texts):
    trail = texts.sent.trail("plain")
    seen = texts.project.one(trail.trace_id, "RETRIEVER").documents()
    assert [d["metadata.source"] for d in seen] == ["contracts.pdf"] * 3


def test_two_hundred_documents_all_come(arrived):
    trail = arrived.sent.trail("many")
    assert len(arrived.project.one(trail.trace_id, "RETRIEVER").documents()) == MANY


def test_a_failed_search_comes_as_an_error_with_its_kind(arrived):
    seen = arrived.project.one(arrived.sent.trail("failing").trace_id, "RETRIEVER")
    assert seen.raw["status_code"] == "ERROR"
    assert seen.attributes["error.type"] == "ConnectionError"


def test_no_text_comes_unless_it_was_asked_for(texts, ids):
    secrets = [
        QUESTION,
        FOLLOW_UP,
        ANSWER,
        TROUBLE,
        "contracts.pdf",
        *(page.text for page in PAGES),
    ]
    with_texts = json.dumps([span.raw for span in texts.project.spans])
    by_ids = json.dumps([span.raw for span in ids.project.spans])
    assert all(secret in with_texts for secret in secrets)
    assert not [secret for secret in secrets if secret in by_ids]


def test_context_assembly_shows_what_was_offered_and_what_arrived(arrived):
    trail = arrived.sent.trail("plain")
    (assembly,) = [
        s for s in arrived.project.of(trail.trace_id) if s.name.startswith("context assembly")
    ]
    assert [d["id"] for d in assembly.documents("input.documents")] == [
        "chunk-0",
        "chunk-1",
        "chunk-2",
    ]
    assert [d["id"] for d in assembly.documents("output.documents")] == ["chunk-2", "chunk-0"]


@pytest.mark.parametrize("application", ["plain", "reranked"])
def test_a_reranker_shows_what_it_was_given_and_what_it_kept(arrived, application):
    trail = arrived.sent.trail(application)
    (rerank,) = trail.reranks
    seen = arrived.project.one(trail.trace_id, "RERANKER")
    for prefix, ranked in (("input", rerank.given), ("output", rerank.kept)):
        assert seen.documents(f"reranker.{prefix}_documents") == [
            {"id": chunk.chunk_id} | ({} if chunk.score is None else {"score": chunk.score})
            for chunk in ranked
        ]


def test_tokens_and_model_come(arrived):
    seen = arrived.project.one(arrived.sent.trail("plain").trace_id, "LLM").attributes
    told = ("llm.model_name", "llm.token_count.prompt", "llm.token_count.completion")
    assert [seen[name] for name in told] == ["m-1", 100, 9]


def test_question_prompt_and_answer_come_when_asked_for(texts):
    trace_id = texts.sent.trail("plain").trace_id
    request, *_ = texts.project.of(trace_id)
    assert (request.attributes["input.value"], request.attributes["output.value"]) == (
        QUESTION,
        ANSWER,
    )
    seen = texts.project.one(trace_id, "LLM").attributes
    assert seen["llm.input_messages.1.message.content"] == QUESTION
    assert seen["llm.output_messages.0.message.content"] == ANSWER


def test_the_turns_of_a_session_are_found_together(arrived):
    session = arrived.server.session(SESSION)
    turns = {t.trace_id for trails in arrived.sent.trails.values() for t in trails if t.session_id}
    assert len(turns) == 5
    assert turns <= {trace["trace_id"] for trace in session["traces"]}


def test_the_user_is_on_every_span_of_an_answer(arrived):
    seen = arrived.project.of(arrived.sent.trail("langchain").trace_id)
    assert {span.attributes["user.id"] for span in seen} == {USER}


def test_an_answer_and_its_check_are_found_by_the_response_id(arrived):
    trail = arrived.sent.trail("llama_index")
    path = f"/v1/projects/{arrived.name}/spans?attribute=doctrail.response.id:{trail.response_id}"
    found = arrived.server.ask(path)["data"]
    kinds = {span["context"]["trace_id"]: span["span_kind"] for span in found}
    assert trail.trace_id in kinds
    assert len(kinds) == 2
    assert "EVALUATOR" in kinds.values()


def test_a_check_comes_as_an_evaluator_of_the_response(arrived):
    trail = arrived.sent.trail("plain")
    (assessment,) = trail.assessments
    (seen,) = [
        span
        for span in arrived.project.spans
        if span.kind == "EVALUATOR" and span.attributes["doctrail.response.id"] == trail.response_id
    ]
    told = {
        name.removeprefix("evaluations.0.evaluation."): value
        for name, value in seen.attributes.items()
    }
    assert (told["name"], told["score"], told["annotator_kind"]) == (
        "grounding_risk",
        assessment.risk,
        "CODE",
    )
    assert [event["name"] for event in seen.raw["events"]] == ["gen_ai.evaluation.result"]


def test_the_documented_callback_annotates_the_span_that_was_checked(texts):
    """Phoenix shows annotations of a span, and does not make them of what it receives."""
    trail = texts.sent.trail("langchain")
    (assessment,) = trail.assessments
    (recipe,) = re.findall(r"```python\n([^`]*def annotate\(.*?)```", PAGE.read_text(), re.DOTALL)
    told = {}
    exec(recipe, told)  # noqa: S102  # the page says it works
    told["PHOENIX"] = texts.server.url
    told["default_lineage"] = lambda: SimpleNamespace(get={trail.response_id: trail}.get)
    told["annotate"](assessment)
    span_id = texts.project.one(trail.trace_id, "LLM").id
    found = until(lambda: texts.server.annotations(texts.name, span_id))
    assert [(a["name"], a["result"]["score"], a["annotator_kind"]) for a in found] == [
        ("grounding_risk", assessment.risk, "CODE")
    ]
