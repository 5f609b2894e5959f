"""Applications in Haystack, on its in-memory store, with a fake generator."""

from typing import Any

from corpus import ANSWER, CHUNKS, QUESTION, metadata, words
from haystack import Document, Pipeline, component
from haystack.components.builders import ChatPromptBuilder
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore


@component
class FakeChatGenerator:
    """Says one sentence."""

    model = "fake-model-1"

    @component.output_types(replies=list[ChatMessage])
    def run(self, messages: list[ChatMessage]) -> dict[str, Any]:
        """Whatever it was told."""
        usage = {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}
        meta = {"model": "fake-model-1-2026", "finish_reason": "stop", "usage": usage}
        return {"replies": [ChatMessage.from_assistant(ANSWER, meta=meta)]}


@component
class WordRanker:
    """Keeps the two that have most words in common with the query."""

    model = "word-count"

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document], top_k: int = 2) -> dict[str, Any]:
        """By the number of words in common."""
        asked = words(query)
        scored = [
            Document(
                id=d.id,
                content=d.content,
                meta=d.meta,
                score=float(len(words(d.content or "") & asked)),
            )
            for d in documents
        ]
        return {"documents": sorted(scored, key=lambda d: d.score or 0.0, reverse=True)[:top_k]}


def reranked() -> None:
    """Search, rank, build the prompt, answer."""
    store = InMemoryDocumentStore()
    store.write_documents(
        [Document(id=i, content=text, meta=metadata(i)) for i, text in CHUNKS.items()]
    )
    pipeline = Pipeline()
    template = [
        ChatMessage.from_system("Answer from the context only."),
        ChatMessage.from_user(
            "{% for d in documents %}{{ d.content }}\n\n{% endfor %}{{ question }}"
        ),
    ]
    pipeline.add_component("search", InMemoryBM25Retriever(store, top_k=3))
    pipeline.add_component("rank", WordRanker())
    pipeline.add_component("prompt", ChatPromptBuilder(template, required_variables="*"))
    pipeline.add_component("model", FakeChatGenerator())
    pipeline.connect("search.documents", "rank.documents")
    pipeline.connect("rank.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "model.messages")
    pipeline.run(
        {
            "search": {"query": QUESTION},
            "rank": {"query": QUESTION},
            "prompt": {"question": QUESTION},
        }
    )
