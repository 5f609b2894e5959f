"""What a store's scores mean is read from the store; the real ones are tried in integration_tests."""

from typing import Any

import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from pydantic import BaseModel, PrivateAttr

from llama_index.observability.doctrail.describe import describe, score_kind
from llama_index.observability.doctrail.hits import chunks


class FaissVectorStore(BaseModel):
    """Holds its index as the real one does, in a private attribute."""

    _faiss_index: Any = PrivateAttr()


class Index:
    def __init__(self, metric_type: object) -> None:
        self.metric_type = metric_type


def over(rag, store: object, mode: VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT, **own: Any):
    retriever = rag.retriever(vector_store_query_mode=mode)
    retriever._vector_store = store
    retriever._kwargs = own
    return retriever


def named(name: str, /, **held: Any) -> object:
    store = type(name, (), {})()
    vars(store).update(held)
    return store


def kinds(scores: list[float], told: Any) -> set[str]:
    hits = [NodeWithScore(node=TextNode(text=f"{score}"), score=score) for score in scores]
    return {chunk.score_kind for chunk in chunks(hits, told)}


@pytest.mark.parametrize(
    ("metric", "kind"), [(0, "similarity"), (1, "distance"), (4, "unknown"), ("L2", "unknown")]
)
def test_faiss_is_asked_for_its_metric_whatever_the_mode(rag, metric, kind):
    store = FaissVectorStore()
    store._faiss_index = Index(metric)
    assert score_kind(over(rag, store)) == kind
    assert score_kind(over(rag, store, VectorStoreQueryMode.HYBRID)) == kind


@pytest.mark.parametrize(
    ("query_type", "own", "kind"),
    [
        ("vector", {}, "similarity"),
        ("fts", {}, "unknown"),
        ("vector", {"query_type": "hybrid"}, "unknown"),
        ("hybrid", {"query_type": "vector"}, "similarity"),
    ],
)
def test_lancedb_makes_similarities_of_vectors_only(rag, query_type, own, kind):
    store = named("LanceDBVectorStore", query_type=query_type)
    assert score_kind(over(rag, store, **own)) == kind


def test_the_scores_of_a_strange_store_mean_nothing_known(rag):
    for mode in VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.HYBRID:
        assert score_kind(over(rag, named("MyVectorStore"), mode)) == "unknown"


def test_a_store_that_does_not_know_its_metric_is_judged_by_its_order(rag):
    told = score_kind(over(rag, named("QdrantVectorStore")))
    assert told is None
    assert kinds([0.9, 0.2], told) == {"similarity"}
    assert kinds([1.4, 3.3], told) == {"distance"}
    assert kinds([1.4], told) == {"unknown"}


def test_similarities_that_grow_from_the_best_hit_on_are_unknown():
    assert kinds([0.9, 0.2], "similarity") == {"similarity"}
    assert kinds([0.2, 0.9], "similarity") == {"unknown"}


def test_conditions_in_the_stores_own_words_are_on_record(rag):
    own = {"where": {"topic": "contracts"}, "nprobes": 20}
    assert describe("r", over(rag, named("Store"), **own)).filters == {
        "where": {"topic": "contracts"}
    }


@pytest.mark.parametrize("own", [None, "nothing", 7])
def test_arguments_that_are_no_arguments_are_left_alone(rag, own):
    retriever = over(rag, named("LanceDBVectorStore", query_type="vector"))
    retriever._kwargs = own
    assert score_kind(retriever) == "similarity"
    assert describe("r", retriever).filters is None


def test_a_collection_given_as_an_object_is_named(rag):
    collection = named("Collection", _model=named("Model", name="contracts"))
    store = named("ChromaVectorStore", collection_name=None, _collection=collection)
    assert describe("r", over(rag, store)).store == "ChromaVectorStore (contracts)"
