"""The core's conformance scenarios, played with LangChain's own classes."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from operator import itemgetter
from typing import Any, ClassVar, Self, TypedDict

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import BaseTool
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import Field

from doctrail_core import Lineage
from doctrail_core.model import Message
from doctrail_core.testing.conformance import (
    MODEL,
    Act,
    Ask,
    AsyncStage,
    Host,
    Keep,
    Passage,
    Request,
    ScriptedError,
    Search,
    Stage,
    Step,
    UseTool,
    hang,
    pieces,
)
from doctrail_core.testing.conformance.suite import AdapterConformance
from langchain_doctrail import LineageCallbackHandler, LineageRetriever

_Acts = tuple[Act, ...]


class ScriptedModel(BaseChatModel):
    """Says what the script says."""

    act: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop, **kwargs), "ls_model_name": MODEL}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs: Any) -> ChatResult:
        _fail(self.act.fails)
        return _result(self.act)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs: Any) -> ChatResult:
        for _ in self.act.inside:
            await hang()
        return self._generate(messages)

    def _stream(
        self, messages, stop=None, run_manager=None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for piece in pieces(self.act.says):
            yield ChatGenerationChunk(message=AIMessageChunk(piece))
        _fail(self.act.fails)


class ScriptedRetriever(BaseRetriever):
    """Does what the script says is inside of it, and finds what it says is found."""

    act: Any
    request: Any

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        config = RunnableConfig(callbacks=run_manager.get_child())
        LangChainStage(self.request, config).play(self.act.inside)
        _fail(self.act.fails)
        return list(map(_document, self.act.found))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        config = RunnableConfig(callbacks=run_manager.get_child())
        await LangChainAsyncStage(self.request, config).play(self.act.inside)
        _fail(self.act.fails)
        return list(map(_document, self.act.found))


class ScriptedStore(InMemoryVectorStore):
    """Finds what the script says is found, with its scores; of this store they are similarities."""

    def __init__(self, act: Search) -> None:
        super().__init__(DeterministicFakeEmbedding(size=4))
        self.act = act

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return [(_document(passage), passage.score) for passage in self.act.found]

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return self.similarity_search_with_score(query, k)


class Chroma(ScriptedStore):
    """A store whose scores the adapter knows to be distances, which it does by the class's name."""


_STORES = {"similarity": ScriptedStore, "distance": Chroma}


class ScriptedTool(BaseTool):
    """Does what the script says is inside of it, and returns what it says is returned."""

    description: str = "Scripted."
    args_schema: Any = Field(default_factory=lambda: {"type": "object", "properties": {}})
    act: Any
    request: Any

    def _run(self, *args: Any, **kwargs: Any) -> str:
        LangChainStage(self.request, {}).play(self.act.inside)
        _fail(self.act.fails)
        return self.act.returns

    async def _arun(self, *args: Any, **kwargs: Any) -> str:
        await LangChainAsyncStage(self.request, {}).play(self.act.inside)
        _fail(self.act.fails)
        return self.act.returns


class LangChainStage(Stage):
    def __init__(self, request: Request, config: RunnableConfig) -> None:
        super().__init__(request)
        self.config = config

    def beside(self, config: RunnableConfig | None = None) -> Self:
        place = super().beside()
        place.config = self.config if config is None else config
        return place

    def search(self, act: Search) -> None:
        _retriever(act, self.request).invoke(act.query, self.config)

    def ask(self, act: Ask) -> str:
        return ScriptedModel(act=act).invoke(_messages(self.prompt(act)), self.config).text

    def use_tool(self, act: UseTool) -> None:
        ScriptedTool(name=act.name, act=act, request=self.request).invoke(_call(act), self.config)

    def step(self, act: Step) -> str:
        return _graph(act, self._part(act.inside)).invoke(_asked(act), self.config)["answer"]

    def keep(self, act: Keep) -> None:
        _keeping(act).invoke(list(map(_document, self.found)), self.config)

    def fallback(self, first: _Acts, otherwise: _Acts) -> str:
        chain = self._part(first).with_fallbacks([self._part(otherwise)])
        return chain.invoke("", self.config)

    def retry(self, attempts: tuple[_Acts, ...]) -> str:
        left = iter(attempts)

        def attempt(_: str, config: RunnableConfig) -> str:
            return self.beside(config).play(next(left))

        chain = RunnableLambda(attempt).with_retry(
            stop_after_attempt=len(attempts), wait_exponential_jitter=False
        )
        return chain.invoke("", self.config)

    def parallel(self, branches: tuple[_Acts, ...]) -> str:
        parts = {str(number): self._part(branch) for number, branch in enumerate(branches)}
        said = RunnableParallel(parts).invoke("", self.config)
        return said[str(len(branches) - 1)]

    def _part(self, acts: _Acts) -> Runnable[str, str]:
        def part(_: str, config: RunnableConfig) -> str:
            return self.beside(config).play(acts)

        return RunnableLambda(part)


class LangChainAsyncStage(AsyncStage):
    def __init__(self, request: Request, config: RunnableConfig) -> None:
        super().__init__(request)
        self.config = config

    def beside(self, config: RunnableConfig | None = None) -> Self:
        place = super().beside()
        place.config = self.config if config is None else config
        return place

    async def search(self, act: Search) -> None:
        await _retriever(act, self.request).ainvoke(act.query, self.config)

    async def ask(self, act: Ask) -> str:
        model = ScriptedModel(act=act)
        return (await model.ainvoke(_messages(self.prompt(act)), self.config)).text

    async def use_tool(self, act: UseTool) -> None:
        tool = ScriptedTool(name=act.name, act=act, request=self.request)
        await tool.ainvoke(_call(act), self.config)

    async def step(self, act: Step) -> str:
        graph = _graph(act, self._part(act.inside))
        return (await graph.ainvoke(_asked(act), self.config))["answer"]

    async def keep(self, act: Keep) -> None:
        documents = list(map(_document, self.found))
        await _keeping(act).ainvoke(documents, self.config)

    async def fallback(self, first: _Acts, otherwise: _Acts) -> str:
        chain = self._part(first).with_fallbacks([self._part(otherwise)])
        return await chain.ainvoke("", self.config)

    async def retry(self, attempts: tuple[_Acts, ...]) -> str:
        left = iter(attempts)

        async def attempt(_: str, config: RunnableConfig) -> str:
            return await self.beside(config).play(next(left))

        chain = RunnableLambda(attempt).with_retry(
            stop_after_attempt=len(attempts), wait_exponential_jitter=False
        )
        return await chain.ainvoke("", self.config)

    async def parallel(self, branches: tuple[_Acts, ...]) -> str:
        parts = {str(number): self._part(branch) for number, branch in enumerate(branches)}
        said = await RunnableParallel(parts).ainvoke("", self.config)
        return said[str(len(branches) - 1)]

    def _part(self, acts: _Acts) -> Runnable[str, str]:
        async def part(_: str, config: RunnableConfig) -> str:
            return await self.beside(config).play(acts)

        return RunnableLambda(part)


class LangChain(Host):
    """Chains in LCEL where the script is that of the chain everybody has, else functions."""

    absent: ClassVar = (
        {} if find_spec("langgraph") else {"a part inside a part": "langgraph is not installed"}
    )

    def __init__(self) -> None:
        self._handler = LineageCallbackHandler()

    def ask(self, request: Request, lineage: Lineage) -> str:
        return _chain(request).invoke(request.question, self._config(request, lineage))

    async def aask(self, request: Request, lineage: Lineage) -> str:
        return await _chain(request).ainvoke(request.question, self._config(request, lineage))

    def stream(self, request: Request, lineage: Lineage) -> Generator[str]:
        yield from _chain(request).stream(request.question, self._config(request, lineage))

    async def astream(self, request: Request, lineage: Lineage) -> AsyncGenerator[str]:
        stream = _chain(request).astream(request.question, self._config(request, lineage))
        async with aclosing(stream):
            async for piece in stream:
                yield piece

    def batch(self, requests: Sequence[Request], lineage: Lineage) -> list[str]:
        questions = [request.question for request in requests]
        return _chain_of_any(requests).batch(questions, self._configs(requests, lineage))

    async def abatch(self, requests: Sequence[Request], lineage: Lineage) -> list[str]:
        questions = [request.question for request in requests]
        return await _chain_of_any(requests).abatch(questions, self._configs(requests, lineage))

    def open_count(self) -> int:
        return self._handler._open.open_count

    def _configs(self, requests: Sequence[Request], lineage: Lineage) -> list[RunnableConfig]:
        return [self._config(request, lineage) for request in requests]

    def _config(self, request: Request, lineage: Lineage) -> RunnableConfig:
        if self._handler.lineage is not lineage:
            self._handler = LineageCallbackHandler(lineage)
        who = {"session_id": request.session_id, "user_id": request.user_id}
        configurable = {name: value for name, value in who.items() if value is not None}
        return RunnableConfig(callbacks=[self._handler], configurable=configurable)


def _chain(request: Request) -> Runnable[str, str]:
    match request.acts:
        case (Search(inside=()) as search, Ask(prompt=None, chooses=()) as ask) if (
            search.query == request.question
        ):
            context = _retriever(search, request) | _joined
        case (
            Search(inside=()) as search,
            Keep() as keep,
            Ask(prompt=None, chooses=()) as ask,
        ) if search.query == request.question:
            context = _retriever(search, request) | _keeping(keep) | _joined
        case _:
            return _function(request) if request.delivery == "whole" else _generator(request)
    return (
        {"context": context, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_messages(
            [("system", "Answer from this:\n{context}"), ("human", "{question}")]
        )
        | ScriptedModel(act=ask)
        | StrOutputParser()
    )


def _function(request: Request) -> Runnable[str, str]:
    return _chain_of_any([request])


def _chain_of_any(requests: Sequence[Request]) -> Runnable[str, str]:
    scripts = {request.question: request for request in requests}

    def answer(question: str, config: RunnableConfig) -> str:
        request = scripts[question]
        return LangChainStage(request, config).play(request.acts)

    async def aanswer(question: str, config: RunnableConfig) -> str:
        request = scripts[question]
        return await LangChainAsyncStage(request, config).play(request.acts)

    return RunnableLambda(answer, aanswer)


def _generator(request: Request) -> Runnable[str, str]:
    ask = request.answering

    def answer(_: Iterator[str], config: RunnableConfig) -> Iterator[str]:
        stage = LangChainStage(request, config)
        stage.play(request.preparation)
        for chunk in ScriptedModel(act=ask).stream(_messages(stage.prompt(ask)), config):
            yield chunk.text

    async def aanswer(_: AsyncIterator[str], config: RunnableConfig) -> AsyncIterator[str]:
        stage = LangChainAsyncStage(request, config)
        await stage.play(request.preparation)
        async for chunk in ScriptedModel(act=ask).astream(_messages(stage.prompt(ask)), config):
            yield chunk.text

    return RunnableGenerator(answer, aanswer)


def _graph(act: Step, part: Runnable[str, str]) -> Runnable[dict[str, str], dict[str, str]]:
    """A graph of that name, whose only node is that of a model, which is no step of its own."""
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        question: str
        answer: str

    graph = StateGraph(State)
    graph.add_node(
        "model", RunnablePassthrough() | {"answer": RunnableLambda(itemgetter("question")) | part}
    )
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    return graph.compile(name=act.name)


def _asked(act: Step) -> dict[str, str]:
    return {"question": act.asked}


def _retriever(act: Search, request: Request) -> BaseRetriever:
    if any(passage.score is not None for passage in act.found):
        retriever = _STORES[act.scores](act).as_retriever()
        return LineageRetriever.wrap(retriever)
    return ScriptedRetriever(act=act, request=request)


def _document(passage: Passage) -> Document:
    metadata = {} if passage.document_id is None else {"document_id": passage.document_id}
    return Document(passage.text, id=passage.chunk_id, metadata=metadata)


def _joined(documents: list[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def _keeping(act: Keep):
    def kept(documents: list[Document]) -> list[Document]:
        return [document for document in documents if document.id in act.chunk_ids]

    return RunnableLambda(kept)


def _messages(prompt: Sequence[Message]) -> list[BaseMessage]:
    return list(map(_message, prompt))


def _message(message: Message) -> BaseMessage:
    text = message.text or ""
    match message.role:
        case "tool":
            return ToolMessage(text, tool_call_id=message.tool_call_id or "")
        case "system":
            return SystemMessage(text)
        case "assistant":
            return AIMessage(text)
        case _:
            return HumanMessage(text)


def _result(act: Ask) -> ChatResult:
    calls = [
        {
            "name": chosen.name,
            "args": json.loads(chosen.arguments or "{}"),
            "id": chosen.tool_call_id,
        }
        for chosen in act.chooses
    ]
    return ChatResult(generations=[ChatGeneration(message=AIMessage(act.says, tool_calls=calls))])


def _call(act: UseTool) -> dict[str, Any]:
    arguments = json.loads(act.arguments)
    return {"type": "tool_call", "name": act.name, "args": arguments, "id": act.tool_call_id}


def _fail(message: str | None) -> None:
    if message is not None:
        raise ScriptedError(message)


class TestLangChain(AdapterConformance):
    host = LangChain()
    beyond = (Step,)  # a graph in which nothing happens is told to nobody
