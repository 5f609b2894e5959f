"""What a retriever is set to is read from what it holds, without waking it up."""

import pytest
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from llama_index.observability.doctrail import LineageRetriever
from llama_index.observability.doctrail.describe import describe, score_kind


def test_the_effective_settings_are_on_record(rag):
    filters = MetadataFilters(filters=[MetadataFilter(key="title", value="renewal")])
    rag.wrapped(k=3, filters=filters, doc_ids=["doc_renewal"]).retrieve(rag.question)
    [retrieval] = rag.captured.trails[0].retrievals
    assert retrieval.k == 3
    assert retrieval.search_type == "similarity"
    assert retrieval.store == "SimpleVectorStore"
    assert retrieval.filters["doc_ids"] == ["doc_renewal"]
    assert retrieval.filters["metadata"]["filters"][0]["value"] == "renewal"


def test_the_ids_of_a_whole_index_are_not_taken_for_a_filter(rag):
    assert rag.retriever()._node_ids
    assert describe("r", rag.retriever()).filters is None


@pytest.mark.parametrize(
    ("mode", "kind", "search_type"),
    [
        (VectorStoreQueryMode.DEFAULT, "similarity", "similarity"),
        (VectorStoreQueryMode.MMR, "unknown", "mmr"),
        (VectorStoreQueryMode.HYBRID, "fused", "hybrid"),
        (VectorStoreQueryMode.SPARSE, "unknown", "sparse"),
    ],
)
def test_what_scores_mean_depends_on_the_search(rag, mode, kind, search_type):
    retriever = rag.retriever(vector_store_query_mode=mode)
    assert score_kind(retriever) == score_kind(LineageRetriever(retriever)) == kind
    assert describe("r", retriever).search_type == search_type


def test_the_scores_of_a_stranger_mean_nothing_known():
    class Stranger(BaseRetriever):
        mode = "hybrid"

        def _retrieve(self, query_bundle):
            return []

    assert score_kind(Stranger()) == "unknown"


def test_a_subclass_is_known_by_its_base(rag):
    base = type(rag.retriever())
    special = type("Special", (base,), {})(rag.index)
    assert score_kind(special) == "similarity"


def test_nothing_lazy_is_woken_up():
    class Lazy(BaseRetriever):
        @property
        def similarity_top_k(self):
            raise AssertionError("this opens a connection")

        @property
        def _vector_store(self):
            raise AssertionError("so does this")

        def _retrieve(self, query_bundle):
            return []

    described = describe("r", Lazy())
    assert [described.k, described.store, described.filters] == [None, None, None]


def test_the_collection_is_named_where_the_store_holds_its_name(rag):
    class Store:
        def __init__(self):
            self.collection_name = "contracts"

    retriever = rag.retriever()
    retriever._vector_store = Store()
    assert describe("r", retriever).store == "Store (contracts)"


def test_filters_of_an_unknown_kind_are_shown_as_they_print(rag):
    retriever = rag.retriever()
    retriever._filters = frozenset({"a"})
    assert describe("r", retriever).filters == {"metadata": "frozenset({'a'})"}


def test_the_mask_of_a_keyword_index_is_counted():
    class Masked(BaseRetriever):
        def __init__(self):
            self.corpus_weight_mask = [1, 0, 0]
            super().__init__()

        def _retrieve(self, query_bundle):
            return []

    assert describe("r", Masked()).filters == {"left_out": 2}
