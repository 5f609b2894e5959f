"""A workflow of the user's own checks its answer between making it and handing it on."""

import pytest
from llama_index.core.base.response.schema import Response
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

from doctrail_core.grounding.enforcement import REFUSAL, UngroundedAnswerError
from llama_index.observability.doctrail import (
    AnswerChecked,
    AnswerDrafted,
    GroundingPostprocessor,
    GroundingStep,
)


class Found(Event):
    query: str
    nodes: list


class Rag(GroundingStep, Workflow):
    """Retrieves, answers, has the answer checked, and hands it on."""

    def __init__(self, rag, verifier, *, streaming=False, **settings):
        super().__init__()
        self.rag, self.streaming = rag, streaming
        self.grounding = GroundingPostprocessor(verifier, **settings)

    @step
    async def look(self, ev: StartEvent) -> Found:
        return Found(query=ev.query, nodes=await self.rag.retriever(1).aretrieve(ev.query))

    @step
    async def answer(self, ev: Found) -> AnswerDrafted:
        made = await self.rag.synthesizer(streaming=self.streaming).asynthesize(ev.query, ev.nodes)
        return AnswerDrafted(response=made, query=ev.query)

    @step
    async def hand_on(self, ev: AnswerChecked) -> StopEvent:
        assert ev.grounding is ev.response.metadata["grounding"]
        return StopEvent(result=ev.response)


async def test_the_result_is_in_the_event_and_on_record(rag, verifier, instrumented):
    response = await Rag(rag, verifier).run(query=rag.question)
    note = response.metadata["grounding"]
    [trail] = rag.captured.trails
    assert [note["status"], note["risk"]] == ["checked", 0.0]
    assert note["response_id"] == trail.response_id
    assert [a.response_id for a in rag.captured.assessments] == [trail.response_id]
    [asked] = verifier.asked
    assert [asked.text, asked.question] == [rag.answer, rag.question]
    assert [p.chunk_id for p in asked.passages] == ["chunk-renewal"]


async def test_where_nothing_is_recorded_the_sources_of_the_response_are_checked_against(
    rag, verifier
):
    response = await Rag(rag, verifier).run(query=rag.question)
    assert response.metadata["grounding"]["risk"] == 0.0
    assert [p.chunk_id for p in verifier.asked[0].passages] == ["chunk-renewal"]
    assert rag.captured.trails == rag.captured.assessments == []


async def test_what_is_not_grounded_is_refused(rag, verifier, wrong, instrumented):
    rag.llm.says = wrong
    response = await Rag(rag, verifier, enforce="refuse").run(query=rag.question)
    assert str(response) == REFUSAL
    assert rag.captured.trails[0].answer == REFUSAL


async def test_or_fails_the_run(rag, verifier, wrong, instrumented):
    rag.llm.says = wrong
    with pytest.raises(UngroundedAnswerError):
        await Rag(rag, verifier, enforce="raise").run(query=rag.question)
    assert [t.status for t in rag.captured.trails] == ["error"]


async def test_a_stream_is_checked_when_the_caller_has_drawn_it(rag, verifier, instrumented):
    response = await Rag(rag, verifier, streaming=True).run(query=rag.question)
    assert verifier.asked == []
    assert await rag.adrawn(response) == rag.answer
    assert response.metadata["grounding"]["risk"] == 0.0
    [asked] = verifier.asked
    assert [p.chunk_id for p in asked.passages] == ["chunk-renewal"]
    assert len(rag.captured.assessments) == 1
    assert rag.captured.trails[0].answer == rag.answer


async def test_an_answer_made_by_hand_is_checked_too(rag, verifier):
    class ByHand(GroundingStep, Workflow):
        grounding = GroundingPostprocessor(verifier)

        @step
        async def answer(self, ev: StartEvent) -> AnswerDrafted:
            nodes = await rag.retriever(1).aretrieve(ev.query)
            return AnswerDrafted(response=Response(rag.answer, source_nodes=nodes))

        @step
        async def hand_on(self, ev: AnswerChecked) -> StopEvent:
            return StopEvent(result=ev.grounding["counts"])

    assert await ByHand().run(query=rag.question) == {"supported": 1}


async def test_the_check_leaves_no_trace_in_the_workflow(rag, verifier, instrumented):
    verifier.before = lambda: rag.llm.complete("of the judge")
    await Rag(rag, verifier).run(query=rag.question)
    [trail] = rag.captured.trails
    assert [g.output for g in trail.generations] == [rag.answer]
    assert [s.name for s in trail.steps] == ["look", "answer"]
    assert rag.llm.prompts[-1] == "of the judge"
