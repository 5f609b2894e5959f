"""A checked engine inside of an agent, a router or another engine: its result stays out of their prompts."""

import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.query_engine import RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import IndexNode, NodeWithScore
from llama_index.core.tools import QueryEngineTool

from doctrail_core.grounding.enforcement import REFUSAL
from llama_index.observability.doctrail import GroundingPostprocessor, LineageQueryEngine

pytestmark = [
    # The host looks at every attribute of an agent when it makes one.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    # A ReActAgent of today's host asks workflows of today what they advise against.
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]

TELLTALE = (
    "grounding",
    "lineage",
    "recorded",
    "supported",
    "contradicted",
    "checked",
    "risk",
    "fake",
)


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


class Keeping(LineageQueryEngine):
    """Keeps its responses, which those around it only hand on as text."""

    kept: list

    def _query(self, query_bundle):
        self.kept.append(super()._query(query_bundle))
        return self.kept[-1]

    async def _aquery(self, query_bundle):
        self.kept.append(await super()._aquery(query_bundle))
        return self.kept[-1]


@pytest.fixture
def inner(rag, verifier):
    engine = Keeping(
        rag.engine(rag.retriever(1)),
        postprocessor=GroundingPostprocessor(verifier),
        lineage=rag.captured,
    )
    engine.kept = []
    return engine


def tool(engine, name="contracts"):
    return QueryEngineTool.from_defaults(engine, name=name, description="answers")


def prompts(trail):
    return [message.text or "" for g in trail.generations for message in g.messages]


def assert_nothing_leaked(rag, inner):
    """Neither a word of the result nor an id of the record is in a prompt that any model read."""
    [trail] = rag.captured.trails
    assert inner.kept
    read = "\n".join(prompts(trail)).lower()
    assert rag.answer.lower() in read, "the inner answer itself was read"
    assert not [word for word in (*TELLTALE, trail.response_id) if word in read]
    for response in inner.kept:
        note = response.metadata["grounding"]
        assert [note["status"], note["risk"]] == ["checked", 0.0]
    return trail


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_an_agent_reads_the_answer_of_its_tool_and_nothing_of_its_check(
    rag, inner, asks, agent_llm, kind
):
    wanted = asks(("call-1", "contracts", {"input": "renewal deadline"}))
    thought = 'Thought: look.\nAction: contracts\nAction Input: {"input": "renewal deadline"}'
    done = "Thought: I know.\nAnswer: By February 28th."
    script = (wanted, "By February 28th.") if kind is FunctionAgent else (thought, done)
    agent = kind(tools=[tool(inner)], llm=agent_llm(*script), streaming=False)
    await agent.run(user_msg=rag.question)
    trail = assert_nothing_leaked(rag, inner)
    assert trail.tool_calls[0].result == rag.answer


async def test_a_refusal_is_what_the_agent_reads(rag, inner, verifier, wrong, asks, agent_llm):
    rag.llm.says = wrong
    inner.postprocessor = GroundingPostprocessor(verifier, enforce="refuse")
    llm = agent_llm(asks(("call-1", "contracts", {"input": "renewal"})), "I cannot say.")
    await FunctionAgent(tools=[tool(inner)], llm=llm).run(user_msg=rag.question)
    [trail] = rag.captured.trails
    assert trail.tool_calls[0].result == REFUSAL
    assert not any("March" in text for text in prompts(trail)[-1:])


def test_what_is_said_of_an_inner_answer_is_not_on_record_as_said_of_the_outer_one(rag, inner):
    engine = RouterQueryEngine(Takes(1), [tool(inner)], llm=rag.llm)
    engine.query(rag.question)
    assert rag.captured.assessments == []
    assert inner.kept[0].metadata["grounding"].assessment.risk == 0.0


class Takes(BaseSelector):
    def __init__(self, count):
        self.count = count

    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def _select(self, choices, query):
        picked = [SingleSelection(index=n, reason="good") for n in range(self.count)]
        return SelectorResult(selections=picked)

    async def _aselect(self, choices, query):
        return self._select(choices, query)


async def test_a_router_that_asks_several_engines_sums_up_their_answers_alone(rag, inner):
    engine = RouterQueryEngine(
        Takes(2),
        [tool(inner), tool(inner, "more")],
        llm=rag.llm,
        summarizer=TreeSummarize(llm=rag.llm),
    )
    await engine.aquery(rag.question)
    assert_nothing_leaked(rag, inner)


class AsksTwice(BaseQuestionGenerator):
    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def generate(self, tools, query):
        asked = ["When is the renewal deadline?", "Which renewal deadline holds?"]
        return [SubQuestion(sub_question=q, tool_name="contracts") for q in asked]

    async def agenerate(self, tools, query):
        return self.generate(tools, query)


@pytest.mark.parametrize("use_async", [False, True])
def test_an_engine_of_sub_questions_reads_their_answers_alone(rag, inner, monkeypatch, use_async):
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    engine = SubQuestionQueryEngine.from_defaults(
        [tool(inner)],
        llm=rag.llm,
        question_gen=AsksTwice(),
        response_synthesizer=rag.synthesizer(),
        verbose=False,
        use_async=use_async,
    )
    engine.query(rag.question)
    assert_nothing_leaked(rag, inner)


def test_an_engine_that_a_node_links_to_shows_one_word_that_never_changes(
    rag, inner, verifier, wrong
):
    class Linked(BaseRetriever):
        def _retrieve(self, query_bundle):
            node = IndexNode(text="contracts", index_id="contracts", obj=inner)
            return self._handle_recursive_retrieval(
                query_bundle, [NodeWithScore(node=node, score=0.5)]
            )

    def shown():
        rag.engine(Linked()).query(rag.question)
        return rag.captured.trails[-1].generations[-1].messages[-1].text

    good = shown()
    rag.llm.says = wrong
    bad = shown()
    assert "grounding: recorded" in good
    assert good.replace(rag.answer, "") == bad.replace("".join(wrong), "")
    assert [r.metadata["grounding"]["risk"] for r in inner.kept] == [0.0, 0.9]
    hits = [h for t in rag.captured.trails for r in t.retrievals for h in r.hits]
    assert not any("grounding" in h.chunk.metadata for h in hits)
