"""A small real RAG chain, and a lineage in memory that has to be clean at the end of every test."""

from collections.abc import Generator

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from doctrail_core.testing import CapturedLineage, capture_trails
from langchain_doctrail import LineageCallbackHandler

TEXTS = {
    "renewal": "The contract renewal deadline for enterprise accounts is February 28th.",
    "refund": "Refunds are granted within thirty days of the purchase.",
    "support": "Support answers within four hours on working days.",
}


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
