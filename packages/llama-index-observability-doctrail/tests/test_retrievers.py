"""What each retriever of the host's tells: the outer one is what the application got, inner ones are how."""

import json

import pytest
from llama_index.core import (
    DocumentSummaryIndex,
    KeywordTableIndex,
    Settings,
    SimpleKeywordTableIndex,
    StorageContext,
    SummaryIndex,
    TreeIndex,
    VectorStoreIndex,
)
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.base.response.schema import Response
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.indices.vector_store.retrievers import VectorIndexAutoRetriever
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import (
    AutoMergingRetriever,
    QueryFusionRetriever,
    RecursiveRetriever,
    TransformRetriever,
)
from llama_index.core.schema import (
    Document,
    IndexNode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import MetadataInfo, VectorStoreInfo


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


@pytest.fixture
def rag(rag, monkeypatch):
    """Its model says what it is told to, in turn."""

    class Scripted(type(rag.llm)):
        script: tuple[str, ...] = ()

        @llm_completion_callback()
        def complete(self, prompt, formatted=False, **kwargs):  # noqa: FBT002  # the host's signature
            self.prompts.append(prompt)
            place = len(self.prompts) - 1
            return CompletionResponse(text=(*self.script, *["An answer."] * 9)[place])

    rag.llm = Scripted()
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    monkeypatch.setattr(Settings, "_embed_model", rag.index._embed_model)
    return rag


def ask(rag, engine):
    engine.query(rag.question)
    trail = rag.captured.trails[-1]
    assert trail.generations[-1].auxiliary is False
    return trail


def outer(trail):
    [found] = [r for r in trail.retrievals if r.enclosing_id is None]
    return found


def fates(trail):
    return {a.chunk_id: (a.state, a.reason, a.reason_detail) for a in trail.contexts[-1].arrivals}


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("reciprocal_rerank", "fused"),
        ("relative_score", "fused"),
        ("dist_based_score", "fused"),
        ("simple", "unknown"),
    ],
)
@pytest.mark.parametrize("use_async", [False, True])
def test_every_mode_of_fusion_shows_its_queries_and_what_they_found(rag, mode, kind, use_async):
    rag.llm.script = ("renewal of a contract\nsupport on working days",)
    fusion = QueryFusionRetriever(
        [rag.retriever(2), rag.retriever(3)],
        llm=rag.llm,
        mode=mode,
        num_queries=3,
        use_async=use_async,
        similarity_top_k=2,
    )
    trail = ask(rag, rag.engine(fusion))
    assert [g.auxiliary for g in trail.generations] == [True, False]
    assert trail.generations[0].parent_id == outer(trail).retrieval_id
    inner = [r for r in trail.retrievals if r.enclosing_id == outer(trail).retrieval_id]
    assert {(r.query, r.k) for r in inner} == {
        (query, k)
        for query in (rag.question, "renewal of a contract", "support on working days")
        for k in (2, 3)
    }
    assert {h.score_kind for r in inner for h in r.hits} == {"similarity"}
    assert {h.score_kind for h in outer(trail).hits} == {kind}
    assert max(h.score for r in inner for h in r.hits) > 0.6
    delivered = {h.chunk.chunk_id for h in outer(trail).hits}
    for chunk_id, fate in fates(trail).items():
        if chunk_id in delivered:
            assert fate == ("full", None, None)
        else:
            assert fate == ("absent", "filtered", "inside QueryFusionRetriever")


def test_a_transformed_query_is_searched_with_the_scores_of_whoever_searched(rag):
    transform = TransformRetriever(rag.retriever(), HyDEQueryTransform(llm=rag.llm))
    trail = ask(rag, rag.engine(transform))
    assert outer(trail).retriever == "TransformRetriever"
    assert {h.score_kind for h in outer(trail).hits} == {"similarity"}
    assert [g.auxiliary for g in trail.generations] == [True, False]


def test_generated_filters_are_on_record(rag):
    wanted = {"key": "title", "value": "renewal", "operator": "=="}
    spec = {"query": "renewal", "top_k": 1, "filters": [wanted]}
    rag.llm.script = (f"```json\n{json.dumps(spec)}\n```",)
    info = VectorStoreInfo(
        content_info="contracts",
        metadata_info=[MetadataInfo(name="title", type="str", description="its title")],
    )
    auto = VectorIndexAutoRetriever(rag.index, vector_store_info=info, llm=rag.llm)
    trail = ask(rag, rag.engine(auto))
    [searched] = [r for r in trail.retrievals if r.enclosing_id]
    assert [searched.query, searched.k] == ["renewal", 1]
    assert searched.filters["metadata"]["filters"] == [wanted]
    assert outer(trail).query == rag.question
    assert {h.score_kind for h in outer(trail).hits} == {"similarity"}
    assert [g.auxiliary for g in trail.generations] == [True, False]


def family(name):
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="handbook")}
    up = {NodeRelationship.PARENT: RelatedNodeInfo(node_id=name)}
    texts = [f"{name} rule {n}: the case {n * 7} is decided by clause {n * 3}." for n in range(3)]
    parent = TextNode(text=" ".join(texts), id_=name, relationships=dict(source))
    children = [
        TextNode(text=text, id_=f"{name}-{n}", relationships=source | up)
        for n, text in enumerate(texts)
    ]
    parent.relationships[NodeRelationship.CHILD] = [c.as_related_node_info() for c in children]
    return parent, children


def test_children_that_were_merged_arrive_in_their_parent(rag):
    parent, children = family("renewal")
    context = StorageContext.from_defaults()
    context.docstore.add_documents([parent, *children])
    index = VectorStoreIndex(children, storage_context=context)
    merging = AutoMergingRetriever(index.as_retriever(similarity_top_k=3), context)
    trail = ask(rag, rag.engine(merging))
    assert fates(trail) == {
        "renewal": ("full", None, None),
        **{f"renewal-{n}": ("absent", "deduplicated", "into renewal") for n in range(3)},
    }


def test_a_link_that_was_followed_is_not_what_the_application_got(rag):
    link = IndexNode(text="Contracts: renewal deadline accounts", index_id="contracts", id_="link")
    top = VectorStoreIndex([link])
    recursive = RecursiveRetriever("top", {"top": top.as_retriever(), "contracts": rag.retriever()})
    trail = ask(rag, rag.engine(recursive))
    assert {h.chunk.chunk_id for h in outer(trail).hits} == {"chunk-renewal", "chunk-support"}
    assert fates(trail)["link"] == ("absent", "filtered", "inside RecursiveRetriever")


class Calculating(CustomQueryEngine):
    def custom_query(self, query_str):
        return Response(response="Exactly 42 days, by calculation.")


def test_what_an_engine_behind_a_link_answered_is_its_step(rag):
    link = IndexNode(text="days until renewal deadline", index_id="days", id_="link")
    recursive = RecursiveRetriever(
        "top",
        {"top": VectorStoreIndex([link]).as_retriever()},
        query_engine_dict={"days": Calculating()},
    )
    trail = ask(rag, rag.engine(recursive))
    [step] = trail.steps
    assert [step.name, step.output] == ["Calculating", "Exactly 42 days, by calculation."]
    assert step.output in trail.generations[-1].messages[-1].text


def test_an_index_that_is_read_whole_has_no_scores(rag):
    trail = ask(rag, SummaryIndex(rag.nodes).as_query_engine(llm=rag.llm))
    assert outer(trail).retriever == "SummaryIndexRetriever"
    assert {(h.score, h.score_kind) for h in outer(trail).hits} == {(None, "unknown")}
    assert len(fates(trail)) == len(rag.nodes)


def test_an_index_whose_nodes_a_model_picks_shows_that_call(rag):
    rag.llm.script = ("Doc: 1, Relevance: 9",)
    engine = SummaryIndex(rag.nodes).as_query_engine(retriever_mode="llm", llm=rag.llm)
    trail = ask(rag, engine)
    assert outer(trail).retriever == "SummaryIndexLLMRetriever"
    assert [h.chunk.chunk_id for h in outer(trail).hits] == ["chunk-renewal"]
    assert [g.auxiliary for g in trail.generations] == [True, False]


@pytest.mark.parametrize("index", [SimpleKeywordTableIndex, KeywordTableIndex])
def test_an_index_by_keywords_is_a_retriever_like_any_other(rag, index):
    rag.llm.script = ("KEYWORDS: renewal",) * 5
    made = index(rag.nodes, llm=rag.llm)
    made_with = len(rag.captured.trails)
    trail = ask(rag, made.as_query_engine(llm=rag.llm))
    assert len(rag.captured.trails) == made_with + 1
    assert outer(trail).retriever.startswith("KeywordTable")
    assert "chunk-renewal" in trail.involvements


@pytest.mark.parametrize("mode", ["root", "all_leaf", "select_leaf"])
def test_a_tree_shows_the_nodes_that_it_came_to(rag, mode):
    tree = TreeIndex(rag.nodes, num_children=2, llm=rag.llm)
    rag.llm.prompts.clear()
    rag.llm.script = ("ANSWER: 1", "ANSWER: 1") if mode == "select_leaf" else ()
    trail = ask(rag, tree.as_query_engine(retriever_mode=mode, llm=rag.llm))
    assert outer(trail).hits
    answers = [g for g in trail.generations if not g.auxiliary]
    assert len(answers) == 1
    picked = 2 if mode == "select_leaf" else 0
    assert len(trail.generations) == 1 + picked


def test_a_document_found_by_its_summary_is_the_source(rag):
    documents = [
        Document(text=node.text, id_=f"doc_{node.metadata['title']}") for node in rag.nodes
    ]
    rag.llm.script = tuple(node.text for node in rag.nodes)
    index = DocumentSummaryIndex.from_documents(documents, llm=rag.llm)
    rag.llm.prompts.clear()
    rag.llm.script = ()
    trail = ask(rag, index.as_query_engine(retriever_mode="embedding", llm=rag.llm))
    assert [d.document_id for d in trail.documents] == ["doc_renewal"]
