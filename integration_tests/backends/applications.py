"""Small applications with real vector stores and fake models. Each of them gives answers to one lineage."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from langchain.agents import create_agent
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.tools import create_retriever_tool
from langgraph.checkpoint.memory import InMemorySaver
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from stores import langchain_shelves, llama_index_shelves
from stores.corpus import ANSWER, PAGES, QUESTION

from doctrail_core import Lineage
from doctrail_core.capture.events import Reranked
from doctrail_core.manual import Usage, generation, response, retrieval
from doctrail_core.model import RankedChunk
from langchain_doctrail import LineageCallbackHandler, LineageRetriever
from langchain_doctrail.agents import LineageMiddleware
from llama_index.observability import doctrail as llama_index_doctrail

Application = Callable[[Lineage], None]

SESSION = "ticket-7"
USER = "ada"
FOLLOW_UP = "So not in March?"
TROUBLE = "no route to shelf 7"
MANY = 200
MODEL = "m-1"
PROVIDER = "openai"
USAGE = Usage(100, 9, 109)


def said(text: str, **more: Any) -> AIMessage:
    usage = {"input_tokens": 100, "output_tokens": 9, "total_tokens": 109}
    metadata = {"model_name": MODEL, "finish_reason": "stop"}
    return AIMessage(text, usage_metadata=usage, response_metadata=metadata, **more)


class FakeModel(FakeMessagesListChatModel):
    """Says its lines in turn, whatever tools it may use."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> "FakeModel":
        return self


def joined(found: Any) -> str:
    return "\n\n".join(document.page_content for document in found)


def chain_of(retriever: Runnable[str, Any]) -> Runnable[str, str]:
    prompt = ChatPromptTemplate.from_messages([("system", "{context}"), ("human", "{question}")])
    start = {"context": retriever | joined, "question": RunnablePassthrough()}
    return start | prompt | FakeModel(responses=[said(ANSWER)]) | StrOutputParser()


def langchain(lineage: Lineage) -> None:
    """A chain over Qdrant."""
    with langchain_shelves.SHELVES["Qdrant, cosine"]() as shelf:
        search = LineageRetriever.wrap(shelf.store.as_retriever(search_kwargs={"k": 3}))
        handler = LineageCallbackHandler(lineage=lineage)
        chain_of(search).invoke(
            QUESTION,
            {
                "callbacks": [handler],
                "metadata": {"session_id": SESSION, "user_id": USER},
            },
        )


def unscored(lineage: Lineage) -> None:
    """A chain over a search that has no scores."""
    search = BM25Retriever.from_documents(langchain_shelves.documents(), k=3)
    chain_of(search).invoke(
        QUESTION, {"callbacks": [LineageCallbackHandler(lineage=lineage)], "run_name": "unscored"}
    )


class Reranker(BaseDocumentCompressor):
    """Keeps the last two, last first, and writes its scores where Cohere's and others do."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> list[Document]:
        return [
            Document(d.page_content, metadata={**d.metadata, "relevance_score": 0.9 - rank / 10})
            for rank, d in enumerate(documents[:0:-1])
        ]


def reranked(lineage: Lineage) -> None:
    """A chain over Chroma, with a reranker around the search."""
    with langchain_shelves.SHELVES["Chroma, cosine"]() as shelf:
        search = ContextualCompressionRetriever(
            base_compressor=Reranker(),
            base_retriever=LineageRetriever.wrap(shelf.store.as_retriever(search_kwargs={"k": 3})),
        )
        chain_of(LineageRetriever.wrap(search)).invoke(
            QUESTION, {"callbacks": [LineageCallbackHandler(lineage=lineage)]}
        )


def agent(lineage: Lineage) -> None:
    """A LangChain agent that searches FAISS in its first turn, and remembers in its second."""
    with langchain_shelves.SHELVES["FAISS, l2"]() as shelf:
        search = create_retriever_tool(
            LineageRetriever.wrap(shelf.store.as_retriever(search_kwargs={"k": 2})),
            "search_contracts",
            "Search the contracts.",
            response_format="content_and_artifact",
        )
        asks = {"name": "search_contracts", "args": {"query": QUESTION}, "id": "call-1"}
        clerk = create_agent(
            FakeModel(responses=[said("", tool_calls=[asks]), said(ANSWER), said("In February.")]),
            [search],
            name="clerk",
            middleware=[LineageMiddleware()],
            checkpointer=InMemorySaver(),
        )
        for question in (QUESTION, FOLLOW_UP):
            clerk.invoke(
                {"messages": [("human", question)]},
                {
                    "callbacks": [LineageCallbackHandler(lineage=lineage)],
                    "configurable": {"thread_id": SESSION},
                },
            )


def llama_index(lineage: Lineage) -> None:
    """A query engine over Chroma."""
    with llama_index_shelves.SHELVES["Chroma, cosine"]() as shelf:
        retriever = llama_index_doctrail.LineageRetriever(
            shelf.index.as_retriever(similarity_top_k=3), lineage=lineage
        )
        engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM(max_tokens=8))
        with lineage.scope(session_id=SESSION, user_id=USER):
            engine.query(QUESTION)


def found_chunks(number: int) -> list[dict[str, Any]]:
    return [
        {
            "text": f"{PAGES[n % len(PAGES)].text} Clause {n}.",
            "chunk_id": f"chunk-{n}",
            "document_id": PAGES[n % len(PAGES)].document_id,
            "score": 1 - n / 1000,
            "metadata": {"clause": n, "source": "contracts.pdf"},
        }
        for n in range(number)
    ]


def plain(lineage: Lineage) -> None:
    """Plain Python; the search was done elsewhere, and a reranker put the last chunk first."""
    chunks = found_chunks(3)
    with response(
        QUESTION, name="plain", session_id=SESSION, user_id=USER, lineage=lineage
    ) as request:
        with retrieval(QUESTION, store="contracts", k=3, score_kind="similarity") as search:
            search.found(chunks)
        ids = [chunk["chunk_id"] for chunk in chunks]
        lineage.record(
            Reranked(
                request.response_id,
                "cross-encoder",
                started=lineage.now(),
                given=[RankedChunk(i) for i in ids],
                kept=[RankedChunk(ids[2], 0.9), RankedChunk(ids[0], 0.2)],
                query=QUESTION,
                model="tiny-reranker",
                top_k=2,
            )
        )
        answer_from([chunks[2], chunks[0]])


def failing(lineage: Lineage) -> None:
    """Plain Python whose store cannot be reached."""
    with (
        suppress(ConnectionError),
        response(QUESTION, name="failing", lineage=lineage),
        retrieval(QUESTION, store="contracts", k=3),
    ):
        raise ConnectionError(TROUBLE)


def many(lineage: Lineage) -> None:
    """Plain Python with two hundred chunks."""
    chunks = found_chunks(MANY)
    with response(QUESTION, name="many", lineage=lineage):
        with retrieval(QUESTION, store="contracts", k=MANY, score_kind="similarity") as search:
            search.found(chunks)
        answer_from(chunks)


def answer_from(chunks: list[dict[str, Any]]) -> None:
    context = "\n\n".join(chunk["text"] for chunk in chunks)
    messages = [{"role": "system", "content": context}, {"role": "user", "content": QUESTION}]
    with generation(
        messages, model=MODEL, provider=PROVIDER, parameters={"temperature": 0.2}
    ) as call:
        call.said(ANSWER, usage=USAGE)


ALL: dict[str, Application] = {
    "langchain": langchain,
    "unscored": unscored,
    "reranked": reranked,
    "agent": agent,
    "llama_index": llama_index,
    "plain": plain,
    "failing": failing,
    "many": many,
}
