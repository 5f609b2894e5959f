"""`LineageQueryEngine(engine)` is the engine, and its responses say where they are on record."""

import json
import pickle

import pytest
from llama_index.core.base.response.schema import PydanticResponse, Response
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle
from pydantic import BaseModel

from llama_index.observability.doctrail import LineageQueryEngine, LineageRetriever, handlers
from llama_index.observability.doctrail.note import LineageNote


@pytest.fixture
def engine(rag):
    return LineageQueryEngine(rag.engine(rag.retriever()), lineage=rag.captured)


def test_the_response_says_under_which_id_it_is_on_record(rag, engine):
    response = engine.query(rag.question)
    assert type(response) is Response
    trail = rag.captured.get(response.metadata["lineage"]["response_id"])
    assert trail.question == rag.question
    assert trail.answer == rag.answer
    assert [len(trail.retrievals), len(trail.generations)] == [1, 1]


async def test_so_does_an_async_one(rag, engine):
    response = await engine.aquery(rag.question)
    assert rag.captured.get(response.metadata["lineage"]["response_id"]).answer == rag.answer


def test_so_does_a_stream_before_it_is_drawn(rag):
    streaming = rag.engine(rag.retriever(), streaming=True)
    response = LineageQueryEngine(streaming, lineage=rag.captured).query(rag.question)
    note = response.metadata["lineage"]
    assert rag.captured.get(note["response_id"]) is None
    assert response.get_response().metadata["lineage"] is note
    assert rag.captured.get(note["response_id"]).answer == rag.answer


async def test_so_does_an_async_stream(rag):
    streaming = rag.engine(rag.retriever(), streaming=True)
    response = await LineageQueryEngine(streaming, lineage=rag.captured).aquery(rag.question)
    assert await rag.adrawn(response) == rag.answer
    note = response.metadata["lineage"]
    assert note["complete"] is True
    assert rag.captured.get(note["response_id"]).answer == rag.answer


def test_a_stream_that_breaks_off_stays_incomplete(rag):
    streaming = rag.engine(rag.retriever(), streaming=True)
    response = LineageQueryEngine(streaming, lineage=rag.captured).query(rag.question)
    next(response.response_gen)
    response.response_gen.close()
    assert response.metadata["lineage"]["complete"] is False
    assert rag.captured.trails[0].status == "aborted"


def test_in_a_scope_it_is_the_response_of_the_scope(rag, engine):
    with rag.captured.scope(response_id="mine") as opened:
        response = engine.query(rag.question)
    assert response.metadata["lineage"]["response_id"] == "mine"
    assert opened.trail.response_id == "mine"


def test_an_empty_retrieval_has_no_metadata_until_we_add_ours(rag):
    class Nothing(BaseRetriever):
        def _retrieve(self, query_bundle):
            return []

    engine = LineageQueryEngine(rag.engine(Nothing()), lineage=rag.captured)
    response = engine.query(rag.question)
    assert list(response.metadata) == ["lineage"]
    assert str(response) == "Empty Response"


class Deadline(BaseModel):
    day: str


def test_a_pydantic_response_that_has_every_attribute_is_not_fooled(rag):
    class Structured(CustomQueryEngine):
        def custom_query(self, query_str: str):
            rag.wrapped().retrieve(query_str)
            return PydanticResponse(Deadline(day="February 28th"))

    response = LineageQueryEngine(Structured(), lineage=rag.captured).query(rag.question)
    assert response.metadata["lineage"]["complete"] is True
    assert response.day == "February 28th"
    assert rag.captured.trails[0].answer == '{"day":"February 28th"}'


def test_what_is_on_the_response_never_reaches_the_prompt_of_an_outer_engine(rag):
    inner = LineageQueryEngine(rag.engine(rag.retriever()), lineage=rag.captured)

    class Linked(BaseRetriever):
        def _retrieve(self, query_bundle):
            node = IndexNode(text="contracts", index_id="contracts", obj=inner)
            return self._handle_recursive_retrieval(
                query_bundle, [NodeWithScore(node=node, score=0.5)]
            )

    rag.engine(LineageRetriever(Linked(), lineage=rag.captured)).query(rag.question)
    [trail] = rag.captured.trails
    outer_prompt = trail.generations[-1].messages[-1].text
    assert "lineage: recorded" in outer_prompt
    assert trail.response_id not in outer_prompt
    assert "complete" not in outer_prompt
    assert not any("lineage" in h.chunk.metadata for r in trail.retrievals for h in r.hits)


def test_a_note_prints_as_one_word_and_serialises_in_full():
    note = LineageNote(response_id="r1", complete=True)
    assert f"{note}" == str(note) == "recorded"
    assert json.loads(json.dumps(note)) == {"response_id": "r1", "complete": True}


def test_prompts_are_those_of_the_engine_and_can_be_updated(rag, engine):
    assert engine.get_prompts().keys() == engine.base.get_prompts().keys()
    key = "response_synthesizer:text_qa_template"
    engine.update_prompts({key: PromptTemplate("Only this: {context_str} {query_str}")})
    engine.query(rag.question)
    assert "Only this:" in rag.captured.trails[0].generations[0].messages[-1].text


def test_it_retrieves_and_synthesizes_as_the_engine_does(rag, engine):
    nodes = engine.retrieve(QueryBundle(rag.question))
    assert [n.node_id for n in nodes] == ["chunk-renewal", "chunk-support"]
    assert str(engine.synthesize(QueryBundle(rag.question), nodes)) == rag.answer
    assert engine.retriever is engine.base.retriever
    with pytest.raises(AttributeError):
        _ = engine.no_such_thing


async def test_it_synthesizes_in_async_code_too(rag, engine):
    nodes = engine.retrieve(QueryBundle(rag.question))
    assert str(await engine.asynthesize(QueryBundle(rag.question), nodes)) == rag.answer


class Silent(CustomQueryEngine):
    def custom_query(self, query_str: str):
        return "nothing"


def test_a_pickled_one_has_its_process_told(rag):
    engine = LineageQueryEngine(Silent(), lineage=rag.captured)
    handlers._demand.wrapped = False
    twin = pickle.loads(pickle.dumps(engine))  # noqa: S301  # our own
    assert handlers._demand.wrapped
    assert type(twin.base) is Silent
    assert twin.lineage is None


def test_an_error_passes_through(rag, engine):
    rag.llm.fails_at = 0
    with pytest.raises(RuntimeError, match="the model is gone"):
        engine.query(rag.question)
    assert [t.status for t in rag.captured.trails] == ["error"]


def test_an_error_of_ours_leaves_the_response_as_it_was(rag, engine, instrumented, monkeypatch):
    monkeypatch.setattr(handlers.RUNS, "note", lambda *args: 1 / 0)
    response = engine.query(rag.question)
    assert str(response) == rag.answer
    assert "lineage" not in response.metadata
    assert [where for where, _ in rag.captured.errors] == ["llama_index.note"]
    rag.captured.errors.clear()
