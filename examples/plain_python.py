"""A RAG application without a framework that can say where its answers came from.

Runs offline: `python plain_python.py`, with `qdrant-client` installed. The store is a bare Qdrant client,
in memory; the chat client is a fake that has the shape of the usual ones. Put real ones in their place
and nothing else changes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qdrant_client import QdrantClient
from qdrant_client.models import Distance, PointStruct, ScoredPoint, VectorParams

from doctrail_core import default_lineage
from doctrail_core.manual import (
    Message,
    RetrievedChunk,
    context,
    generation,
    response,
    retrieval,
    tool,
)

CONTRACTS = {
    "doc_4821": "The contract renewal deadline for enterprise accounts is February 28th.",
    "doc_1190": "Either party may terminate this agreement with ninety days' written notice.",
    "doc_2077": "Confidential information must be returned within thirty days of termination.",
}
QUESTION = "When is the renewal deadline for enterprise accounts?"
PLACES = 256


def embed(text: str) -> list[float]:
    """Count the words, each at the place its hash gives it."""
    places = [0.0] * PLACES
    for word in text.lower().strip("?.").split():
        places[hashlib.sha256(word.encode()).digest()[0]] += 1.0
    return places


def index_contracts() -> QdrantClient:
    """Put the contracts into a store."""
    store = QdrantClient(":memory:")
    store.create_collection("contracts", VectorParams(size=PLACES, distance=Distance.COSINE))
    points = [
        PointStruct(id=number, vector=embed(text), payload={"document": name, "text": text})
        for number, (name, text) in enumerate(CONTRACTS.items())
    ]
    store.upsert("contracts", points)
    return store


@dataclass
class FakeChatClient:
    """Says what it is told to, piece by piece."""

    says: tuple[str, ...]

    def stream(self, model: str, messages: Sequence[Message]) -> Iterator[str]:  # noqa: ARG002  # a fake
        """Yield the answer."""
        yield from self.says


STORE = index_contracts()
CHAT = FakeChatClient(("February ", "28th."))


def as_chunks(points: Sequence[ScoredPoint]) -> list[RetrievedChunk]:
    """What a point is, in the words of a trail."""
    return [
        RetrievedChunk(
            text=(point.payload or {})["text"],
            chunk_id=str(point.id),
            document_id=(point.payload or {})["document"],
            score=point.score,
        )
        for point in points
    ]


@retrieval(store="qdrant:contracts", score_kind="similarity", chunks=as_chunks)
def search(query: str, k: int = 3) -> list[ScoredPoint]:
    """Search the store: the decorator learns query, `k` and what was found."""
    return STORE.query_points("contracts", query=embed(query), limit=k).points


@tool()
def contract_passages(topic: str) -> str:
    """Find passages: what is searched in here is on record as part of this tool's call."""
    points = search(topic)
    with context("the best one only", reason="truncated") as choice:
        best = points[:1]
        choice.kept(as_chunks(best))
    return "\n\n".join((point.payload or {})["text"] for point in best)


@response()
def answer(question: str, session_id: str) -> Iterator[str]:  # noqa: ARG001  # the decorator reads it
    """Answer, piece by piece; the session's id is an argument of that name."""
    messages = [
        Message("system", f"Answer from this:\n{contract_passages(question)}"),
        Message("user", question),
    ]
    with generation(messages, model="a-model") as call:
        for piece in CHAT.stream("a-model", messages):
            call.heard(piece)
            yield piece


def main() -> None:
    """Ask one question, and print the trail of its answer."""
    print(*answer(QUESTION, session_id="session-7"), "\n", sep="")
    trail = default_lineage().last
    if trail is not None:
        print(trail.why())


if __name__ == "__main__":
    main()
