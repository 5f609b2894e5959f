"""Between retriever and prompt: who dropped, added, rewrote or scored a node anew, by name."""

import asyncio

import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.indices.postprocessor import (
    FixedRecencyPostprocessor,
    KeywordNodePostprocessor,
    LLMRerank,
    LongContextReorder,
    MetadataReplacementPostProcessor,
    PrevNextNodePostprocessor,
    SentenceEmbeddingOptimizer,
    SimilarityPostprocessor,
)
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import CitationQueryEngine, CustomQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import NodeRelationship, NodeWithScore, TextNode

from doctrail_core.model import RankedChunk


def ask(rag, way, **kwargs):
    engine = rag.engine(rag.retriever(3), **kwargs)
    if way == "async":
        asyncio.run(engine.aquery(rag.question))
    else:
        engine.query(rag.question)
    [trail] = rag.captured.trails
    return trail


def fates(trail):
    return {a.chunk_id: (a.state, a.reason, a.reason_detail) for a in trail.contexts[0].arrivals}


def stages(trail):
    return [r.retriever for r in trail.retrievals]


WAYS = ["sync", "async"]


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


@pytest.mark.parametrize("way", WAYS)
def test_who_drops_a_node_is_told_by_name(rag, way):
    trail = ask(rag, way, node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.4)])
    assert stages(trail) == ["VectorIndexRetriever"]
    assert fates(trail) == {
        "chunk-renewal": ("full", None, None),
        "chunk-support": ("full", None, None),
        "chunk-refund": ("absent", "filtered", "by SimilarityPostprocessor"),
    }


def test_of_several_that_drop_each_has_its_own(rag):
    steps = [
        SimilarityPostprocessor(similarity_cutoff=0.4),
        KeywordPostprocessor(exclude="hours"),
    ]
    found = fates(ask(rag, "sync", node_postprocessors=steps))
    assert found["chunk-refund"][2] == "by SimilarityPostprocessor"
    assert found["chunk-support"][2] == "by KeywordPostprocessor"


class KeywordPostprocessor(BaseNodePostprocessor):
    """As the host's own, which needs a language model for splitting words."""

    exclude: str

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return [hit for hit in nodes if self.exclude not in hit.node.text]


def test_a_keyword_filter_of_the_host_is_told_too(rag):
    pytest.importorskip("spacy")
    step = KeywordNodePostprocessor(exclude_keywords=["hours"])
    assert fates(ask(rag, "sync", node_postprocessors=[step]))["chunk-support"][0] == "absent"


@pytest.mark.parametrize("way", WAYS)
def test_what_only_changes_the_order_is_no_stage(rag, way):
    trail = ask(rag, way, node_postprocessors=[LongContextReorder()])
    assert stages(trail) == ["VectorIndexRetriever"]
    order = {a.chunk_id: a.order for a in trail.contexts[0].arrivals}
    assert sorted(order, key=order.get) != [h.chunk.chunk_id for h in trail.retrievals[0].hits]


def test_a_filter_by_date_is_told(rag):
    pytest.importorskip("pandas")
    for day, node in enumerate(rag.nodes, 1):
        node.metadata["date"] = f"2026-01-0{day}"
    rag.__post_init__()
    step = FixedRecencyPostprocessor(top_k=1)
    found = fates(ask(rag, "sync", node_postprocessors=[step]))
    kept = [chunk for chunk, fate in found.items() if fate[0] == "full"]
    assert kept == ["chunk-support"]
    assert found["chunk-renewal"][2] == "by FixedRecencyPostprocessor"


# --- scores


@pytest.mark.parametrize("way", WAYS)
def test_scores_of_a_reranker_are_kept_apart_from_those_of_the_search(rag, way):
    judge = type(rag.llm)(says=("Doc: 2, Relevance: 9\n", "Doc: 1, Relevance: 4\n"))
    trail = ask(rag, way, node_postprocessors=[LLMRerank(llm=judge, top_n=2)])
    [searched], [reranked] = trail.retrievals, trail.reranks
    assert [searched.retriever, reranked.by] == ["VectorIndexRetriever", "LLMRerank"]
    assert {h.score_kind for h in searched.hits} == {"similarity"}
    assert reranked.given == tuple(RankedChunk(h.chunk.chunk_id, h.score) for h in searched.hits)
    assert reranked.kept == (RankedChunk("chunk-support", 9.0), RankedChunk("chunk-renewal", 4.0))
    assert (reranked.query, reranked.model, reranked.top_k) == (rag.question, "fake-1", 2)
    assert [g.auxiliary for g in trail.generations] == [True, False]
    assert fates(trail)["chunk-refund"] == ("absent", "filtered", "by LLMRerank")


class CrossEncoderRerank(BaseNodePostprocessor):
    """Writes its scores into the very nodes that it was given, as SBert's does."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        for place, hit in enumerate(nodes):
            hit.node.metadata["retrieval_score"] = hit.score
            hit.score = float(place)
        return sorted(nodes, key=lambda hit: -hit.score)[:2]


@pytest.mark.parametrize("way", WAYS)
def test_scores_that_are_written_into_the_same_nodes_are_kept_apart(rag, way):
    trail = ask(rag, way, node_postprocessors=[CrossEncoderRerank()])
    [searched], [reranked] = trail.retrievals, trail.reranks
    assert searched.hits[0].score > 0.5
    assert [chunk.score for chunk in reranked.given] == [h.score for h in searched.hits]
    assert [chunk.score for chunk in reranked.kept] == [2.0, 1.0]


class NativeRerank(CrossEncoderRerank):
    async def _apostprocess_nodes(self, nodes, query_bundle=None):
        return self._postprocess_nodes(nodes, query_bundle)


class NativeFilter(BaseNodePostprocessor):
    def _postprocess_nodes(self, nodes, query_bundle=None):
        return nodes[:2]

    async def _apostprocess_nodes(self, nodes, query_bundle=None):
        return nodes[:2]


def test_of_several_that_the_host_does_not_show_all_are_named(rag):
    """Not even a span of their own tells; which of them it was cannot be known."""
    trail = ask(rag, "async", node_postprocessors=[NativeFilter(), NativeRerank()])
    assert fates(trail)["chunk-refund"][2] == "by NativeFilter or NativeRerank"


class OwnEngine(CustomQueryEngine):
    retriever: object
    synthesizer: BaseSynthesizer
    nodes: object = None

    def custom_query(self, query_str: str):
        found = self.retriever.retrieve(query_str) if self.retriever else []
        return self.synthesizer.synthesize(query_str, self.nodes(found))


def test_what_an_engine_of_the_users_own_drops_has_no_name(rag):
    engine = OwnEngine(
        retriever=rag.retriever(), synthesizer=rag.synthesizer(), nodes=lambda found: found[:1]
    )
    engine.query(rag.question)
    [trail] = rag.captured.trails
    assert fates(trail)["chunk-support"][2] == "by a step before CompactAndRefine"


# --- texts


@pytest.mark.parametrize("way", WAYS)
def test_a_text_that_was_replaced_by_its_window_is_the_chunks(rag, way):
    for node in rag.nodes:
        node.metadata["window"] = f"Something stands before. {node.text} Then comes another one."
        node.excluded_llm_metadata_keys = ["window", "title", "chunk_index"]
    rag.__post_init__()
    steps = [MetadataReplacementPostProcessor(target_metadata_key="window")]
    trail = ask(rag, way, node_postprocessors=steps)
    searched, replaced = trail.retrievals
    assert replaced.retriever == "MetadataReplacementPostProcessor"
    assert replaced.hits[0].chunk.text.startswith("Something stands before.")
    assert not searched.hits[0].chunk.text.startswith("Something")
    assert [h.score for h in replaced.hits] == [h.score for h in searched.hits]
    assert {h.score_kind for h in replaced.hits} == {"similarity"}
    assert {fate[0] for fate in fates(trail).values()} == {"full"}
    [arrival] = [a for a in trail.contexts[0].arrivals if a.chunk_id == "chunk-renewal"]
    [span] = arrival.spans
    shown = trail.generations[0].messages[span.message].text[span.start : span.end]
    assert shown == replaced.hits[0].chunk.text


def test_a_text_that_was_shortened_is_what_has_to_arrive(rag):
    for node in rag.nodes:
        node.set_content(f"{node.text} Nobody has asked for this. Nor for that either, at all.")
    rag.__post_init__()
    step = SentenceEmbeddingOptimizer(
        embed_model=rag.index._embed_model,
        percentile_cutoff=0.4,
        tokenizer_fn=lambda text: [s.strip() + "." for s in text.split(".") if s.strip()],
    )
    trail = ask(rag, "sync", node_postprocessors=[step])
    assert stages(trail) == ["VectorIndexRetriever", "SentenceEmbeddingOptimizer"]
    assert fates(trail)["chunk-renewal"] == ("full", None, None)
    assert "Nor for that" in trail.retrievals[0].hits[0].chunk.text
    assert "Nor for that" not in trail.chunks["chunk-renewal"].text


class Masking(BaseNodePostprocessor):
    """Hides what is confidential in copies, as the host's PII steps do."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return [
            NodeWithScore(
                node=hit.node.model_copy(
                    update={"text": hit.node.text.replace("February 28th", "[DATE]")}
                ),
                score=hit.score,
            )
            for hit in nodes
        ]


def test_a_text_that_was_masked_is_found_as_it_was_sent(rag):
    trail = ask(rag, "sync", node_postprocessors=[Masking()])
    assert fates(trail)["chunk-renewal"] == ("full", None, None)
    assert "[DATE]" in trail.chunks["chunk-renewal"].text
    assert "February" in trail.retrievals[0].hits[0].chunk.text


# --- new nodes


def in_a_row(rag):
    for one, other in zip(rag.nodes, rag.nodes[1:], strict=False):
        one.relationships[NodeRelationship.NEXT] = other.as_related_node_info()
        other.relationships[NodeRelationship.PREVIOUS] = one.as_related_node_info()
    context = StorageContext.from_defaults()
    context.docstore.add_documents(rag.nodes)
    rag.index = VectorStoreIndex(
        rag.nodes, storage_context=context, embed_model=rag.index._embed_model
    )
    return context.docstore


@pytest.mark.parametrize("way", WAYS)
def test_neighbours_that_were_added_are_sources_with_the_name_of_who_added_them(rag, way):
    step = PrevNextNodePostprocessor(docstore=in_a_row(rag), num_nodes=1, mode="next")
    engine = rag.engine(rag.retriever(1), node_postprocessors=[step])
    if way == "async":
        asyncio.run(engine.aquery(rag.question))
    else:
        engine.query(rag.question)
    [trail] = rag.captured.trails
    searched, added = trail.retrievals
    assert [h.chunk.chunk_id for h in searched.hits] == ["chunk-renewal"]
    assert added.retriever == "PrevNextNodePostprocessor"
    assert [(h.chunk.chunk_id, h.score) for h in added.hits] == [
        ("chunk-renewal", searched.hits[0].score),
        ("chunk-refund", None),
    ]
    assert fates(trail)["chunk-refund"] == ("full", None, None)
    assert {d.document_id: d.grade for d in trail.documents} == {
        "doc_renewal": "in_prompt",
        "doc_refund": "in_prompt",
    }
    assert trail.generations[0].auxiliary is False


def test_nodes_from_nowhere_are_sources_too(rag):
    brought = [NodeWithScore(node=rag.nodes[3])]
    engine = OwnEngine(
        retriever=None, synthesizer=rag.synthesizer(), nodes=lambda found: found + brought
    )
    engine.query(rag.question)
    [trail] = rag.captured.trails
    assert stages(trail) == ["whoever called CompactAndRefine"]
    assert fates(trail) == {"chunk-travel": ("full", None, None)}


def test_a_synthesizer_by_itself_tells_what_it_was_given(rag):
    rag.synthesizer().synthesize(rag.question, [NodeWithScore(node=rag.nodes[0], score=0.5)])
    [trail] = rag.captured.trails
    assert stages(trail) == ["whoever called CompactAndRefine"]
    assert [d.document_id for d in trail.documents] == ["doc_renewal"]


def test_nodes_that_a_scope_has_retrieved_are_not_told_twice(rag):
    with rag.captured.scope() as opened:
        nodes = rag.retriever().retrieve(rag.question)
        nodes = SimilarityPostprocessor(similarity_cutoff=0.5).postprocess_nodes(nodes)
        rag.synthesizer().synthesize(rag.question, nodes)
    assert stages(opened.trail) == ["VectorIndexRetriever"]
    assert fates(opened.trail)["chunk-support"][2] == "by SimilarityPostprocessor"


def test_a_post_processor_by_itself_is_no_response(rag):
    LongContextReorder().postprocess_nodes([NodeWithScore(node=TextNode(text="Anything."))])
    assert rag.captured.trails == []


# --- pieces


def citing(rag, retriever, **kwargs):
    return CitationQueryEngine(
        retriever, llm=rag.llm, response_synthesizer=rag.synthesizer(**kwargs)
    )


def test_numbered_sources_are_the_chunks_that_were_retrieved(rag):
    citing(rag, rag.retriever()).query(rag.question)
    [trail] = rag.captured.trails
    assert stages(trail) == ["VectorIndexRetriever"]
    assert set(trail.chunks) == {"chunk-renewal", "chunk-support"}
    assert set(fates(trail).values()) == {("full", None, None)}


def test_pieces_of_a_chunk_stand_for_it(rag):
    for place, node in enumerate(rag.nodes):
        cases = range(100 * place, 100 * place + 40)
        rules = (f"Rule {n} says that case {n * 7} is decided by clause {n * 3}." for n in cases)
        node.set_content(f"{node.text} {' '.join(rules)}")
    rag.__post_init__()
    CitationQueryEngine(
        rag.retriever(),
        llm=rag.llm,
        response_synthesizer=rag.synthesizer(),
        citation_chunk_size=60,
        citation_chunk_overlap=10,
    ).query(rag.question)
    [trail] = rag.captured.trails
    assert stages(trail) == ["VectorIndexRetriever"]
    assert "Source 9:" in trail.generations[0].messages[-1].text
    assert all(arrival.coverage > 0.9 for arrival in trail.contexts[0].arrivals)
    assert {arrival.reason for arrival in trail.contexts[0].arrivals} <= {None, "not observed"}
