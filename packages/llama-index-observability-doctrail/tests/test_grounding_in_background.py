"""Answers that are checked in the background: nobody waits for it, and each gets its own."""

import asyncio
import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import (
    CustomQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
)
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.tools import QueryEngineTool

import doctrail_core
from doctrail_core import Grounding
from llama_index.observability.doctrail import (
    LineageInstrumentor,
    LineageQueryEngine,
    handlers,
)

# The host looks at every attribute of an agent when it makes one.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

MODES = ["compact", "refine", "tree_summarize"]


@pytest.fixture
def grounding(verifier) -> Grounding:
    """All answers are checked."""
    return Grounding(verifier=verifier, sample_rate=1.0)


@pytest.fixture
def engine(rag, grounding):
    def make(*, streaming=False, mode="compact"):
        return LineageQueryEngine(
            rag.engine(rag.retriever(), streaming=streaming, mode=mode),
            grounding=grounding,
            lineage=rag.captured,
        )

    return make


@pytest.fixture
def everything(rag, grounding):
    """An instrumentor that has all answers checked."""
    instrumentor = LineageInstrumentor(rag.captured, grounding=grounding).install()
    yield instrumentor
    instrumentor.uninstall()


def found(rag):
    assert rag.captured.flush(20)
    return rag.captured.assessments


def test_an_answer_is_checked_when_it_is_on_record(rag, verifier, engine):
    response = engine().query(rag.question)
    assert "grounding" not in response.metadata
    [assessment] = found(rag)
    assert assessment.response_id == response.metadata["lineage"]["response_id"]
    assert [assessment.verifier, assessment.status, assessment.risk] == ["fake", "checked", 0.0]
    [asked] = verifier.asked
    assert [asked.text, asked.question] == [rag.answer, rag.question]
    assert [p.chunk_id for p in asked.passages] == ["chunk-renewal", "chunk-support"]


async def test_so_is_that_of_an_async_query(rag, engine):
    response = await engine().aquery(rag.question)
    [assessment] = found(rag)
    assert assessment.response_id == response.metadata["lineage"]["response_id"]


def test_what_is_not_in_the_share_is_not_checked(rag, verifier):
    none = Grounding(verifier=verifier, sample_rate=0.0)
    LineageQueryEngine(rag.engine(), grounding=none, lineage=rag.captured).query(rag.question)
    assert found(rag) == []
    assert rag.captured.checks(none).tally.left == 1


def test_a_request_may_ask_for_its_check_or_forbid_it(rag, verifier):
    none = Grounding(verifier=verifier, sample_rate=0.0)
    engine = LineageQueryEngine(rag.engine(), grounding=none)
    for wanted in (None, True, False):
        with rag.captured.scope(response_id=f"{wanted}", check=wanted):
            engine.query(rag.question)
    assert [a.response_id for a in found(rag)] == ["True"]


@pytest.mark.parametrize("mode", MODES)
def test_no_answer_waits_for_its_check(rag, verifier, engine, mode):
    """The verifier is held until every answer was handed over, whole."""
    released = threading.Event()
    verifier.before = lambda: released.wait(20)
    try:
        assert str(engine(mode=mode).query(rag.question)) == rag.answer
        response = engine(mode=mode, streaming=True).query(rag.question)
        assert type(response) is StreamingResponse
        assert "".join(response.response_gen) == rag.answer
        assert rag.captured.assessments == []
    finally:
        released.set()
    assert len(found(rag)) == 2


async def test_nor_does_an_async_one(rag, verifier, engine):
    released = threading.Event()
    verifier.before = lambda: released.wait(20)
    try:
        assert str(await engine().aquery(rag.question)) == rag.answer
        response = await engine(streaming=True).aquery(rag.question)
        assert type(response) is AsyncStreamingResponse
        assert await rag.adrawn(response) == rag.answer
        assert rag.captured.assessments == []
    finally:
        released.set()
    assert len(await asyncio.to_thread(found, rag)) == 2


def test_a_stream_is_checked_when_it_was_drawn_and_not_before(rag, verifier, engine):
    response = engine(streaming=True).query(rag.question)
    first = next(response.response_gen)
    assert found(rag) == []
    assert first + "".join(response.response_gen) == rag.answer
    [assessment] = found(rag)
    assert assessment.response_id == response.metadata["lineage"]["response_id"]
    assert verifier.asked[0].text == rag.answer


def test_a_check_that_fails_is_on_record_and_costs_nothing(rag, verifier):
    verifier.before = lambda: 1 / 0
    once = Grounding(verifier=verifier, sample_rate=1.0, attempts=1)
    engine = LineageQueryEngine(rag.engine(), grounding=once, lineage=rag.captured)
    assert str(engine.query(rag.question)) == rag.answer
    [assessment] = found(rag)
    assert [assessment.status, assessment.risk] == ["failed", None]
    assert rag.captured.dropped.pop("checks of answers that failed") == 1


def test_a_judge_that_is_a_model_of_the_host_leaves_no_lineage(rag, verifier, everything):
    verifier.before = lambda: rag.llm.complete("of the judge")
    rag.engine(rag.retriever()).query(rag.question)
    assert len(found(rag)) == 1
    assert "of the judge" in rag.llm.prompts
    [trail] = rag.captured.trails
    assert len(trail.generations) == 1


# --- everything in the process


@pytest.mark.parametrize("streaming", [False, True])
def test_an_instrumentor_has_every_engine_checked(rag, everything, streaming):
    response = rag.engine(rag.retriever(), streaming=streaming).query(rag.question)
    assert rag.drawn(response) == rag.answer
    [assessment], [trail] = found(rag), rag.captured.trails
    assert assessment.response_id == trail.response_id
    assert trail.generations[0].generation_id == assessment.generation_id


def test_what_an_engine_asks_for_itself_goes_before(rag, verifier, everything):
    none = Grounding(verifier=verifier, sample_rate=0.0)
    LineageQueryEngine(rag.engine(rag.retriever()), grounding=none).query(rag.question)
    assert found(rag) == []


def test_of_an_instrumentor_without_grounding_the_lineage_decides(rag, grounding, verifier):
    with doctrail_core.testing.capture_trails(grounding=grounding) as lineage:
        instrumentor = LineageInstrumentor(lineage).install()
        rag.engine(rag.retriever()).query(rag.question)
        instrumentor.uninstall()
        assert lineage.flush(20)
        assert len(lineage.assessments) == 1
    assert len(verifier.asked) == 1


def memory():
    return ChatMemoryBuffer.from_defaults(token_limit=2000)


def context(rag):
    return ContextChatEngine.from_defaults(rag.retriever(), llm=rag.llm, memory=memory())


def condense_plus_context(rag):
    return CondensePlusContextChatEngine.from_defaults(
        rag.retriever(), llm=rag.llm, memory=memory()
    )


def condense_question(rag):
    engine = rag.engine(rag.retriever(), streaming=True)
    return CondenseQuestionChatEngine.from_defaults(engine, llm=rag.llm, memory=memory())


CHATS = [context, condense_plus_context, condense_question]


@pytest.mark.parametrize("make", CHATS)
async def test_a_turn_of_a_chat_engine_is_checked(rag, verifier, everything, make):
    chat = make(rag)
    assert (await chat.achat(rag.question)).response == rag.answer
    response = await chat.astream_chat("And for private accounts?")
    said = [token async for token in response.async_response_gen()]
    assert "".join(said) == rag.answer
    assessments = await asyncio.to_thread(found, rag)
    assert [a.response_id for a in assessments] == [t.response_id for t in rag.captured.trails]
    assert [a.text for a in verifier.asked] == [rag.answer] * 2
    assert all("chunk-renewal" in {p.chunk_id for p in a.passages} for a in verifier.asked)


class TakesTheFirst(BaseSelector):
    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def _select(self, choices, query):
        return SelectorResult(selections=[SingleSelection(index=0, reason="good")])

    async def _aselect(self, choices, query):
        return self._select(choices, query)


class AsksTwice(BaseQuestionGenerator):
    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def generate(self, tools, query):
        asked = ["When is the renewal deadline?", "How long do refunds take?"]
        return [SubQuestion(sub_question=q, tool_name="contracts") for q in asked]

    async def agenerate(self, tools, query):
        return self.generate(tools, query)


def tool(engine):
    return QueryEngineTool.from_defaults(engine, name="contracts", description="answers")


def test_the_answer_of_a_router_is_checked_once_against_what_the_chosen_engine_read(
    rag, verifier, everything
):
    tools = [tool(rag.engine(rag.retriever(1)))]
    RouterQueryEngine(TakesTheFirst(), tools, llm=rag.llm).query(rag.question)
    assert len(found(rag)) == 1
    assert [[p.chunk_id for p in a.passages] for a in verifier.asked] == [["chunk-renewal"]]


def test_an_answer_made_of_sub_questions_is_checked_once_against_what_all_of_them_read(
    rag, verifier, everything, monkeypatch
):
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    engine = SubQuestionQueryEngine.from_defaults(
        [tool(rag.engine(rag.retriever(1)))],
        llm=rag.llm,
        question_gen=AsksTwice(),
        verbose=False,
        use_async=False,
    )
    engine.query(rag.question)
    assert len(found(rag)) == 1
    [asked] = verifier.asked
    assert {p.chunk_id for p in asked.passages} == {"chunk-renewal", "chunk-refund"}


async def test_the_answer_of_an_agent_is_checked_against_what_its_tools_read(
    rag, verifier, everything, asks, agent_llm
):
    llm = agent_llm(asks(("call-1", "contracts", {"input": "renewal deadline"})), rag.answer)
    agent = FunctionAgent(tools=[tool(rag.engine(rag.retriever(1)))], llm=llm)
    await agent.run(user_msg=rag.question)
    assert len(await asyncio.to_thread(found, rag)) == 1
    [asked] = verifier.asked
    assert [asked.text, asked.question] == [rag.answer, rag.question]
    assert "chunk-renewal" in {p.chunk_id for p in asked.passages}


# --- many at once


async def test_a_hundred_tasks_at_once_get_each_its_own_assessment(rag, verifier, engine):
    asking = engine(streaming=True)

    async def ask(number):
        response = await asking.aquery(f"{rag.question} ({number})")
        await asyncio.sleep(0)
        assert await rag.adrawn(response) == rag.answer
        return response.metadata["lineage"]["response_id"]

    ids = await asyncio.gather(*map(ask, range(100)))
    await asyncio.to_thread(check, rag, ids)


def test_so_do_a_hundred_queries_in_eight_threads(rag, verifier, engine):
    asking = engine()

    def ask(number):
        response = asking.query(f"{rag.question} ({number})")
        return response.metadata["lineage"]["response_id"]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(ask, range(100)))
    check(rag, ids)


def check(rag, ids):
    assessments = found(rag)
    assert sorted(a.response_id for a in assessments) == sorted(ids)
    for number, response_id in enumerate(ids):
        trail = rag.captured.get(response_id)
        assert trail.question == f"{rag.question} ({number})"
        [assessment], [generation] = trail.assessments, trail.generations
        assert assessment.generation_id == generation.generation_id


# --- promises of the wrapper


class Silent(CustomQueryEngine):
    def custom_query(self, query_str: str):
        return "nothing"


def test_copies_and_pickles_take_along_how_to_check(rag):
    engine = LineageQueryEngine(Silent(), grounding=Grounding(sample_rate=0.5))
    handlers._demand.wrapped = False
    for twin in (pickle.loads(pickle.dumps(engine)), copy.deepcopy(engine), copy.copy(engine)):  # noqa: S301  # our own
        assert twin.grounding == engine.grounding
        assert twin.lineage is None
    assert handlers._demand.wrapped
