"""What backends that were not run here show of our spans, by what they document."""

from collections.abc import Callable
from typing import Any

import pytest
from backends import datadog, langfuse, langsmith
from backends.applications import ALL, SESSION, USER
from backends.collector import Collector, Received, over_http
from backends.reading import Reading
from backends.sending import IDS, TEXTS, Sent, send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from stores.corpus import ANSWER, QUESTION

from doctrail_core import Settings

EVERY = ("langchain", "unscored", "agent", "llama_index", "plain")
FOR_DATADOG = frozenset({"openinference", "backends"})
Read = Callable[[Received], Reading]


class Told:
    """What was sent, and what each backend makes of it."""

    def __init__(self, settings: Settings, *applications: str) -> None:
        asked = {name: ALL[name] for name in applications}
        with over_http() as collector:
            exporter = OTLPSpanExporter(collector.endpoint)
            self.sent: Sent = send(exporter, {"service.name": "shop"}, settings, asked)
        self._collector: Collector = collector

    def __call__(self, read: Read, application: str, kind: str) -> Reading:
        trace_id = self.sent.trail(application).trace_id
        return read(self._collector.one(trace_id, kind))

    def check(self, read: Read, application: str) -> Reading:
        response_id = self.sent.trail(application).response_id
        (found,) = [
            span
            for span in self._collector.spans
            if span.attributes.get("openinference.span.kind") == "EVALUATOR"
            and span.attributes["doctrail.response.id"] == response_id
        ]
        return read(found)

    def root(self, read: Read, application: str) -> Reading:
        trace_id = self.sent.trail(application).trace_id
        (found,) = [
            s for s in self._collector.spans if s.trace_id == trace_id and s.parent_id is None
        ]
        return read(found)

    def hits(self, application: str) -> list[Any]:
        (found,) = self.sent.trail(application).retrievals
        return list(found.hits)


@pytest.fixture(scope="module")
def texts() -> Told:
    return Told(TEXTS, *EVERY)


@pytest.fixture(scope="module")
def ids() -> Told:
    return Told(IDS, "plain")


@pytest.fixture(scope="module")
def for_datadog() -> Told:
    settings = Settings(span_content=True, span_families=FOR_DATADOG)
    return Told(settings, "plain", "agent")


everywhere = pytest.mark.parametrize(
    "read",
    [langfuse.read, langsmith.read, datadog.read],
    ids=["Langfuse", "LangSmith", "Datadog"],
)
in_outputs = pytest.mark.parametrize(
    "read", [langfuse.read, langsmith.read], ids=["Langfuse", "LangSmith"]
)


@everywhere
def test_everybody_shows_question_and_answer_of_a_request(texts, read):
    shown = texts.root(read, "langchain")
    assert (shown.input, shown.output) == (QUESTION, ANSWER)


@everywhere
@pytest.mark.parametrize("kind", ["CHAIN", "RETRIEVER", "LLM"])
def test_everybody_knows_session_and_user_of_each_span(texts, read, kind):
    shown = texts.root(read, "plain") if kind == "CHAIN" else texts(read, "plain", kind)
    assert (shown.session, shown.user) == (SESSION, USER)


@everywhere
def test_everybody_knows_a_model_call_by_model_tokens_and_parameters(texts, read):
    shown = texts(read, "plain", "LLM")
    assert shown.kind in ("GENERATION", "llm")
    assert (shown.model, shown.tokens, shown.parameters) == ("m-1", (100, 9), {"temperature": 0.2})


@everywhere
def test_everybody_shows_what_a_model_got_and_what_it_said(texts, read):
    shown = texts(read, "plain", "LLM")
    assert QUESTION in str(shown.input)
    assert ANSWER in str(shown.output)


@everywhere
def test_everybody_shows_a_tool_by_its_name_with_arguments_and_result(texts, read):
    shown = texts(read, "agent", "TOOL")
    assert shown.kind in ("TOOL", "tool")
    assert shown.name.removeprefix("execute_tool ") == "search_contracts"
    assert QUESTION in str(shown.input)
    assert texts.hits("agent")[0].chunk.text in str(shown.output)


@in_outputs
@pytest.mark.parametrize("application", EVERY)
def test_a_search_shows_its_documents_with_texts_ids_and_scores(texts, read, application):
    shown = texts(read, application, "RETRIEVER")
    assert shown.kind in ("RETRIEVER", "retriever")
    assert [(d["page_content"], d["id"], d["metadata"].get("score")) for d in shown.output] == [
        (hit.chunk.text, hit.chunk.chunk_id, hit.score) for hit in texts.hits(application)
    ]


@in_outputs
def test_a_search_shows_ids_and_scores_without_texts(ids, read):
    shown = ids(read, "plain", "RETRIEVER")
    assert shown.input is None
    assert [(d["page_content"], d["metadata"]["score"]) for d in shown.output] == [
        ("", hit.score) for hit in ids.hits("plain")
    ]


def test_langsmith_renders_what_was_found_as_documents(texts):
    assert len(texts(langsmith.read, "langchain", "RETRIEVER").documents or ()) == 3


def test_langsmith_knows_who_serves_the_model(texts):
    assert texts(langsmith.read, "plain", "LLM").provider == "openai"


@in_outputs
def test_a_rerank_shows_what_was_kept(ids, read):
    shown = ids(read, "plain", "RERANKER")
    assert [(d["id"], d["metadata"]["score"]) for d in shown.output] == [
        ("chunk-2", 0.9),
        ("chunk-0", 0.2),
    ]


@in_outputs
def test_a_check_shows_its_result(ids, read):
    (assessment,) = ids.sent.trail("plain").assessments
    shown = ids.check(read, "plain")
    assert (shown.output["name"], shown.output["score"]) == ("grounding_risk", assessment.risk)


@everywhere
def test_an_agent_is_one_where_there_is_such_a_kind(texts, read):
    expected = {langfuse.read: "AGENT", datadog.read: "agent", langsmith.read: "chain"}
    assert texts.root(read, "agent").kind == expected[read]


def test_langfuse_calls_a_check_an_evaluator(ids):
    assert ids.check(langfuse.read, "plain").kind == "EVALUATOR"


def test_datadog_links_a_check_to_what_was_checked(ids):
    trail = ids.sent.trail("plain")
    expected = [(trail.trace_id, trail.generations[-1].span_id)]
    assert ids.check(datadog.read, "plain").links == expected


def test_datadog_takes_a_search_for_a_workflow_while_the_genai_names_are_on_it(texts):
    shown = texts(datadog.read, "plain", "RETRIEVER")
    assert (shown.kind, shown.documents) == ("workflow", None)
    assert texts.hits("plain")[0].chunk.text in shown.output


def test_datadog_shows_documents_once_they_are_not(for_datadog):
    shown = for_datadog(datadog.read, "plain", "RETRIEVER")
    assert (shown.kind, shown.input) == ("retrieval", QUESTION)
    assert [(d["text"], d["id"], d["score"]) for d in shown.documents or ()] == [
        (hit.chunk.text, hit.chunk.chunk_id, hit.score) for hit in for_datadog.hits("plain")
    ]


def test_datadog_knows_the_rest_without_the_genai_names(for_datadog):
    model = for_datadog(datadog.read, "plain", "LLM")
    assert (model.kind, model.model, model.provider) == ("llm", "m-1", "openai")
    assert (model.tokens, model.session) == ((100, 9), SESSION)
    tool = for_datadog(datadog.read, "agent", "TOOL")
    assert (tool.kind, tool.name) == ("tool", "search_contracts")
