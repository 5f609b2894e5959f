"""The pipelines that are measured: real frameworks around a retriever and a model that cost nothing.

Five documents of 400 characters are retrieved, formatted by the user's own function, put in a prompt
and answered with one fixed sentence. Nothing touches a network, so what an instrumentation adds is
a large share of the whole, and differences between instrumentations show.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

Call = Callable[[], object]
Wrap = Callable[[Any], Any]

QUESTION = "When must the renewal of an enterprise contract be declared?"
ANSWER = "It must be declared by February 28th."
HITS = 5
CHUNK_LENGTH = 400
_PROSE = """the contract renewal deadline for enterprise accounts is stated in section four and any
notice given later than that date by either party shall extend this agreement under its present terms
unless a written amendment signed before the end of term provides a different notice period"""


def unchanged(part: Any) -> Any:
    """Leave a pipeline's part as it is."""
    return part


def chunk_text(number: int) -> str:
    """400 characters of prose, the same in every process, different for every chunk."""
    words = random.Random(number).choices(_PROSE.split(), k=CHUNK_LENGTH)  # noqa: S311  # no secret
    return " ".join(words)[:CHUNK_LENGTH]


def chunk_metadata(number: int) -> dict[str, Any]:
    """What splitters and loaders usually leave with a chunk."""
    document = f"contract_{number // 2}"
    return {
        "document_id": document,
        "chunk_index": number,
        "source": f"s3://contracts/{document}.pdf",
        "page": number + 1,
        "tenant": "acme",
    }


def chunk_id(number: int) -> str:
    """Its id in the store."""
    return f"contract_{number // 2}::chunk_{number}"


def langchain_chain(wrap: Wrap) -> Any:
    """`retriever | format | prompt | model`."""
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda, RunnablePassthrough

    documents = [
        Document(id=chunk_id(n), page_content=chunk_text(n), metadata=chunk_metadata(n))
        for n in range(HITS)
    ]

    class FixedRetriever(BaseRetriever):
        def _get_relevant_documents(
            self,
            query: str,  # noqa: ARG002  # it answers every question alike
            *,
            run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        ) -> list[Document]:
            return list(documents)

    def format_documents(found: list[Document]) -> str:
        return "\n\n".join(document.page_content for document in found)

    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from the context only.\n\n{context}"), ("human", "{question}")]
    )
    context = wrap(FixedRetriever()) | RunnableLambda(format_documents)
    gathered = {"context": context, "question": RunnablePassthrough()}
    return gathered | prompt | FakeListChatModel(responses=[ANSWER])


def langchain_sync(callbacks: Sequence[Any] = (), wrap: Wrap = unchanged) -> Call:
    """LangChain's `invoke`."""
    chain = langchain_chain(wrap)
    config = {"callbacks": list(callbacks)} if callbacks else None
    return lambda: chain.invoke(QUESTION, config)


def langchain_async(callbacks: Sequence[Any] = (), wrap: Wrap = unchanged) -> Call:
    """LangChain's `ainvoke`, on one event loop."""
    chain = langchain_chain(wrap)
    config = {"callbacks": list(callbacks)} if callbacks else None
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(chain.ainvoke(QUESTION, config))


def llamaindex(wrap: Wrap = unchanged) -> Call:
    """LlamaIndex's `RetrieverQueryEngine` with compact synthesis."""
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [
        NodeWithScore(
            node=TextNode(id_=chunk_id(n), text=chunk_text(n), metadata=chunk_metadata(n)),
            score=0.9 - 0.03 * n,
        )
        for n in range(HITS)
    ]

    class FixedRetriever(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:  # noqa: ARG002
            return list(nodes)

    model = MockLLM(max_tokens=16)
    engine = RetrieverQueryEngine(
        retriever=wrap(FixedRetriever()),
        response_synthesizer=get_response_synthesizer(llm=model),
    )
    return lambda: engine.query(QUESTION)
