"""A small real RAG chain, and a lineage in memory that has to be clean at the end of every test."""

import json
from collections.abc import Generator

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from doctrail_core.grounding.verifier import Findings, Verifier
from doctrail_core.model import Claim, Evidence, Verdict
from doctrail_core.testing import CapturedLineage, capture_trails
from langchain_doctrail import LineageCallbackHandler

TEXTS = {
    "renewal": "The contract renewal deadline for enterprise accounts is February 28th.",
    "refund": "Refunds are granted within thirty days of the purchase.",
    "support": "Support answers within four hours on working days.",
}


class FakeScriptedModel(BaseChatModel):
    """A fake that says its lines in turn, streams them, and takes tools; a line may be an exception."""

    lines: list

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self

    def _next(self):
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return AIMessage(line) if isinstance(line, str) else line.model_copy()

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        line = self._next()
        calls = [
            tool_call_chunk(name=c["name"], args=json.dumps(c["args"]), id=c["id"], index=place)
            for place, c in enumerate(line.tool_calls)
        ]
        said = [AIMessageChunk(content=word) for word in line.content.split(" ")]
        for message in [AIMessageChunk(content="", tool_call_chunks=calls)] if calls else said:
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


@pytest.fixture
def scripted():
    """Make a fake model of what it is to say: texts, messages, exceptions."""
    return lambda *lines: FakeScriptedModel(lines=list(lines))


@pytest.fixture
def calls():
    """Make the message by which a model calls tools: `(name, id, arguments)` each."""

    def message(*wanted):
        named = [{"name": name, "id": call, "args": args} for name, call, args in wanted]
        return AIMessage("", tool_calls=named)

    return message


def pytest_configure(config):
    # langchain-tests uses these when it is imported, for plugins that are not used here.
    for marker in ("benchmark: measures time", "vcr: replays HTTP"):
        config.addinivalue_line("markers", marker)


@pytest.fixture
def captured() -> Generator[CapturedLineage]:
    """Every run that a test begins has to end, and nothing may have been swallowed."""
    with capture_trails() as lineage:
        yield lineage
        assert lineage.errors == []
        assert lineage.open_count == 0


@pytest.fixture
def handler(captured):
    handler = LineageCallbackHandler(captured)
    yield handler
    assert handler._open.open_count == 0


@pytest.fixture
def documents():
    return [
        Document(
            text, id=f"chunk-{name}", metadata={"document_id": f"doc_{name}", "chunk_index": 3}
        )
        for name, text in TEXTS.items()
    ]


@pytest.fixture
def store(documents):
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=16))
    store.add_documents(documents)
    return store


@pytest.fixture
def retriever(store):
    return store.as_retriever(search_kwargs={"k": 2})


def format_docs(documents):
    return "\n\n".join(document.page_content for document in documents)


@pytest.fixture
def rag():
    """Build the chain that everybody has: retriever | format | prompt | model."""

    def build(retriever, model=None, formatter=format_docs):
        return (
            {"context": retriever | formatter, "question": RunnablePassthrough()}
            | ChatPromptTemplate.from_messages(
                [("system", "Answer from this:\n{context}"), ("human", "{question}")]
            )
            | (model or FakeListChatModel(responses=["On February 28th."]))
        )

    return build


class FakeVerifier(Verifier):
    """A fake that takes March for wrong and what a passage says in these very words for right."""

    name = "fake"
    version = "1"

    def __init__(self, *failures):
        self.asked = []
        self.failures = list(failures)

    def verify(self, answer):
        self.asked.append(answer)
        if self.failures:
            raise self.failures.pop(0)
        kind = "contradicted" if "March" in answer.text else "supported"
        evidence = next((p for p in answer.passages if "deadline" in p.text), None)
        return Findings(
            verdicts=(
                Verdict(
                    claim=Claim(0, len(answer.text), answer.text),
                    verdict=kind,
                    score=0.9 if kind == "contradicted" else 0.1,
                    reason="value_conflict" if kind == "contradicted" else "covered",
                    evidence=(Evidence(evidence.chunk_id, 0, 12),) if evidence else (),
                    conflicting_value="February 28th" if kind == "contradicted" else None,
                ),
            )
        )


@pytest.fixture
def verifier():
    """A fake verifier, which keeps what it was asked."""
    return FakeVerifier()


@pytest.fixture
def failing():
    """Make a fake verifier that raises these, one after the other, before it says anything."""
    return FakeVerifier


@pytest.fixture
def fake_verifier():
    """The class of fake verifiers, to build others upon."""
    return FakeVerifier
