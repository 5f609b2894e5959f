"""Applications in LangChain, on a real in-memory store, with a fake model that says what is written here."""

from collections.abc import Iterator, Sequence
from typing import Any

from corpus import (
    ANSWER,
    CHUNKS,
    FOLLOW_UP,
    QUESTION,
    SEARCH,
    SECOND_ANSWER,
    embedding,
    metadata,
    words,
)
from langchain_core.callbacks import CallbackManagerForLLMRun, CallbackManagerForRetrieverRun
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore


class WordEmbeddings(Embeddings):
    """Vectors of words."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One for each."""
        return [embedding(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Alike."""
        return embedding(text)


class FakeChatModel(BaseChatModel):
    """Says what it was given to say, in turn."""

    replies: list[Any]
    model_name: str = "fake-model-1"
    temperature: float = 0.2
    said: int = 0

    @property
    def _llm_type(self) -> str:
        return "fake-chat"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop, **kwargs)
        return {**params, "ls_provider": "openai", "ls_model_name": self.model_name}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "temperature": self.temperature}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        from langchain_core.utils.function_calling import convert_to_openai_tool

        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)

    def _next(self) -> AIMessage:
        reply = self.replies[self.said % len(self.replies)]
        self.said += 1
        if isinstance(reply, Exception):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply.model_copy()
        message.id = f"msg-{self.said}"
        message.usage_metadata = {"input_tokens": 50, "output_tokens": 9, "total_tokens": 59}
        message.response_metadata = {"model_name": "fake-model-1-2026", "finish_reason": "stop"}
        return message

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = self._next()
        generation = ChatGeneration(message=message, generation_info={"finish_reason": "stop"})
        return ChatResult(generations=[generation], llm_output={"model_name": self.model_name})

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in str(self._next().content).split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(f"{piece} "))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class BrokenRetriever(BaseRetriever):
    """Its store is gone."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        raise ConnectionError("the store is gone")


class WordReranker(BaseDocumentCompressor):
    """Keeps the two that have most words in common with the query."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> list[Document]:
        def common(document: Document) -> int:
            return len(words(document.page_content) & words(query))

        return sorted(documents, key=common, reverse=True)[:2]


def retriever(k: int = 3) -> BaseRetriever:
    """The real in-memory store's."""
    store = InMemoryVectorStore(WordEmbeddings())
    store.add_documents(
        [Document(id=i, page_content=text, metadata=metadata(i)) for i, text in CHUNKS.items()]
    )
    return store.as_retriever(search_kwargs={"k": k})


def format_documents(found: list[Document]) -> str:
    """As users do it."""
    return "\n\n".join(document.page_content for document in found)


def chain(model: BaseChatModel, search: BaseRetriever | None = None) -> Runnable[Any, Any]:
    """`retriever | format | prompt | model`."""
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from the context only.\n\n{context}"), ("human", "{question}")]
    )
    context = (search or retriever()) | format_documents
    return {"context": context, "question": RunnablePassthrough()} | prompt | model


def asked(config: RunnableConfig | None = None) -> None:
    """One question."""
    chain(FakeChatModel(replies=[ANSWER])).invoke(QUESTION, config)


def streamed() -> None:
    """The answer in pieces."""
    for _ in chain(FakeChatModel(replies=[ANSWER])).stream(QUESTION):
        pass


def failing_search() -> None:
    """The search raises."""
    chain(FakeChatModel(replies=[ANSWER]), BrokenRetriever()).invoke(QUESTION)


def failing_model() -> None:
    """The model raises, after a search."""
    chain(FakeChatModel(replies=[TimeoutError("the model took too long")])).invoke(QUESTION)


def reranked() -> None:
    """A compressor reorders what was found and keeps two."""
    from langchain_classic.retrievers import ContextualCompressionRetriever

    search = ContextualCompressionRetriever(
        base_compressor=WordReranker(), base_retriever=retriever(4)
    )
    chain(FakeChatModel(replies=[ANSWER]), search).invoke(QUESTION)


def rewritten() -> None:
    """A model words the search anew, inside the retriever."""
    from langchain_classic.retrievers import MultiQueryRetriever

    search = MultiQueryRetriever.from_llm(
        retriever(2), FakeChatModel(replies=[f"{SEARCH}\nnotice of renewal"])
    )
    chain(FakeChatModel(replies=[ANSWER]), search).invoke(QUESTION)


def agent() -> None:
    """An agent chooses to search, by a tool; and asks a tool that has nothing to do with it."""
    from langchain.agents import create_agent

    search = retriever(2)

    @tool
    def search_contracts(query: str) -> str:
        """Search the contracts."""
        return format_documents(search.invoke(query))

    @tool
    def today() -> str:
        """Which day it is."""
        return "January 15th"

    calls = [
        {"name": "search_contracts", "args": {"query": SEARCH}, "id": "call-1"},
        {"name": "today", "args": {}, "id": "call-2"},
    ]
    model = FakeChatModel(replies=[AIMessage("", tool_calls=calls), ANSWER])
    built = create_agent(model, [search_contracts, today], system_prompt="Search first.")
    built.invoke({"messages": [("user", QUESTION)]}, {"configurable": {"thread_id": "thread-9"}})


def tool_called() -> None:
    """A model that chose a tool is told what that returned, with no agent around."""
    from langchain_core.messages import HumanMessage, ToolMessage

    calls = [{"name": "today", "args": {"zone": "UTC"}, "id": "call-1"}]
    model = FakeChatModel(replies=[AIMessage("", tool_calls=calls), ANSWER])
    asked = [HumanMessage(QUESTION)]
    chose = model.invoke(asked)
    model.invoke([*asked, chose, ToolMessage("January 15th", tool_call_id="call-1")])


def conversation() -> None:
    """Two questions of one session."""
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Context:\n{context}"), ("placeholder", "{history}"), ("human", "{question}")]
    )
    search = retriever(2)
    model = FakeChatModel(replies=[ANSWER, SECOND_ANSWER])
    turns = {
        "context": (lambda asked: asked["question"]) | search | format_documents,
        "question": lambda asked: asked["question"],
        "history": lambda asked: asked["history"],
    } | (prompt | model)
    config: RunnableConfig = {"metadata": {"session_id": "conversation-1"}}
    turns.invoke({"question": QUESTION, "history": []}, config)
    history = [("human", QUESTION), ("ai", ANSWER)]
    turns.invoke({"question": FOLLOW_UP, "history": history}, config)


def searched_alone() -> None:
    """Two calls of the application's own, with nothing around them."""
    found = retriever().invoke(QUESTION)
    FakeChatModel(replies=[ANSWER]).invoke(f"{format_documents(found)}\n\n{QUESTION}")
