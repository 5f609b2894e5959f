"""`LineageRetriever(base)` swapped in, and nothing else changed: every query has its whole trail."""

import copy
import pickle

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import (
    CustomQueryEngine,
    RetrieverQueryEngine,
    RouterQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import QueryEngineTool

from llama_index.observability.doctrail import LineageRetriever, handlers

MODES = [
    "compact",
    "refine",
    "tree_summarize",
    "simple_summarize",
    "accumulate",
    "compact_accumulate",
    "generation",
]
STREAMING_MODES = ["compact", "refine", "tree_summarize", "simple_summarize", "generation"]
READS_CONTEXT = {"compact", "refine", "tree_summarize", "simple_summarize"}


def check(trail, rag, mode):
    assert trail.status == "ok"
    assert trail.framework == "llama_index"
    assert trail.question == rag.question
    assert rag.answer in trail.answer
    [retrieval] = trail.retrievals
    assert [h.chunk.chunk_id for h in retrieval.hits] == ["chunk-renewal", "chunk-support"]
    assert trail.generations
    assert not any(g.auxiliary for g in trail.generations)
    grades = {d.document_id: d.grade for d in trail.documents}
    reached = "retrieved" if mode == "generation" else "in_prompt"
    assert grades == {"doc_renewal": reached, "doc_support": reached}


@pytest.mark.parametrize("mode", MODES)
def test_a_query_leaves_one_whole_trail(rag, mode):
    response = rag.engine(mode=mode).query(rag.question)
    [trail] = rag.captured.trails
    assert trail.answer == str(response)
    check(trail, rag, mode)


@pytest.mark.parametrize("mode", MODES)
async def test_an_async_query_leaves_one_whole_trail(rag, mode):
    response = await rag.engine(mode=mode).aquery(rag.question)
    [trail] = rag.captured.trails
    assert trail.answer == str(response)
    check(trail, rag, mode)


@pytest.mark.parametrize("mode", STREAMING_MODES)
def test_a_stream_leaves_one_whole_trail_once_it_is_drawn(rag, mode):
    response = rag.engine(mode=mode, streaming=True).query(rag.question)
    assert rag.captured.trails == []
    assert rag.drawn(response) == rag.answer
    [trail] = rag.captured.trails
    check(trail, rag, mode)


@pytest.mark.parametrize("mode", STREAMING_MODES)
async def test_an_async_stream_leaves_one_whole_trail_once_it_is_drawn(rag, mode):
    response = await rag.engine(mode=mode, streaming=True).aquery(rag.question)
    assert rag.captured.trails == []
    assert await rag.adrawn(response) == rag.answer
    [trail] = rag.captured.trails
    check(trail, rag, mode)


@pytest.mark.parametrize("mode", ["no_text", "context_only"])
def test_modes_that_ask_no_model_are_recorded_without_a_generation(rag, mode, monkeypatch):
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    rag.engine(mode=mode).query(rag.question)
    [trail] = rag.captured.trails
    assert len(trail.retrievals) == 1
    assert trail.generations == ()


def test_the_spans_of_a_query_hang_under_one_request(rag):
    rag.engine().query(rag.question)
    [[_, below]] = rag.captured.span_tree()
    assert len(below) == 3  # retrieval, LLM call, context assembly


def test_the_sources_are_on_the_ledger_before_the_model_is_asked(rag):
    seen = []
    entries = rag.captured.entries
    engine = rag.engine()
    rag.llm.prompts = type("Spy", (list,), {"append": lambda _, __: seen.append(len(entries))})()
    engine.query(rag.question)
    assert seen == [1]
    assert entries[0][0] == "retrieved"


def test_a_query_without_a_wrapped_retriever_is_not_recorded(rag):
    rag.wrapped()
    rag.engine(rag.retriever()).query(rag.question)
    rag.llm.complete("hello")
    rag.retriever().retrieve(rag.question)
    assert rag.captured.trails == []
    assert rag.captured.open_count == 0


def test_a_wrapped_retriever_on_its_own_is_recorded_as_it_is(rag):
    nodes = rag.wrapped().retrieve(rag.question)
    [trail] = rag.captured.trails
    assert trail.question == rag.question
    assert [h.chunk.text for r in trail.retrievals for h in r.hits] == [n.text for n in nodes]


def test_the_wrapper_and_its_base_are_one_retrieval(rag):
    LineageRetriever(rag.wrapped(), lineage=rag.captured).retrieve(rag.question)
    [trail] = rag.captured.trails
    [retrieval] = trail.retrievals
    assert retrieval.retriever == "VectorIndexRetriever"


class HydeLike:
    """A query transform that asks a model before anything is retrieved."""

    def __init__(self, llm):
        self.llm = llm

    def run(self, bundle, metadata=None):
        self.llm.complete("imagine an answer")
        return bundle


def test_what_happened_before_the_wrapped_retriever_took_part_is_on_record_too(rag):
    engine = TransformQueryEngine(rag.engine(), query_transform=HydeLike(rag.llm))
    engine.query(rag.question)
    [trail] = rag.captured.trails
    assert [g.auxiliary for g in trail.generations] == [True, False]
    assert trail.generations[0].messages[0].text == "imagine an answer"


def test_an_engine_that_holds_it_somewhere_inside_is_recorded_as_one_answer(rag):
    rag.llm.says = ('[{"choice": 1, "reason": "the only one"}]',)
    tool = QueryEngineTool.from_defaults(rag.engine(), description="contracts")
    RouterQueryEngine.from_defaults([tool], llm=rag.llm).query(rag.question)
    [trail] = rag.captured.trails
    assert trail.question == rag.question
    assert len(trail.retrievals) == 1
    assert sum(not g.auxiliary for g in trail.generations) == 1


class OwnEngine(CustomQueryEngine):
    """The engine that LlamaIndex's documentation tells people to write."""

    retriever: BaseRetriever
    llm: object

    def custom_query(self, query_str: str):
        nodes = self.retriever.retrieve(query_str)
        context = "\n".join(n.node.get_content() for n in nodes)
        return str(self.llm.complete(f"{context}\n\nAnswer: {query_str}"))


def test_an_engine_that_asks_the_model_itself_has_an_answer_too(rag):
    OwnEngine(retriever=rag.wrapped(), llm=rag.llm).query(rag.question)
    [trail] = rag.captured.trails
    assert [g.auxiliary for g in trail.generations] == [False]
    assert {d.grade for d in trail.documents} == {"in_prompt"}


def test_changing_a_setting_changes_the_retriever_inside(rag):
    retriever = rag.wrapped()
    retriever.similarity_top_k = 1
    assert retriever.similarity_top_k == retriever.base.similarity_top_k == 1
    assert len(retriever.retrieve(rag.question)) == 1
    assert rag.captured.trails[0].retrievals[0].k == 1


def test_it_answers_like_its_base(rag):
    base = rag.retriever()
    wrapped = LineageRetriever(base)
    assert isinstance(wrapped, BaseRetriever)
    assert wrapped._vector_store is base._vector_store
    assert wrapped.get_prompts() == base.get_prompts()
    with pytest.raises(AttributeError):
        _ = wrapped.no_such_thing


def _through_pickle(thing):
    return pickle.loads(pickle.dumps(thing))  # noqa: S301  # our own


class Picklable(BaseRetriever):
    def _retrieve(self, query_bundle):
        return []


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, _through_pickle])
def test_a_copy_still_works_and_has_its_process_told(rag, copied):
    retriever = LineageRetriever(rag.retriever(), lineage=rag.captured)
    if copied not in (copy.copy, copy.deepcopy):
        retriever = LineageRetriever(Picklable(), lineage=rag.captured)
    handlers._demand.wrapped = False
    twin = copied(retriever)
    assert handlers._demand.wrapped
    assert type(twin.base) is type(retriever.base)
    assert twin.lineage is None


def test_the_host_gets_the_very_nodes_of_its_base(rag):
    class Same(BaseRetriever):
        found = rag.retriever().retrieve(rag.question)

        def _retrieve(self, query_bundle):
            return self.found

    nodes = LineageRetriever(Same(), lineage=rag.captured).retrieve(rag.question)
    assert all(a is b for a, b in zip(nodes, Same.found, strict=True))


def test_an_error_of_the_retriever_reaches_the_user_and_the_record(rag):
    class Broken(BaseRetriever):
        def _retrieve(self, query_bundle):
            raise ConnectionError("the store is gone")

    engine = rag.engine(LineageRetriever(Broken(), lineage=rag.captured))
    with pytest.raises(ConnectionError, match="the store is gone"):
        engine.query(rag.question)
    [trail] = rag.captured.trails
    assert trail.status == "error"


def test_an_error_of_the_model_reaches_the_user_and_the_record(rag):
    rag.llm.fails_at = 0
    with pytest.raises(RuntimeError, match="the model is gone"):
        rag.engine().query(rag.question)
    [trail] = rag.captured.trails
    assert trail.status == "error"
    assert [g.error for g in trail.generations] == ["RuntimeError: the model is gone"]
    assert len(trail.retrievals) == 1


def test_the_same_engine_may_hold_it_from_its_own_factory(rag):
    engine = RetrieverQueryEngine.from_args(rag.wrapped(), llm=rag.llm)
    engine.query(rag.question)
    engine.query("How long do refunds take?")
    assert [t.question for t in rag.captured.trails] == [rag.question, "How long do refunds take?"]


def test_its_inner_methods_are_those_of_its_base_too(rag):
    bundle = QueryBundle(rag.question)
    assert [n.node_id for n in rag.wrapped()._retrieve(bundle)] == [
        "chunk-renewal",
        "chunk-support",
    ]


async def test_so_are_the_async_ones(rag):
    bundle = QueryBundle(rag.question)
    found = await rag.wrapped()._aretrieve(bundle)
    assert [n.node_id for n in found] == ["chunk-renewal", "chunk-support"]


def test_the_prompts_of_a_base_can_be_updated(rag):
    fusion = QueryFusionRetriever([rag.retriever()], llm=rag.llm)
    LineageRetriever(fusion).update_prompts({"query_gen_prompt": PromptTemplate("Anew: {query}")})
    assert fusion.query_gen_prompt == "Anew: {query}"


def test_the_hosts_callback_handlers_see_one_retrieval(rag):
    debug = LlamaDebugHandler(print_trace_on_end=False)
    base = rag.retriever()
    base.callback_manager = CallbackManager([debug])
    LineageRetriever(base, lineage=rag.captured).retrieve(rag.question)
    assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 1
