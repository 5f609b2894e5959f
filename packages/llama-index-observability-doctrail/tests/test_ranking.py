"""Steps that score or order chunks anew are on record as that, and those that only leave some out are not."""

import asyncio
import math

import pytest
from llama_index.core.indices.postprocessor import LongContextReorder, SimilarityPostprocessor
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore
from llama_index_instrumentation import get_dispatcher

from doctrail_core.testing import capture_trails
from llama_index.observability.doctrail import LineageRetriever

WAYS = ["sync", "async"]


def ask(rag, way, *steps, **kwargs):
    engine = rag.engine(rag.retriever(3), node_postprocessors=list(steps), **kwargs)
    if way == "async":
        asyncio.run(engine.aquery(rag.question))
    else:
        engine.query(rag.question)
    return rag.captured.trails[-1]


def ids(chunks):
    return [chunk.chunk_id.removeprefix("chunk-") for chunk in chunks]


@pytest.fixture(autouse=True)
def _recorded(instrumented):
    pass


class Telling(BaseNodePostprocessor):
    """Says by the host's events that it ranks, as those of the integrations do."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        dispatcher = get_dispatcher()
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=2, model_name="ranker-1")
        )
        ranked = [NodeWithScore(node=hit.node, score=1.0 - hit.score) for hit in nodes[::-1]]
        dispatcher.event(ReRankEndEvent(nodes=ranked[:2]))
        return ranked[:2]


class TellingUnseen(Telling):
    async def _apostprocess_nodes(self, nodes, query_bundle=None):
        return self._postprocess_nodes(nodes, query_bundle)


class Turning(BaseNodePostprocessor):
    """Orders by something that is no score."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return nodes[::-1]


class OwnRerank(BaseNodePostprocessor):
    """Finds all in order as they are."""

    top_n: int = 3
    model: str = "cross-encoder-1"

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return nodes[: self.top_n]


class Rewriting(BaseNodePostprocessor):
    def _postprocess_nodes(self, nodes, query_bundle=None):
        for hit in nodes:
            hit.node.set_content(hit.node.text.upper())
        return nodes


class Broken(BaseNodePostprocessor):
    """Gives scores that are no numbers."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return [NodeWithScore(node=hit.node, score=math.nan) for hit in nodes]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [Telling(), TellingUnseen()])
def test_what_a_step_says_of_its_ranking_is_on_record(rag, way, step):
    trail = ask(rag, way, step)
    [rerank], [search] = trail.reranks, trail.retrievals
    assert (rerank.by, rerank.model, rerank.top_k) == (type(step).__name__, "ranker-1", 2)
    assert rerank.query == rag.question
    assert ids(rerank.given) == ids(hit.chunk for hit in search.hits)
    assert ids(rerank.kept) == ids(rerank.given)[:0:-1]
    assert rerank.started_at <= rerank.ended_at
    assert rerank.ended_at <= trail.generations[-1].started_at


@pytest.mark.parametrize("way", WAYS)
def test_another_order_is_a_ranking_without_new_scores(rag, way):
    [rerank] = ask(rag, way, Turning()).reranks
    assert (rerank.by, rerank.model, rerank.top_k) == ("Turning", None, None)
    assert ids(rerank.kept) == ids(rerank.given)[::-1]
    assert {chunk.score for chunk in rerank.kept} == {chunk.score for chunk in rerank.given}


def test_a_reranker_that_agrees_with_the_search_has_ranked_all_the_same(rag):
    [rerank] = ask(rag, "sync", OwnRerank(top_n=2)).reranks
    assert (rerank.by, rerank.model, rerank.top_k) == ("OwnRerank", "cross-encoder-1", 2)
    assert rerank.kept == rerank.given[:2]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "step", [SimilarityPostprocessor(similarity_cutoff=0.4), LongContextReorder(), Rewriting()]
)
def test_filters_rewriters_and_orders_for_the_prompt_rank_nothing(rag, way, step):
    assert ask(rag, way, step).reranks == ()


def test_of_several_steps_each_ranking_is_told_with_what_it_was_given(rag):
    first, second = ask(rag, "sync", Turning(), OwnRerank(top_n=2)).reranks
    assert second.given == first.kept
    assert second.kept == first.kept[:2]


@pytest.mark.parametrize("way", WAYS)
def test_a_filter_behind_a_reranker_ranks_nothing_anew(rag, way):
    judge = type(rag.llm)(says=("Doc: 2, Relevance: 9\n", "Doc: 1, Relevance: 4\n"))
    steps = LLMRerank(llm=judge, top_n=2), SimilarityPostprocessor(similarity_cutoff=5.0)
    trail = ask(rag, way, *steps)
    assert [rerank.by for rerank in trail.reranks] == ["LLMRerank"]
    assert len(trail.retrievals) == 1
    reasons = {a.chunk_id: a.reason_detail for a in trail.contexts[0].arrivals}
    assert reasons["chunk-renewal"] == "by SimilarityPostprocessor"


@pytest.mark.parametrize("way", WAYS)
def test_scores_that_are_no_numbers_are_none(rag, way):
    [rerank] = ask(rag, way, Broken()).reranks
    assert {chunk.score for chunk in rerank.kept} == {None}


def test_a_reranker_that_is_called_by_itself_is_part_of_the_scope(rag):
    with rag.captured.scope() as opened:
        nodes = rag.retriever(3).retrieve(rag.question)
        nodes = OwnRerank(top_n=1).postprocess_nodes(nodes, query_str=rag.question)
        rag.synthesizer().synthesize(rag.question, nodes)
    [rerank] = opened.trail.reranks
    assert len(rerank.kept) == 1
    assert len(opened.trail.retrievals) == 1


def test_a_ranking_that_was_held_back_keeps_its_times(rag, instrumented):
    """Nobody records until the wrapped retriever takes part, here behind a step that ranks."""
    instrumented.uninstall()

    class Searching(Turning):
        def _postprocess_nodes(self, nodes, query_bundle=None):
            wrapped.retrieve(query_bundle)
            return nodes

    with capture_trails() as lineage:
        wrapped = LineageRetriever(rag.retriever(), lineage=lineage)
        engine = rag.engine(rag.retriever(3), node_postprocessors=[Turning(), Searching()])
        before = lineage.now()
        engine.query(rag.question)
        after = lineage.now()
    [rerank] = lineage.trails[-1].reranks
    started, ended = rerank.started_at.timestamp(), rerank.ended_at.timestamp()
    assert before / 1e9 - 0.001 <= started <= ended <= after / 1e9 + 0.001


def test_a_ranking_has_a_span_among_those_of_the_answer(rag, captured):
    ask(rag, "sync", Telling())
    spans = {span.name: span for span in captured.spans}
    request = spans["invoke_workflow RetrieverQueryEngine"]
    rerank = spans["rerank Telling"]
    assert rerank.parent.span_id == request.context.span_id
    assert rerank.attributes["openinference.span.kind"] == "RERANKER"
    assert rerank.attributes["reranker.model_name"] == "ranker-1"
    kinds = [span.attributes["openinference.span.kind"] for span in spans.values()]
    assert kinds.count("RETRIEVER") == 1
