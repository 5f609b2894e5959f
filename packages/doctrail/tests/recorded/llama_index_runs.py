"""Applications in LlamaIndex, on its in-memory index, with fake models that say what is written here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from corpus import ANSWER, CHUNKS, FOLLOW_UP, QUESTION, SEARCH, embedding, metadata, words
from llama_index.core import QueryBundle, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage, LLMMetadata, ToolCallBlock
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

dispatcher = get_dispatcher(__name__)


class WordEmbedding(BaseEmbedding):
    """Vectors of words."""

    model_name: str = "word-embedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return embedding(text)


class FakeLLM(CustomLLM):
    """Says one sentence."""

    answer: str = ANSWER
    error: str | None = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="fake-model-1")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002  # the host's
        if self.error:
            raise TimeoutError(self.error)
        return CompletionResponse(text=self.answer)

    @llm_completion_callback()
    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: FBT001, FBT002  # the host's
        **kwargs: Any,
    ) -> CompletionResponseGen:
        def pieces() -> CompletionResponseGen:
            said = ""
            for word in self.answer.split(" "):
                delta = f" {word}" if said else word
                said += delta
                yield CompletionResponse(text=said, delta=delta)

        return pieces()


class WordReranker(BaseNodePostprocessor):
    """Keeps the two that have most words in common with the query, telling of it as rerankers do."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=2, model_name="word-count")
        )
        asked = words(query_bundle.query_str if query_bundle else "")
        scored = [
            NodeWithScore(node=n.node, score=float(len(words(n.node.get_content()) & asked)))
            for n in nodes
        ]
        kept = sorted(scored, key=lambda n: n.score or 0.0, reverse=True)[:2]
        dispatcher.event(ReRankEndEvent(nodes=kept))
        return kept


class UnscoredRetriever(BaseRetriever):
    """Finds without scoring, as keyword tables do."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=node) for node in nodes()[:2]]


class BrokenRetriever(BaseRetriever):
    """Its store is gone."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise ConnectionError("the store is gone")


def nodes() -> list[TextNode]:
    """The corpus."""
    return [_node(chunk_id, text) for chunk_id, text in CHUNKS.items()]


def _node(chunk_id: str, text: str) -> TextNode:
    said = metadata(chunk_id)
    source = RelatedNodeInfo(node_id=str(said["document_id"]))
    return TextNode(
        id_=chunk_id, text=text, metadata=said, relationships={NodeRelationship.SOURCE: source}
    )


def index() -> VectorStoreIndex:
    """The real in-memory index."""
    return VectorStoreIndex(nodes(), embed_model=WordEmbedding())


_INDEX = index()
"""Made before anybody listens."""


def asked() -> None:
    """One question."""
    _INDEX.as_query_engine(llm=FakeLLM(), similarity_top_k=3).query(QUESTION)


def asked_async() -> None:
    """The same, in an event loop."""
    engine = _INDEX.as_query_engine(llm=FakeLLM(), similarity_top_k=2)
    asyncio.run(engine.aquery(QUESTION))


def streamed() -> None:
    """The answer in pieces."""
    engine = _INDEX.as_query_engine(llm=FakeLLM(), similarity_top_k=2, streaming=True)
    for _ in engine.query(QUESTION).response_gen:  # type: ignore[union-attr]  # it streams
        pass


def reranked() -> None:
    """One step reorders what was found and keeps two, another drops what is far."""
    steps = [SimilarityPostprocessor(similarity_cutoff=0.0), WordReranker()]
    engine = _INDEX.as_query_engine(llm=FakeLLM(), similarity_top_k=4, node_postprocessors=steps)
    engine.query(QUESTION)


def unscored() -> None:
    """A retriever that has no scores."""
    from llama_index.core.query_engine import RetrieverQueryEngine

    RetrieverQueryEngine.from_args(UnscoredRetriever(), llm=FakeLLM()).query(QUESTION)


def failing_search() -> None:
    """The search raises."""
    from llama_index.core.query_engine import RetrieverQueryEngine

    RetrieverQueryEngine.from_args(BrokenRetriever(), llm=FakeLLM()).query(QUESTION)


def failing_model() -> None:
    """The model raises, after a search."""
    _INDEX.as_query_engine(llm=FakeLLM(error="the model took too long")).query(QUESTION)


def conversation() -> None:
    """A chat engine, which words the second question anew before it searches."""
    engine = _INDEX.as_chat_engine(
        chat_mode="condense_plus_context", llm=FakeLLM(), similarity_top_k=2
    )
    engine.chat(QUESTION)
    engine.chat(FOLLOW_UP)


def agent() -> None:
    """An agent chooses to search, by a tool."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.tools import FunctionTool

    search = _INDEX.as_retriever(similarity_top_k=2)

    def search_contracts(query: str) -> str:
        """Search the contracts."""
        return "\n\n".join(found.node.get_content() for found in search.retrieve(query))

    turns = iter(
        [
            ChatMessage(
                role="assistant",
                blocks=[
                    ToolCallBlock(
                        tool_call_id="call-1",
                        tool_name="search_contracts",
                        tool_kwargs={"query": SEARCH},
                    )
                ],
            ),
            ChatMessage(role="assistant", content=ANSWER),
        ]
    )
    say: Callable[..., ChatMessage] = lambda messages, **kwargs: next(turns)  # noqa: E731
    built = FunctionAgent(
        tools=[FunctionTool.from_defaults(search_contracts)],
        llm=MockFunctionCallingLLM(response_generator=say, is_chat_model=True),
        system_prompt="Search first.",
        streaming=False,
    )

    async def ask() -> None:
        await built.run(QUESTION)

    asyncio.run(ask())


def searched_alone(queries: Sequence[str] = (QUESTION,)) -> None:
    """The application makes its index, and searches by itself."""
    search = index().as_retriever(similarity_top_k=2)
    for query in queries:
        search.retrieve(query)
