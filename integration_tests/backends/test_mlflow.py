"""What is sent to a real MLflow arrives, can be searched by type, and is shown as documents."""

import json

import pytest
from backends.applications import FOLLOW_UP, MANY, SESSION, TROUBLE, USER
from stores.corpus import ANSWER, PAGES, QUESTION

pytestmark = pytest.mark.backend


@pytest.fixture(params=["texts_in_mlflow", "ids_in_mlflow"])
def arrived(request):
    return request.getfixturevalue(request.param)


def found_by(experiment, wanted: str) -> set[str]:
    return {trace["trace_id"].removeprefix("tr-") for trace in experiment.search(wanted)}


def named(experiment, trace_id: str, name: str):
    (found,) = [s for s in experiment.trace(trace_id) if s.name.startswith(name)]
    return found


def test_a_search_for_retrievers_finds_the_answers_that_were_searched_for(arrived):
    sent, experiment = arrived
    searched = {t.trace_id for trails in sent.trails.values() for t in trails if t.retrievals}
    assert found_by(experiment, "span.type = 'RETRIEVER'") == searched


@pytest.mark.parametrize(
    ("kind", "application"),
    [
        ("AGENT", "agent"),
        ("TOOL", "agent"),
        ("RERANKER", "reranked"),
        ("CHAT_MODEL", "llama_index"),
        ("CHAIN", "many"),
    ],
)
def test_a_search_by_type_finds_the_other_stages(arrived, kind, application):
    sent, experiment = arrived
    assert sent.trail(application).trace_id in found_by(experiment, f"span.type = '{kind}'")


def test_each_span_arrives(arrived):
    sent, experiment = arrived
    for trails in sent.trails.values():
        for trail in trails:
            ours = [s for s in sent.spans if f"{s.context.trace_id:032x}" == trail.trace_id]
            assert len(experiment.trace(trail.trace_id)) == len(ours)


@pytest.mark.parametrize("application", ["langchain", "unscored", "agent", "llama_index", "plain"])
def test_what_was_found_is_the_output_of_the_search_in_order(arrived, application):
    sent, experiment = arrived
    trail = sent.trail(application)
    seen = named(experiment, trail.trace_id, "retrieval").told("mlflow.spanOutputs")
    (found,) = trail.retrievals
    assert [(d["id"], d["metadata"].get("score"), d["metadata"]["document_id"]) for d in seen] == [
        (hit.chunk.chunk_id, hit.score, hit.chunk.document_id) for hit in found.hits
    ]


def test_documents_have_their_texts_when_asked_for_and_an_empty_one_else(
    texts_in_mlflow, ids_in_mlflow
):
    for (sent, experiment), shown in ((texts_in_mlflow, True), (ids_in_mlflow, False)):
        trail = sent.trail("langchain")
        seen = named(experiment, trail.trace_id, "retrieval").told("mlflow.spanOutputs")
        (found,) = trail.retrievals
        expected = [hit.chunk.text if shown else "" for hit in found.hits]
        assert [d["page_content"] for d in seen] == expected


def test_two_hundred_documents_all_come(arrived):
    sent, experiment = arrived
    trace_id = sent.trail("many").trace_id
    assert len(named(experiment, trace_id, "retrieval").told("mlflow.spanOutputs")) == MANY


def test_the_trace_has_session_user_and_tokens(arrived):
    sent, experiment = arrived
    (trace,) = [
        found
        for found in experiment.search(f"metadata.`mlflow.trace.session` = '{SESSION}'")
        if found["trace_id"] == f"tr-{sent.trail('plain').trace_id}"
    ]
    told = trace["trace_metadata"]
    assert told["mlflow.trace.user"] == USER
    assert json.loads(told["mlflow.trace.tokenUsage"]) == {
        "input_tokens": 100,
        "output_tokens": 9,
        "total_tokens": 109,
    }


def test_the_previews_are_question_and_answer_when_asked_for(texts_in_mlflow):
    sent, experiment = texts_in_mlflow
    found = {trace["trace_id"]: trace for trace in experiment.search("span.type = 'RERANKER'")}
    trace = found[f"tr-{sent.trail('plain').trace_id}"]
    previews = [json.loads(trace[name]) for name in ("request_preview", "response_preview")]
    assert previews == [QUESTION, ANSWER]


def test_a_model_call_has_its_messages_as_input_and_the_answer_as_output(texts_in_mlflow):
    sent, experiment = texts_in_mlflow
    seen = named(experiment, sent.trail("plain").trace_id, "chat")
    asked = seen.told("mlflow.spanInputs")["messages"]
    assert [m["role"] for m in asked] == ["system", "user"]
    assert asked[1]["content"] == QUESTION
    assert seen.told("mlflow.spanOutputs") == ANSWER
    assert (seen.told("mlflow.llm.model"), seen.told("mlflow.llm.provider")) == ("m-1", "openai")


def test_a_check_is_a_trace_of_its_own_with_the_result_as_output(arrived):
    sent, experiment = arrived
    trail = sent.trail("plain")
    (assessment,) = trail.assessments
    checks = [
        span
        for trace_id in found_by(experiment, "span.type = 'EVALUATOR'")
        for span in experiment.trace(trace_id)
        if span.told("doctrail.response.id") == trail.response_id
    ]
    (check,) = checks
    told = check.told("mlflow.spanOutputs")
    assert (told["name"], told["score"]) == ("grounding_risk", assessment.risk)


def test_an_answer_and_its_check_are_found_by_the_response_id(arrived):
    sent, experiment = arrived
    trail = sent.trail("llama_index")
    wanted = f"span.attributes.`doctrail.response.id` LIKE '%{trail.response_id}%'"
    found = found_by(experiment, wanted)
    assert trail.trace_id in found
    assert len(found) == 2


def test_a_failed_search_fails_its_trace(arrived):
    sent, experiment = arrived
    states = {found["trace_id"]: found["state"] for found in experiment.search("")}
    assert states[f"tr-{sent.trail('failing').trace_id}"] == "ERROR"
    assert states[f"tr-{sent.trail('plain').trace_id}"] == "OK"


def test_no_text_comes_unless_it_was_asked_for(texts_in_mlflow, ids_in_mlflow):
    def everything(arrived) -> str:
        sent, experiment = arrived
        traces = {f"{span.context.trace_id:032x}" for span in sent.spans}
        spans = [span.raw for trace_id in sorted(traces) for span in experiment.trace(trace_id)]
        return json.dumps([spans, experiment.search("")])

    secrets = [
        QUESTION,
        FOLLOW_UP,
        ANSWER,
        TROUBLE,
        "contracts.pdf",
        *(page.text for page in PAGES),
    ]
    with_texts, by_ids = everything(texts_in_mlflow), everything(ids_in_mlflow)
    assert all(secret in with_texts for secret in secrets)
    assert not [secret for secret in secrets if secret in by_ids]
