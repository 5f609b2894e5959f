"""The check as an evaluator of LlamaIndex, for batch runs and engines that try again."""

import pytest
from llama_index.core import Settings
from llama_index.core.base.response.schema import Response
from llama_index.core.evaluation import BaseEvaluator, BatchEvalRunner
from llama_index.core.query_engine import RetryQueryEngine

from doctrail_core.grounding.verifier import Findings, Verifier
from llama_index.observability.doctrail import GroundingEvaluator


@pytest.fixture
def evaluator(verifier):
    return GroundingEvaluator(verifier)


def test_it_is_an_evaluator(evaluator):
    assert isinstance(evaluator, BaseEvaluator)
    assert evaluator.get_prompts() == {}
    evaluator.update_prompts({})


def test_a_model_in_the_place_of_a_verifier_is_refused_at_once(rag):
    with pytest.raises(TypeError, match="a chat model judges as"):
        GroundingEvaluator(rag.llm)


async def test_it_passes_what_the_contexts_support_and_says_what_they_do_not(
    rag, evaluator, verifier
):
    contexts = [node.text for node in rag.nodes]
    good = await evaluator.aevaluate(rag.question, rag.answer, contexts)
    assert [good.passing, good.score, good.invalid_result] == [True, 1.0, False]
    assert verifier.asked[0].question == rag.question
    bad = await evaluator.aevaluate(rag.question, "It is March 15th.", contexts)
    assert bad.passing is False
    assert bad.score == pytest.approx(0.1)
    assert bad.feedback == "contradicted: It is March 15th. (value_conflict)"


def test_it_evaluates_responses_in_sync_code(rag, evaluator):
    response = rag.engine(rag.retriever()).query(rag.question)
    assert evaluator.evaluate_response(rag.question, response).passing is True


# The host asks for a module of its own that it advises against.
@pytest.mark.filterwarnings("ignore:asyncio_module:DeprecationWarning")
async def test_it_runs_in_batches(rag, evaluator):
    runner = BatchEvalRunner({"grounding": evaluator}, workers=2)
    nodes = rag.retriever().retrieve(rag.question)
    responses = [Response(said, nodes) for said in (rag.answer, "It is March 15th.")]
    results = await runner.aevaluate_responses(queries=[rag.question] * 2, responses=responses)
    assert [r.passing for r in results["grounding"]] == [True, False]


class Mute(Verifier):
    name, version = "mute", "1"

    def verify(self, answer):
        return Findings(verdicts=())


class Broken(Mute):
    def verify(self, answer):
        raise RuntimeError("no server")


async def test_a_check_that_broke_off_is_invalid_and_no_score(rag):
    result = await GroundingEvaluator(Broken()).aevaluate("q", "a", ["c"])
    assert [result.passing, result.score, result.invalid_result] == [None, None, True]
    assert "no server" in result.invalid_reason
    assert (await GroundingEvaluator(Mute()).aevaluate("q", "Hello!", ["c"])).score == 1.0


@pytest.mark.parametrize("given", [{"response": "a"}, {"contexts": ["c"]}])
async def test_without_response_or_contexts_there_is_nothing_to_evaluate(evaluator, given):
    with pytest.raises(ValueError, match="must be provided"):
        await evaluator.aevaluate(**given)


def test_an_engine_that_tries_again_does_so_until_an_answer_passes(
    rag, evaluator, wrong, monkeypatch
):
    monkeypatch.setattr(Settings, "_llm", rag.llm)
    rag.llm.says = wrong
    engine = RetryQueryEngine(rag.engine(rag.retriever()), evaluator, max_retries=1)
    assert "March" in str(engine.query(rag.question))
    assert len([p for p in rag.llm.prompts if "Context" in p]) == 2


async def test_what_it_does_is_no_lineage(rag, evaluator, verifier, instrumented):
    verifier.before = lambda: rag.llm.complete("of the judge")
    await evaluator.aevaluate(rag.question, rag.answer, ["c"])
    assert rag.captured.trails == []
