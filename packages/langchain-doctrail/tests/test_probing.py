"""Asking a retriever again for a diagnosis, and a question again for a replay."""

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from doctrail_core.capture.replaying import Replay, current_replay, replaying
from langchain_doctrail import LineageRetriever
from langchain_doctrail.probing import retriever_probe

QUESTION = "When is the deadline?"


class Library(BaseRetriever):
    """Returns the first `k` of what it has."""

    documents: list
    k: int = 1

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self.documents[: self.k]


class Around(BaseRetriever):
    """Keeps only the first of what others found."""

    members: list

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [member.invoke(query)[0] for member in self.members]


def names(chunks):
    return {chunk.chunk_id for chunk in chunks}


def test_a_probe_looks_deeper_than_the_retriever_and_tells_scores(retriever):
    found = retriever_probe(retriever).search(QUESTION, 3, filtered=True)
    assert names(found) == {"chunk-renewal", "chunk-refund", "chunk-support"}
    assert {chunk.score_kind for chunk in found} == {"similarity"}
    assert retriever.search_kwargs == {"k": 2}


def test_a_filter_is_lifted_only_where_that_is_wanted_and_allowed(store):
    def only(document):
        return document.metadata["document_id"] == "doc_refund"

    narrow = store.as_retriever(search_kwargs={"k": 2, "filter": only})
    assert names(retriever_probe(narrow).search(QUESTION, 9, filtered=True)) == {"chunk-refund"}
    assert len(retriever_probe(narrow).search(QUESTION, 9, filtered=False)) == 3
    strict = retriever_probe(narrow, lift_filters=False)
    assert names(strict.search(QUESTION, 9, filtered=False)) == {"chunk-refund"}


@pytest.mark.parametrize("how", ["mmr", "similarity_score_threshold"])
def test_thresholds_and_diversity_do_not_narrow_a_probe(store, how):
    arguments = {"k": 1, "score_threshold": 0.99} if "threshold" in how else {"k": 1, "fetch_k": 1}
    picky = store.as_retriever(search_type=how, search_kwargs=arguments)
    assert len(retriever_probe(picky).search(QUESTION, 9, filtered=True)) == 3


def test_a_retriever_without_a_store_is_asked_for_more_where_it_says_how_many(documents):
    library = Library(documents=documents)
    assert len(retriever_probe(library).search(QUESTION, 3, filtered=True)) == 3
    assert library.k == 1


def test_the_stores_behind_wrappers_and_combinations_are_asked(retriever, documents):
    around = Around(members=[LineageRetriever.wrap(retriever), Library(documents=documents)])
    found = retriever_probe(LineageRetriever.wrap(around)).search(QUESTION, 3, filtered=True)
    assert len(found) == 6


def test_a_probe_leaves_no_lineage(captured, retriever):
    probe = retriever_probe(LineageRetriever.wrap(retriever))
    with captured.scope(question=QUESTION):
        probe.search(QUESTION, 3, filtered=False)
    assert captured.trails == []


# -- replays ---------------------------------------------------------------------------------------


def test_outside_of_a_replay_nothing_is_different(captured, handler, rag, retriever):
    rag(LineageRetriever.wrap(retriever)).invoke(QUESTION, {"callbacks": [handler]})
    assert current_replay() is None
    assert captured.trails[0].retrievals[0].k == 2


def test_a_replay_searches_for_as_many_chunks_as_it_says(captured, handler, rag, retriever):
    chain = rag(LineageRetriever.wrap(retriever))
    with replaying(Replay(k=3)) as replay:
        chain.invoke(QUESTION, {"callbacks": [handler]})
    (search,) = captured.trails[0].retrievals
    assert (search.k, len(search.hits), replay.heeded) == (3, 3, 1)


async def test_a_document_that_is_left_out_makes_room_for_others(captured, handler, rag, retriever):
    chain = rag(LineageRetriever.wrap(retriever))
    await chain.ainvoke(QUESTION, {"callbacks": [handler]})
    best = captured.trails[0].retrievals[0].hits[0].chunk.document_id
    with replaying(Replay(frozenset({best}))):
        await chain.ainvoke(QUESTION, {"callbacks": [handler]})
    (search,) = captured.trails[1].retrievals
    assert len(search.hits) == search.k == 2
    assert best not in {hit.chunk.document_id for hit in search.hits}


def test_any_retriever_leaves_documents_out(captured, handler, rag, documents):
    chain = rag(LineageRetriever.wrap(Library(documents=documents)))
    with replaying(Replay(frozenset({"doc_renewal"}), k=2)):
        chain.invoke(QUESTION, {"callbacks": [handler]})
    (search,) = captured.trails[0].retrievals
    assert [hit.chunk.document_id for hit in search.hits] == ["doc_refund", "doc_support"]
