import asyncio
import math

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore, VectorStoreRetriever

import doctrail_core
from langchain_doctrail import LineageCallbackHandler, LineageRetriever

QUERY = "When is the renewal deadline?"


class ListStore(VectorStore):
    """Returns what it was given, and counts how often it was asked."""

    def __init__(self, pairs):
        self.pairs = pairs
        self.searches = 0

    def similarity_search(self, query, k=4, **kwargs):
        self.searches += 1
        return [document for document, _ in self.pairs[:k]]

    @classmethod
    def from_texts(cls, texts, embedding, metadatas=None, **kwargs):
        raise NotImplementedError


class ScoringStore(ListStore):
    def similarity_search_with_score(self, query, k=4, filter=None):  # noqa: A002  # the stores' name
        self.searches += 1
        return self.pairs[:k]


class RelevanceStore(ScoringStore):
    def _select_relevance_score_fn(self):
        return lambda score: score


class Chroma(ScoringStore):
    """Named as the real one, whose scores are distances."""

    _collection_name = None


class FAISS(ScoringStore):
    index = None


class OwnWayRetriever(VectorStoreRetriever):
    """A vendor's subclass that searches differently."""

    def _get_relevant_documents(self, query, *, run_manager, **kwargs):
        return [Document("own way", id="own")]


class PlainRetriever(BaseRetriever):
    k: int = 7

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document("plain", id="p")]


def ask(retriever, handler, **kwargs):
    """Ask as the only step of a response, and return its outermost retrieval."""
    found = retriever.invoke(QUERY, {"callbacks": [handler]}, **kwargs)
    return found, next(r for r in handler.last.retrievals if r.enclosing_id is None)


def wrap(store, **kwargs):
    return LineageRetriever.wrap(store.as_retriever(**kwargs))


def test_scores_and_how_it_was_asked_are_on_the_trail(store, handler):
    def only_renewal(document):
        return document.id == "chunk-renewal"

    retriever = wrap(store, search_kwargs={"k": 3, "filter": only_renewal})
    _, retrieval = ask(retriever, handler)
    (hit,) = retrieval.hits
    assert (hit.chunk.chunk_id, hit.score_kind) == ("chunk-renewal", "similarity")
    expected = store.similarity_search_with_score(QUERY, k=1, filter=only_renewal)[0][1]
    assert hit.score == expected
    assert (retrieval.k, retrieval.search_type) == (3, "similarity")
    assert "only_renewal" in retrieval.filters
    assert retrieval.store == "InMemoryVectorStore"
    assert retrieval.retriever == "VectorStoreRetriever"


async def test_async_searches_tell_the_same(store, handler):
    retriever = wrap(store, search_kwargs={"k": 2})
    await retriever.ainvoke(QUERY, {"callbacks": [handler]})
    told = [(h.chunk.chunk_id, h.score, h.score_kind) for h in handler.last.retrievals[0].hits]
    _, retrieval = ask(retriever, handler)
    assert told == [(h.chunk.chunk_id, h.score, h.score_kind) for h in retrieval.hits]
    assert all(score is not None for _, score, _ in told)


def test_one_call_is_one_search(handler):
    store = ScoringStore([(Document("one", id="1"), 0.5)])
    wrap(store).invoke(QUERY, {"callbacks": [handler]})
    assert store.searches == 1


def test_what_is_passed_per_call_counts(store, handler):
    found, retrieval = ask(wrap(store, search_kwargs={"k": 3}), handler, k=2)
    assert (len(found), retrieval.k) == (2, 2)


def test_the_stores_own_default_is_the_effective_k(store, handler):
    _, retrieval = ask(wrap(store), handler)
    assert retrieval.k == 4


def test_a_store_without_scores_says_so(handler):
    store = ListStore([(Document("one", id="1"), None)])
    found, retrieval = ask(wrap(store), handler)
    assert [document.page_content for document in found] == ["one"]
    assert (retrieval.hits[0].score, retrieval.hits[0].score_kind) == (None, "unknown")
    assert store.searches == 1


def test_a_store_whose_scoring_search_does_not_take_the_arguments_is_searched_plainly(handler):
    store = ScoringStore([(Document("one", id="1"), 0.5)])
    _, retrieval = ask(wrap(store, search_kwargs={"namespace": "a"}), handler)
    assert retrieval.hits[0].score is None
    assert store.searches == 1


def test_a_store_that_turns_out_to_have_no_scores_is_searched_plainly(handler):
    class Unfinished(ListStore):
        def similarity_search_with_score(self, query, k=4):
            raise NotImplementedError

    store = Unfinished([(Document("one", id="1"), 0.5)])
    found, retrieval = ask(wrap(store), handler)
    assert (len(found), retrieval.hits[0].score, store.searches) == (1, None, 1)


async def test_a_store_that_turns_out_to_have_no_scores_is_searched_plainly_async(handler):
    class Unfinished(ListStore):
        async def asimilarity_search_with_score(self, query, k=4):
            raise NotImplementedError

    store = Unfinished([(Document("one", id="1"), 0.5)])
    found = await wrap(store).ainvoke(QUERY, {"callbacks": [handler]})
    assert (len(found), store.searches) == (1, 1)


def test_threshold_searches_give_relevance(handler):
    store = RelevanceStore([(Document("one", id="1"), 0.9), (Document("two", id="2"), 0.1)])
    retriever = wrap(
        store, search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.5}
    )
    _, retrieval = ask(retriever, handler)
    (hit,) = retrieval.hits
    assert (hit.chunk.chunk_id, hit.score, hit.score_kind) == ("1", 0.9, "relevance")
    assert retrieval.search_type == "similarity_score_threshold"


def test_mmr_searches_have_no_scores(store, handler):
    _, retrieval = ask(wrap(store, search_type="mmr", search_kwargs={"k": 2}), handler)
    assert [hit.score for hit in retrieval.hits] == [None, None]
    assert (retrieval.search_type, retrieval.k) == ("mmr", 2)


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        (ScoringStore, "unknown"),
        (Chroma, "distance"),
        (FAISS, "unknown"),
        (InMemoryVectorStore, "similarity"),
    ],
)
def test_the_kind_of_a_score_is_named_only_where_it_is_certain(store, kind, handler):
    document = Document("one", id="1")
    if store is InMemoryVectorStore:
        made = store(DeterministicFakeEmbedding(size=4))
        made.add_documents([document])
    else:
        made = store([(document, 0.5)])
    _, retrieval = ask(wrap(made), handler)
    assert retrieval.hits[0].score_kind == kind


@pytest.mark.parametrize(("metric", "kind"), [(0, "similarity"), (1, "distance"), (23, "unknown")])
def test_faiss_is_asked_for_its_metric(metric, kind, handler):
    class Index:
        metric_type = metric

    store = FAISS([(Document("one", id="1"), 0.5)])
    store.index = Index()
    _, retrieval = ask(wrap(store), handler)
    assert retrieval.hits[0].score_kind == kind


def test_the_collection_is_named_where_it_has_a_name(handler):
    store = Chroma([(Document("one", id="1"), 0.5)])
    store._collection_name = "contracts"
    _, retrieval = ask(wrap(store), handler)
    assert retrieval.store == "Chroma(contracts)"


@pytest.mark.parametrize("score", [None, math.nan, math.inf, "high", object()])
def test_scores_that_are_no_numbers_are_absent(score, handler):
    store = ScoringStore([(Document("one", id="1"), score)])
    _, retrieval = ask(wrap(store), handler)
    assert retrieval.hits[0].score is None


def test_a_chunk_returned_twice_keeps_its_better_score(handler):
    twice = Document("one", id="1")
    _, retrieval = ask(wrap(ScoringStore([(twice, 0.9), (twice, 0.4)])), handler)
    assert [(hit.rank, hit.score) for hit in retrieval.hits] == [(0, 0.9), (1, 0.9)]


def test_a_retriever_that_searches_its_own_way_keeps_it(store, handler):
    retriever = LineageRetriever.wrap(OwnWayRetriever(vectorstore=store, search_kwargs={"k": 5}))
    found, retrieval = ask(retriever, handler)
    assert [document.page_content for document in found] == ["own way"]
    assert (retrieval.k, retrieval.store) == (5, "InMemoryVectorStore")
    assert len(handler.last.retrievals) == 1


def test_a_search_that_is_handed_on_is_one_search_with_what_happens_inside_it(store, handler):
    class Asking(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            callbacks = run_manager.get_child()
            return store.as_retriever(search_kwargs={"k": 1}).invoke(
                query, {"callbacks": callbacks}
            )

    LineageRetriever.wrap(Asking()).invoke(QUERY, {"callbacks": [handler]})
    inner, outer = handler.last.retrievals
    assert (outer.retriever, outer.enclosing_id) == ("Asking", None)
    assert (inner.retriever, inner.enclosing_id) == ("VectorStoreRetriever", outer.retrieval_id)


def test_a_search_that_is_handed_on_and_fails_is_one_failure(handler, captured):
    class Broken(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        LineageRetriever.wrap(Broken()).invoke(QUERY, {"callbacks": [handler]})
    (retrieval,) = captured.trails[-1].retrievals
    assert retrieval.error == "ConnectionError: away"


async def test_retrievers_without_a_vector_store_work_too(handler):
    retriever = LineageRetriever.wrap(PlainRetriever())
    found = await retriever.ainvoke(QUERY, {"callbacks": [handler]}, k=2)  # ignored, as without us
    assert found[0].page_content == "plain"
    outer = next(r for r in handler.last.retrievals if r.enclosing_id is None)
    assert (outer.retriever, outer.k) == ("PlainRetriever", 7)


def test_errors_of_the_store_reach_the_caller_unchanged(handler):
    class Broken(ScoringStore):
        def similarity_search_with_score(self, query, k=4):
            raise ConnectionError("away")

    with pytest.raises(ConnectionError, match="away"):
        wrap(Broken([])).invoke(QUERY, {"callbacks": [handler]})
    assert handler.last.retrievals[0].error == "ConnectionError: away"


async def test_a_cancelled_search_is_over(handler):
    asked = asyncio.Event()

    class Slow(ScoringStore):
        async def asimilarity_search_with_score(self, query, k=4):
            asked.set()
            await asyncio.sleep(60)

    retriever = wrap(Slow([]))
    search = asyncio.create_task(retriever.ainvoke(QUERY, {"callbacks": [handler]}))
    await asked.wait()
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert handler.last.status == "aborted"


def test_an_empty_retrieval_is_a_retrieval(handler):
    found, retrieval = ask(wrap(ScoringStore([])), handler)
    assert (found, retrieval.hits) == ([], ())


def test_the_stores_own_documents_are_never_touched(handler):
    document = Document("one", id="1", metadata={"page": 3})
    found, _ = ask(wrap(ScoringStore([(document, 0.5)])), handler)
    assert document == Document("one", id="1", metadata={"page": 3})
    assert found == [Document("one", id="1", metadata={"page": 3, "doctrail_chunk_id": "1"})]


def test_without_any_handler_it_is_the_inner_retriever_with_stamps(store, retriever):
    wrapped = LineageRetriever.wrap(retriever)
    plain = retriever.invoke(QUERY)
    found = wrapped.invoke(QUERY)
    assert [(d.id, d.page_content) for d in found] == [(d.id, d.page_content) for d in plain]
    assert wrapped.get_name() == retriever.get_name()


def test_other_handlers_do_not_see_filters_and_scores(store, handler):
    class Eavesdropper(BaseCallbackHandler):
        heard: list = []  # noqa: RUF012  # one test, one instance

        def on_custom_event(self, name, data, **kwargs):
            self.heard.append(name)

    eavesdropper = Eavesdropper()
    wrap(store).invoke(QUERY, {"callbacks": [handler, eavesdropper]})
    assert eavesdropper.heard == []


def test_a_retriever_of_ones_own_can_describe_itself(handler):
    """The custom event is open to retrievers that no wrapper can look into."""
    from langchain_core.callbacks import dispatch_custom_event

    class Remote(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            told = {"store": "remote", "scores": {"r": 0.7}, "score_kind": "rerank", "other": 1}
            config = {"callbacks": run_manager.get_child()}
            dispatch_custom_event("doctrail.retrieval", told, config=config)
            return [Document("remote", id="r")]

    _, retrieval = ask(Remote(), handler)
    assert retrieval.store == "remote"
    assert (retrieval.hits[0].score, retrieval.hits[0].score_kind) == (0.7, "rerank")


def test_a_failure_of_ours_leaves_the_inner_result(captured, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("ours")

    monkeypatch.setattr("langchain_doctrail.retriever.description", fail)
    handler = LineageCallbackHandler(captured)
    document = Document("one", id="1")
    found = wrap(ScoringStore([(document, 0.5)])).invoke(QUERY, {"callbacks": [handler]})
    assert found == [document]
    assert [(where, str(error)) for where, error in captured.errors] == [
        ("langchain.retriever", "ours")
    ]
    captured.errors.clear()


def test_settings_that_mean_nothing_are_logged_once_and_cost_the_user_nothing(monkeypatch, caplog):
    def fail():
        raise doctrail_core.SettingsError("content is 'perhaps'")

    monkeypatch.setattr(doctrail_core, "default_lineage", fail)
    retriever = wrap(ScoringStore([(Document("one", id="1"), 0.5)]))
    for _ in range(2):
        found = retriever.invoke(QUERY, {"callbacks": [LineageCallbackHandler()]})
        assert [document.page_content for document in found] == ["one"]
    assert caplog.text.count("doctrail cannot record") == 1


def test_wrapping_twice_is_wrapping_once(retriever):
    wrapped = LineageRetriever.wrap(retriever)
    assert LineageRetriever.wrap(wrapped) is wrapped


def test_what_is_no_retriever_is_refused_with_advice(store, retriever):
    with pytest.raises(TypeError, match=r"not a InMemoryVectorStore: pass its \.as_retriever\(\)"):
        LineageRetriever.wrap(store)
    with pytest.raises(TypeError, match="wrap the retriever first"):
        LineageRetriever.wrap(retriever.with_config(tags=["a"]))
    with pytest.raises(TypeError, match="wrap the retriever first"):
        LineageRetriever.wrap(RunnableLambda(str))
    with pytest.raises(TypeError, match="not the class itself"):
        LineageRetriever.wrap(VectorStoreRetriever)
    with pytest.raises(TypeError, match=r"not a list: pass a langchain_core BaseRetriever"):
        LineageRetriever.wrap([])


def test_tags_and_metadata_of_the_inner_retriever_are_kept(store):
    inner = store.as_retriever(tags=["a"], metadata={"b": 1})
    wrapped = LineageRetriever.wrap(inner)
    assert (wrapped.tags, wrapped.metadata) == (inner.tags, inner.metadata)
    assert wrapped._get_ls_params() == inner._get_ls_params()
