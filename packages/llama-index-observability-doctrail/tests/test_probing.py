"""Asking a retriever again for a diagnosis, and a question again for a replay."""

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from doctrail_core.capture.replaying import Replay, replaying
from llama_index.observability.doctrail import LineageRetriever
from llama_index.observability.doctrail.probing import retriever_probe


def names(chunks):
    return {chunk.chunk_id for chunk in chunks}


def only(title):
    return MetadataFilters(filters=[MetadataFilter(key="title", value=title)])


def outermost(rag):
    (search,) = (r for r in rag.captured.trails[0].retrievals if r.enclosing_id is None)
    return search


class Library(BaseRetriever):
    """Returns all it has, and says nothing of how many."""

    def __init__(self, nodes):
        self.nodes = nodes
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=node) for node in self.nodes]


def test_a_probe_looks_deeper_than_the_retriever_and_tells_scores(rag):
    retriever = rag.retriever(k=1)
    found = retriever_probe(retriever).search(rag.question, 9, filtered=True)
    assert len(found) == 4
    assert {chunk.score_kind for chunk in found} == {"similarity"}
    assert {chunk.document_id for chunk in found} >= {"doc_renewal"}
    assert retriever.similarity_top_k == 1


def test_a_filter_is_lifted_only_where_that_is_wanted_and_allowed(rag):
    narrow = rag.retriever(filters=only("refund"))
    probe = retriever_probe(narrow)
    assert names(probe.search(rag.question, 9, filtered=True)) == {"chunk-refund"}
    assert len(probe.search(rag.question, 9, filtered=False)) == 4
    strict = retriever_probe(narrow, lift_filters=False)
    assert names(strict.search(rag.question, 9, filtered=False)) == {"chunk-refund"}


def test_a_bm25_index_is_asked_for_no_more_than_it_has(rag):
    bm25 = pytest.importorskip("llama_index.retrievers.bm25")
    retriever = bm25.BM25Retriever.from_defaults(nodes=rag.nodes, similarity_top_k=1)
    assert len(retriever_probe(retriever).search(rag.question, 50, filtered=True)) == 4
    assert retriever.similarity_top_k == 1


def test_the_retrievers_behind_wrappers_and_combinations_are_asked(rag):
    fusion = QueryFusionRetriever([rag.wrapped(), rag.retriever()], llm=rag.llm, num_queries=1)
    probe = retriever_probe(LineageRetriever(fusion, lineage=rag.captured))
    assert len(probe.search(rag.question, 9, filtered=True)) == 8


def test_a_probe_leaves_no_lineage(rag):
    with rag.captured.scope(question=rag.question):
        retriever_probe(rag.wrapped()).search(rag.question, 9, filtered=False)
    assert rag.captured.trails == []


# -- replays ---------------------------------------------------------------------------------------


def test_a_replay_searches_for_as_many_chunks_as_it_says(rag):
    with replaying(Replay(k=3)) as replay:
        rag.engine().query(rag.question)
    search = outermost(rag)
    assert (search.k, len(search.hits), replay.heeded) == (3, 3, 1)


async def test_a_document_that_is_left_out_makes_room_for_others(rag):
    engine = rag.engine()
    with replaying(Replay(frozenset({"doc_renewal"}))):
        await engine.aquery(rag.question)
    search = outermost(rag)
    assert len(search.hits) == search.k == 2
    assert "doc_renewal" not in {hit.chunk.document_id for hit in search.hits}
    await engine.aquery(rag.question)
    assert rag.captured.trails[1].retrievals[0].hits[0].chunk.document_id == "doc_renewal"


def test_any_retriever_leaves_documents_out(rag):
    engine = rag.engine(LineageRetriever(Library(rag.nodes), lineage=rag.captured))
    with replaying(Replay(frozenset({"doc_renewal"}), k=2)):
        engine.query(rag.question)
    search = outermost(rag)
    assert [hit.chunk.document_id for hit in search.hits] == ["doc_refund", "doc_support"]
