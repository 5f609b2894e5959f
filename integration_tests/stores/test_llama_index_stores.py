"""What a trail says of a search is what the store did: LlamaIndex over real embedded stores."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms.mock import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeWithScore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from stores.corpus import QUESTION, TOPIC, measured, page_of
from stores.llama_index_shelves import SHELVES, WITHOUT_FILTERS, Shelf, nodes

from doctrail_core.model import Hit, Retrieval
from doctrail_core.testing import CapturedLineage, capture_trails
from llama_index.observability.doctrail import LineageInstrumentor, LineageRetriever

# of the LanceDB integration
pytestmark = pytest.mark.filterwarnings(
    "ignore:table_names\\(\\) is deprecated", "ignore:create_fts_index is deprecated"
)


@pytest.fixture
def captured() -> Generator[CapturedLineage]:
    with capture_trails() as lineage:
        yield lineage
        assert lineage.errors == []
        assert lineage.open_count == 0


@pytest.fixture
def shelf(request) -> Generator[Shelf]:
    with SHELVES[request.param]() as shelf:
        yield shelf


def on_each_shelf(without: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    names = [name for name in SHELVES if name not in without]
    return pytest.mark.parametrize("shelf", names, indirect=True)


def searched(retriever: BaseRetriever, captured: CapturedLineage) -> Retrieval:
    LineageRetriever(retriever, lineage=captured).retrieve(QUESTION)
    (found,) = captured.trails[-1].retrievals
    return found


def told(hits: tuple[Hit, ...] | list[NodeWithScore]) -> list[tuple[Any, ...]]:
    return [
        (hit.chunk.chunk_id, hit.chunk.text, hit.score)
        if isinstance(hit, Hit)
        else (hit.node.node_id, hit.node.get_content(MetadataMode.NONE), hit.score)
        for hit in hits
    ]


@on_each_shelf()
def test_an_answer_names_what_the_store_returned(shelf, captured):
    retriever = shelf.index.as_retriever(similarity_top_k=3)
    expected = told(retriever.retrieve(QUESTION))
    wrapped = LineageRetriever(retriever, lineage=captured)
    RetrieverQueryEngine.from_args(wrapped, llm=MockLLM()).query(QUESTION)
    (trail,) = captured.trails
    (found,) = trail.retrievals
    assert told(found.hits) == expected
    assert (found.k, found.search_type, found.store) == (3, "similarity", shelf.called)
    for hit in found.hits:
        page = page_of(hit.chunk.text)
        assert (hit.chunk.chunk_id, hit.chunk.document_id) == (page.chunk_id, page.document_id)
        assert hit.chunk.metadata["topic"] == page.topic
    (context,) = trail.contexts
    assert [a.state for a in context.arrivals] == ["full"] * 3


@on_each_shelf()
def test_scores_are_the_stores_own_and_run_the_way_that_is_told(shelf, captured):
    hits = searched(shelf.index.as_retriever(similarity_top_k=5), captured).hits
    assert [hit.score for hit in hits] == pytest.approx(
        [measured(shelf.metric, hit.chunk.text) for hit in hits], rel=1e-4
    )
    assert {hit.score_kind for hit in hits} == {shelf.kind}
    falling = sorted((hit.score for hit in hits), reverse=shelf.kind != "distance")
    assert [hit.score for hit in hits] == falling


@on_each_shelf()
def test_an_instrumented_retriever_tells_the_same_as_a_wrapped_one(shelf, captured):
    retriever = shelf.index.as_retriever(similarity_top_k=3)
    by_wrapper = searched(retriever, captured)
    instrumentor = LineageInstrumentor(captured).install()
    try:
        retriever.retrieve(QUESTION)
    finally:
        instrumentor.uninstall()
    (by_instrumentor,) = captured.trails[-1].retrievals
    assert len(captured.trails) == 2
    assert by_instrumentor.hits == by_wrapper.hits
    assert by_instrumentor.k == by_wrapper.k == 3
    assert by_instrumentor.store == by_wrapper.store


@on_each_shelf(without=WITHOUT_FILTERS)
def test_filters_are_on_record_as_they_narrowed_the_search(shelf, captured):
    filters = MetadataFilters(filters=[MetadataFilter(key="topic", value=TOPIC)])
    retriever = shelf.index.as_retriever(similarity_top_k=5, filters=filters)
    found = searched(retriever, captured)
    assert {page_of(hit.chunk.text).topic for hit in found.hits} == {TOPIC}
    assert len(found.hits) == 3
    assert {hit.score_kind for hit in found.hits} == {shelf.kind}
    (condition,) = found.filters["metadata"]["filters"]
    assert (condition["key"], condition["operator"], condition["value"]) == ("topic", "==", TOPIC)


@pytest.mark.parametrize("shelf", WITHOUT_FILTERS, indirect=True)
def test_a_filter_that_the_store_refuses_fails_as_it_did(shelf, captured):
    filters = MetadataFilters(filters=[MetadataFilter(key="topic", value=TOPIC)])
    with pytest.raises(ValueError, match="not implemented"):
        searched(shelf.index.as_retriever(filters=filters), captured)
    (trail,) = captured.trails
    assert (trail.status, trail.retrievals[0].hits) == ("error", ())


@pytest.mark.parametrize("shelf", ["in memory", "Chroma, l2"], indirect=True)
def test_a_search_for_diversity_is_on_record_as_one(shelf, captured):
    retriever = shelf.index.as_retriever(
        similarity_top_k=3, vector_store_query_mode=VectorStoreQueryMode.MMR
    )
    expected = told(retriever.retrieve(QUESTION))
    found = searched(retriever, captured)
    assert told(found.hits) == expected
    assert found.search_type == "mmr"
    kind = "similarity" if shelf.called.startswith("Chroma") else "unknown"
    assert {hit.score_kind for hit in found.hits} == {kind}


@pytest.mark.parametrize(
    "shelf", [name for name in SHELVES if not name.startswith("Qdrant")], indirect=True
)
async def test_an_async_search_tells_the_same(shelf, captured):
    retriever = shelf.index.as_retriever(similarity_top_k=3)
    await LineageRetriever(retriever, lineage=captured).aretrieve(QUESTION)
    found = searched(retriever, captured)
    (first,) = captured.trails[0].retrievals
    assert first.hits == found.hits
    assert (first.k, first.search_type, first.store) == (
        found.k,
        found.search_type,
        found.store,
    )


@pytest.mark.parametrize(
    "shelf", [name for name in SHELVES if name.startswith("Qdrant")], indirect=True
)
async def test_an_async_search_in_qdrant_tells_the_same(shelf, captured):
    found = searched(shelf.index.as_retriever(similarity_top_k=3), captured)
    store = shelf.index.vector_store
    async with copied(store.client) as client:  # local ones cannot share a collection
        twin = type(store)("library", client=store.client, aclient=client)
        index = VectorStoreIndex.from_vector_store(twin, embed_model=shelf.index._embed_model)
        wrapped = LineageRetriever(index.as_retriever(similarity_top_k=3), lineage=captured)
        await wrapped.aretrieve(QUESTION)
    (told,) = captured.trails[-1].retrievals
    assert len(captured.trails) == 2
    assert told.hits == found.hits
    assert (told.k, told.store) == (3, shelf.called)


@asynccontextmanager
async def copied(client: QdrantClient) -> AsyncGenerator[AsyncQdrantClient]:
    """An async client of a copy of the library."""
    twin = AsyncQdrantClient(":memory:")
    config = client.get_collection("library").config.params
    await twin.create_collection("library", vectors_config=config.vectors)
    points, _ = client.scroll("library", with_vectors=True)
    await twin.upsert(
        "library",
        [models.PointStruct(id=p.id, vector=p.vector, payload=p.payload) for p in points],
    )
    try:
        yield twin
    finally:
        await twin.close()


@pytest.mark.parametrize("shelf", ["Qdrant, euclid", "Qdrant, cosine"], indirect=True)
def test_one_score_of_qdrant_tells_no_direction(shelf, captured):
    (hit,) = searched(shelf.index.as_retriever(similarity_top_k=1), captured).hits
    assert hit.score == pytest.approx(measured(shelf.metric, hit.chunk.text))
    assert hit.score_kind == "unknown"


@pytest.mark.parametrize(
    ("shelf", "own"),
    [
        ("Chroma, l2", {"where": {"topic": TOPIC}}),
        ("LanceDB", {"where": f"metadata.topic = '{TOPIC}'"}),
    ],
    indirect=["shelf"],
)
def test_a_condition_in_the_stores_own_words_is_on_record(shelf, own, captured):
    retriever = shelf.index.as_retriever(similarity_top_k=5, vector_store_kwargs=own)
    found = searched(retriever, captured)
    assert {page_of(hit.chunk.text).topic for hit in found.hits} == {TOPIC}
    assert found.filters == own


@pytest.mark.parametrize("shelf", ["Qdrant, dot"], indirect=True)
def test_a_filter_of_qdrants_own_classes_is_on_record(shelf, captured):
    match = models.FieldCondition(key="topic", match=models.MatchValue(value=TOPIC))
    own = {"qdrant_filters": models.Filter(must=[match])}
    retriever = shelf.index.as_retriever(similarity_top_k=5, vector_store_kwargs=own)
    found = searched(retriever, captured)
    assert len(found.hits) == 3
    (condition,) = found.filters["qdrant_filters"]["must"]
    assert (condition["key"], condition["match"]["value"]) == ("topic", TOPIC)


@pytest.mark.parametrize("shelf", ["LanceDB"], indirect=True)
@pytest.mark.parametrize("query_type", ["fts", "hybrid"])
def test_scores_that_lancedb_makes_of_ranks_are_unknown(shelf, query_type, captured):
    own = {"query_type": query_type}
    retriever = shelf.index.as_retriever(similarity_top_k=3, vector_store_kwargs=own)
    hits = searched(retriever, captured).hits
    assert (hits[0].score, hits[-1].score) == (1.0, 0.0)
    assert {hit.score_kind for hit in hits} == {"unknown"}


def test_bm25_scores_are_relevance(captured):
    from llama_index.retrievers.bm25 import BM25Retriever

    retriever = BM25Retriever.from_defaults(nodes=nodes(), similarity_top_k=2)
    expected = told(retriever.retrieve(QUESTION))
    found = searched(retriever, captured)
    assert told(found.hits) == expected
    assert found.hits[0].score > found.hits[1].score > 0
    assert {hit.score_kind for hit in found.hits} == {"relevance"}
    assert (found.k, found.search_type, found.store) == (2, "bm25", None)


@pytest.mark.parametrize("shelf", ["FAISS, l2"], indirect=True)
def test_words_and_vectors_together_keep_the_scores_of_each_store(shelf, captured):
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.retrievers.bm25 import BM25Retriever

    words = BM25Retriever.from_defaults(nodes=nodes(), similarity_top_k=2)
    fusion = QueryFusionRetriever(
        [words, shelf.index.as_retriever(similarity_top_k=2)],
        llm=MockLLM(),
        num_queries=1,
        use_async=False,
        mode="reciprocal_rerank",
        similarity_top_k=3,
    )
    LineageRetriever(fusion, lineage=captured).retrieve(QUESTION)
    (trail,) = captured.trails
    outer = next(r for r in trail.retrievals if r.enclosing_id is None)
    inner = {r.store: r for r in trail.retrievals if r.enclosing_id is not None}
    assert {hit.score_kind for hit in outer.hits} == {"fused"}
    assert {hit.score_kind for hit in inner["FaissVectorStore"].hits} == {"distance"}
    assert {hit.score_kind for hit in inner[None].hits} == {"relevance"}
