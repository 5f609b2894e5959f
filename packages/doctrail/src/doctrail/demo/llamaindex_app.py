"""A LlamaIndex application as people write them, and the one place where lineage was added to it."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from llama_index.core import Document
from llama_index.core.base.llms.types import (
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import LLM, CustomLLM, callbacks
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import BaseNode
from llama_index.retrievers.bm25 import (  # pyright: ignore[reportMissingTypeStubs] - it has none
    BM25Retriever,
)

from doctrail.demo.corpus import Contract
from doctrail_core import Lineage, Trail
from llama_index.observability.doctrail import LineageRetriever

__all__ = ["LlamaIndexApp", "ReaderLLM"]


_F = TypeVar("_F", bound=Callable[..., Any])


def _reported(method: _F) -> _F:
    """Have LlamaIndex tell its event handlers of the call, as its own models do."""
    reporting = callbacks.llm_completion_callback()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("_F", reporting(method))


class ReaderLLM(CustomLLM):
    """A language model that is none: `read` makes the answer from the prompt's text."""

    model: str
    read: Callable[[str], str]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model)

    @_reported
    def complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:
        return CompletionResponse(text=self.read(prompt))

    @_reported
    def stream_complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponseGen:
        yield self.complete(prompt)


class LlamaIndexApp:
    """A `RetrieverQueryEngine` over BM25."""

    def __init__(self, contracts: Sequence[Contract], lineage: Lineage) -> None:
        bm25 = BM25Retriever.from_defaults(  # pyright: ignore[reportUnknownMemberType] - the host's
            nodes=_split(contracts), similarity_top_k=4
        )
        self._lineage = lineage
        self._retriever = LineageRetriever(bm25)

    def ask(self, question: str, model: LLM) -> Trail | None:
        """Ask, and return where the answer came from."""
        engine = RetrieverQueryEngine.from_args(self._retriever, llm=model)
        engine.query(question)
        return self._lineage.last


def _split(contracts: Sequence[Contract]) -> list[BaseNode]:
    # Sentences by a rule of our own: LlamaIndex's default reads nltk's data, which nltk refuses to
    # open where an installer has hard-linked it.
    splitter = SentenceSplitter(
        chunk_size=220, chunk_overlap=20, chunking_tokenizer_fn=_sentences, id_func=_node_id
    )
    return splitter.get_nodes_from_documents(
        [Document(text=c.text, id_=c.document_id, metadata={"source": c.source}) for c in contracts]
    )


def _node_id(number: int, document: Any) -> str:
    """An id that is the same in every run; by default a node gets a new one each time."""
    return f"{document.node_id}/{number}"


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.;]\s)(?=[A-Z(])", text) if part]
