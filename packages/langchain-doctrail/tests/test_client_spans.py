"""Spans of database and HTTP clients are children of the search they serve, and nothing stays attached."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from opentelemetry import trace

from langchain_doctrail import LineageCallbackHandler, LineageRetriever

QUESTION = "When is the renewal deadline?"


class SelectingStore(InMemoryVectorStore):
    """A store whose client writes spans."""

    tracer = None

    def similarity_search_with_score(self, *args, **kwargs):
        with self.tracer.start_as_current_span("SELECT"):
            return super().similarity_search_with_score(*args, **kwargs)

    async def asimilarity_search_with_score(self, *args, **kwargs):
        with self.tracer.start_as_current_span("SELECT"):
            await asyncio.sleep(0)
            return super().similarity_search_with_score(*args, **kwargs)


class SelectingRetriever(BaseRetriever):
    """A retriever that is no vector store's."""

    tracer: object

    def _get_relevant_documents(self, query, *, run_manager):
        with self.tracer.start_as_current_span("SELECT"):
            if query == "broken":
                raise ConnectionError("the database is away")
            return [Document("The deadline is February 28th.", id="chunk-1")]


class HangingRetriever(SelectingRetriever):
    async def _aget_relevant_documents(self, query, *, run_manager):
        with self.tracer.start_as_current_span("SELECT"):
            HANGING.set()
            await asyncio.Event().wait()


HANGING = threading.Event()


@pytest.fixture(autouse=True)
def nothing_failed_to_detach(caplog):
    yield
    assert [r.getMessage() for r in caplog.records if "detach" in r.getMessage()] == []


@pytest.fixture
def tracer(captured):
    return captured.tracer_provider.get_tracer("client")


@pytest.fixture(params=["vector store", "any retriever"])
def searching(request, tracer, documents):
    if request.param == "any retriever":
        return LineageRetriever.wrap(SelectingRetriever(tracer=tracer))
    store = SelectingStore(DeterministicFakeEmbedding(size=8))
    store.tracer = tracer
    store.add_documents(documents)
    return LineageRetriever.wrap(store.as_retriever())


@pytest.fixture
def config(handler):
    return {"callbacks": [handler]}


@pytest.fixture
def selects(captured):
    """Each client's span with the kind of span that it is in."""

    def selects():
        spans = {s.context.span_id: s for s in captured.spans}
        inside = [
            spans.get(s.parent and s.parent.span_id) for s in spans.values() if s.name == "SELECT"
        ]
        return [s and s.attributes.get("openinference.span.kind") for s in inside]

    return selects


def invoke(chain, config):
    chain.invoke(QUESTION, config)


def stream(chain, config):
    list(chain.stream(QUESTION, config))


def leave(chain, config):
    pieces = chain.stream(QUESTION, config)
    next(pieces)
    pieces.close()


def drop(chain, config):
    pieces = chain.stream(QUESTION, config)
    next(pieces)
    del pieces
    gc.collect()


def batch(chain, config):
    chain.batch([QUESTION], config)


def in_a_thread(chain, config):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(chain.invoke, QUESTION, config).result()


async def ainvoke(chain, config):
    await chain.ainvoke(QUESTION, config)


async def astream(chain, config):
    async for _ in chain.astream(QUESTION, config):
        pass


async def aleave(chain, config):
    pieces = chain.astream(QUESTION, config)
    await anext(pieces)
    await pieces.aclose()
    await asyncio.sleep(0)


async def astream_events(chain, config):
    async for _ in chain.astream_events(QUESTION, config, version="v2"):
        pass


async def leave_events(chain, config):
    events = chain.astream_events(QUESTION, config, version="v2")
    async for event in events:
        if event["event"] == "on_chat_model_stream":
            break
    await events.aclose()


async def abatch(chain, config):
    await chain.abatch([QUESTION], config)


async def as_task(chain, config):
    await asyncio.create_task(chain.ainvoke(QUESTION, config))


@pytest.mark.parametrize("call", [invoke, stream, leave, drop, batch, in_a_thread])
def test_a_clients_span_is_in_the_searchs_and_the_callers_stays_current(
    call, searching, rag, config, selects, tracer
):
    with tracer.start_as_current_span("request") as request:
        call(rag(searching), config)
        assert trace.get_current_span() is request
    assert selects() == ["RETRIEVER"]


@pytest.mark.parametrize(
    "call", [ainvoke, astream, aleave, astream_events, leave_events, abatch, as_task]
)
async def test_the_same_holds_in_async_code(call, searching, rag, config, selects, tracer):
    with tracer.start_as_current_span("request") as request:
        await call(rag(searching), config)
        assert trace.get_current_span() is request
    assert selects() == ["RETRIEVER"]


async def test_searches_side_by_side_each_have_their_own(
    searching, rag, config, captured, selects, tracer
):
    with tracer.start_as_current_span("request") as request:
        await asyncio.gather(*(rag(searching).ainvoke(QUESTION, config) for _ in range(5)))
        rag(searching).batch([QUESTION] * 5, config)
        assert trace.get_current_span() is request
    assert selects() == ["RETRIEVER"] * 10
    spans = [s for s in captured.spans if s.name == "SELECT"]
    assert len({s.parent.span_id for s in spans}) == 10


def test_a_search_that_fails_leaves_nothing_attached(tracer, rag, config, selects):
    chain = rag(LineageRetriever.wrap(SelectingRetriever(tracer=tracer)))
    with tracer.start_as_current_span("request") as request:
        with pytest.raises(ConnectionError):
            chain.invoke("broken", config)
        assert trace.get_current_span() is request
    assert selects() == ["RETRIEVER"]


async def test_a_search_that_is_cancelled_leaves_nothing_attached(tracer, rag, config, selects):
    chain = rag(LineageRetriever.wrap(HangingRetriever(tracer=tracer)))
    HANGING.clear()
    with tracer.start_as_current_span("request") as request:
        task = asyncio.create_task(chain.ainvoke(QUESTION, config))
        async with asyncio.timeout(10):
            while not HANGING.is_set():  # noqa: ASYNC110  # nobody tells when it hangs
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert trace.get_current_span() is request
    assert selects() == ["RETRIEVER"]


def test_a_model_that_answers_beside_the_search_is_not_in_it(
    searching, rag, config, captured, tracer
):
    """Only what the search itself opens is its child: nothing is attached from callback to callback."""

    class Calling(FakeListChatModel):
        def _call(self, *args, **kwargs):
            with tracer.start_as_current_span("POST"):
                return super()._call(*args, **kwargs)

    with tracer.start_as_current_span("request") as request:
        rag(searching, Calling(responses=["In February."])).invoke(QUESTION, config)
    (post,) = [s for s in captured.spans if s.name == "POST"]
    assert post.parent.span_id == request.context.span_id


def test_without_a_handler_a_search_is_as_it_was(searching, tracer, captured):
    with tracer.start_as_current_span("request") as request:
        searching.invoke(QUESTION)
    (select,) = [s for s in captured.spans if s.name == "SELECT"]
    assert select.parent.span_id == request.context.span_id


def test_a_lineage_that_cannot_be_made_costs_the_search_nothing(searching, tracer, monkeypatch):
    import doctrail_core

    monkeypatch.setattr(
        doctrail_core, "default_lineage", lambda: (_ for _ in ()).throw(OSError("no disk"))
    )
    assert searching.invoke(QUESTION, {"callbacks": [LineageCallbackHandler()]})
