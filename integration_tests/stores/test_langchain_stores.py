"""What a trail says of a search is what the store did: LangChain over real embedded stores."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

import pytest
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings, SparseVector
from qdrant_client import QdrantClient, models
from stores.corpus import (
    ANSWER,
    PAGES,
    QUESTION,
    SIZE,
    TOPIC,
    embed,
    measured,
    one_minus_cosine,
    page_of,
)
from stores.langchain_shelves import (
    SHELVES,
    WITHOUT_MMR,
    WITHOUT_THRESHOLD,
    Shelf,
    WordCounts,
    documents,
)

from doctrail_core.model import Hit, Retrieval
from doctrail_core.testing import CapturedLineage, capture_trails
from langchain_doctrail import LineageCallbackHandler, LineageRetriever, check_grounding

pytestmark = [
    # Relevance is a share of one only where vectors are one long, and ours are not.
    pytest.mark.filterwarnings("ignore:Relevance scores must be between 0 and 1"),
    # of the Chroma and DuckDB integrations
    pytest.mark.filterwarnings("ignore:legacy embedding function config"),
    pytest.mark.filterwarnings("ignore:Passing a list to DataFrame.from_dict is deprecated"),
]


@pytest.fixture
def captured() -> Generator[CapturedLineage]:
    with capture_trails() as lineage:
        yield lineage
        assert lineage.errors == []
        assert lineage.open_count == 0


@pytest.fixture
def config(captured) -> Any:
    return {"callbacks": [LineageCallbackHandler(lineage=captured)]}


@pytest.fixture
def shelf(request) -> Generator[Shelf]:
    with SHELVES[request.param]() as shelf:
        yield shelf


def on_each_shelf(without: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    names = [name for name in SHELVES if name not in without]
    return pytest.mark.parametrize("shelf", names, indirect=True)


def wrapped(shelf: Shelf, **kwargs: Any) -> LineageRetriever:
    return LineageRetriever.wrap(shelf.store.as_retriever(**kwargs))


def retrieval(captured: CapturedLineage) -> Retrieval:
    (found,) = captured.trails[-1].retrievals
    return found


def texts(hits: tuple[Hit, ...] | list[Document]) -> list[str | None]:
    return [hit.chunk.text if isinstance(hit, Hit) else hit.page_content for hit in hits]


def chain(retriever: LineageRetriever, said: str = ANSWER) -> Runnable[Any, str]:
    context = retriever | (lambda found: "\n\n".join(d.page_content for d in found))
    return (
        {"context": context, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_messages([("system", "{context}"), ("human", "{question}")])
        | FakeListChatModel(responses=[said])
        | StrOutputParser()
    )


def answer(retriever: LineageRetriever, config: Any) -> str:
    return chain(retriever).invoke(QUESTION, config)


@on_each_shelf()
def test_an_answer_names_what_the_store_returned(shelf, config, captured):
    expected = texts(shelf.store.similarity_search(QUESTION, k=3))
    assert answer(wrapped(shelf, search_kwargs={"k": 3}), config) == ANSWER
    found = retrieval(captured)
    assert texts(found.hits) == expected
    assert [hit.rank for hit in found.hits] == [0, 1, 2]
    assert (found.k, found.search_type, found.store) == (3, "similarity", shelf.called)
    pages = [page_of(text) for text in expected]
    assert [hit.chunk.document_id for hit in found.hits] == [page.document_id for page in pages]
    if shelf.tells_ids:
        assert [hit.chunk.chunk_id for hit in found.hits] == [page.chunk_id for page in pages]
    assert {hit.chunk.chunk_id_origin for hit in found.hits} == {
        "given" if shelf.tells_ids else "derived"
    }
    (context,) = captured.trails[0].contexts
    assert [a.state for a in context.arrivals] == ["full"] * 3


@on_each_shelf()
def test_a_wrong_answer_is_refused_for_what_the_store_returned(shelf, config, captured):
    wrong = "Support answers within nine hours on working days."
    careful = chain(wrapped(shelf, search_kwargs={"k": 5}), wrong) | check_grounding(
        enforce="refuse", refusal="No."
    )
    assert careful.invoke(QUESTION, config) == "No."
    trail = captured.get(captured.last.response_id)
    (assessment,) = trail.assessments
    (verdict,) = assessment.verdicts
    assert trail.chunks[verdict.evidence[0].chunk_id].document_id == "doc_support"


@on_each_shelf()
def test_scores_are_the_stores_own_and_run_the_way_that_is_told(shelf, config, captured):
    wrapped(shelf, search_kwargs={"k": 5}).invoke(QUESTION, config)
    hits = retrieval(captured).hits
    assert [hit.score for hit in hits] == pytest.approx(
        [measured(shelf.metric, hit.chunk.text) for hit in hits], abs=1e-4
    )
    assert {hit.score_kind for hit in hits} == {shelf.kind}
    falling = sorted((hit.score for hit in hits), reverse=shelf.kind != "distance")
    assert [hit.score for hit in hits] == falling


@on_each_shelf(without=("DuckDB",))  # whose scores lie in the metadata
def test_scores_are_those_that_the_store_tells_when_it_is_asked(shelf, config, captured):
    wrapped(shelf, search_kwargs={"k": 5}).invoke(QUESTION, config)
    told = [(hit.chunk.text, hit.score) for hit in retrieval(captured).hits]
    own = shelf.store.similarity_search_with_score(QUESTION, k=5)
    assert told == [(document.page_content, pytest.approx(score)) for document, score in own]


SEARCHES = [
    *((name, "similarity") for name in SHELVES),
    *((name, "mmr") for name in SHELVES if name not in WITHOUT_MMR),
    *((name, "similarity_score_threshold") for name in SHELVES if name not in WITHOUT_THRESHOLD),
]


@pytest.mark.parametrize(("shelf", "search_type"), SEARCHES, indirect=["shelf"])
async def test_an_async_search_tells_the_same(shelf, search_type, config, captured):
    asked = {"k": 3} | ({"score_threshold": -100.0} if search_type.endswith("threshold") else {})
    retriever = wrapped(shelf, search_type=search_type, search_kwargs=asked)
    retriever.invoke(QUESTION, config)
    await retriever.ainvoke(QUESTION, config)
    first, second = (trail.retrievals[0] for trail in captured.trails)
    assert second.hits == first.hits
    assert (second.k, second.search_type, second.store) == (3, search_type, shelf.called)


@on_each_shelf()
def test_k_is_the_one_that_took_effect(shelf, config, captured):
    wrapped(shelf).invoke(QUESTION, config)
    assert retrieval(captured).k == len(retrieval(captured).hits) == 4
    wrapped(shelf, search_kwargs={"k": 3}).invoke(QUESTION, config, k=2)
    assert retrieval(captured).k == len(retrieval(captured).hits) == 2


@on_each_shelf()
def test_filters_are_on_record_where_they_narrowed_the_search(shelf, config, captured):
    condition = (shelf.condition or (lambda topic: {"topic": topic}))(TOPIC)
    found = wrapped(shelf, search_kwargs={"k": 5, "filter": condition}).invoke(QUESTION, config)
    told = retrieval(captured)
    topics = {document.metadata["topic"] for document in found}
    if shelf.condition is None:  # the store takes the argument, and searches everything
        assert (told.filters, len(topics)) == (None, 3)
        return
    assert topics == {TOPIC}
    assert len(told.hits) == len(found) == 3
    assert {hit.score_kind for hit in told.hits} == {shelf.kind}
    expected = (shelf.recorded_condition or shelf.condition)(TOPIC)
    assert told.filters == expected


@on_each_shelf(without=WITHOUT_MMR)
def test_a_search_for_diversity_has_no_scores(shelf, config, captured):
    retriever = wrapped(shelf, search_type="mmr", search_kwargs={"k": 2, "fetch_k": 5})
    retriever.invoke(QUESTION, config)
    told = retrieval(captured)
    expected = shelf.store.max_marginal_relevance_search(QUESTION, k=2, fetch_k=5)
    assert texts(told.hits) == texts(expected)
    assert [(hit.score, hit.score_kind) for hit in told.hits] == [(None, "unknown")] * 2
    assert (told.search_type, told.k) == ("mmr", 2)


@on_each_shelf(without=WITHOUT_THRESHOLD)
def test_a_threshold_search_tells_relevance_only_where_larger_is_better(shelf, config, captured):
    retriever = wrapped(
        shelf,
        search_type="similarity_score_threshold",
        search_kwargs={"k": 3, "score_threshold": -100.0},
    )
    retriever.invoke(QUESTION, config)
    told = retrieval(captured)
    expected = shelf.store.similarity_search_with_relevance_scores(QUESTION, k=3)
    assert [(hit.chunk.text, hit.score) for hit in told.hits] == [
        (document.page_content, pytest.approx(score)) for document, score in expected
    ]
    assert {hit.score_kind for hit in told.hits} == {shelf.threshold_kind}
    assert told.search_type == "similarity_score_threshold"


@pytest.mark.parametrize("shelf", WITHOUT_MMR, indirect=True)
def test_a_search_that_the_store_does_not_have_fails_as_it_did(shelf, config, captured):
    with pytest.raises(NotImplementedError):
        wrapped(shelf, search_type="mmr").invoke(QUESTION, config)
    (trail,) = captured.trails
    assert (trail.status, trail.retrievals[0].hits) == ("error", ())


@pytest.mark.parametrize("shelf", ["Chroma, l2"], indirect=True)
def test_conditions_on_metadata_and_text_are_both_on_record(shelf, config, captured):
    conditions = {"filter": {"topic": TOPIC}, "where_document": {"$contains": "renewal"}}
    found = wrapped(shelf, search_kwargs=conditions).invoke(QUESTION, config)
    assert len(found) == 1
    assert retrieval(captured).filters == conditions


@pytest.mark.parametrize("shelf", ["FAISS, l2"], indirect=True)
def test_a_condition_in_python_is_on_record_by_its_name(shelf, config, captured):
    def about_contracts(metadata: dict[str, Any]) -> bool:
        return metadata["topic"] == TOPIC

    found = wrapped(shelf, search_kwargs={"filter": about_contracts}).invoke(QUESTION, config)
    assert len(found) == 3
    assert "about_contracts" in retrieval(captured).filters


@pytest.mark.parametrize("shelf", ["LanceDB"], indirect=True)
def test_lancedb_may_be_asked_for_another_distance(shelf, config, captured):
    wrapped(shelf, search_kwargs={"metrics": "cosine"}).invoke(QUESTION, config)
    hits = retrieval(captured).hits
    assert {hit.score_kind for hit in hits} == {"distance"}
    assert [hit.score for hit in hits] == pytest.approx(
        [measured(one_minus_cosine, hit.chunk.text) for hit in hits], abs=1e-4
    )


@pytest.mark.filterwarnings("ignore:create_fts_index is deprecated")
@pytest.mark.parametrize("shelf", ["LanceDB"], indirect=True)
def test_a_search_for_words_in_lancedb_has_no_scores(shelf, config, captured):
    found = wrapped(shelf, search_kwargs={"query_type": "fts"}).invoke(QUESTION, config)
    assert "renewal deadline" in found[0].page_content
    assert {(hit.score, hit.score_kind) for hit in retrieval(captured).hits} == {(None, "unknown")}


class WordIds(SparseEmbeddings):
    """Fake sparse embeddings: the place of a word is its number."""

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> SparseVector:
        places = {place: value for place, value in enumerate(embed(text)) if value}
        return SparseVector(indices=list(places), values=list(places.values()))


@pytest.mark.parametrize(
    ("mode", "kind"), [("dense", "similarity"), ("sparse", "relevance"), ("hybrid", "fused")]
)
def test_what_the_scores_of_qdrant_mean_depends_on_its_mode(mode, kind, config, captured):
    store = QdrantVectorStore.from_documents(
        documents(),
        WordCounts(),
        sparse_embedding=WordIds(),
        retrieval_mode=RetrievalMode(mode),
        location=":memory:",
        collection_name="library",
    )
    LineageRetriever.wrap(store.as_retriever()).invoke(QUESTION, config)
    hits = retrieval(captured).hits
    store.client.close()
    assert {hit.score_kind for hit in hits} == {kind}
    assert hits[0].score > hits[-1].score


def test_scores_that_run_against_what_qdrants_settings_say_are_unknown(config, captured):
    with closing(QdrantClient(":memory:")) as client:
        params = models.VectorParams(size=SIZE, distance=models.Distance.EUCLID)
        client.create_collection("library", vectors_config=params)
        store = QdrantVectorStore(client, "library", WordCounts(), validate_collection_config=False)
        store.add_documents(documents())
        LineageRetriever.wrap(store.as_retriever()).invoke(QUESTION, config)
    hits = retrieval(captured).hits
    assert hits[0].score < hits[-1].score
    assert {hit.score_kind for hit in hits} == {"unknown"}


def test_bm25_returns_chunks_by_their_ids_and_tells_no_scores(config, captured):
    retriever = BM25Retriever.from_documents(documents(), k=2)
    found = LineageRetriever.wrap(retriever).invoke(QUESTION, config)
    outer = next(r for r in captured.trails[0].retrievals if r.enclosing_id is None)
    assert texts(outer.hits) == texts(found) == texts(retriever.invoke(QUESTION))
    assert [hit.chunk.chunk_id for hit in outer.hits] == [d.id for d in found]
    assert {(hit.score, hit.score_kind) for hit in outer.hits} == {(None, "unknown")}
    assert (outer.retriever, outer.k, outer.store) == ("BM25Retriever", 2, None)


@pytest.mark.parametrize("shelf", ["FAISS, l2", "Chroma, cosine", "Qdrant, euclid"], indirect=True)
def test_words_and_vectors_together_keep_the_scores_of_each_store(shelf, config, captured):
    words = LineageRetriever.wrap(BM25Retriever.from_documents(documents(), k=2))
    vectors = wrapped(shelf, search_kwargs={"k": 2})
    ensemble = EnsembleRetriever(retrievers=[words, vectors], weights=[0.5, 0.5])
    found = ensemble.invoke(QUESTION, config)
    (trail,) = captured.trails
    outer = next(r for r in trail.retrievals if r.enclosing_id is None)
    inner = {r.store: r for r in trail.retrievals if r.enclosing_id == outer.retrieval_id}
    assert texts(outer.hits) == texts(found)
    assert inner.keys() == {None, shelf.called}
    assert {hit.score_kind for hit in inner[shelf.called].hits} == {"distance"}
    ids = {page.text: page.chunk_id for page in PAGES}
    assert [hit.chunk.chunk_id for hit in outer.hits] == [ids[text] for text in texts(found)]
