"""A LangChain agent over two turns, and which document is behind each of its answers.

Runs offline: `python langchain_agent.py`. Model and embedding are stand-ins: the one says what it was
told to say, the other compares words. Put real ones in their place and nothing else changes.
"""

import hashlib
from typing import Any

from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.checkpoint.memory import InMemorySaver

from langchain_doctrail import LineageCallbackHandler, LineageRetriever
from langchain_doctrail.agents import LineageMiddleware

CONTRACTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_1190": "Either party may terminate this agreement with ninety days' written notice.",
    "doc_2077": "Confidential information must be returned within thirty days of termination.",
}
QUESTIONS = ("When is the renewal deadline for enterprise accounts?", "So not in March?")


class WordEmbeddings(Embeddings):
    """Texts that share words lie near each other."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed each text."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Count the words, each at the place its hash gives it."""
        places = [0.0] * 256
        for word in text.lower().strip("?.").split():
            places[hashlib.sha256(word.encode()).digest()[0]] += 1.0
        return places


class FakeModel(FakeMessagesListChatModel):
    """Says its lines in turn, whatever tools it may use."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> "FakeModel":  # noqa: ARG002  # LangChain's
        """Take the tools."""
        return self


def main() -> None:
    """Index three contracts, ask twice, and print where the answers came from."""
    store = InMemoryVectorStore(WordEmbeddings())
    store.add_documents(
        [
            Document(text, id=f"{document_id}/0", metadata={"document_id": document_id})
            for document_id, text in CONTRACTS.items()
        ]
    )
    search = create_retriever_tool(
        LineageRetriever.wrap(store.as_retriever(search_kwargs={"k": 1})),
        "search_contracts",
        "Search the contracts.",
        response_format="content_and_artifact",  # so that checkpoints keep whose text it was
    )
    asks = {"name": "search_contracts", "args": {"query": "renewal deadline"}, "id": "call-1"}
    lines = [
        AIMessage("", tool_calls=[asks]),
        AIMessage("The deadline is February 28th."),
        AIMessage("No, in February."),
    ]
    agent = create_agent(
        FakeModel(responses=lines),
        [search],
        middleware=[LineageMiddleware()],
        checkpointer=InMemorySaver(),
    )
    lineage = LineageCallbackHandler()
    for question in QUESTIONS:
        state = agent.invoke(
            {"messages": [("human", question)]},
            {"callbacks": [lineage], "configurable": {"thread_id": "ticket-7"}},
        )
        answer = state["messages"][-1]
        print(answer.text, "\n")
        trail = lineage.get(answer.response_metadata["doctrail"]["response_id"])
        if trail is not None:
            print(trail.why())


if __name__ == "__main__":
    main()
