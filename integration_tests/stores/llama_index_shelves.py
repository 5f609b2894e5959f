"""Embedded vector stores behind LlamaIndex, each filled with the corpus, and what is true of each."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from stores.corpus import (
    PAGES,
    SIZE,
    Metric,
    cosine,
    dot,
    embed,
    l1,
    l2,
    nearness,
    one_minus_cosine,
    one_minus_dot,
    squared_l2,
)

from doctrail_core.model import ScoreKind


class WordCounts(BaseEmbedding):
    """Fake embeddings."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embed(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return embed(text)


def nodes() -> list[TextNode]:
    return [
        TextNode(
            text=page.text,
            id_=page.chunk_id,
            metadata={"topic": page.topic},
            excluded_embed_metadata_keys=["topic"],  # so that both frameworks embed the same
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=page.document_id)},
        )
        for page in PAGES
    ]


@dataclass(frozen=True)
class Shelf:
    """A filled store. `metric` is what its scores are made of, worked out independently of it."""

    index: VectorStoreIndex
    called: str
    metric: Metric
    kind: ScoreKind
    takes_filters: bool = True


def indexed(store: BasePydanticVectorStore) -> VectorStoreIndex:
    return VectorStoreIndex(
        nodes(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=WordCounts(),
    )


@contextmanager
def in_memory() -> Generator[Shelf]:
    yield Shelf(indexed(SimpleVectorStore()), "SimpleVectorStore", cosine, "similarity")


def chroma(space: str, distance: Metric) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Generator[Shelf]:
        from chromadb import EphemeralClient
        from llama_index.vector_stores.chroma import ChromaVectorStore

        name, client = f"library-{uuid4()}", EphemeralClient()
        collection = client.create_collection(name, configuration={"hnsw": {"space": space}})
        store = ChromaVectorStore(chroma_collection=collection)
        called = f"ChromaVectorStore ({name})"
        yield Shelf(indexed(store), called, nearness(distance), "similarity")
        client.delete_collection(name)

    return opened


def faiss(index: str, metric: Metric, kind: ScoreKind) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Generator[Shelf]:
        import faiss
        from llama_index.vector_stores.faiss import FaissVectorStore

        store = FaissVectorStore(faiss_index=getattr(faiss, index)(SIZE))
        yield Shelf(indexed(store), "FaissVectorStore", metric, kind, takes_filters=False)

    return opened


@contextmanager
def faiss_with_ids() -> Generator[Shelf]:
    import faiss
    from llama_index.vector_stores.faiss import FaissMapVectorStore

    store = FaissMapVectorStore(faiss_index=faiss.IndexIDMap2(faiss.IndexFlatL2(SIZE)))
    yield Shelf(indexed(store), "FaissMapVectorStore", squared_l2, "distance", takes_filters=False)


@contextmanager
def lancedb() -> Generator[Shelf]:
    from llama_index.vector_stores.lancedb import LanceDBVectorStore

    with tempfile.TemporaryDirectory() as folder:
        store = LanceDBVectorStore(uri=folder, table_name="library")
        called = "LanceDBVectorStore (library)"
        yield Shelf(indexed(store), called, nearness(squared_l2), "similarity")


def qdrant(distance: str, metric: Metric, kind: ScoreKind) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Generator[Shelf]:
        from llama_index.vector_stores.qdrant import QdrantVectorStore
        from qdrant_client import QdrantClient, models

        with closing(QdrantClient(":memory:")) as client:
            params = models.VectorParams(size=SIZE, distance=models.Distance(distance))
            client.create_collection("library", vectors_config=params)
            store = QdrantVectorStore("library", client=client)
            yield Shelf(indexed(store), "QdrantVectorStore (library)", metric, kind)

    return opened


SHELVES: dict[str, Callable[[], Any]] = {
    "in memory": in_memory,
    "Chroma, l2": chroma("l2", squared_l2),
    "Chroma, cosine": chroma("cosine", one_minus_cosine),
    "Chroma, ip": chroma("ip", one_minus_dot),
    "FAISS, l2": faiss("IndexFlatL2", squared_l2, "distance"),
    "FAISS, inner product": faiss("IndexFlatIP", dot, "similarity"),
    "FAISS, with ids": faiss_with_ids,
    "LanceDB": lancedb,
    "Qdrant, cosine": qdrant("Cosine", cosine, "similarity"),
    "Qdrant, dot": qdrant("Dot", dot, "similarity"),
    "Qdrant, euclid": qdrant("Euclid", l2, "distance"),
    "Qdrant, manhattan": qdrant("Manhattan", l1, "distance"),
}
WITHOUT_FILTERS = ("FAISS, l2", "FAISS, inner product", "FAISS, with ids")
