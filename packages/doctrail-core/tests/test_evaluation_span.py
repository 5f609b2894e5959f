"""A check as OpenTelemetry sees it: one evaluator span, one link, one event."""

from dataclasses import replace

import pytest
from opentelemetry.trace import StatusCode, format_span_id

from doctrail_core import Grounding, Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.model import Message
from doctrail_core.testing import capture_trails

TEXT = "The renewal deadline is February 28th."


def answered(lineage):
    lineage.record(RunStarted("r", None, "app", "test", "When?", session_id="s1"))
    lineage.record(RetrievalStarted("s", "r", "Retriever", "When?", "test"))
    lineage.record(RetrievalEnded("s", [RetrievedChunk(TEXT, "c#0", "c")]))
    lineage.record(PromptSent("g", "r", [Message("user", TEXT)], "test", "m-1"))
    lineage.record(GenerationEnded("g", TEXT, message_id="msg-1"))
    lineage.record(RunEnded("r", TEXT))
    assert lineage.flush(20)


def evaluation(lineage):
    (span,) = [s for s in lineage.spans if s.name.startswith("grounding")]
    return span


@pytest.fixture
def checked(scripted):
    def check(verifier=None, settings=None):
        grounding = Grounding(
            sample_rate=1.0, verifier=verifier or scripted(), attempts=1, backoff=0.0
        )
        return capture_trails(settings, grounding)

    return check


def test_the_span_of_a_check_is_linked_to_the_generation_and_to_nothing_else(checked):
    with checked() as lineage:
        answered(lineage)
        span = evaluation(lineage)
        (generation,) = [s for s in lineage.spans if s.name.startswith("chat")]
        (link,) = span.links
        assert link.context.span_id == generation.context.span_id
        assert link.context.trace_id == generation.context.trace_id
        assert span.parent is None
        assert span.context.trace_id != generation.context.trace_id
        (told,) = lineage.trails[0].generations
        assert told.span_id == format_span_id(generation.context.span_id)


def test_the_span_says_what_was_found_in_both_conventions(checked, scripted):
    with checked(scripted("contradicted")) as lineage:
        answered(lineage)
        span = evaluation(lineage)
        assert span.attributes["openinference.span.kind"] == "EVALUATOR"
        assert span.attributes["evaluations.0.evaluation.name"] == "grounding_risk"
        assert span.attributes["evaluations.0.evaluation.score"] == 0.95
        assert span.attributes["evaluations.0.evaluation.label"] == "contradicted"
        assert span.attributes["evaluations.0.evaluation.annotator_kind"] == "CODE"
        assert span.attributes["session.id"] == "s1"
        (event,) = span.events
        assert event.name == "gen_ai.evaluation.result"
        assert dict(event.attributes) == {
            "gen_ai.evaluation.name": "grounding_risk",
            "gen_ai.evaluation.score.value": 0.95,
            "gen_ai.evaluation.score.label": "contradicted",
            "gen_ai.evaluation.explanation": "1 contradicted",
            "gen_ai.response.id": "msg-1",
        }
        assert span.status.status_code is StatusCode.OK


def test_a_check_that_failed_has_no_score_and_says_why_without_a_text(checked, scripted):
    with checked(scripted(fails=9)) as lineage:
        answered(lineage)
        span = evaluation(lineage)
        assert "evaluations.0.evaluation.score" not in span.attributes
        assert span.attributes["evaluations.0.evaluation.label"] == "failed"
        assert span.status.status_code is StatusCode.ERROR
        assert span.events[0].attributes["error.type"] == "ConnectionError"
        assert "the judge is down" not in str(span.to_json())


def test_no_text_is_on_the_span(checked, scripted):
    with checked(scripted("contradicted")) as lineage:
        answered(lineage)
        assert "deadline" not in evaluation(lineage).to_json()


def test_without_spans_a_check_leaves_none(checked):
    with checked(settings=Settings(spans="none")) as lineage:
        answered(lineage)
        assert lineage.spans == ()
        assert len(lineage.assessments) == 1


def test_a_generation_that_had_no_span_is_linked_to_by_nobody(checked, make_trail, make_assessment):
    with checked() as lineage:
        trail = make_trail()
        lineage.assessed(make_assessment(trail, generation_id="response-1/generation"), trail)
        assert evaluation(lineage).links == ()
        assert lineage.errors == []


def test_the_riskiest_verdicts_are_shown_where_there_are_many(
    checked, make_trail, make_assessment, make_verdict
):
    from doctrail_core.grounding.verifier import Answer

    trail = make_trail()
    verdict = make_verdict("unsupported", Answer("answer", ()))
    many = [replace(verdict, score=number / 500) for number in range(300)]
    with checked() as lineage:
        lineage.assessed(make_assessment(trail, *many), trail)
        shown = evaluation(lineage).attributes["doctrail.grounding.verdicts"]
    assert shown.count('"verdict"') == 100
    assert f'"score":{299 / 500}' in shown
    assert '"score":0.0' not in shown
