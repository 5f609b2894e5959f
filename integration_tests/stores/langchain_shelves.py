"""Embedded vector stores behind LangChain, each filled with the corpus, and what is true of each."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from stores.corpus import (
    PAGES,
    SIZE,
    Metric,
    cosine,
    dot,
    embed,
    l1,
    l2,
    one_minus_cosine,
    one_minus_dot,
    squared_l2,
)

from doctrail_core.model import ScoreKind


class WordCounts(Embeddings):
    """Fake embeddings."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


def documents() -> list[Document]:
    return [
        Document(
            page.text,
            id=page.chunk_id,
            metadata={"document_id": page.document_id, "topic": page.topic},
        )
        for page in PAGES
    ]


@dataclass(frozen=True)
class Shelf:
    """A filled store. `metric` is what its scores are made of, worked out independently of it."""

    store: VectorStore
    called: str
    metric: Metric | None
    kind: ScoreKind
    threshold_kind: ScoreKind = "relevance"
    tells_ids: bool = True
    condition: Callable[[str], Any] | None = None
    recorded_condition: Callable[[str], Any] | None = None


def by_topic(topic: str) -> dict[str, str]:
    return {"topic": topic}


@contextmanager
def in_memory() -> Generator[Shelf]:
    store = InMemoryVectorStore(WordCounts())
    store.add_documents(documents())
    yield Shelf(
        store,
        "InMemoryVectorStore",
        cosine,
        "similarity",
        condition=lambda topic: lambda document: document.metadata["topic"] == topic,
        recorded_condition=lambda _: "<function in_memory.<locals>.<lambda>.<locals>.<lambda>>",
    )


def chroma(space: str, metric: Metric) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Generator[Shelf]:
        from chromadb import EphemeralClient
        from langchain_chroma import Chroma

        name, client = f"library-{uuid4()}", EphemeralClient()
        space_of_choice = {"hnsw": {"space": space}}
        store = Chroma(name, WordCounts(), client=client, collection_configuration=space_of_choice)
        store.add_documents(documents())
        yield Shelf(store, f"Chroma({name})", metric, "distance", condition=by_topic)
        client.delete_collection(name)

    return opened


def faiss(strategy: str, metric: Metric, kind: ScoreKind, **more: Any) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Generator[Shelf]:
        from langchain_community.vectorstores import FAISS
        from langchain_community.vectorstores.utils import DistanceStrategy

        store = FAISS.from_documents(
            documents(),
            WordCounts(),
            ids=[page.chunk_id for page in PAGES],
            distance_strategy=DistanceStrategy[strategy],
        )
        yield Shelf(store, "FAISS", metric, kind, condition=by_topic, **more)

    return opened


@contextmanager
def lancedb() -> Generator[Shelf]:
    from langchain_community.vectorstores import LanceDB

    with tempfile.TemporaryDirectory() as folder:
        store = LanceDB(uri=folder, embedding=WordCounts(), table_name="library")
        store.add_documents(documents())
        yield Shelf(
            store,
            "LanceDB(library)",
            squared_l2,
            "distance",
            tells_ids=False,
            condition=lambda topic: f"metadata.topic = '{topic}'",
        )


def qdrant(distance: str, metric: Metric, kind: ScoreKind, **more: Any) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Generator[Shelf]:
        from langchain_qdrant import QdrantVectorStore
        from qdrant_client import QdrantClient, models

        def condition(topic: str) -> models.Filter:
            return models.Filter(
                must=[
                    models.FieldCondition(
                        key="metadata.topic", match=models.MatchValue(value=topic)
                    )
                ]
            )

        with closing(QdrantClient(":memory:")) as client:
            measured_by = models.Distance(distance)
            client.create_collection(
                "library", vectors_config=models.VectorParams(size=SIZE, distance=measured_by)
            )
            store = QdrantVectorStore(client, "library", WordCounts(), distance=measured_by)
            store.add_documents(documents())
            yield Shelf(
                store,
                "QdrantVectorStore(library)",
                metric,
                kind,
                condition=condition,
                recorded_condition=lambda topic: {
                    "must": [{"key": "metadata.topic", "match": {"value": topic}}]
                },
                **more,
            )

    return opened


@contextmanager
def sqlite_vec() -> Generator[Shelf]:
    import pysqlite3
    import sqlite_vec
    from langchain_community.vectorstores import SQLiteVec

    with closing(pysqlite3.connect(":memory:", check_same_thread=False)) as connection:
        connection.row_factory = pysqlite3.Row
        connection.enable_load_extension(True)  # noqa: FBT003  # the driver's signature
        sqlite_vec.load(connection)
        store = SQLiteVec("library", connection, WordCounts())
        store.add_documents(documents())
        yield Shelf(
            store,
            "SQLiteVec(library)",
            l2,
            "distance",
            tells_ids=False,
        )


@contextmanager
def duckdb() -> Generator[Shelf]:
    import duckdb
    from langchain_community.vectorstores import DuckDB

    with closing(duckdb.connect(":memory:")) as connection:
        store = DuckDB(connection=connection, embedding=WordCounts(), table_name="library")
        store.add_documents(documents())
        yield Shelf(
            store,
            "DuckDB(library)",
            cosine,
            "similarity",
            tells_ids=False,
        )


SHELVES: dict[str, Callable[[], Any]] = {
    "in memory": in_memory,
    "Chroma, l2": chroma("l2", squared_l2),
    "Chroma, cosine": chroma("cosine", one_minus_cosine),
    "Chroma, ip": chroma("ip", one_minus_dot),
    "FAISS, l2": faiss("EUCLIDEAN_DISTANCE", squared_l2, "distance"),
    "FAISS, cosine": faiss("COSINE", squared_l2, "distance"),
    "FAISS, inner product": faiss("MAX_INNER_PRODUCT", dot, "similarity", threshold_kind="unknown"),
    "LanceDB": lancedb,
    "Qdrant, cosine": qdrant("Cosine", cosine, "similarity"),
    "Qdrant, dot": qdrant("Dot", dot, "similarity", threshold_kind="unknown"),
    "Qdrant, euclid": qdrant("Euclid", l2, "distance"),
    "Qdrant, manhattan": qdrant("Manhattan", l1, "distance"),
    "sqlite-vec": sqlite_vec,
    "DuckDB": duckdb,
}
WITHOUT_MMR = ("sqlite-vec", "DuckDB")
WITHOUT_THRESHOLD = ("in memory", "Qdrant, manhattan", *WITHOUT_MMR)
