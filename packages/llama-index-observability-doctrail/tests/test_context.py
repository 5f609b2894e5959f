"""Who kept what on the way from the retriever to the prompt."""

import pytest
from llama_index.core.postprocessor import (
    LLMRerank,
    LongContextReorder,
    MetadataReplacementPostProcessor,
    SimilarityPostprocessor,
)
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts import PromptTemplate


def reasons(trail):
    return {
        a.chunk_id: (a.state, a.reason, a.reason_detail) for c in trail.contexts for a in c.arrivals
    }


def only_the_renewal(nodes):
    return [n for n in nodes if n.node_id == "chunk-renewal"]


class KeepsOne(BaseNodePostprocessor):
    def _postprocess_nodes(self, nodes, query_bundle=None):
        return only_the_renewal(nodes)


class KeepsOneNatively(KeepsOne):
    """Its async side is its own, and then the host shows nobody."""

    async def _apostprocess_nodes(self, nodes, query_bundle=None):
        return only_the_renewal(nodes)


def test_what_a_post_processor_drops_is_absent_because_of_it(rag):
    rag.engine(rag.wrapped(k=3), node_postprocessors=[KeepsOne()]).query(rag.question)
    found = reasons(rag.captured.trails[0])
    assert found.pop("chunk-renewal") == ("full", None, None)
    assert set(found.values()) == {("absent", "filtered", "by KeepsOne")}
    assert len(found) == 2


async def test_so_it_is_in_async_code(rag):
    await rag.engine(node_postprocessors=[KeepsOne()]).aquery(rag.question)
    assert reasons(rag.captured.trails[0])["chunk-support"][2] == "by KeepsOne"


async def test_a_post_processor_that_the_host_does_not_show_is_known_by_its_engine(rag):
    await rag.engine(node_postprocessors=[KeepsOneNatively()]).aquery(rag.question)
    state, reason, detail = reasons(rag.captured.trails[0])["chunk-support"]
    assert (state, reason) == ("absent", "filtered")
    assert detail == "by KeepsOneNatively"


def test_the_first_that_dropped_it_is_named(rag):
    cutoff = SimilarityPostprocessor(similarity_cutoff=0.99)
    rag.engine(node_postprocessors=[KeepsOne(), cutoff]).query(rag.question)
    [trail] = rag.captured.trails
    assert trail.generations == ()
    assert trail.chunk_grades == {"chunk-renewal": "retrieved", "chunk-support": "retrieved"}


def test_one_that_only_reorders_or_rewrites_drops_nothing(rag):
    steps = [LongContextReorder(), MetadataReplacementPostProcessor(target_metadata_key="none")]
    rag.engine(node_postprocessors=steps).query(rag.question)
    assert {state for state, _, _ in reasons(rag.captured.trails[0]).values()} == {"full"}


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_question_to_a_reranker_is_no_answer(rag, asynchronous):
    rag.llm.says = ("Doc: 1, Relevance: 9\n",)
    reranker = LLMRerank(llm=rag.llm, top_n=1)
    engine = rag.engine(node_postprocessors=[reranker])
    if asynchronous:
        await engine.aquery(rag.question)
    else:
        engine.query(rag.question)
    [trail] = rag.captured.trails
    assert [g.auxiliary for g in trail.generations] == [True, False]
    assert len(trail.contexts) == 1


def test_a_context_budget_cuts_chunks_away_visibly(rag):
    texts = {f"n{i}": f"Number {i} says: " + f"word{i} " * 150 for i in range(4)}
    rag = type(rag)(rag.captured, nodes=_nodes(rag, texts))
    rag.llm.window = 600
    rag.engine(rag.wrapped(k=4), mode="simple_summarize").query("What says number 1?")
    [trail] = rag.captured.trails
    states = [a.state for a in trail.contexts[0].arrivals]
    assert "absent" in states
    assert "full" in states


def _nodes(rag, texts):
    make = type(rag).__dataclass_fields__["nodes"].default_factory
    return make(texts)


def test_refining_reads_one_chunk_per_call(rag):
    rag.engine(mode="refine").query(rag.question)
    [trail] = rag.captured.trails
    full = [[a.chunk_id for a in c.arrivals if a.state == "full"] for c in trail.contexts]
    assert full == [["chunk-renewal"], ["chunk-support"]]


def test_the_users_own_template_is_what_is_looked_at(rag):
    template = PromptTemplate("Q: {query_str}\nSources:\n{context_str}\n")
    synthesizer = rag.synthesizer(text_qa_template=template)
    rag.engine(response_synthesizer=synthesizer).query(rag.question)
    assert rag.captured.trails[0].generations[0].messages[-1].text.startswith("Q: ")
