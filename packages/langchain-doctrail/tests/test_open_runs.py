"""Steps that search without a retriever are seen by what they hand on."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool

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
    searches.search_started("search", "root", "renewal?")
    found = [Collecting(page_content="x")]
    busy = threading.Thread(target=searches.search_ended, args=("search", found), daemon=True)
    busy.start()
    busy.join(10)
    assert not busy.is_alive()
    assert searches.open_count == 1


def test_scores_that_a_direct_search_returns_are_kept(rag, store, handler):
    def look_up(question):
        return store.similarity_search_with_score(question, k=2)

    def render(found):
        return "\n".join(document.page_content for document, _ in found)

    rag(RunnableLambda(look_up), formatter=render).invoke(QUESTION, {"callbacks": [handler]})
    (retrieval,) = handler.last.retrievals
    expected = [score for _, score in store.similarity_search_with_score(QUESTION, k=2)]
    assert [hit.score for hit in retrieval.hits] == expected
    # Which way they run, nothing tells.
    assert {hit.score_kind for hit in retrieval.hits} == {"unknown"}
    assert {a.state for a in handler.last.contexts[0].arrivals} == {"full"}


def test_a_function_that_drops_the_low_scores_is_named_for_it(rag, store, handler):
    def look_up(question):
        return store.similarity_search_with_score(question, k=3)

    def good(found):
        return [document for document, _ in found[:1]]

    rag(RunnableLambda(look_up) | good).invoke(QUESTION, {"callbacks": [handler]})
    assert [r.retriever for r in handler.last.retrievals] == ["look_up"]
    reasons = {a.reason_detail for a in handler.last.contexts[0].arrivals if a.state == "absent"}
    assert reasons == {"by good"}


def test_searches_in_a_plain_thread_pool_show_in_what_their_step_returns(rag, store, handler):
    def look_up(question):
        with ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda k: store.similarity_search(question, k=k), (1, 2))
            return [document for documents in found for document in documents]

    rag(RunnableLambda(look_up)).invoke(QUESTION, {"callbacks": [handler]})
    (retrieval,) = handler.last.retrievals
    assert (retrieval.retriever, len(retrieval.hits)) == ("look_up", 3)


def test_a_generator_that_yields_lists_of_documents_shows_them(rag, store, handler):
    def look_up(questions):
        for question in questions:
            for found in store.similarity_search(question, k=2):
                yield [found]

    rag(RunnableGenerator(look_up)).invoke(QUESTION, {"callbacks": [handler]})
    (retrieval,) = handler.last.retrievals
    assert (retrieval.retriever, len(retrieval.hits)) == ("look_up", 2)
    assert {a.state for a in handler.last.contexts[0].arrivals} == {"full"}


def test_a_search_that_only_hands_on_text_is_prompt_text_that_nothing_explains(rag, store, handler):
    def look_up(question):
        return "\n".join(found.page_content for found in store.similarity_search(question, k=2))

    rag(RunnableLambda(look_up), formatter=str).invoke(QUESTION, {"callbacks": [handler]})
    trail = handler.last
    assert (trail.retrievals, trail.carried) == ((), ())
    prompt = trail.generations[0].messages
    assert trail.contexts[0].unexplained_length == sum(len(m.text) for m in prompt)
    assert "a search that is not being recorded" in " ".join(trail.why().split())


def test_a_node_of_a_graph_that_searches_is_a_retrieval(store, handler):
    graphs = pytest.importorskip("langgraph.graph")

    class State(TypedDict, total=False):
        question: str
        documents: list
        answer: str

    def look_up(state):
        return {"documents": store.similarity_search(state["question"], k=3)}

    def grade(state):
        return {"documents": state["documents"][:1]}

    def write(state):
        model = FakeListChatModel(responses=["On February 28th."])
        return {"answer": model.invoke(state["documents"][0].page_content).content}

    graph = graphs.StateGraph(State)
    graph.add_sequence([look_up, grade, write])
    graph.set_entry_point("look_up")
    graph.compile().invoke({"question": QUESTION}, {"callbacks": [handler]})
    trail = handler.last
    assert [(r.retriever, r.query, len(r.hits)) for r in trail.retrievals] == [
        ("look_up", QUESTION, 3)
    ]
    assert [a.reason_detail for a in trail.contexts[0].arrivals] == [None, "by grade", "by grade"]


def test_a_tool_that_searches_by_itself_shows_it_in_its_artifact(store, handler):
    @tool(response_format="content_and_artifact")
    def search(query: str) -> tuple[str, list[Document]]:
        """Search the contracts."""
        found = store.similarity_search(query, k=2)
        return "\n\n".join(document.page_content for document in found), found

    def agent(question):
        call = {"name": "search", "args": {"query": question}, "id": "call-1", "type": "tool_call"}
        return FakeListChatModel(responses=["On February 28th."]).invoke([search.invoke(call)])

    RunnableLambda(agent).invoke(QUESTION, {"callbacks": [handler]})
    (retrieval,) = handler.last.retrievals
    assert (retrieval.query, retrieval.tool_call_id) == (QUESTION, "call-1")
    assert {a.state for a in handler.last.contexts[0].arrivals} == {"full"}
