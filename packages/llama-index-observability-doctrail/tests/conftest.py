"""A small real index with an embedding that means something, and an LLM that says it is a fake."""

import asyncio
import inspect
import logging
import re
import zlib
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex, get_response_synthesizer
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index_instrumentation import get_dispatcher
from opentelemetry import trace
from pydantic import Field

from doctrail_core.grounding.verifier import Answer, Findings, Verifier
from doctrail_core.model import Claim, Evidence, Verdict
from doctrail_core.testing import CapturedLineage, capture_trails
from llama_index.observability.doctrail import LineageRetriever, handlers

QUESTION = "Enterprise accounts: what is the deadline for renewal?"

TEXTS = {
    "renewal": "The contract renewal deadline for enterprise accounts is February 28th.",
    "refund": "Refunds are granted within thirty days of the purchase of a contract.",
    "support": "Support for enterprise accounts answers within four hours on working days.",
    "travel": "Travel by train is booked through the portal at least a week ahead.",
}
ANSWER = "The deadline is February 28th."
WRONG = ("The deadline ", "is March ", "15th.")


class WordEmbedding(BaseEmbedding):
    """Counts words in 64 buckets: texts that share words are close."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * 64
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % 64] += 1.0
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class FakeLLM(CustomLLM):
    """Says the same to everything, in three pieces where it streams; or fails."""

    model: str = "fake-1"
    says: tuple[str, ...] = ("The deadline ", "is February ", "28th.")
    window: int = 4000
    fails_at: int | None = None
    prompts: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=self.window, num_output=64, is_chat_model=True, model_name=self.model
        )

    @llm_completion_callback()
    def complete(self, prompt: str, formatted=False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT002  # the host's signature
        self.prompts.append(prompt)
        if self.fails_at is not None:
            raise RuntimeError("the model is gone")
        return CompletionResponse(text="".join(self.says))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted=False, **kwargs: Any):  # noqa: FBT002  # likewise
        self.prompts.append(prompt)

        def pieces():
            said = ""
            for number, piece in enumerate(self.says):
                if number == self.fails_at:
                    raise RuntimeError("the model is gone")
                said += piece
                yield CompletionResponse(text=said, delta=piece)

        return pieces()


class FakeVerifier(Verifier):
    """Holds that an answer of which the last two words are in no passage is contradicted; or fails."""

    name = "fake"
    version = "1"

    def __init__(self) -> None:
        self.asked: list[Answer] = []
        self.before = lambda: None

    def verify(self, answer: Answer) -> Findings:
        self.asked.append(answer)
        self.before()
        value = " ".join(answer.text.strip(".").split()[-2:])
        found = next((p for p in answer.passages if value in p.text), None)
        place = found.text.find(value) if found else 0
        verdict = Verdict(
            claim=Claim(0, len(answer.text), answer.text),
            verdict="supported" if found else "contradicted",
            score=0.0 if found else 0.9,
            reason="covered" if found else "value_conflict",
            evidence=(Evidence(found.chunk_id, place, place + len(value)),) if found else (),
            conflicting_value=None if found else "something else",
        )
        return Findings(verdicts=(verdict,))


def make_nodes(texts: dict[str, str] = TEXTS) -> list[TextNode]:
    return [
        TextNode(
            text=text,
            id_=f"chunk-{name}",
            metadata={"title": name, "chunk_index": 3},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc_{name}")},
        )
        for name, text in texts.items()
    ]


@dataclass
class Rag:
    """What an application has: an index, an LLM, and engines made of them."""

    question = QUESTION
    answer = ANSWER

    captured: CapturedLineage
    llm: FakeLLM = field(default_factory=FakeLLM)
    nodes: list[TextNode] = field(default_factory=make_nodes)

    def __post_init__(self) -> None:
        self.index = VectorStoreIndex(self.nodes, embed_model=WordEmbedding())

    @staticmethod
    def drawn(response: Any) -> str:
        """The text of a response, streamed or not."""
        if isinstance(response, StreamingResponse):
            return "".join(response.response_gen)
        return str(response)

    @staticmethod
    async def adrawn(response: Any) -> str:
        """The same in async code."""
        if isinstance(response, AsyncStreamingResponse):
            return "".join([token async for token in response.async_response_gen()])
        return str(response)

    def retriever(self, k: int = 2, **kwargs: Any):
        return self.index.as_retriever(similarity_top_k=k, **kwargs)

    def wrapped(self, k: int = 2, **kwargs: Any) -> LineageRetriever:
        return LineageRetriever(self.retriever(k, **kwargs), lineage=self.captured)

    def engine(
        self, retriever: Any = None, *, mode: str = "compact", streaming: bool = False, **kw: Any
    ):
        kw.setdefault("response_synthesizer", self.synthesizer(mode=mode, streaming=streaming))
        return RetrieverQueryEngine(retriever or self.wrapped(), **kw)

    def synthesizer(self, *, mode: str = "compact", streaming: bool = False, **kwargs: Any):
        return get_response_synthesizer(
            llm=self.llm, response_mode=mode, streaming=streaming, **kwargs
        )


def calls(*wanted: tuple[str, str, dict[str, Any]]) -> ChatMessage:
    """A message that asks for tools: an id, a name and the arguments of each."""
    blocks = [ToolCallBlock(tool_call_id=i, tool_name=n, tool_kwargs=a) for i, n, a in wanted]
    return ChatMessage(role="assistant", blocks=blocks)


def fake_agent_llm(*script: ChatMessage | str) -> MockFunctionCallingLLM:
    """A fake that asks for tools, and says, what stands in the script; keeps what it was told."""
    told: list[list[ChatMessage]] = []

    def reply(messages: list[ChatMessage], **kwargs: Any) -> ChatMessage:
        said = script[len(told)]
        told.append(list(messages))
        return (
            said if isinstance(said, ChatMessage) else ChatMessage(role="assistant", content=said)
        )

    llm = MockFunctionCallingLLM(response_generator=reply, is_chat_model=True)
    object.__setattr__(llm, "told", told)
    return llm


@pytest.fixture
def captured() -> Generator[CapturedLineage]:
    """Whatever a test does, nothing may be swallowed and nothing may stay behind."""
    with capture_trails() as lineage:
        yield lineage
        assert lineage.errors == []
        assert lineage.dropped == {}
        assert lineage.open_count == 0


@pytest.fixture
def verifier() -> FakeVerifier:
    return FakeVerifier()


@pytest.fixture
def wrong() -> tuple[str, ...]:
    """What a model says that does not say what it read."""
    return WRONG


@pytest.fixture
def rag(captured) -> Rag:
    return Rag(captured)


@pytest.fixture(autouse=True)
def _dispatcher_as_it_was() -> Generator[None]:
    """The dispatcher is the process's; a test must not change it for the next one."""
    root: Any = get_dispatcher()
    events, spans = list(root.event_handlers), list(root.span_handlers)
    yield
    left = handlers.RUNS.open_count
    root.event_handlers[:], root.span_handlers[:] = events, spans
    handlers._demand.instrumentors.clear()
    handlers._demand.wrapped = False
    assert left == 0, "spans were kept"


@pytest.fixture(autouse=True)
def _event_loop_of_the_host(request) -> Generator[None]:
    """LlamaIndex counts tokens in an event loop; the one that it makes in sync code stays open."""
    if inspect.iscoroutinefunction(request.function):
        yield
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)


class _Complaints(logging.Handler):
    """What OpenTelemetry logs of contexts that were attached here and detached there."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@pytest.fixture(autouse=True)
def _nothing_left_attached() -> Generator[None]:
    """In no run shape anything stays attached to the ambient context, or is detached elsewhere."""
    complaints, log = _Complaints(), logging.getLogger("opentelemetry.context")
    log.addHandler(complaints)
    before = trace.get_current_span()
    yield
    after = trace.get_current_span()
    log.removeHandler(complaints)
    assert after is before
    assert complaints.heard == []


@pytest.fixture
def instrumented(captured) -> Generator[handlers.LineageInstrumentor]:
    instrumentor = handlers.LineageInstrumentor(captured).install()
    yield instrumentor
    instrumentor.uninstall()


@pytest.fixture
def asks():
    """Makes a message of a fake model that asks for tools."""
    return calls


@pytest.fixture
def agent_llm():
    """Makes a fake model for agents of what it shall say, call by call."""
    return fake_agent_llm
