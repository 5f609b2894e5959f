"""A LlamaIndex query engine that can say where its answer came from.

Runs offline: `python llama_index_rag.py`. Model and embedding are stand-ins: the one always says the
same, the other compares words. Put real ones in their place and nothing else changes.
"""

import hashlib
from typing import Any

from llama_index.core import Document, VectorStoreIndex, get_response_synthesizer
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.query_engine import RetrieverQueryEngine

from doctrail_core import default_lineage
from llama_index.observability.doctrail import (
    DocIdTagPostprocessor,
    LineageRetriever,
    TagAwarePromptHelper,
)

CONTRACTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_1190": "Either party may terminate this agreement with ninety days' written notice.",
    "doc_2077": "Confidential information must be returned within thirty days of termination.",
}
QUESTION = "When is the renewal deadline for enterprise accounts?"
ANSWER = "The deadline is February 28th."


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


class FakeLLM(CustomLLM):
    """Always says the same."""

    @property
    def metadata(self) -> LLMMetadata:
        """Say how much it can read."""
        return LLMMetadata(context_window=4096, num_output=256)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: ARG002, FBT001, FBT002  # the host's signature
        """Answer at once."""
        return CompletionResponse(text=ANSWER)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:  # noqa: ARG002, FBT001, FBT002  # likewise
        """Answer in one piece."""
        yield CompletionResponse(text=ANSWER, delta=ANSWER)


def main() -> None:
    """Index three contracts, ask one question, and print the trail of its answer."""
    documents = [Document(text=text, id_=document_id) for document_id, text in CONTRACTS.items()]
    index = VectorStoreIndex.from_documents(documents, embed_model=WordEmbedding())
    llm = FakeLLM()
    engine = RetrieverQueryEngine(
        LineageRetriever(index.as_retriever(similarity_top_k=2)),
        get_response_synthesizer(
            llm=llm, prompt_helper=TagAwarePromptHelper.from_llm_metadata(llm.metadata)
        ),
        node_postprocessors=[DocIdTagPostprocessor()],
    )
    print(engine.query(QUESTION), "\n")
    trail = default_lineage().last
    if trail is not None:
        print(trail.why())


if __name__ == "__main__":
    main()
