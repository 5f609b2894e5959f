"""A LlamaIndex LLM judges, and what it is asked is on no record."""

import json
import re
import threading
from typing import Any

import pytest
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.llms import CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from pydantic import Field

from doctrail_core.grounding.cascade import Cascade
from doctrail_core.grounding.judge import JudgeVerifier, Price
from doctrail_core.grounding.verifier import Answer, Passage, VerifierError
from doctrail_core.model import Usage
from llama_index.observability.doctrail.judging import llama_index_judge

TEXT = "The contract renewal deadline for enterprise accounts is February 28th."
ANSWER = Answer(
    "Big customers have to prolong their agreement in February.",
    (Passage("c1", "d1", TEXT),),
    "When is the renewal deadline?",
)
SUPPORTED = [("supported", "judged")]
USAGE = {"prompt_tokens": 700, "completion_tokens": 40, "total_tokens": 740}


def ruled(prompt: str) -> str:
    """What an honest model replies."""
    (source,) = re.findall(r" source (S\d+-\w+)>>>$", prompt, re.MULTILINE)
    entries = [
        {"claim": claim, "source": source, "quote": TEXT, "verdict": "supported"}
        for claim in re.findall(r"^(C\d+-\w+): ", prompt, re.MULTILINE)
    ]
    return json.dumps({"rulings": entries})


class FakeJudge(CustomLLM):
    """A fake that finds everything supported by the first source."""

    asked: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="fake-judge-1")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted=False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT002  # the host's signature
        self.asked.append(prompt)
        return CompletionResponse(text=ruled(prompt), raw={"usage": USAGE})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted=False, **kwargs: Any):  # noqa: FBT002  # likewise
        raise NotImplementedError


class Appending(list):
    """A list that tells when something is added."""

    def __init__(self, tell):
        self.tell = tell

    def append(self, item):
        self.tell()
        super().append(item)


@pytest.fixture
def llm():
    return FakeJudge()


@pytest.fixture
def judge(llm):
    return JudgeVerifier(llama_index_judge(llm), price=Price(1, 10))


def kinds(findings):
    return [(v.verdict, v.reason) for v in findings.verdicts]


def test_an_llm_judges_and_its_tokens_count(judge, llm):
    found = judge.verify(ANSWER)
    assert kinds(found) == SUPPORTED
    assert found.usage == Usage(700, 40, 740)
    assert found.cost == pytest.approx(700e-6 + 400e-6)
    assert len(llm.asked) == 1
    assert judge.version.endswith("fake-judge-1")


async def test_it_judges_in_async_code_and_in_sync_code_within_it(judge):
    assert kinds(await judge.averify(ANSWER)) == SUPPORTED
    assert kinds(judge.verify(ANSWER)) == SUPPORTED


async def test_an_llm_whose_async_call_is_a_sync_one_holds_up_no_loop(judge, llm):
    threads = []
    object.__setattr__(llm, "asked", Appending(lambda: threads.append(threading.get_ident())))
    assert kinds(await judge.averify(ANSWER)) == SUPPORTED
    assert threads != [threading.get_ident()]


async def test_an_llm_with_an_async_call_of_its_own_is_called_in_the_loop():
    class Async(FakeJudge):
        async def achat(self, messages, **kwargs):
            threads.append(threading.get_ident())
            return self.chat(messages)

    threads = []
    judge = JudgeVerifier(llama_index_judge(Async()))
    assert kinds(await judge.averify(ANSWER)) == SUPPORTED
    assert threads == [threading.get_ident()]


def test_a_chat_model_is_told_in_messages():
    told = []

    def reply(messages, **kwargs):
        told.append([message.role.value for message in messages])
        return messages[1].model_copy(update={"blocks": []})

    llm = MockFunctionCallingLLM(response_generator=reply, is_chat_model=True)
    with pytest.raises(VerifierError, match="no JSON"):
        JudgeVerifier(llama_index_judge(llm), attempts=1).verify(ANSWER)
    assert told == [["system", "user"]]


def test_a_model_that_makes_no_sense_fails_the_check():
    with pytest.raises(VerifierError, match="cannot be used"):
        JudgeVerifier(llama_index_judge(MockLLM(max_tokens=5))).verify(ANSWER)


def test_a_check_of_its_own_is_on_no_record(judge, captured, instrumented):
    judge.verify(ANSWER)
    with captured.scope():
        judge.verify(ANSWER)
    assert captured.trails == []


async def test_neither_is_an_async_one(judge, captured, instrumented):
    await judge.averify(ANSWER)
    with captured.scope():
        await judge.averify(ANSWER)
    assert captured.trails == []


@pytest.mark.parametrize("wrap", [lambda judge: judge, lambda judge: Cascade(then=judge)])
async def test_a_check_inside_a_query_is_no_part_of_it(
    rag, captured, instrumented, judge, llm, wrap
):
    verifier = wrap(judge)

    class Checking(BaseNodePostprocessor):
        def _postprocess_nodes(self, nodes, query_bundle=None):
            assert kinds(verifier.verify(ANSWER)) == SUPPORTED
            return nodes

        async def _apostprocess_nodes(self, nodes, query_bundle=None):
            assert kinds(await verifier.averify(ANSWER)) == SUPPORTED
            return nodes

    engine = rag.engine(node_postprocessors=[Checking()])
    engine.query(rag.question)
    await engine.aquery(rag.question)
    assert len(llm.asked) == 2
    assert [len(trail.generations) for trail in captured.trails] == [1, 1]
    assert all(trail.generations[0].model == "fake-1" for trail in captured.trails)
