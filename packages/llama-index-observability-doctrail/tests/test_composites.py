"""Retrievers made of retrievers: the outer one is what the application got, the inner ones are how."""

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.retrievers import (
    AutoMergingRetriever,
    QueryFusionRetriever,
    RecursiveRetriever,
    RouterRetriever,
)
from llama_index.core.schema import IndexNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.tools import QueryEngineTool, RetrieverTool

from llama_index.observability.doctrail import LineageRetriever


def shape(trail):
    """Each retrieval as (retriever, the retriever it ran inside of)."""
    names = {r.retrieval_id: r.retriever for r in trail.retrievals}
    return sorted(((r.retriever, names.get(r.enclosing_id)) for r in trail.retrievals), key=str)


def fusion(rag, *, wrap_inner, **kwargs):
    make = rag.wrapped if wrap_inner else rag.retriever
    kwargs = {"num_queries": 1, "use_async": False, "mode": "reciprocal_rerank"} | kwargs
    return QueryFusionRetriever([make(), make()], llm=rag.llm, **kwargs)


FUSED = [
    ("QueryFusionRetriever", None),
    ("VectorIndexRetriever", "QueryFusionRetriever"),
    ("VectorIndexRetriever", "QueryFusionRetriever"),
]


@pytest.mark.parametrize("wrapped", ["outside", "inside", "both"])
def test_fusion_is_one_retrieval_with_others_inside(rag, wrapped):
    retriever = fusion(rag, wrap_inner=wrapped != "outside")
    if wrapped != "inside":
        retriever = LineageRetriever(retriever, lineage=rag.captured)
    rag.engine(retriever).query(rag.question)
    [trail] = rag.captured.trails
    assert shape(trail) == FUSED
    assert {d.grade for d in trail.documents} == {"in_prompt"}


@pytest.mark.parametrize("use_async", [False, True])
async def test_fusion_in_async_code_is_the_same(rag, use_async):
    retriever = LineageRetriever(
        fusion(rag, wrap_inner=False, use_async=use_async), lineage=rag.captured
    )
    await rag.engine(retriever).aquery(rag.question)
    [trail] = rag.captured.trails
    assert shape(trail) == FUSED


def test_fusion_that_goes_async_by_itself_is_the_same(rag):
    retriever = LineageRetriever(
        fusion(rag, wrap_inner=False, use_async=True), lineage=rag.captured
    )
    rag.engine(retriever).query(rag.question)
    assert shape(rag.captured.trails[0]) == FUSED


def test_scores_are_kept_as_each_retriever_gave_them(rag):
    retriever = LineageRetriever(fusion(rag, wrap_inner=False), lineage=rag.captured)
    retriever.retrieve(rag.question)
    [trail] = rag.captured.trails
    outer = next(r for r in trail.retrievals if r.enclosing_id is None)
    inner = [r for r in trail.retrievals if r.enclosing_id is not None]
    assert {h.score_kind for h in outer.hits} == {"fused"}
    assert {h.score_kind for r in inner for h in r.hits} == {"similarity"}
    assert [h.score for h in outer.hits] != [h.score for h in inner[0].hits]
    assert max(h.score for h in inner[0].hits) > 0.3


def test_simple_fusion_has_no_scale_of_its_own(rag):
    retriever = LineageRetriever(fusion(rag, wrap_inner=False, mode="simple"), lineage=rag.captured)
    retriever.retrieve(rag.question)
    outer = next(r for r in rag.captured.trails[0].retrievals if r.enclosing_id is None)
    assert {h.score_kind for h in outer.hits} == {"unknown"}
    assert outer.search_type == "simple"


def test_the_queries_that_fusion_has_generated_are_no_answers(rag):
    rag.llm.says = ("renewal of a contract\n", "deadline for accounts")
    retriever = LineageRetriever(fusion(rag, wrap_inner=False, num_queries=3), lineage=rag.captured)
    rag.engine(retriever).query(rag.question)
    [trail] = rag.captured.trails
    assert [g.auxiliary for g in trail.generations] == [True, False]
    assert {r.query for r in trail.retrievals} == {
        rag.question,
        "renewal of a contract",
        "deadline for accounts",
    }


def test_what_fusion_takes_for_the_same_is_told(rag):
    same = "The very same text about the renewal of a contract, word by word."
    nodes = [TextNode(text=same, id_=name) for name in ("one", "two")]
    indexes = [VectorStoreIndex([node], embed_model=rag.index._embed_model) for node in nodes]
    retriever = QueryFusionRetriever(
        [index.as_retriever() for index in indexes], llm=rag.llm, num_queries=1, use_async=False
    )
    rag.engine(LineageRetriever(retriever, lineage=rag.captured)).query("What about renewal?")
    [trail] = rag.captured.trails
    arrivals = {a.chunk_id: (a.state, a.reason) for a in trail.contexts[0].arrivals}
    assert arrivals == {"one": ("full", None), "two": ("absent", "deduplicated")}


def test_a_recursive_retriever_shows_the_way_it_took(rag):
    link = IndexNode(text="Contracts: renewal deadline accounts", index_id="contracts", id_="link")
    top = VectorStoreIndex([link], embed_model=rag.index._embed_model)
    retriever = RecursiveRetriever("top", {"top": top.as_retriever(), "contracts": rag.retriever()})
    LineageRetriever(retriever, lineage=rag.captured).retrieve(rag.question)
    [trail] = rag.captured.trails
    assert shape(trail) == [
        ("RecursiveRetriever", None),
        ("VectorIndexRetriever", "RecursiveRetriever"),
        ("VectorIndexRetriever", "RecursiveRetriever"),
    ]
    outer = next(r for r in trail.retrievals if r.enclosing_id is None)
    assert [h.chunk.chunk_id for h in outer.hits] == ["chunk-renewal", "chunk-support"]


def test_a_recursive_retriever_accepts_a_wrapped_one_inside(rag):
    retriever = RecursiveRetriever("top", {"top": rag.wrapped()})
    assert [n.node_id for n in retriever.retrieve(rag.question)] == [
        "chunk-renewal",
        "chunk-support",
    ]
    assert shape(rag.captured.trails[0])[0] == ("RecursiveRetriever", None)


class TakesTheFirst(BaseSelector):
    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def _select(self, choices, query):
        return SelectorResult(selections=[SingleSelection(index=0, reason="the first")])

    async def _aselect(self, choices, query):
        return self._select(choices, query)


def test_a_router_shows_whom_it_asked(rag):
    tools = [RetrieverTool.from_defaults(rag.wrapped(), description="contracts")] * 2
    RouterRetriever(TakesTheFirst(), tools, llm=rag.llm).retrieve(rag.question)
    assert shape(rag.captured.trails[0]) == [
        ("RouterRetriever", None),
        ("VectorIndexRetriever", "RouterRetriever"),
    ]


def family(name):
    """A parent node of the handbook and its three children."""
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="handbook")}
    parent = TextNode(text=f"{name} " * 30, id_=name, relationships=dict(source))
    up = {NodeRelationship.PARENT: RelatedNodeInfo(node_id=name)}
    children = [
        TextNode(text=f"{name} part{n} " * 10, id_=f"{name}-{n}", relationships=source | up)
        for n in range(3)
    ]
    parent.relationships[NodeRelationship.CHILD] = [c.as_related_node_info() for c in children]
    return parent, children


def test_merged_parents_are_what_the_application_got(rag):
    parent, children = family("renewal")
    context = StorageContext.from_defaults()
    context.docstore.add_documents([parent, *children])
    index = VectorStoreIndex(children, storage_context=context, embed_model=rag.index._embed_model)
    merging = AutoMergingRetriever(index.as_retriever(similarity_top_k=3), context)
    LineageRetriever(merging, lineage=rag.captured).retrieve("renewal")
    outer, found = rag.captured.trails[0].retrievals[::-1]
    assert [h.chunk.chunk_id for h in outer.hits] == ["renewal"]
    assert {h.chunk.document_id for h in outer.hits} == {"handbook"}
    assert {h.score_kind for h in outer.hits} == {"unknown"}
    assert {h.chunk.chunk_id for h in found.hits} == {"renewal-0", "renewal-1", "renewal-2"}


class AsksTwice(BaseQuestionGenerator):
    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts):
        pass

    def generate(self, tools, query):
        name = tools[0].name
        asked = ["When is the renewal?", "How long do refunds take?"]
        return [SubQuestion(sub_question=q, tool_name=name) for q in asked]

    async def agenerate(self, tools, query):
        return self.generate(tools, query)


def test_sub_questions_are_parts_of_one_answer(rag):
    tool = QueryEngineTool.from_defaults(rag.engine(), name="contracts", description="contracts")
    engine = SubQuestionQueryEngine.from_defaults(
        [tool],
        llm=rag.llm,
        question_gen=AsksTwice(),
        response_synthesizer=rag.synthesizer(),
        use_async=False,
        verbose=False,
    )
    engine.query(rag.question)
    [trail] = rag.captured.trails
    assert trail.question == rag.question
    assert [r.query for r in trail.retrievals] == [
        "When is the renewal?",
        "How long do refunds take?",
    ]
    assert len(trail.generations) == 3


def test_an_engine_behind_a_link_is_part_of_the_retrieval(rag):
    link = IndexNode(text="Contracts: renewal deadline", index_id="contracts", obj=rag.engine())
    top = VectorStoreIndex(objects=[link], embed_model=rag.index._embed_model)
    rag.engine(LineageRetriever(top.as_retriever(), lineage=rag.captured)).query(rag.question)
    [trail] = rag.captured.trails
    assert shape(trail) == [
        ("VectorIndexRetriever", "VectorIndexRetriever"),
        ("VectorIndexRetriever", None),
    ]
    assert [g.auxiliary for g in trail.generations] == [False, False]


def test_bm25_says_what_it_is(rag):
    bm25 = pytest.importorskip("llama_index.retrievers.bm25")
    base = bm25.BM25Retriever.from_defaults(nodes=rag.nodes, similarity_top_k=2)
    rag.engine(LineageRetriever(base, lineage=rag.captured)).query(rag.question)
    [retrieval] = rag.captured.trails[0].retrievals
    assert [retrieval.retriever, retrieval.search_type, retrieval.k] == ["BM25Retriever", "bm25", 2]
    assert retrieval.hits[0].chunk.chunk_id == "chunk-renewal"
    assert {h.score_kind for h in retrieval.hits} == {"relevance"}
    assert all(h.score is not None for h in retrieval.hits)
