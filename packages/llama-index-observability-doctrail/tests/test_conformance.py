"""The core's conformance scenarios, played with LlamaIndex's own classes."""

import json
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from importlib.metadata import version
from typing import Any, ClassVar

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LLMMetadata,
)
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import VectorIndexRetriever
from llama_index.core.schema import (
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.tools import FunctionTool
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index_instrumentation.dispatcher import instrument_tags

from doctrail_core import Lineage
from doctrail_core.model import Message
from doctrail_core.testing.conformance import (
    MODEL,
    Act,
    Ask,
    AsyncStage,
    Fallback,
    Host,
    Keep,
    Parallel,
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
from llama_index.observability.doctrail import LineageInstrumentor, handlers

_NO_LIMIT = 10_000_000


class ScriptedLLM(FunctionCallingLLM):
    """Says what the script says, one call after the other."""

    model: str = MODEL
    acts: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=_NO_LIMIT,
            num_output=64,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=MODEL,
        )

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _reply(self._next())

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        act = self._next()
        for _ in act.inside:
            await hang()
        return _reply(act)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any):
        return _drawn(self._next())

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any):
        async def drawn():
            for reply in _drawn(act):
                yield reply

        act = self._next()
        return drawn()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted=False, **kwargs: Any):  # noqa: FBT002  # the host's signature
        raise NotImplementedError

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted=False, **kwargs: Any):  # noqa: FBT002  # likewise
        raise NotImplementedError

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted=False, **kwargs: Any):  # noqa: FBT002  # likewise
        raise NotImplementedError

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted=False, **kwargs: Any):  # noqa: FBT002  # likewise
        raise NotImplementedError

    def _prepare_chat_with_tools(
        self, tools, user_msg=None, chat_history=None, **kwargs: Any
    ) -> dict[str, Any]:
        return {"messages": chat_history or []}

    def get_tool_calls_from_response(
        self, response: ChatResponse, *args: Any, **kwargs: Any
    ) -> list[ToolSelection]:
        return [
            ToolSelection(
                tool_id=call["id"],
                tool_name=call["function"]["name"],
                tool_kwargs=json.loads(call["function"]["arguments"]),
            )
            for call in response.message.additional_kwargs.get("tool_calls", [])
        ]

    def _next(self) -> Ask:
        return self.acts.pop(0)


class ScriptedRetriever(BaseRetriever):
    """Does what the script says is inside of it, and finds what it says is found."""

    def __init__(self, act: Search, request: Request) -> None:
        self.act = act
        self.request = request
        BaseRetriever.__init__(self)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        LlamaIndexStage(self.request).play(self.act.inside)
        return self._found()

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        await LlamaIndexAsyncStage(self.request).play(self.act.inside)
        return self._found()

    def _found(self) -> list[NodeWithScore]:
        _fail(self.act.fails)
        return list(map(_node, self.act.found))


class FaissVectorStore:
    """A store whose scores the adapter knows to be distances, by its class's name and the metric."""

    class L2:
        metric_type = 1

    def __init__(self) -> None:
        self._faiss_index = self.L2()


class ScriptedIndexRetriever(ScriptedRetriever, VectorIndexRetriever):
    """One with a store, which says what the scores are."""

    def __init__(self, act: Search, request: Request) -> None:
        ScriptedRetriever.__init__(self, act, request)
        self._vector_store = _STORES[act.scores]()


_STORES = {"similarity": SimpleVectorStore, "distance": FaissVectorStore}


class KeepThese(BaseNodePostprocessor):
    """A step between retriever and synthesizer."""

    kept: tuple[str, ...]

    def _postprocess_nodes(self, nodes, query_bundle=None) -> list[NodeWithScore]:
        return [node for node in nodes if node.node.node_id in self.kept]


class ScriptedEngine(CustomQueryEngine):
    """Does what the script says, in a function of its own."""

    acts: Any
    request: Any

    def custom_query(self, query_str: str) -> Any:
        stage = LlamaIndexStage(self.request)
        if self.request.delivery == "whole" or self.acts is not self.request.acts:
            return stage.play(self.acts)
        stage.play(self.request.preparation)
        tokens = _llm(self.request.answering).stream_chat(
            _messages(stage.prompt(self.request.answering))
        )
        return StreamingResponse(response_gen=(token.delta or "" for token in tokens))

    async def acustom_query(self, query_str: str) -> Any:
        stage = LlamaIndexAsyncStage(self.request)
        if self.request.delivery == "whole" or self.acts is not self.request.acts:
            return await stage.play(self.acts)
        await stage.play(self.request.preparation)
        tokens = await _llm(self.request.answering).astream_chat(
            _messages(stage.prompt(self.request.answering))
        )
        return AsyncStreamingResponse(response_gen=(token.delta or "" async for token in tokens))


class LlamaIndexStage(Stage):
    def search(self, act: Search) -> None:
        _retriever(act, self.request).retrieve(act.query)

    def ask(self, act: Ask) -> str:
        return _llm(act).chat(_messages(self.prompt(act))).message.content or ""

    def use_tool(self, act: UseTool) -> None:
        _tool(act, self.request).call(**json.loads(act.arguments))

    def step(self, act: Step) -> str:
        return _text(_engine(act.name, act.inside, self.request).query(act.asked))

    def keep(self, act: Keep) -> None:
        KeepThese(kept=act.chunk_ids).postprocess_nodes(list(map(_node, self.found)))


class LlamaIndexAsyncStage(AsyncStage):
    async def search(self, act: Search) -> None:
        await _retriever(act, self.request).aretrieve(act.query)

    async def ask(self, act: Ask) -> str:
        return (await _llm(act).achat(_messages(self.prompt(act)))).message.content or ""

    async def use_tool(self, act: UseTool) -> None:
        await _tool(act, self.request).acall(**json.loads(act.arguments))

    async def step(self, act: Step) -> str:
        return _text(await _engine(act.name, act.inside, self.request).aquery(act.asked))

    async def keep(self, act: Keep) -> None:
        KeepThese(kept=act.chunk_ids).postprocess_nodes(list(map(_node, self.found)))


_VERSION = tuple(map(int, version("llama-index-core").split(".")[:3]))
_IN_OLDER_VERSIONS = {}
if _VERSION < (0, 14, 21):
    _IN_OLDER_VERSIONS["the same text twice, sync"] = "this version drops it, whatever its document"
if (0, 14, 22) <= _VERSION <= (0, 14, 24):
    _IN_OLDER_VERSIONS["a stream that its reader leaves"] = "this version streams in one piece"


class LlamaIndex(Host):
    """Engines and agents where the script is that of one, else an engine with a function of its own."""

    absent: ClassVar = {
        **_IN_OLDER_VERSIONS,
        "chunks without ids": "a node always has an id",
        **{
            f"{scenario}, sync": "only agents give tool calls ids, and agents are async"
            for scenario in (
                "a tool that searches",
                "two tools at once",
                "a tool that answers by itself",
                "a tool that fails",
            )
        },
    }

    def __init__(self) -> None:
        self._instrumentor = LineageInstrumentor()

    def ask(self, request: Request, lineage: Lineage) -> str:
        self._record_into(lineage)
        with instrument_tags(_tags(request)):
            return _text(_root(request).query(request.question))

    async def aask(self, request: Request, lineage: Lineage) -> str:
        self._record_into(lineage)
        if any(isinstance(act, Ask) and act.chooses for act in request.acts):
            return str(await _agent(request).run(request.question))
        with instrument_tags(_tags(request)):
            return _text(await _root(request).aquery(request.question))

    def stream(self, request: Request, lineage: Lineage) -> Generator[str]:
        self._record_into(lineage)
        with instrument_tags(_tags(request)):
            response = _root(request).query(request.question)
        yield from response.response_gen

    async def astream(self, request: Request, lineage: Lineage) -> AsyncGenerator[str]:
        self._record_into(lineage)
        with instrument_tags(_tags(request)):
            response = await _root(request).aquery(request.question)
        async with aclosing(response.async_response_gen()) as tokens:
            async for token in tokens:
                yield token

    def open_count(self) -> int:
        return handlers.RUNS.open_count

    def _record_into(self, lineage: Lineage) -> None:
        if self._instrumentor._lineage is not lineage:
            self._instrumentor.uninstall()
            self._instrumentor = LineageInstrumentor(lineage)
        self._instrumentor.install()


def _text(response: Any) -> str:
    return response.response or ""


def _tags(request: Request) -> dict[str, str]:
    who = {"session_id": request.session_id, "user_id": request.user_id}
    return {name: value for name, value in who.items() if value is not None}


def _root(request: Request) -> Any:
    streaming = request.delivery != "whole"
    match request.acts:
        case (Search(inside=()) as search, Ask(prompt=None, chooses=()) as ask):
            steps = []
        case (Search(inside=()) as search, Keep() as keep, Ask(prompt=None, chooses=()) as ask):
            steps = [KeepThese(kept=keep.chunk_ids)]
        case _:
            return _engine("Scripted", request.acts, request)
    if search.query != request.question or not search.found:
        return _engine("Scripted", request.acts, request)
    return RetrieverQueryEngine(
        _retriever(search, request),
        get_response_synthesizer(llm=_llm(ask), response_mode="compact", streaming=streaming),
        node_postprocessors=steps,
    )


def _engine(name: str, acts: tuple[Act, ...], request: Request) -> ScriptedEngine:
    kind = type(name, (ScriptedEngine,), {"__module__": __name__})
    return kind(acts=acts, request=request)


def _agent(request: Request) -> FunctionAgent:
    asks = [act for act in request.acts if isinstance(act, Ask)]
    tools = [_tool(act, request) for act in _tools(request.acts)]
    return FunctionAgent(tools=tools, llm=ScriptedLLM(acts=asks), streaming=False)


def _tools(acts: tuple[Act, ...]) -> Generator[UseTool]:
    for act in acts:
        match act:
            case UseTool():
                yield act
            case Parallel(branches):
                for branch in branches:
                    yield from _tools(branch)
            case Fallback(first, _):
                yield from _tools(first)
            case _:
                pass


def _tool(act: UseTool, request: Request) -> FunctionTool:
    def use(about: str = "") -> str:
        LlamaIndexStage(request).play(act.inside)
        _fail(act.fails)
        return act.returns

    async def ause(about: str = "") -> str:
        await LlamaIndexAsyncStage(request).play(act.inside)
        _fail(act.fails)
        return act.returns

    return FunctionTool.from_defaults(use, async_fn=ause, name=act.name, description="Scripted.")


def _retriever(act: Search, request: Request) -> BaseRetriever:
    scored = any(passage.score is not None for passage in act.found)
    return (ScriptedIndexRetriever if scored else ScriptedRetriever)(act, request)


def _llm(act: Ask) -> ScriptedLLM:
    return ScriptedLLM(acts=[act])


def _node(passage: Passage) -> NodeWithScore:
    node = TextNode(text=passage.text)
    if passage.chunk_id is not None:
        node.id_ = passage.chunk_id
    if passage.document_id is not None:
        source = RelatedNodeInfo(node_id=passage.document_id)
        node.relationships[NodeRelationship.SOURCE] = source
    return NodeWithScore(node=node, score=passage.score)


def _messages(prompt: Sequence[Message]) -> list[ChatMessage]:
    return [
        ChatMessage(
            role=message.role,
            content=message.text or "",
            additional_kwargs={"tool_call_id": message.tool_call_id}
            if message.tool_call_id
            else {},
        )
        for message in prompt
    ]


def _reply(act: Ask) -> ChatResponse:
    _fail(act.fails)
    calls = [
        {
            "id": chosen.tool_call_id,
            "type": "function",
            "function": {"name": chosen.name, "arguments": chosen.arguments},
        }
        for chosen in act.chooses
    ]
    more = {"tool_calls": calls} if calls else {}
    return ChatResponse(
        message=ChatMessage(role="assistant", content=act.says, additional_kwargs=more)
    )


def _drawn(act: Ask) -> Generator[ChatResponse]:
    said = ""
    for piece in pieces(act.says):
        said += piece
        yield ChatResponse(message=ChatMessage(role="assistant", content=said), delta=piece)
    _fail(act.fails)


def _fail(message: str | None) -> None:
    if message is not None:
        raise ScriptedError(message)


# of FunctionTool, when an agent looks at it
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
class TestLlamaIndex(AdapterConformance):
    host = LlamaIndex()
