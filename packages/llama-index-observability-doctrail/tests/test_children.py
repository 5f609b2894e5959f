"""Spans of the clients that a search or an engine uses stand inside of it, and nothing stays attached."""

import asyncio
import threading

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from opentelemetry import trace

from doctrail_core.access import Ruling
from llama_index.observability.doctrail import LineageQueryEngine, LineageRetriever


class Searching(BaseRetriever):
    """Asks a database whose client has spans of its own."""

    def __init__(self, captured):
        super().__init__()
        self.client = captured.tracer_provider.get_tracer("database")
        self.fails = False

    def _retrieve(self, query_bundle):
        with self.client.start_as_current_span("SELECT"):
            if self.fails:
                raise ConnectionError("the database is away")
            return [NodeWithScore(node=TextNode(text="Found.", id_="chunk-1"), score=0.5)]

    async def _aretrieve(self, query_bundle):
        await asyncio.sleep(0)
        return self._retrieve(query_bundle)


@pytest.fixture
def searching(captured):
    return Searching(captured)


@pytest.fixture
def wrapped(searching, captured):
    return LineageRetriever(searching, lineage=captured)


def above(captured, name):
    """The names of the spans that this one stands in, from the inside."""
    by_id = {span.context.span_id: span for span in captured.spans}
    span = next(span for span in captured.spans if span.name == name)
    names = []
    while span.parent is not None and (span := by_id.get(span.parent.span_id)):
        names.append(span.name)
    return names


def test_a_clients_span_is_part_of_the_search(rag, captured, wrapped):
    rag.engine(wrapped).query(rag.question)
    engine = "invoke_workflow RetrieverQueryEngine"
    assert above(captured, "SELECT") == ["retrieval Searching", engine]


async def test_a_clients_span_is_part_of_the_search_in_async_code_too(rag, captured, wrapped):
    before = trace.get_current_span()
    await rag.engine(wrapped).aquery(rag.question)
    assert trace.get_current_span() is before
    engine = "invoke_workflow RetrieverQueryEngine"
    assert above(captured, "SELECT") == ["retrieval Searching", engine]


def test_a_retriever_by_itself_has_them_too(captured, wrapped):
    wrapped.retrieve("When?")
    assert above(captured, "SELECT") == ["retrieval Searching"]


async def test_searches_at_once_have_each_its_own(rag, captured, wrapped):
    await asyncio.gather(*(wrapped.aretrieve(f"When? {n}") for n in range(5)))
    searches = {s.context.span_id for s in captured.spans if s.name.startswith("retrieval")}
    assert {s.parent.span_id for s in captured.spans if s.name == "SELECT"} == searches
    assert len(searches) == 5


def test_a_search_in_a_thread_has_its_own_too(captured, wrapped):
    thread = threading.Thread(target=wrapped.retrieve, args=("When?",))
    thread.start()
    thread.join()
    assert above(captured, "SELECT") == ["retrieval Searching"]


def test_a_search_that_fails_leaves_nothing_attached(captured, searching, wrapped):
    searching.fails = True
    with pytest.raises(ConnectionError):
        wrapped.retrieve("When?")
    assert above(captured, "SELECT") == ["retrieval Searching"]
    assert captured.trails[-1].status == "error"


async def test_a_search_that_is_cancelled_leaves_nothing_attached(captured, wrapped, searching):
    async def hang(query_bundle):
        begun.set()
        await asyncio.Event().wait()

    begun = asyncio.Event()
    searching._aretrieve = hang
    task = asyncio.create_task(wrapped.aretrieve("When?"))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert captured.trails[-1].status == "aborted"


def test_what_a_wrapped_engine_does_beside_is_part_of_its_answer(rag, captured, searching):
    engine = rag.engine(searching)
    LineageQueryEngine(engine, lineage=captured).query(rag.question)
    assert above(captured, "SELECT") == ["invoke_workflow LineageQueryEngine"]


def test_a_gate_decides_outside_of_the_search(captured, searching):
    inside = []

    class Looking:
        engine = "looking"

        def decide(self, principal, chunks):
            inside.append(trace.get_current_span().get_span_context().is_valid)
            return [Ruling(allowed=False, decision_id="decision-1", policy="policy-1")] * len(
                chunks
            )

    guarded = LineageRetriever(searching, lineage=captured, access=Looking(), principal="u-1")
    assert guarded.retrieve("When?") == []
    assert inside == [False]


@pytest.mark.parametrize("streaming", [False, True])
def test_nothing_that_others_hear_of_says_that_a_retriever_is_wrapped(rag, captured, streaming):
    heard = []

    from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
    from llama_index_instrumentation import get_dispatcher

    class Listening(SimpleSpanHandler):
        def span_enter(self, id_, bound_args, instance=None, parent_id=None, **kwargs):
            heard.append((id_.partition("-")[0], (parent_id or "").partition("-")[0]))

    get_dispatcher().add_span_handler(Listening())
    rag.engine(rag.wrapped(), streaming=streaming).query(rag.question)
    assert not any("Lineage" in name for pair in heard for name in pair)
    assert ("VectorIndexRetriever.retrieve", "RetrieverQueryEngine._query") in heard
