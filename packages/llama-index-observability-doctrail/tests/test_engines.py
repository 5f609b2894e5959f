"""Every engine's answer is one response; engines inside of it answer as steps of it."""

import asyncio

import pytest
from llama_index.core import ComposableGraph, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.evaluation import FaithfulnessEvaluator, GuidelineEvaluator
from llama_index.core.indices.query.query_transform import (
    HyDEQueryTransform,
    StepDecomposeQueryTransform,
)
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.query_engine import (
    FLAREInstructQueryEngine,
    MultiStepQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.schema import IndexNode
from llama_index.core.tools import QueryEngineTool

WAYS = ["sync", "async"]


class SaysWhatIsAsked(BaseSelector):
    """Asks a model, as the host's own selectors do, and takes the first so many."""

    def __init__(self, llm, count):
        self.llm, self.count = llm, count

    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def _select(self, choices, query):
        self.llm.complete("Which one?")
        picked = [SingleSelection(index=n, reason="good") for n in range(self.count)]
        return SelectorResult(selections=picked)

    async def _aselect(self, choices, query):
        return self._select(choices, query)


class AsksTwice(BaseQuestionGenerator):
    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def generate(self, tools, query):
        asked = ["When is the renewal?", "How long do refunds take?"]
        return [SubQuestion(sub_question=q, tool_name="one") for q in asked]

    async def agenerate(self, tools, query):
        return self.generate(tools, query)


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


@pytest.fixture
def rag(rag, monkeypatch):
    """Its model says something else every time, or what it is told to."""

    class Scripted(type(rag.llm)):
        script: tuple[str, ...] = ()

        @llm_completion_callback()
        def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
            self.prompts.append(prompt)
            place = len(self.prompts)
            said = self.script[place - 1 : place] or [f"This is answer number {place}."]
            return CompletionResponse(text=said[0])

    rag.llm = Scripted()
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    monkeypatch.setattr(Settings, "_embed_model", rag.index._embed_model)
    return rag


def ask(rag, way, engine):
    if way == "sync":
        response = engine.query(rag.question)
    else:
        response = asyncio.run(engine.aquery(rag.question))
    [trail] = rag.captured.trails
    assert trail.question == rag.question
    assert trail.answer == str(response)
    assert trail.status == "ok"
    return trail


def tools(rag, k=1):
    engines = [rag.engine(rag.retriever(k)), rag.engine(rag.retriever(k + 1))]
    return [
        QueryEngineTool.from_defaults(engine, name=name, description=name)
        for name, engine in zip(("one", "two"), engines, strict=True)
    ]


def calls(trail):
    """Every call of a model: what it said, whether it answered, and the step that it was part of."""
    steps = {s.step_id: s.name for s in trail.steps}
    return [(g.output, not g.auxiliary, steps.get(g.parent_id)) for g in trail.generations]


@pytest.mark.parametrize("way", WAYS)
def test_the_engine_that_a_router_chose_gives_the_answer(rag, way):
    engine = RouterQueryEngine(SaysWhatIsAsked(rag.llm, 1), tools(rag), llm=rag.llm)
    trail = ask(rag, way, engine)
    assert calls(trail) == [
        ("This is answer number 1.", False, None),
        ("This is answer number 2.", True, "RetrieverQueryEngine"),
    ]
    [step] = trail.steps
    assert [step.input, step.output] == [rag.question, "This is answer number 2."]
    assert trail.retrievals[0].parent_id == step.step_id
    assert trail.involvements == {"chunk-renewal": "direct"}


@pytest.mark.parametrize("way", WAYS)
def test_of_several_engines_that_a_router_chose_the_summary_is_the_answer(rag, way):
    engine = RouterQueryEngine(
        SaysWhatIsAsked(rag.llm, 2),
        tools(rag),
        llm=rag.llm,
        summarizer=TreeSummarize(llm=rag.llm),
    )
    trail = ask(rag, way, engine)
    assert trail.answer == "This is answer number 4."
    assert calls(trail) == [
        ("This is answer number 1.", False, None),
        ("This is answer number 2.", True, "RetrieverQueryEngine"),
        ("This is answer number 3.", True, "RetrieverQueryEngine"),
        ("This is answer number 4.", True, None),
    ]
    assert trail.involvements == {"chunk-renewal": "indirect", "chunk-support": "indirect"}
    assert len(trail.retrievals) == 2


def test_a_summary_that_streams_is_the_answer_too(rag):
    engine = RouterQueryEngine(
        SaysWhatIsAsked(rag.llm, 2),
        tools(rag),
        llm=rag.llm,
        summarizer=TreeSummarize(llm=rag.llm, streaming=True),
    )
    said = rag.drawn(engine.query(rag.question))
    [trail] = rag.captured.trails
    assert trail.answer == said == rag.answer
    assert calls(trail)[-1] == (rag.answer, True, None)
    assert [s.name for s in trail.steps] == ["RetrieverQueryEngine"] * 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("use_async", [False, True])
def test_sub_questions_are_answered_in_steps(rag, way, use_async):
    engine = SubQuestionQueryEngine.from_defaults(
        tools(rag),
        llm=rag.llm,
        question_gen=AsksTwice(),
        response_synthesizer=rag.synthesizer(),
        use_async=use_async,
        verbose=False,
    )
    trail = ask(rag, way, engine)
    assert trail.answer == "This is answer number 3."
    assert {s.input: s.name for s in trail.steps} == {
        "When is the renewal?": "RetrieverQueryEngine",
        "How long do refunds take?": "RetrieverQueryEngine",
    }
    assert len({s.output for s in trail.steps}) == 2
    assert {r.parent_id for r in trail.retrievals} == {s.step_id for s in trail.steps}
    assert trail.involvements == {"chunk-renewal": "indirect", "chunk-refund": "indirect"}
    assert {r.retriever for r in trail.retrievals} == {"VectorIndexRetriever"}
    assert not [a for c in trail.contexts for a in c.arrivals if a.reason == "filtered"]


@pytest.mark.parametrize("way", WAYS)
def test_an_engine_that_transforms_the_question_prepares_by_that(rag, way):
    hyde = HyDEQueryTransform(llm=rag.llm)
    trail = ask(rag, way, TransformQueryEngine(rag.engine(rag.retriever()), hyde))
    assert [answers for _, answers, _ in calls(trail)] == [False, True]
    assert calls(trail)[1][2] == "RetrieverQueryEngine"
    assert trail.involvements["chunk-renewal"] == "direct"


def test_an_engine_of_several_steps_tells_each(rag):
    engine = MultiStepQueryEngine(
        rag.engine(rag.retriever(1)),
        StepDecomposeQueryTransform(llm=rag.llm),
        rag.synthesizer(),
        num_steps=2,
    )
    trail = ask(rag, "sync", engine)
    assert [answers for _, answers, _ in calls(trail)] == [False, True, False, True, True]
    one, other = trail.steps
    assert one.input == "This is answer number 1."
    assert one.output == "This is answer number 2."
    assert one.output in trail.generations[2].messages[-1].text
    assert trail.generations[-1].parent_id is None
    assert {r.parent_id for r in trail.retrievals} == {one.step_id, other.step_id}
    assert {r.retriever for r in trail.retrievals} == {"VectorIndexRetriever"}


def test_what_an_evaluator_looks_up_to_check_an_answer_is_no_source_of_it(rag):
    judge = type(rag.llm)(script=("NO", "YES"))
    engine = RetryQueryEngine(
        rag.engine(rag.retriever(1)), FaithfulnessEvaluator(llm=judge), max_retries=2
    )
    trail = ask(rag, "sync", engine)
    assert len(judge.prompts) == 2
    assert {r.retriever for r in trail.retrievals} == {"VectorIndexRetriever"}
    assert {d.document_id for d in trail.documents} == {"doc_renewal"}
    assert sorted(s.name for s in trail.steps) == [
        "RetrieverQueryEngine",
        "RetrieverQueryEngine",
        "RetryQueryEngine",
    ]
    assert {a.state for c in trail.contexts for a in c.arrivals} == {"full"}
    assert [output for output, _, _ in calls(trail)] == [
        "This is answer number 1.",
        "This is answer number 2.",
    ]


def test_a_verdict_on_an_answer_is_no_answer(rag):
    judge = type(rag.llm)(script=('{"passing": true, "feedback": "brief"}',))
    rule = GuidelineEvaluator(llm=judge, guidelines="Be brief.")
    engine = RetryGuidelineQueryEngine(rag.engine(rag.retriever(1)), rule)
    trail = ask(rag, "sync", engine)
    assert [answers for _, answers, _ in calls(trail)] == [True, False]


def test_an_engine_that_asks_while_it_writes_shows_what_it_asked(rag):
    writer = type(rag.llm)(script=("It is [Search(When is the renewal?)].", "in February. done"))
    engine = FLAREInstructQueryEngine(
        rag.engine(rag.retriever(1)), llm=writer, max_iterations=3, verbose=False
    )
    trail = ask(rag, "sync", engine)
    [step] = trail.steps
    assert step.input == "When is the renewal?"
    assert trail.retrievals[0].query == step.input
    assert "chunk-renewal" in trail.involvements


@pytest.mark.parametrize("way", WAYS)
def test_in_an_index_of_indexes_what_one_answered_is_no_source_of_the_next(rag, way):
    graph = ComposableGraph.from_indices(
        SummaryIndex, [rag.index], index_summaries=["All about contracts."]
    )
    engine = graph.as_query_engine(llm=rag.llm, response_synthesizer=rag.synthesizer())
    trail = ask(rag, way, engine)
    assert [r.retriever for r in trail.retrievals] == [
        "SummaryIndexRetriever",
        "VectorIndexRetriever",
    ]
    assert [answers for _, answers, _ in calls(trail)] == [True, True]
    assert trail.generations[0].output in trail.generations[1].messages[-1].text
    assert {"chunk-renewal", "chunk-support"} == set(trail.involvements)


def test_the_answer_of_an_engine_behind_a_link_is_a_step_and_its_source_is_read(rag):
    link = IndexNode(
        text="Contracts: renewal deadline", index_id="contracts", obj=rag.engine(rag.retriever(1))
    )
    top = VectorStoreIndex(objects=[link], embed_model=rag.index._embed_model)
    trail = ask(rag, "sync", rag.engine(top.as_retriever()))
    [step] = trail.steps
    assert step.output == "This is answer number 1."
    assert step.output in trail.generations[-1].messages[-1].text
    first, second = trail.contexts
    read = {a.chunk_id: (a.state, a.reason) for a in first.arrivals}
    assert read == {"chunk-renewal": ("full", None)}
    handed_on = {a.chunk_id: (a.state, a.reason) for a in second.arrivals}
    assert handed_on["chunk-renewal"] == ("absent", None)
    assert trail.involvements["chunk-renewal"] == "indirect"
