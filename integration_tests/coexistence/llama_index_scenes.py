"""LlamaIndex requests of every shape, small and without a network."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core import MockEmbedding, VectorStoreIndex, get_response_synthesizer
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import LLMRerank, SimilarityPostprocessor
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from llama_index_instrumentation import get_dispatcher
from opentelemetry import trace

from llama_index.observability.doctrail import LineageQueryEngine, LineageRetriever

QUESTION = "When is the renewal deadline?"
ANSWER = "The deadline is February 28th."
TEXTS = (
    "The contract renewal deadline for enterprise accounts is February 28th.",
    "Refunds are granted within thirty days of the purchase.",
    "Support answers within four hours on working days.",
)


class Speaking(CustomLLM):
    """Says the same to everything, in pieces where it streams; or fails; or hangs."""

    says: tuple[str, ...] = ("The deadline ", "is February ", "28th.")
    model: str = "fake-1"
    fails: bool = False
    hangs: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=4000, num_output=64, is_chat_model=True, model_name=self.model
        )

    @llm_completion_callback()
    def complete(self, prompt: str, formatted=False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT002  # the host's signature
        if self.fails:
            raise ConnectionError("the model is away")
        return CompletionResponse(text="".join(self.says))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.hangs is not None:
            self.hangs.set()
            await asyncio.Event().wait()
        return self.chat(messages, **kwargs)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted=False, **kwargs: Any) -> Any:  # noqa: FBT002  # likewise
        def pieces():
            said = ""
            for piece in self.says:
                said += piece
                yield CompletionResponse(text=said, delta=piece)

        return pieces()


def agent_model(*script: ChatMessage | str) -> MockFunctionCallingLLM:
    """Asks for tools, and says, what stands in the script."""
    said = iter(script)

    def reply(messages: list[ChatMessage], **kwargs: Any) -> ChatMessage:
        told = next(said)
        return (
            told if isinstance(told, ChatMessage) else ChatMessage(role="assistant", content=told)
        )

    return MockFunctionCallingLLM(response_generator=reply, is_chat_model=True)


def wants(tool: str, **arguments: Any) -> ChatMessage:
    block = ToolCallBlock(tool_call_id="call-1", tool_name=tool, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[block])


class Searching(BaseRetriever):
    """A database's client is asked, which has spans of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.client: trace.Tracer = trace.NoOpTracer()

    def _retrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        with self.client.start_as_current_span("SELECT"):
            return [NodeWithScore(node=node, score=0.9) for node in _nodes()[:2]]

    async def _aretrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        await asyncio.sleep(0)
        return self._retrieve(query_bundle)


class Telling(BaseNodePostprocessor):
    """A reranker that says so, as those of the integrations do."""

    def _postprocess_nodes(self, nodes: Any, query_bundle: Any = None) -> list[NodeWithScore]:
        dispatcher = get_dispatcher()
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=2, model_name="ranker-1")
        )
        ranked = [NodeWithScore(node=hit.node, score=0.1) for hit in nodes[::-1]]
        dispatcher.event(ReRankEndEvent(nodes=ranked))
        return ranked


def _nodes() -> list[TextNode]:
    return [
        TextNode(
            text=text,
            id_=f"c-{number}",
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"d-{number}")},
        )
        for number, text in enumerate(TEXTS)
    ]


def plain() -> BaseRetriever:
    index = VectorStoreIndex(_nodes(), embed_model=MockEmbedding(embed_dim=8))
    return index.as_retriever(similarity_top_k=2)


def wrapped() -> LineageRetriever:
    return LineageRetriever(plain())


def engine(retriever: BaseRetriever, *, streaming: bool = False, llm: Any = None, **kwargs: Any):
    synthesizer = get_response_synthesizer(llm=llm or Speaking(), streaming=streaming)
    return RetrieverQueryEngine(retriever, response_synthesizer=synthesizer, **kwargs)


# --- ways to ask


def query(asked: Any) -> None:
    asked.query(QUESTION)


async def aquery(asked: Any) -> None:
    await asked.aquery(QUESTION)


def streamed(asked: Any) -> None:
    assert "".join(asked.query(QUESTION).response_gen) == ANSWER


async def astreamed(asked: Any) -> None:
    response = await asked.aquery(QUESTION)
    assert "".join([token async for token in response.async_response_gen()]) == ANSWER


def left(asked: Any) -> None:
    tokens = asked.query(QUESTION).response_gen
    next(tokens)
    tokens.close()


async def aleft(asked: Any) -> None:
    tokens = (await asked.aquery(QUESTION)).async_response_gen()
    await anext(tokens)
    await tokens.aclose()


def dropped(asked: Any) -> None:
    asked.query(QUESTION)


def failing(asked: Any) -> None:
    with contextlib.suppress(ConnectionError):
        asked.query(QUESTION)


async def cancelled(asked: Any) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(asked(begun).aquery(QUESTION))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def threaded(asked: Any) -> None:
    """In a thread that knows nothing of this one."""
    thread = threading.Thread(target=asked.query, args=(QUESTION,))
    thread.start()
    thread.join()


async def gathered(asked: Any) -> None:
    await asyncio.gather(*(asked.aquery(QUESTION) for _ in range(3)))


def retrieve(asked: Any) -> None:
    asked.retrieve(QUESTION)


async def aretrieve(asked: Any) -> None:
    await asked.aretrieve(QUESTION)


def chat(asked: Any) -> None:
    asked.chat(QUESTION)


async def achat(asked: Any) -> None:
    await asked.achat(QUESTION)


def chat_streamed(asked: Any) -> None:
    assert "".join(asked.stream_chat(QUESTION).response_gen) == ANSWER


async def achat_streamed(asked: Any) -> None:
    response = await asked.astream_chat(QUESTION)
    assert "".join([token async for token in response.async_response_gen()]) == ANSWER


async def run(asked: Any) -> None:
    await asked.run(user_msg=QUESTION)


# --- what is asked


def function_agent(retriever: BaseRetriever) -> FunctionAgent:
    def search(about: str) -> str:
        """Search."""
        return retriever.retrieve(about)[0].node.get_content()

    llm = agent_model(wants("search", about=QUESTION), ANSWER)
    tools = [FunctionTool.from_defaults(search)]
    return FunctionAgent(name="clerk", tools=tools, llm=llm, streaming=False)


def engine_agent(retriever: BaseRetriever) -> FunctionAgent:
    llm = agent_model(wants("archive", input=QUESTION), ANSWER)
    tool = QueryEngineTool.from_defaults(engine(retriever), name="archive", description="All.")
    return FunctionAgent(name="clerk", tools=[tool], llm=llm, streaming=False)


def react_agent(retriever: BaseRetriever) -> ReActAgent:
    def search(about: str) -> str:
        """Search."""
        return retriever.retrieve(about)[0].node.get_content()

    llm = agent_model(
        'Thought: I look.\nAction: search\nAction Input: {"about": "deadline"}',
        f"Thought: I know.\nAnswer: {ANSWER}",
    )
    return ReActAgent(
        name="clerk", tools=[FunctionTool.from_defaults(search)], llm=llm, streaming=False
    )


def two_agents(retriever: BaseRetriever) -> AgentWorkflow:
    clerk = function_agent(retriever)
    llm = agent_model(wants("handoff", to_agent="clerk", reason="It knows."))
    porter = FunctionAgent(
        name="porter", description="Opens.", llm=llm, can_handoff_to=["clerk"], streaming=False
    )
    clerk.description = "Looks things up."
    return AgentWorkflow(agents=[porter, clerk], root_agent="porter")


class OwnWorkflow(Workflow):
    """One step that does it all."""

    def __init__(self, retriever: BaseRetriever) -> None:
        super().__init__()
        self.retriever = retriever

    @step
    async def answer(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=str(await engine(self.retriever).aquery(ev.user_msg)))


def chatting(made_by: Any) -> Any:
    memory = ChatMemoryBuffer.from_defaults(token_limit=2000)
    return made_by.from_defaults(wrapped(), llm=Speaking(), memory=memory)


@dataclass(frozen=True)
class Scene:
    """What is asked, in which way, and what a trail of it has.

    Attributes:
        reranked: Who ranked.
        reranked_elsewhere: Whether others are told of that, too.
        agents: So many agents there are, with those that consist of some.
    """

    build: Callable[[], Any]
    ask: Callable[[Any], None] | Callable[[Any], Awaitable[None]]
    requests: int = 1
    searches: int = 1
    calls: int = 1
    status: str = "ok"
    reranked: Sequence[str] = ()
    reranked_elsewhere: bool = False
    agents: int = 0

    @property
    def is_async(self) -> bool:
        return asyncio.iscoroutinefunction(self.ask)


def _reranking(retriever: BaseRetriever, *, telling: bool) -> RetrieverQueryEngine:
    judge = Speaking(says=("Doc: 2, Relevance: 9\n", "Doc: 1, Relevance: 4\n"))
    steps = [
        Telling() if telling else LLMRerank(llm=judge),
        SimilarityPostprocessor(similarity_cutoff=0.05),
    ]
    return engine(retriever, node_postprocessors=steps)


def _hanging(begun: asyncio.Event) -> RetrieverQueryEngine:
    return engine(wrapped(), llm=Speaking(hangs=begun))


SCENES = {
    "query": Scene(lambda: engine(plain()), query),
    "aquery": Scene(lambda: engine(plain()), aquery),
    "query, wrapped": Scene(lambda: engine(wrapped()), query),
    "aquery, wrapped": Scene(lambda: engine(wrapped()), aquery),
    "query, all wrapped": Scene(lambda: LineageQueryEngine(engine(wrapped())), query),
    "aquery, all wrapped": Scene(lambda: LineageQueryEngine(engine(wrapped())), aquery),
    "streamed": Scene(lambda: engine(wrapped(), streaming=True), streamed),
    "astreamed": Scene(lambda: engine(wrapped(), streaming=True), astreamed),
    "streamed, all wrapped": Scene(
        lambda: LineageQueryEngine(engine(wrapped(), streaming=True)), streamed
    ),
    "left early": Scene(lambda: engine(wrapped(), streaming=True), left, status="aborted"),
    "left early, async": Scene(lambda: engine(wrapped(), streaming=True), aleft, status="aborted"),
    "failing": Scene(lambda: engine(wrapped(), llm=Speaking(fails=True)), failing, status="error"),
    "cancelled": Scene(lambda: _hanging, cancelled, status="aborted"),
    "in a thread": Scene(lambda: engine(wrapped()), threaded),
    "gathered": Scene(lambda: engine(wrapped()), gathered, requests=3),
    "retriever": Scene(plain, retrieve, calls=0),
    "retriever, async": Scene(plain, aretrieve, calls=0),
    "retriever, wrapped": Scene(wrapped, retrieve, calls=0),
    "retriever, wrapped, async": Scene(wrapped, aretrieve, calls=0),
    "context chat": Scene(lambda: chatting(ContextChatEngine), chat),
    "context chat, async": Scene(lambda: chatting(ContextChatEngine), achat),
    "condensing chat": Scene(lambda: chatting(CondensePlusContextChatEngine), chat),
    "chat, streamed": Scene(lambda: chatting(ContextChatEngine), chat_streamed),
    "chat, streamed, async": Scene(lambda: chatting(ContextChatEngine), achat_streamed),
    "reranking": Scene(
        lambda: _reranking(wrapped(), telling=False), query, calls=2, reranked=["LLMRerank"]
    ),
    "reranking, async": Scene(
        lambda: _reranking(wrapped(), telling=False), aquery, calls=2, reranked=["LLMRerank"]
    ),
    "a reranker that says so": Scene(
        lambda: _reranking(wrapped(), telling=True),
        query,
        reranked=["Telling"],
        reranked_elsewhere=True,
    ),
    "agent": Scene(lambda: function_agent(wrapped()), run, calls=2, agents=1),
    "agent with an engine": Scene(lambda: engine_agent(wrapped()), run, calls=3, agents=1),
    "thinking agent": Scene(lambda: react_agent(wrapped()), run, calls=2, agents=1),
    "two agents": Scene(lambda: two_agents(wrapped()), run, calls=3, agents=3),
    "workflow": Scene(lambda: OwnWorkflow(wrapped()), run),
}
