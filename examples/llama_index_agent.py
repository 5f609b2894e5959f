"""A LlamaIndex agent that can say where its answers came from, over two turns of a conversation.

Runs offline: `python llama_index_agent.py`. The model is a stand-in that follows a script; put a real one
in its place and nothing else changes. The agent searches in the first turn; in the second it answers
from what it remembers, and that is traced to the first.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import Memory
from llama_index.core.tools import QueryEngineTool, RetrieverTool

from doctrail_core import default_lineage
from doctrail_core.graph import draw, evidence_graph
from llama_index.observability.doctrail import LineageInstrumentor

CONTRACTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_1190": "Either party may terminate this agreement with ninety days' written notice.",
}
POLICIES = {"doc_2077": "Reminders of deadlines are sent by the account manager a month ahead."}


class WordEmbedding(BaseEmbedding):
    """Texts that share words lie near each other."""

    def _get_text_embedding(self, text: str) -> list[float]:
        places = [0.0] * 256
        for word in text.lower().strip("?.").split():
            places[hashlib.sha256(word.encode()).digest()[0]] += 1.0
        return places

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def fake_llm(*script: ChatMessage | str) -> MockFunctionCallingLLM:
    """Say what stands in the script, one message after the other."""
    said: Iterator[ChatMessage | str] = iter(script)

    def reply(messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:  # noqa: ARG001  # the host's signature
        message = next(said)
        return (
            message if isinstance(message, ChatMessage) else ChatMessage(message, role="assistant")
        )

    return MockFunctionCallingLLM(response_generator=reply, is_chat_model=True)


def calls(**queries: str) -> ChatMessage:
    """Ask each of these tools."""
    blocks = [
        ToolCallBlock(tool_call_id=f"call_{name}", tool_name=name, tool_kwargs={"input": query})
        for name, query in queries.items()
    ]
    return ChatMessage(role="assistant", blocks=blocks)


def index(texts: dict[str, str]) -> VectorStoreIndex:
    """Make an index of documents."""
    documents = [Document(text=text, id_=document_id) for document_id, text in texts.items()]
    return VectorStoreIndex.from_documents(documents, embed_model=WordEmbedding())


async def main() -> None:
    """Ask two questions in one session, and print the trails of both answers."""
    LineageInstrumentor().install()
    search = RetrieverTool.from_defaults(
        index(CONTRACTS).as_retriever(similarity_top_k=1),
        name="search_contracts",
        description="Finds contracts.",
    )
    policies = QueryEngineTool.from_defaults(
        index(POLICIES).as_query_engine(llm=fake_llm("Reminders are sent a month ahead.")),
        name="ask_policies",
        description="Answers questions on policies.",
    )
    llm = fake_llm(
        calls(search_contracts="contract renewal deadline", ask_policies="reminders of deadlines"),
        "The deadline is February 28th; expect a reminder in January.",
        "Yes: enterprise accounts renew until February 28th.",
    )
    agent = FunctionAgent(name="clerk", tools=[search, policies], llm=llm)
    memory = Memory.from_defaults(session_id="s-1")
    for question in ("When is the renewal deadline?", "Is that so for enterprise accounts too?"):
        with instrument_tags({"session_id": "s-1"}):
            print(await agent.run(user_msg=question, memory=memory), "\n")
        trail = default_lineage().last
        if trail is not None:
            print(draw(evidence_graph(trail)), trail.why(), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
