"""A LlamaIndex query engine whose answers are checked against what its model read.

Runs offline: `python llama_index_grounding.py`. The model is a stand-in that gets the date wrong, the
embedding another one that compares words. Put real ones in their place and nothing else changes.
"""

import hashlib
from typing import Any

from llama_index.core import Document, VectorStoreIndex, get_response_synthesizer
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.query_engine import RetrieverQueryEngine

from doctrail_core import Grounding, default_lineage
from llama_index.observability.doctrail import GroundingPostprocessor, LineageQueryEngine

CONTRACTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_1190": "Either party may terminate this agreement with ninety days' written notice.",
}
QUESTION = "When is the renewal deadline for enterprise accounts?"
ANSWER = "The renewal deadline for enterprise accounts is March 15th."


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
    """Always says the same, and is wrong."""

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
    """Ask one question three times: checked in the background, with a note, and refused."""
    documents = [Document(text=text, id_=document_id) for document_id, text in CONTRACTS.items()]
    index = VectorStoreIndex.from_documents(documents, embed_model=WordEmbedding())
    engine = RetrieverQueryEngine(
        index.as_retriever(similarity_top_k=2), get_response_synthesizer(llm=FakeLLM())
    )

    sampled = LineageQueryEngine(engine, grounding=Grounding(sample_rate=1.0))
    response = sampled.query(QUESTION)
    print("Nobody waits for the check:", response)
    lineage = default_lineage()
    lineage.flush()
    trail = lineage.get((response.metadata or {})["lineage"]["response_id"])
    if trail is not None:
        print("What it found:", [assessment.counts for assessment in trail.assessments], "\n")

    noted = LineageQueryEngine(engine, postprocessor=GroundingPostprocessor(enforce="annotate"))
    print("With a note:", noted.query(QUESTION), "\n")

    strict = LineageQueryEngine(engine, postprocessor=GroundingPostprocessor(enforce="refuse"))
    response = strict.query(QUESTION)
    print("Refused:", response, "\n")
    for verdict in (response.metadata or {})["grounding"].assessment.verdicts:
        print(verdict.verdict, verdict.claim.text, "-> the source:", verdict.conflicting_value)

    if lineage.last is not None:
        print()
        print(lineage.last.why())


if __name__ == "__main__":
    main()
