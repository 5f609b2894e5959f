"""Steps that search without a retriever are seen by what they hand on."""

import threading
import uuid

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from langchain_doctrail.open_runs import OpenRuns

QUESTION = "When is the renewal deadline?"


def build(rag, store, *after):
    def look_up(question):
        return store.similarity_search(question, k=2)

    search = RunnableLambda(look_up)
    for step in after:
        search |= step
    return rag(search)


def test_a_function_that_searches_is_a_retrieval(rag, store, handler):
    build(rag, store).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    (retrieval,) = trail.retrievals
    assert (retrieval.retriever, retrieval.query) == ("look_up", QUESTION)
    assert [hit.chunk.chunk_id[:6] for hit in retrieval.hits] == ["chunk-", "chunk-"]
    assert [arrival.state for arrival in trail.contexts[0].arrivals] == ["full", "full"]
    assert [kind for kind, _ in handler.lineage.entries] == ["retrieved", "answered"]


def test_streams_show_it_as_well(rag, store, handler):
    list(build(rag, store).stream(QUESTION, {"callbacks": [handler]}))
    assert [r.query for r in handler.last.retrievals] == [QUESTION]


async def test_async_functions_show_it_as_well(rag, store, handler):
    async def look_up(question):
        return await store.asimilarity_search(question, k=2)

    await rag(RunnableLambda(look_up)).ainvoke(QUESTION, {"callbacks": [handler]})
    assert [r.retriever for r in handler.last.retrievals] == ["look_up"]


def test_reordering_and_rewriting_steps_are_no_retrievals(rag, store, handler):
    def rewrite(found):
        return [Document(document.page_content.upper()) for document in reversed(found)]

    build(rag, store, reversed_list, rewrite).invoke(QUESTION, {"callbacks": [handler]})
    assert [r.retriever for r in handler.last.retrievals] == ["look_up"]


def reversed_list(found):
    return found[::-1]


def test_what_a_retriever_returned_is_counted_once(rag, retriever, handler):
    def search(question):
        return retriever.invoke(question)

    rag(RunnableLambda(search)).invoke(QUESTION, {"callbacks": [handler]})
    assert [r.retriever for r in handler.last.retrievals] == ["VectorStoreRetriever"]


def test_documents_that_the_caller_passed_in_were_not_searched(rag, documents, handler):
    chain = RunnableLambda(lambda asked: asked["documents"]) | str
    model = FakeListChatModel(responses=["On February 28th."])
    (RunnablePassthrough() | chain | model).invoke(
        {"question": QUESTION, "documents": documents}, {"callbacks": [handler]}
    )
    assert handler.last.retrievals == ()


def test_documents_that_a_checkpoint_made_dicts_are_recognised(rag, store, handler):
    def look_up(question):
        return [document.model_dump() for document in store.similarity_search(question, k=1)]

    def render(found):
        return found[0]["page_content"]

    rag(RunnableLambda(look_up), formatter=render).invoke(QUESTION, {"callbacks": [handler]})
    (retrieval,) = handler.last.retrievals
    assert retrieval.hits[0].chunk.chunk_id.startswith("chunk-")


@pytest.mark.parametrize("odd", [uuid.UUID(int=1), 7, ["1"]], ids=str)
def test_an_odd_id_in_what_a_step_returned_costs_nobody_the_trail(odd, rag, handler):
    def look_up(question):
        return [{"page_content": "Renew by May.", "id": odd}]

    def render(found):
        return found[0]["page_content"]

    rag(RunnableLambda(look_up), formatter=render).invoke(QUESTION, {"callbacks": [handler]})
    (retrieval,) = handler.last.retrievals
    assert [hit.chunk.chunk_id for hit in retrieval.hits] == [str(odd)]


def test_a_stream_that_is_closed_while_its_thread_is_busy_here_is_taken():
    """The garbage collector closes abandoned streams wherever it runs."""

    class Collecting(Document):
        def __getattribute__(self, name):
            if name == "page_content":
                searches.step_ended("abandoned")
            return super().__getattribute__(name)

    searches = OpenRuns()
    searches.step_started("abandoned", None, "chain", QUESTION)
    searches.step_started("root", None, "chain", QUESTION)
    searches.search_started("search", "root")
    found = [Collecting(page_content="x")]
    busy = threading.Thread(target=searches.search_ended, args=("search", found), daemon=True)
    busy.start()
    busy.join(10)
    assert not busy.is_alive()
    assert searches.open_count == 1
