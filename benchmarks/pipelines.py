"""The pipelines that are measured: real frameworks around a retriever and a model that cost nothing.

Five documents of 400 characters are retrieved, formatted by the user's own function, put in a prompt
and answered with one fixed sentence. Nothing touches a network, so what an instrumentation adds is
a large share of the whole, and differences between instrumentations show.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
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


def always_the_same() -> Iterator[range]:
    """The numbers of the chunks that each search finds: the same five."""
    while True:
        yield range(HITS)


def always_others() -> Iterator[range]:
    """Likewise, but five that no search before has found."""
    for first in count(0, HITS):
        yield range(first, first + HITS)


def langchain_chain(wrap: Wrap, finds: Iterator[range], model: Any = None) -> Any:
    """`retriever | format | prompt | model`."""
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda, RunnablePassthrough

    def document(number: int) -> Document:
        text = chunk_text(number)
        return Document(id=chunk_id(number), page_content=text, metadata=chunk_metadata(number))

    known = {number: document(number) for number in range(HITS)}

    class FixedRetriever(BaseRetriever):
        def _get_relevant_documents(
            self,
            query: str,  # noqa: ARG002  # it answers every question alike
            *,
            run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        ) -> list[Document]:
            return [known.get(number) or document(number) for number in next(finds)]

    def format_documents(found: list[Document]) -> str:
        return "\n\n".join(document.page_content for document in found)

    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from the context only.\n\n{context}"), ("human", "{question}")]
    )
    context = wrap(FixedRetriever()) | RunnableLambda(format_documents)
    gathered = {"context": context, "question": RunnablePassthrough()}
    return gathered | prompt | (model or FakeListChatModel(responses=[ANSWER]))


def langchain_sync(
    callbacks: Sequence[Any] = (), wrap: Wrap = unchanged, finds: Iterator[range] | None = None
) -> Call:
    """LangChain's `invoke`."""
    chain = langchain_chain(wrap, finds or always_the_same())
    config = {"callbacks": list(callbacks)} if callbacks else None
    return lambda: chain.invoke(QUESTION, config)


def langchain_async(
    callbacks: Sequence[Any] = (), wrap: Wrap = unchanged, finds: Iterator[range] | None = None
) -> Call:
    """LangChain's `ainvoke`, on one event loop."""
    chain = langchain_chain(wrap, finds or always_the_same())
    config = {"callbacks": list(callbacks)} if callbacks else None
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(chain.ainvoke(QUESTION, config))


def langchain_open(
    callbacks: Sequence[Any], wrap: Wrap, requests: int, while_open: Callable[[], int]
) -> int:
    """Have so many requests of `ainvoke` wait for their model, and ask something meanwhile."""
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    loop = asyncio.new_event_loop()
    gate = asyncio.Event()
    waiting = count(1)
    all_wait = asyncio.Event()

    class WaitingModel(FakeListChatModel):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            if next(waiting) == requests:
                all_wait.set()
            await gate.wait()
            return self._generate(*args, **{**kwargs, "run_manager": None})

    chain = langchain_chain(wrap, always_the_same(), WaitingModel(responses=[ANSWER]))
    config = {"callbacks": list(callbacks)} if callbacks else None

    async def ask() -> int:
        asked = [asyncio.create_task(chain.ainvoke(QUESTION, config)) for _ in range(requests)]
        await all_wait.wait()
        answer = while_open()
        gate.set()
        await asyncio.gather(*asked)
        return answer

    return loop.run_until_complete(ask())


def llamaindex(wrap: Wrap = unchanged, finds: Iterator[range] | None = None) -> Call:
    """LlamaIndex's `RetrieverQueryEngine` with compact synthesis."""
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    found = finds or always_the_same()

    def node(number: int) -> NodeWithScore:
        text, metadata = chunk_text(number), chunk_metadata(number)
        named = TextNode(id_=chunk_id(number), text=text, metadata=metadata)
        return NodeWithScore(node=named, score=0.9 - 0.03 * (number % HITS))

    known = {number: node(number) for number in range(HITS)}

    class FixedRetriever(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:  # noqa: ARG002
            return [known.get(number) or node(number) for number in next(found)]

    model = MockLLM(max_tokens=16)
    engine = RetrieverQueryEngine(
        retriever=wrap(FixedRetriever()),
        response_synthesizer=get_response_synthesizer(llm=model),
    )
    return lambda: engine.query(QUESTION)
