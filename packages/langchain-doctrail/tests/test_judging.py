"""A LangChain chat model judges, and what it is asked shows up nowhere."""

import asyncio
import json
import re

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from doctrail_core.grounding.cascade import Cascade
from doctrail_core.grounding.judge import JudgeVerifier, Price
from doctrail_core.grounding.verifier import Answer, Passage, VerifierError
from doctrail_core.model import Usage
from langchain_doctrail import LineageCallbackHandler
from langchain_doctrail.judging import langchain_judge

QUESTION = "When is the renewal deadline?"
TEXT = "The contract renewal deadline for enterprise accounts is February 28th."
ANSWER = Answer(
    "Big customers have to prolong their agreement in February.",
    (Passage("c1", "d1", TEXT),),
    QUESTION,
)
USAGE = {"input_tokens": 700, "output_tokens": 40, "total_tokens": 740}


class Judging(GenericFakeChatModel):
    """A fake chat model that finds everything supported by the first source, in a real model's words."""

    model_name: str = "fake-judge-1"
    messages: object = iter(())
    asked: list = []  # noqa: RUF012  # pydantic copies it
    content: object = None

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append(messages)
        data = messages[1].content
        (source,) = re.findall(r" source (S\d+-\w+)>>>$", data, re.MULTILINE)
        entries = [
            {"claim": claim, "source": source, "quote": TEXT, "verdict": "supported"}
            for claim in re.findall(r"^(C\d+-\w+): ", data, re.MULTILINE)
        ]
        said = json.dumps({"rulings": entries})
        content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": said}]
        told = AIMessage(content if self.content == "blocks" else said, usage_metadata=USAGE)
        self.messages = iter([told])
        return super()._generate(messages, stop, run_manager, **kwargs)


class Listener(BaseCallbackHandler):
    """Hears of every model call that it is told of."""

    def __init__(self):
        self.heard = 0

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.heard += 1

    def on_llm_new_token(self, token, **kwargs):
        self.heard += 1


@pytest.fixture
def model():
    return Judging()


@pytest.fixture
def judge(model):
    return JudgeVerifier(langchain_judge(model), price=Price(1, 10))


def kinds(findings):
    return [(v.verdict, v.reason) for v in findings.verdicts]


SUPPORTED = [("supported", "judged")]


def test_a_chat_model_judges_and_its_tokens_count(judge, model):
    found = judge.verify(ANSWER)
    assert kinds(found) == SUPPORTED
    assert found.usage == Usage(700, 40, 740)
    assert found.cost == pytest.approx(700e-6 + 400e-6)
    assert [message.type for message in model.asked[0]] == ["system", "human"]
    assert judge.version.endswith("fake-judge-1")


async def test_it_judges_in_async_code_and_in_sync_code_within_it(judge):
    assert kinds(await judge.averify(ANSWER)) == SUPPORTED
    assert kinds(judge.verify(ANSWER)) == SUPPORTED
    together = await asyncio.gather(*(judge.averify(ANSWER) for _ in range(10)))
    assert all(kinds(found) == SUPPORTED for found in together)


def test_it_may_reply_in_blocks(model):
    model.content = "blocks"
    assert kinds(JudgeVerifier(langchain_judge(model)).verify(ANSWER)) == SUPPORTED


def test_a_model_with_retries_and_fallbacks_judges(model):
    wrapped = model.with_retry(stop_after_attempt=2).with_fallbacks([Judging()])
    assert kinds(JudgeVerifier(langchain_judge(wrapped)).verify(ANSWER)) == SUPPORTED
    bound = langchain_judge(model.bind(stop=["END"]))
    assert kinds(JudgeVerifier(bound).verify(ANSWER)) == SUPPORTED


def test_a_model_that_only_completes_texts_is_read_as_well():
    judge = JudgeVerifier(langchain_judge(FakeListLLM(responses=["Yes."])), attempts=1)
    with pytest.raises(VerifierError, match="no JSON"):
        judge.verify(ANSWER)


def test_a_model_that_fails_fails_the_check(scripted):
    judge = JudgeVerifier(langchain_judge(scripted(RuntimeError("no quota"))))
    with pytest.raises(VerifierError, match="RuntimeError: no quota"):
        judge.verify(ANSWER)


@pytest.mark.parametrize("verifier", ["judge", "cascade"])
async def test_a_check_inside_a_chain_is_no_part_of_it(
    rag, retriever, handler, captured, judge, model, verifier
):
    checking = judge if verifier == "judge" else Cascade(then=judge)
    listener = Listener()

    def check(message):
        assert kinds(checking.verify(ANSWER)) == SUPPORTED
        return message

    async def acheck(message):
        assert kinds(await checking.averify(ANSWER)) == SUPPORTED
        return message

    chain = rag(retriever) | RunnableLambda(check, acheck)
    config = {"callbacks": [handler, listener]}
    chain.invoke(QUESTION, config)
    await chain.ainvoke(QUESTION, config)
    with captured.scope():
        chain.invoke(QUESTION)
    heard = [e["event"] async for e in chain.astream_events(QUESTION, config, version="v2")]
    assert len(model.asked) == 4
    assert [len(trail.generations) for trail in captured.trails] == [1] * 4
    assert listener.heard == heard.count("on_chat_model_start") + 2 + heard.count(
        "on_chat_model_stream"
    )
    assert captured.dropped == {}


def test_a_check_of_its_own_is_on_no_record_even_if_the_model_bears_the_handler(handler, captured):
    listener = Listener()
    model = Judging(callbacks=[handler, listener])
    JudgeVerifier(langchain_judge(model)).verify(ANSWER)
    with captured.scope():
        JudgeVerifier(langchain_judge(Judging())).verify(ANSWER)
    assert captured.trails == []
    assert listener.heard == 1  # the model's own callbacks are the user's
    assert isinstance(handler, LineageCallbackHandler)
