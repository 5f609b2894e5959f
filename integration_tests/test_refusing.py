"""Answers that cannot be put on record: given and counted, or refused where that is asked for."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipelines import ANSWER, HOSTS, QUESTION, TEXT

from doctrail_core import Lineage, NotRecordedError, Settings, manual
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.testing.capture import CapturedLineage
from doctrail_core.text.identity import content_hash


class Disk:
    """Takes so many more records, and then none until it has room again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr("doctrail_core.durable.segment.os.write", self._written)

    def _written(self, fd: int, data: bytes) -> int:
        if not data.startswith(b"\xff\xd7") or self.room is None:
            return self._write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        return self._write(fd, data)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def refusing(tmp_path) -> Iterator[Lineage]:
    lineage = Lineage(Settings(home=tmp_path / "home", when_unrecorded="refuse"))
    yield lineage
    lineage.close()


class Reader:
    """A model that counts how often it was called."""

    def __init__(self) -> None:
        self.called = 0

    def __call__(self) -> str:
        self.called += 1
        return ANSWER


def on_record(home: Path) -> list[tuple[str, str]]:
    with open_ledger(Home(home)) as ledger:
        return [(entry.kind, entry.status) for entry in ledger.entries() if entry.response]


def test_langchain_calls_no_model_when_what_was_found_cannot_be_put_on_record(refusing, disk):
    disk.room, model = 0, Reader()
    with pytest.raises(NotRecordedError, match="No space left on device"):
        HOSTS["langchain"](refusing, model)
    assert model.called == 0
    assert refusing.open_count == 0


def test_langchain_gives_no_answer_that_cannot_be_put_on_record(refusing, disk, tmp_path):
    disk.room, model = 1, Reader()
    with pytest.raises(NotRecordedError) as caught:
        HOSTS["langchain"](refusing, model)
    assert model.called == 1
    assert refusing.open_count == 0
    assert refusing.receipt(caught.value.response_id) is None
    disk.room = None
    assert on_record(tmp_path / "home") == [("retrieved", "interrupted")]


def test_langchain_gives_no_answer_whose_texts_cannot_be_kept(refusing, disk):
    disk.room = 2
    with pytest.raises(NotRecordedError):
        HOSTS["langchain"](refusing, Reader())


@pytest.mark.parametrize("host", HOSTS)
def test_an_answer_that_is_on_record_is_given_with_a_receipt(host, refusing, tmp_path):
    assert HOSTS[host](refusing, Reader()) == ANSWER
    receipt = refusing.receipt(refusing.last.response_id)
    assert receipt is not None
    with open_ledger(Home(tmp_path / "home")) as ledger:
        answered = ledger.entries_of(receipt.response_id)[-1]
    assert (answered.kind, answered.counter) == ("answered", receipt.counter)
    assert receipt.answer_hash == content_hash(ANSWER)


async def test_async_langchain_gives_no_answer_that_cannot_be_put_on_record(refusing, disk):
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser

    from langchain_doctrail import LineageCallbackHandler

    disk.room = 0
    chain = FakeListChatModel(responses=[ANSWER]) | StrOutputParser()
    with pytest.raises(NotRecordedError):
        await chain.ainvoke(QUESTION, {"callbacks": [LineageCallbackHandler(refusing)]})
    drawn: list[str] = []
    asked = chain.astream(QUESTION, {"callbacks": [LineageCallbackHandler(refusing)]})
    with pytest.raises(NotRecordedError):
        await _draw(asked, drawn)
    assert "".join(drawn) == ANSWER  # what streams is out by then
    assert refusing.open_count == 0


async def _draw(stream, drawn: list[str]) -> None:
    async for piece in stream:
        drawn.append(piece)  # noqa: PERF401  # what came before it broke off is wanted


def test_a_graph_gives_no_answer_that_cannot_be_put_on_record(refusing, disk):
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langgraph.graph import END, START, MessagesState, StateGraph

    from langchain_doctrail import LineageCallbackHandler

    model = FakeListChatModel(responses=[ANSWER])
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    compiled = graph.compile()
    asked = {"messages": [("user", QUESTION)]}
    config = {"callbacks": [LineageCallbackHandler(refusing)]}
    disk.room = 0
    with pytest.raises(NotRecordedError):
        compiled.invoke(asked, config)
    with pytest.raises(NotRecordedError):
        asyncio.run(compiled.ainvoke(asked, config))
    disk.room = None
    assert compiled.invoke(asked, config)["messages"][-1].content == ANSWER
    assert refusing.open_count == 0


def test_what_a_chain_fails_with_is_not_hidden_by_a_refusal(refusing, disk):
    def fail() -> str:
        raise ConnectionError("the model is down")

    disk.room = 1
    with pytest.raises(ConnectionError, match="the model is down"):
        HOSTS["langchain"](refusing, fail)


def llama_index(lineage: Lineage, *, wrapped: bool = True):
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import CustomQueryEngine

    from llama_index.observability.doctrail import LineageQueryEngine

    class Engine(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            return MockLLM().complete(query_str).text and ANSWER

    engine = Engine()
    return LineageQueryEngine(engine, lineage=lineage) if wrapped else engine


def test_a_wrapped_engine_gives_no_answer_that_cannot_be_put_on_record(refusing, disk):
    disk.room = 0
    engine = llama_index(refusing)
    with pytest.raises(NotRecordedError, match="No space left on device"):
        engine.query(QUESTION)
    with pytest.raises(NotRecordedError):
        asyncio.run(engine.aquery(QUESTION))
    disk.room = None
    assert str(engine.query(QUESTION)) == ANSWER
    assert refusing.open_count == 0


@pytest.mark.parametrize("host", HOSTS)
def test_a_block_around_any_framework_refuses_what_cannot_be_put_on_record(host, refusing, disk):
    disk.room = 1
    with pytest.raises(NotRecordedError), refusing.scope(question=QUESTION):
        HOSTS[host](refusing, Reader())
    assert refusing.open_count == 0


def ask_by_hand(lineage: Lineage, model: Reader) -> str:
    with lineage.scope(question=QUESTION) as answer:
        with manual.retrieval(QUESTION) as search:
            search.found([TEXT])
        with manual.generation(QUESTION) as call:
            call.said(model())
        answer.answer = ANSWER
    return ANSWER


def test_plain_python_calls_no_model_when_what_was_found_cannot_be_put_on_record(refusing, disk):
    disk.room, model = 0, Reader()
    with pytest.raises(NotRecordedError):
        ask_by_hand(refusing, model)
    assert model.called == 0
    assert refusing.open_count == 0


@pytest.mark.parametrize("host", HOSTS)
def test_where_losses_are_counted_every_answer_is_given_and_the_loss_told_of(host, disk, tmp_path):
    lineage = Lineage(Settings(home=tmp_path / "home"))
    disk.room = 0
    assert HOSTS[host](lineage, Reader()) == ANSWER
    assert lineage.receipt(lineage.last.response_id) is None
    disk.room = None
    assert HOSTS[host](lineage, Reader()) == ANSWER
    lineage.close()
    with open_ledger(Home(tmp_path / "home")) as ledger:
        entries = [(e.kind, e.counter, e.body) for e in ledger.entries() if e.writer]
    assert [kind for kind, _, _ in entries] == ["lost", "answered"]
    assert entries[0][1:] == (2, {"counters": [[0, 1]], "number": 2})


def test_sources_that_could_not_be_put_on_record_are_tried_again_before_the_next_call():
    from doctrail_core.capture.events import (
        PromptSent,
        RetrievalEnded,
        RetrievalStarted,
        RetrievedChunk,
        RunStarted,
    )
    from doctrail_core.model import Message

    lineage = CapturedLineage(Settings(when_unrecorded="refuse"))
    append, tried = lineage.storage.ledger.append, []

    def once(kind, trail):
        tried.append(kind)
        if len(tried) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append(kind, trail)

    lineage.storage.ledger.append = once
    lineage.record(RunStarted("r", None, "app", "test", QUESTION))
    lineage.record(RetrievalStarted("s", "r", "Retriever", QUESTION, "test"))
    lineage.record(RetrievalEnded("s", [RetrievedChunk(TEXT, "c1", "d1")]))
    with pytest.raises(NotRecordedError):
        lineage.record(PromptSent("g1", "r", [Message("user", TEXT)], "test"))
    lineage.record(PromptSent("g2", "r", [Message("user", TEXT)], "test"))
    assert tried == ["retrieved", "retrieved"]
