"""The same question over the same documents leaves the same trail in both frameworks."""

import math
import re
from collections import Counter
from dataclasses import dataclass

import pytest

from doctrail_core.testing import CapturedLineage, capture_trails

DOCUMENTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_42": "Either party may end the agreement by giving ninety days written notice.",
    "doc_4": "The laws of the State of Delaware govern this agreement and its renewal.",
}
QUESTION = "When is the contract renewal deadline?"
ANSWER = "The renewal deadline is February 28th."


def embed(text: str) -> list[float]:
    """A bag of words hashed into 64 places, so that both frameworks rank alike without a model."""
    counts = Counter(sum(map(ord, word)) % 64 for word in re.findall(r"\w+", text.casefold()))
    norm = math.sqrt(sum(n * n for n in counts.values())) or 1.0
    return [counts[place] / norm for place in range(64)]


def ask_langchain(lineage: CapturedLineage) -> str:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_doctrail import LineageCallbackHandler, LineageRetriever

    class Hashed(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [embed(text) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return embed(text)

    store = InMemoryVectorStore(Hashed())
    store.add_documents(
        [Document(text, metadata={"document_id": name}) for name, text in DOCUMENTS.items()]
    )
    retriever = LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 2}))
    prompt = ChatPromptTemplate.from_messages([("system", "{context}"), ("human", "{question}")])
    context = retriever | (lambda found: "\n\n".join(d.page_content for d in found))
    chain = (
        {"context": context, "question": RunnablePassthrough()}
        | prompt
        | FakeListChatModel(responses=[ANSWER])
        | StrOutputParser()
    )
    return chain.invoke(QUESTION, config={"callbacks": [LineageCallbackHandler(lineage=lineage)]})


def ask_llama_index(lineage: CapturedLineage) -> str:
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback
    from llama_index.core.query_engine import RetrieverQueryEngine

    from llama_index.observability.doctrail import LineageRetriever

    class Hashed(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return embed(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return embed(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return embed(text)

    class Fake(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="fake")

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:  # noqa: FBT001, FBT002
            return CompletionResponse(text=ANSWER)

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: object):  # noqa: FBT001, FBT002
            raise AssertionError("not asked for")

    index = VectorStoreIndex.from_documents(
        [Document(text=text, id_=name) for name, text in DOCUMENTS.items()], embed_model=Hashed()
    )
    retriever = LineageRetriever(index.as_retriever(similarity_top_k=2), lineage=lineage)
    return str(RetrieverQueryEngine.from_args(retriever, llm=Fake()).query(QUESTION))


@dataclass(frozen=True)
class Shape:
    """What must not depend on the framework."""

    question: str | None
    answer: str | None
    status: str
    k: int | None
    hits: tuple[tuple[str, str | None, float | None, str], ...]
    arrivals: tuple[tuple[str, str, int | None], ...]
    documents: tuple[tuple[str, str], ...]
    generations: int
    ledger: tuple[str, ...]


def shape(lineage: CapturedLineage) -> Shape:
    (trail,) = lineage.trails
    (retrieval,) = trail.retrievals
    (context,) = trail.contexts
    documents = {a.chunk_id: a.document_id for a in context.arrivals}
    return Shape(
        question=trail.question,
        answer=trail.answer,
        status=trail.status,
        k=retrieval.k,
        hits=tuple(
            (h.chunk.document_id, h.chunk.content_hash, h.score and round(h.score, 6), h.score_kind)
            for h in retrieval.hits
        ),
        arrivals=tuple((documents[a.chunk_id], a.state, a.order) for a in context.arrivals),
        documents=tuple((d.document_id, d.grade) for d in trail.documents),
        generations=len(trail.generations),
        ledger=tuple(kind for kind, _ in lineage.entries),
    )


@pytest.mark.parametrize("ask", [ask_langchain, ask_llama_index])
def test_the_trail_tells_what_happened(ask):
    with capture_trails() as lineage:
        assert ask(lineage) == ANSWER
        told = shape(lineage)
        assert told.hits[0][0] == "doc_4821"
        assert {state for _, state, _ in told.arrivals} == {"full"}
        assert told.ledger == ("retrieved", "answered")
        assert lineage.errors == []
        assert lineage.open_count == 0


def test_both_frameworks_leave_the_same_trail():
    shapes: list[Shape] = []
    for ask in (ask_langchain, ask_llama_index):
        with capture_trails() as lineage:
            ask(lineage)
            shapes.append(shape(lineage))
    assert shapes[0] == shapes[1]
