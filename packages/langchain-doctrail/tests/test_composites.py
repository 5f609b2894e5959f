"""Identity has to survive what the composite retrievers of langchain-classic do to documents."""

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.stores import InMemoryStore
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_doctrail import LineageRetriever

retrievers = pytest.importorskip("langchain_classic.retrievers")

QUERY = "When is the renewal deadline?"
IDS = {"chunk-renewal", "chunk-refund", "chunk-support"}


class ListRetriever(BaseRetriever):
    found: list[Document]

    def _get_relevant_documents(self, query, *, run_manager):
        return self.found


@pytest.fixture
def wrapped(store):
    return LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 3}))


def ids_of(retrieval):
    return [hit.chunk.chunk_id for hit in retrieval.hits]


def outermost(trail):
    return next(r for r in trail.retrievals if r.enclosing_id is None)


def test_an_ensemble_names_its_members_chunks_once(store, wrapped, documents, handler):
    members = [wrapped, LineageRetriever.wrap(ListRetriever(found=documents[:2]))]
    ensemble = retrievers.EnsembleRetriever(retrievers=members)
    found = ensemble.invoke(QUERY, {"callbacks": [handler]})
    assert len(found) == 3
    outer = outermost(handler.last)
    assert set(ids_of(outer)) == IDS
    assert outer.retriever == "EnsembleRetriever"
    assert all(hit.score is None for hit in outer.hits)  # the ensemble does not tell its own
    inner = [r for r in handler.last.retrievals if r.enclosing_id == outer.retrieval_id]
    assert sorted(r.store or "" for r in inner) == ["", "InMemoryVectorStore"]


def test_multi_query_still_drops_what_it_found_twice(wrapped, handler):
    multi = retrievers.MultiQueryRetriever.from_llm(
        wrapped, FakeListChatModel(responses=["one?\ntwo?\nthree?"]), include_original=True
    )
    found = multi.invoke(QUERY, {"callbacks": [handler]})
    assert len(found) == 3
    trail = handler.last
    assert set(ids_of(outermost(trail))) == IDS
    assert {r.query for r in trail.retrievals} == {QUERY, "one?", "two?", "three?"}
    assert [g.auxiliary for g in trail.generations] == [True]


def test_chunks_keep_their_identity_through_compressors(wrapped, handler):
    """An extractor rewrites the text and drops `Document.id`."""
    from langchain_classic.retrievers.document_compressors import LLMChainExtractor

    compressor = LLMChainExtractor.from_llm(FakeListChatModel(responses=["February 28th."]))
    compression = retrievers.ContextualCompressionRetriever(
        base_compressor=compressor, base_retriever=wrapped
    )
    found = compression.invoke(QUERY, {"callbacks": [handler]})
    assert {document.page_content for document in found} == {"February 28th."}
    outer = outermost(handler.last)
    assert set(ids_of(outer)) == IDS
    assert {hit.chunk.document_id for hit in outer.hits} == {
        "doc_renewal",
        "doc_refund",
        "doc_support",
    }


def test_derived_identity_survives_compressors_too(handler):
    """Nobody gave any id, and the text that ours were derived from is cut."""
    from langchain_classic.retrievers.document_compressors import LLMChainExtractor

    anonymous = LineageRetriever.wrap(ListRetriever(found=[Document("Nobody named this text.")]))
    compression = retrievers.ContextualCompressionRetriever(
        base_compressor=LLMChainExtractor.from_llm(FakeListChatModel(responses=["this text"])),
        base_retriever=anonymous,
    )
    compression.invoke(QUERY, {"callbacks": [handler]})
    chunks = {
        (hit.chunk.chunk_id, hit.chunk.document_id)
        for retrieval in handler.last.retrievals
        for hit in retrieval.hits
    }
    assert len(chunks) == 1


def test_a_wrapped_composite_keeps_the_scores_of_its_members_for_tags(wrapped, handler):
    from langchain_classic.retrievers import MergerRetriever

    from langchain_doctrail import format_tagged

    merger = LineageRetriever.wrap(MergerRetriever(retrievers=[wrapped]))
    text = format_tagged(merger.invoke(QUERY, {"callbacks": [handler]}))
    assert text.count(", score: ") == 3


def test_parents_of_a_parent_document_retriever_are_identified(handler):
    from langchain_text_splitters import CharacterTextSplitter

    parents = retrievers.ParentDocumentRetriever(
        vectorstore=InMemoryVectorStore(DeterministicFakeEmbedding(size=8)),
        docstore=InMemoryStore(),
        child_splitter=CharacterTextSplitter(separator=".", chunk_size=20, chunk_overlap=0),
    )
    text = "One short sentence. Another short one. And a third."
    parents.add_documents([Document(text, metadata={"document_id": "doc_parent"})], ids=["parent"])
    found = LineageRetriever.wrap(parents).invoke(QUERY, {"callbacks": [handler]})
    assert [document.page_content for document in found] == [text]
    (hit,) = outermost(handler.last).hits
    assert hit.chunk.document_id == "doc_parent"
