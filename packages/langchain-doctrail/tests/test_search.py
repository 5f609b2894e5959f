"""What a store's answer means is read from the store; the real ones are tried in integration_tests."""

from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from pydantic import BaseModel

from langchain_doctrail import LineageRetriever

BEST, NEXT = Document("best", id="1"), Document("next", id="2")


class ListStore(VectorStore):
    """Returns what it was given, whatever is asked."""

    def __init__(self, *results: Any, **held: Any) -> None:
        self.results = list(results)
        vars(self).update(held)

    def similarity_search(self, query, k=4, **kwargs):
        return [result if isinstance(result, Document) else result[0] for result in self.results]

    @classmethod
    def from_texts(cls, texts, embedding, metadatas=None, **kwargs):
        raise NotImplementedError


class ScoredStore(ListStore):
    def similarity_search_with_score(self, query, k=4, **kwargs):
        return self.results

    def _select_relevance_score_fn(self):
        return lambda score: score


class LanceDB(ScoredStore):
    def similarity_search_with_score(self, query, k=None, **kwargs):
        return self.results


class QdrantVectorStore(ScoredStore): ...


class PineconeVectorStore(ScoredStore): ...


class SQLiteVec(ScoredStore): ...


class DuckDB(ListStore): ...


@pytest.fixture
def search(handler):
    """Search the store, and return the retrieval as it is on record."""

    def run(store: VectorStore, search_type: str = "similarity", **search_kwargs: Any):
        retriever = store.as_retriever(search_type=search_type, search_kwargs=search_kwargs)
        LineageRetriever.wrap(retriever).invoke("q", {"callbacks": [handler]})
        (retrieval,) = handler.last.retrievals
        return retrieval

    return run


def told(retrieval) -> list[tuple[float | None, str]]:
    return [(hit.score, hit.score_kind) for hit in retrieval.hits]


@pytest.mark.parametrize(
    ("mode", "distance", "kind"),
    [
        ("dense", "Cosine", "similarity"),
        ("dense", "Dot", "similarity"),
        ("dense", "Euclid", "distance"),
        ("dense", "Manhattan", "distance"),
        ("dense", "Hamming", "unknown"),
        ("sparse", "Cosine", "relevance"),
        ("hybrid", "Cosine", "fused"),
        (None, None, "unknown"),
    ],
)
def test_qdrant_is_asked_for_its_mode_and_distance(mode, distance, kind, search):
    store = QdrantVectorStore((BEST, 0.9), retrieval_mode=mode, distance=distance)
    assert told(search(store)) == [(0.9, kind)]


def test_scores_that_run_against_the_stores_settings_are_unknown(search):
    store = QdrantVectorStore((BEST, 1.4), (NEXT, 3.3), retrieval_mode="dense", distance="Cosine")
    assert told(search(store)) == [(1.4, "unknown"), (3.3, "unknown")]


@pytest.mark.parametrize(("scores", "kind"), [((0.9, 0.1), "similarity"), ((0.1, 0.9), "distance")])
def test_a_store_that_does_not_know_its_metric_is_judged_by_its_order(scores, kind, search):
    store = PineconeVectorStore(*zip((BEST, NEXT), scores, strict=True))
    assert told(search(store)) == [(score, kind) for score in scores]


def test_relevance_that_grows_from_the_best_hit_on_is_unknown(search):
    store = ScoredStore((BEST, 0.2), (NEXT, 0.9))
    retrieval = search(store, "similarity_score_threshold", score_threshold=0.1)
    assert told(retrieval) == [(0.2, "unknown"), (0.9, "unknown")]


def test_documents_that_come_without_the_scores_asked_for_are_kept(search):
    retrieval = search(LanceDB(BEST, NEXT), query_type="fts")
    assert [hit.chunk.chunk_id for hit in retrieval.hits] == ["1", "2"]
    assert told(retrieval) == [(None, "unknown")] * 2


def test_scores_of_a_search_for_words_in_lancedb_are_no_distances(search):
    assert told(search(LanceDB((BEST, 0.5)), query_type="hybrid")) == [(0.5, "unknown")]
    assert told(search(LanceDB((BEST, 0.5)))) == [(0.5, "distance")]


def test_the_default_k_that_a_store_holds_is_the_effective_one(search):
    assert search(LanceDB((BEST, 0.5), limit=7)).k == 7


def test_a_score_that_duckdb_puts_into_the_metadata_is_found(search):
    store = DuckDB(Document("best", id="1", metadata={"_similarity_score": 0.9}), NEXT)
    assert told(search(store)) == [(0.9, "similarity"), (None, "unknown")]


@pytest.mark.parametrize("store", [SQLiteVec((BEST, 0.5)), DuckDB(BEST)])
def test_a_filter_that_the_store_ignores_is_not_on_record(store, search):
    assert search(store, filter={"topic": "contracts"}).filters is None


def test_a_filter_of_the_stores_own_classes_is_on_record_as_data(search):
    class Filter(BaseModel):
        must: list[str]
        should: list[str] | None = None

    retrieval = search(ScoredStore((BEST, 0.5)), filter=Filter(must=["topic = contracts"]))
    assert retrieval.filters == {"must": ["topic = contracts"]}


@pytest.mark.parametrize(
    "held", [{"_table": "contracts"}, {"_table": object(), "_table_name": "contracts"}]
)
def test_a_table_is_named(held, search):
    assert search(SQLiteVec((BEST, 0.5), **held)).store == "SQLiteVec(contracts)"


def test_a_point_of_qdrant_is_known_by_its_id(search):
    metadata = {"_id": 7, "_collection_name": "contracts"}
    store = QdrantVectorStore((Document("best", metadata=metadata), 0.9))
    assert search(store).hits[0].chunk.chunk_id == "7"


def test_an_id_that_is_not_that_of_a_point_is_no_chunks_id(search):
    store = ScoredStore((Document("best", metadata={"_id": "of the whole document"}), 0.9))
    chunk = search(store).hits[0].chunk
    assert chunk.chunk_id_origin == "derived"
