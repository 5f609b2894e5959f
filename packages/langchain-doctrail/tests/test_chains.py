"""Retrievers and chains of langchain-classic: the outer retrieval is what the chain got, the inner ones how."""

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.stores import InMemoryStore
from langchain_core.structured_query import Comparator, Comparison, StructuredQuery
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_doctrail import LineageRetriever, check_grounding

retrievers = pytest.importorskip("langchain_classic.retrievers")
chains = pytest.importorskip("langchain_classic.chains")
combine = pytest.importorskip("langchain_classic.chains.combine_documents")

QUESTION = "When is the renewal deadline?"
ANSWER = "On February 28th."
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer from this:\n{context}"), ("human", "{input}")]
)


def says(*texts):
    return FakeListChatModel(responses=list(texts))


def outer(trail):
    (retrieval,) = [r for r in trail.retrievals if r.enclosing_id is None]
    return retrieval


def ids(retrieval):
    return [hit.chunk.chunk_id for hit in retrieval.hits]


@pytest.fixture
def config(handler):
    return {"callbacks": [handler]}


@pytest.fixture
def wrapped(store):
    return LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 3}))


@pytest.fixture
def stuff():
    return combine.create_stuff_documents_chain(says(ANSWER), PROMPT)


# --- retrievers around others


@pytest.mark.parametrize("key", [None, "document_id"])
def test_an_ensemble_fuses_without_scores_of_its_own(key, store, wrapped, rag, handler, config):
    other = store.as_retriever(search_kwargs={"k": 1})
    ensemble = retrievers.EnsembleRetriever(retrievers=[wrapped, other], id_key=key)
    rag(ensemble).invoke(QUESTION, config)
    assert len(ids(outer(handler.last))) == 3
    assert {hit.score for hit in outer(handler.last).hits} == {None}
    assert [len(r.hits) for r in handler.last.retrievals if r.enclosing_id] == [3, 1]


def test_a_merger_hands_on_what_it_found_twice(wrapped, store, rag, handler, config):
    merger = retrievers.MergerRetriever(retrievers=[wrapped, store.as_retriever()])
    rag(merger).invoke(QUESTION, config)
    assert len(outer(handler.last).hits) == 6
    assert {a.state for a in handler.last.contexts[0].arrivals} == {"full"}


def test_a_rephrased_question_is_the_inner_query(wrapped, rag, handler, config):
    rephrasing = retrievers.RePhraseQueryRetriever.from_llm(wrapped, says("renewal date?"))
    rag(rephrasing).invoke(QUESTION, config)
    trail = handler.last
    assert outer(trail).query == QUESTION
    assert [r.query for r in trail.retrievals if r.enclosing_id] == ["renewal date?"]
    assert [g.auxiliary for g in trail.generations] == [True, False]


@pytest.mark.parametrize("wrap", [lambda each: each, LineageRetriever.wrap])
def test_parents_that_small_texts_lead_to_are_what_was_retrieved(wrap, documents, rag, handler):
    """The small texts are searched directly, so nothing tells of them."""
    texts = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    parents = InMemoryStore()
    texts.add_documents([Document("renewal date", metadata={"parent": "p1"})])
    parents.mset([("p1", documents[0])])
    multi = retrievers.MultiVectorRetriever(vectorstore=texts, docstore=parents, id_key="parent")
    rag(wrap(multi)).invoke(QUESTION, {"callbacks": [handler]})
    assert ids(outer(handler.last)) == ["chunk-renewal"]
    assert handler.last.contexts[0].arrivals[0].state == "full"


@pytest.mark.parametrize("bound", [False, True], ids=["plain", "as from_llm binds it"])
@pytest.mark.parametrize("around", ["nothing", "a wrapper", "an ensemble"])
@pytest.mark.parametrize("by", ["invoke", "ainvoke"])
async def test_a_self_query_shows_its_model_as_preparing(
    by, around, bound, documents, rag, handler, config
):
    """The model words query and filter; the store is asked with them, not with the question."""
    from langchain_community.query_constructors.chroma import ChromaTranslator

    class Filtering(InMemoryVectorStore):
        def similarity_search(self, query, k=4, filter=None, **kwargs):  # noqa: A002  # its name
            asked.append((query, k, filter))
            return super().similarity_search(query, k)

        async def asimilarity_search(self, *args, **kwargs):
            return self.similarity_search(*args, **kwargs)

    asked = []
    store = Filtering(DeterministicFakeEmbedding(size=8))
    store.add_documents(documents)
    only = Comparison(comparator=Comparator.EQ, attribute="document_id", value="doc_renewal")
    constructor = says("renewal") | (
        lambda said: StructuredQuery(query=said.content, filter=only, limit=2)
    )
    chain = RunnableLambda(lambda asked: asked["query"]) | constructor
    by_itself = retrievers.SelfQueryRetriever(
        query_constructor=chain.with_config(run_name="query_constructor") if bound else chain,
        vectorstore=store,
        structured_query_translator=ChromaTranslator(),
    )
    if around == "a wrapper":
        by_itself = LineageRetriever.wrap(by_itself)
    elif around == "an ensemble":
        by_itself = retrievers.EnsembleRetriever(retrievers=[by_itself])
    called = getattr(rag(by_itself), by)(QUESTION, config)
    if by == "ainvoke":
        await called
    trail = handler.last
    innermost = {r.retrieval_id for r in trail.retrievals} - {
        r.enclosing_id for r in trail.retrievals
    }
    assert {trail.generations[0].parent_id} == innermost
    assert asked == [("renewal", 2, {"document_id": {"$eq": "doc_renewal"}})]
    assert (outer(trail).query, len(outer(trail).hits)) == (QUESTION, 2)
    assert [g.auxiliary for g in trail.generations] == [True, False]


def test_what_was_used_lately_is_found_as_it_is(rag, handler, config):
    class Relevant(InMemoryVectorStore):
        def _select_relevance_score_fn(self):
            return lambda score: (score + 1) / 2

    lately = retrievers.TimeWeightedVectorStoreRetriever(
        vectorstore=Relevant(DeterministicFakeEmbedding(size=8)), k=1
    )
    lately.add_documents(
        [Document(text, metadata={"document_id": text[:3]}) for text in ("Renew by May.", "No.")]
    )
    rag(LineageRetriever.wrap(lately)).invoke(QUESTION, config)
    (hit,) = outer(handler.last).hits
    assert hit.chunk.document_id in ("Ren", "No.")
    assert outer(handler.last).k == 1
    assert "last_accessed_at" in hit.chunk.metadata


# --- chains


@pytest.mark.parametrize("by", ["invoke", "stream"])
def test_a_retrieval_chain_is_one_response(by, wrapped, stuff, handler, config):
    chain = chains.create_retrieval_chain(wrapped, stuff)
    list(getattr(chain, by)({"input": QUESTION}, config))
    trail = handler.last
    assert (trail.question, trail.answer) == (QUESTION, ANSWER)
    assert (len(trail.retrievals), trail.carried) == (1, ())
    assert {a.state for a in trail.contexts[0].arrivals} == {"full"}


def test_a_question_that_is_made_to_stand_alone_answers_nobody(wrapped, stuff, handler, config):
    history = ChatPromptTemplate.from_messages(
        [("placeholder", "{chat_history}"), ("human", "{input}")]
    )
    aware = chains.create_history_aware_retriever(says("renewal date"), wrapped, history)
    chain = chains.create_retrieval_chain(aware, stuff)
    turns = [HumanMessage("Hello!"), AIMessage("How can I help you?")]
    chain.invoke({"input": QUESTION, "chat_history": turns}, config)
    trail = handler.last
    assert [r.query for r in trail.retrievals] == ["renewal date"]
    assert [g.auxiliary for g in trail.generations] == [True, False]
    assert (trail.question, trail.answer) == (QUESTION, ANSWER)


def test_what_is_assigned_along_the_way_is_one_response(wrapped, handler, config):
    chain = RunnablePassthrough.assign(documents=(lambda asked: asked["question"]) | wrapped)
    chain = chain.assign(
        answer=(lambda asked: f"{asked['documents']} {asked['question']}") | says(ANSWER)
    )
    chain.invoke({"question": QUESTION}, config)
    trail = handler.last
    assert (trail.question, trail.answer, len(trail.retrievals)) == (QUESTION, ANSWER, 1)
    assert {a.state for a in trail.contexts[0].arrivals} == {"full"}


@pytest.mark.parametrize("by", ["invoke", "stream"])
def test_documents_that_a_chain_is_handed_are_known_and_no_search(
    by, stuff, documents, handler, config
):
    list(getattr(stuff, by)({"context": documents, "input": QUESTION}, config))
    trail = handler.last
    assert trail.retrievals == ()
    assert [c.chunk.chunk_id for c in trail.carried] == [d.id for d in documents]
    assert {(c.carried_by, c.response_id) for c in trail.carried} == {("artifact", None)}
    assert set(trail.involvements.values()) == {"direct"}
    assert trail.contexts[0].unexplained_length < len("Answer from this:") + len(QUESTION) + 10
    (kind, before), _ = handler.lineage.entries
    assert (kind, len(before.documents)) == ("retrieved", 3)


def test_documents_searched_for_in_a_call_before_belong_to_that_one(
    wrapped, stuff, handler, config
):
    """The way of imperative code: two calls of one session."""
    config |= {"configurable": {"session_id": "s-1"}, "metadata": {"session_id": "s-1"}}
    found = wrapped.invoke(QUESTION, config)
    search = handler.last
    stuff.invoke({"context": found, "input": QUESTION}, config)
    assert {c.response_id for c in handler.last.carried} == {search.response_id}
    assert {c.turn for c in handler.last.carried} == {1}


def test_handed_documents_that_did_not_reach_the_prompt_are_not_behind_the_answer(
    documents, handler, config
):
    chain = (lambda asked: asked["documents"][0].page_content) | says(ANSWER)
    chain.invoke({"documents": documents, "question": QUESTION}, config)
    assert [c.chunk.chunk_id for c in handler.last.carried] == ["chunk-renewal"]


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("by", ["refine", "map_rerank", "stuff"])
def test_older_chains_over_documents_tell_what_each_call_read(by, documents, handler, config):
    from langchain_classic.chains.question_answering import load_qa_chain

    model = says("One.\nScore: 1", "Two.\nScore: 2", "On February 28th.\nScore: 3")
    chain = load_qa_chain(model, chain_type=by)
    chain.invoke({"input_documents": documents, "question": QUESTION}, config)
    trail = handler.last
    arrived = [{a.chunk_id for a in c.arrivals if a.state == "full"} for c in trail.contexts]
    assert set().union(*arrived) == {d.id for d in documents}
    assert len(arrived) == (1 if by == "stuff" else 3)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_an_older_retrieval_chain_is_one_response(wrapped, handler, config):
    chain = chains.RetrievalQA.from_chain_type(says(ANSWER), retriever=wrapped)
    chain.invoke({"query": QUESTION}, config)
    trail = handler.last
    assert (trail.question, trail.answer, len(trail.retrievals)) == (QUESTION, ANSWER, 1)
    assert {a.state for a in trail.contexts[0].arrivals} == {"full"}


# --- checks


@pytest.mark.parametrize("listening", [True, False])
def test_the_answer_of_a_retrieval_chain_is_checked(
    listening, wrapped, stuff, verifier, config, handler
):
    chain = chains.create_retrieval_chain(wrapped, stuff) | check_grounding(verifier)
    answer = chain.invoke({"input": QUESTION}, config if listening else None)
    assert list(answer) == ["input", "context", "answer"]
    assert answer["answer"] == ANSWER
    pieces = list(chain.stream({"input": QUESTION}, config if listening else None))
    assert "".join(piece.get("answer", "") for piece in pieces) == ANSWER
    for asked in verifier.asked:
        assert (asked.text, asked.question, len(asked.passages)) == (ANSWER, QUESTION, 3)
    assert len(verifier.asked) == 2
    if listening:
        assert len(handler.get(handler.last.response_id).assessments) == 1


def test_a_retrieval_chain_may_be_made_to_refuse(wrapped, stuff, failing, config):
    check = check_grounding(
        failing(RuntimeError("out")), enforce="refuse", if_unchecked="refuse", refusal="No."
    )
    chain = chains.create_retrieval_chain(wrapped, stuff) | check
    answer = chain.invoke({"input": QUESTION}, config)
    assert (list(answer), answer["answer"]) == (["input", "context", "answer"], "No.")
