"""How a vector store retriever searches, and the same search with its scores kept.

Every vector store retriever drops the scores that its store computed. Asking the store for documents
with scores is the same single search; where a store has no scores, its plain search is used.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever

from doctrail_core.capture.scores import settled_kind
from doctrail_core.model import ScoreKind
from doctrail_core.text.snapshot import json_value
from langchain_doctrail.fields import fields

__all__ = ["Found", "VectorSearch", "description"]

_PLAIN = "similarity_search"
_SCORED = "similarity_search_with_score"
_THRESHOLD = "similarity_search_with_relevance_scores"
_METHODS = {
    "similarity": _SCORED,
    "similarity_score_threshold": _THRESHOLD,
    "mmr": "max_marginal_relevance_search",
}
_FILTER_NAMES = ("filter", "filters", "where", "where_document", "pre_filter", "expr")
_NARROWING = ("k", "fetch_k", "lambda_mult", "score_threshold")
_COLLECTION_NAMES = (
    "collection_name",
    "_collection_name",
    "index_name",
    "_index_name",
    "_table_name",
    "_table",
)
_IGNORING_FILTERS = ("SQLiteVec", "DuckDB")  # which take any argument and search all the same


@dataclass(frozen=True, slots=True)
class Found:
    """What one search returned, best first, each document with its score if there is one."""

    hits: list[tuple[Document, float | None]]
    score_kind: ScoreKind = "unknown"

    @classmethod
    def unscored(cls, documents: Iterable[Document]) -> "Found":
        """Documents of a search that has no scores."""
        return cls([(document, None) for document in documents])

    def only(self, passing: Iterable[bool]) -> "Found":
        """Those of the documents that may go on."""
        return replace(self, hits=list(compress(self.hits, passing)))

    @classmethod
    def scored(
        cls, results: Iterable[Document | tuple[Document, object]], kind: ScoreKind | None
    ) -> "Found":
        """Documents with what the store calls their scores; some leave those out when asked for them.

        Where the kind is None, the order of the documents tells it.
        """
        hits = [_hit(result) for result in results]
        return cls(hits, settled_kind(kind, [score for _, score in hits]))


@dataclass(frozen=True, slots=True)
class VectorSearch:
    """One search of a vector store: the method that does it, and what it is called with."""

    store: VectorStore
    method: str
    arguments: dict[str, Any]

    @classmethod
    def of(cls, retriever: BaseRetriever, arguments: dict[str, Any]) -> "VectorSearch | None":
        """The search that `retriever` would do; None if it searches in a way of its own."""
        if not isinstance(retriever, VectorStoreRetriever) or _has_its_own_way(type(retriever)):
            return None
        method = _METHODS.get(retriever.search_type)
        if method is None:
            return None
        search = cls(retriever.vectorstore, method, {**retriever.search_kwargs, **arguments})
        return search.plain() if method == _SCORED and not search.has_scores() else search

    def has_scores(self) -> bool:
        """Whether the store has a scoring search that takes these arguments."""
        kind = type(self.store)
        overridden = any(
            getattr(kind, name) is not getattr(VectorStore, name)
            for name in (_SCORED, f"a{_SCORED}")
        )
        return overridden and _accepts(getattr(kind, _SCORED), tuple(self.arguments))

    def plain(self) -> "VectorSearch":
        """The same search without scores."""
        return replace(self, method=_PLAIN)

    def widened(self, k: int, *, filtered: bool) -> "VectorSearch":
        """The same store's `k` nearest: no threshold, no diversity, and no filter unless `filtered`."""
        dropped = {*_NARROWING, *(() if filtered else _FILTER_NAMES)}
        kept = {name: value for name, value in self.arguments.items() if name not in dropped}
        nearest = replace(self, method=_SCORED, arguments={**kept, "k": k})
        return nearest if nearest.has_scores() else nearest.plain()

    def run(self, query: str) -> Found:
        """Search, once."""
        try:
            return self._found(getattr(self.store, self.method)(query, **self.arguments))
        except NotImplementedError:
            if self.method != _SCORED:
                raise
        return self.plain().run(query)

    async def arun(self, query: str) -> Found:
        """Search, once, asynchronously."""
        try:
            return self._found(
                await getattr(self.store, f"a{self.method}")(query, **self.arguments)
            )
        except NotImplementedError:
            if self.method != _SCORED:
                raise
        return await self.plain().arun(query)

    def default_k(self) -> int | None:
        """How many documents the store returns when it is not told."""
        k = _default_k(getattr(type(self.store), self.method))
        return _held(self.store).get("limit") if k is None else k  # LanceDB's own

    def _found(self, result: Any) -> Found:
        if self.method == _SCORED:
            return Found.scored(result, _score_kind(self))
        if self.method == _THRESHOLD:
            return Found.scored(result, "relevance")
        if _is_a(self.store, "DuckDB"):
            return Found.scored(map(_with_the_score_inside, result), "similarity")
        return Found.unscored(result)


def description(
    retriever: BaseRetriever, search: VectorSearch | None, arguments: dict[str, Any]
) -> dict[str, Any]:
    """What is known of how `retriever` was asked; what it does not tell is None."""
    configured = fields(getattr(retriever, "search_kwargs", None))
    given = {**configured, **_k_of(retriever), **(arguments if _heeds_arguments(retriever) else {})}
    k = given.get("k", search.default_k() if search else None)
    search_type = getattr(retriever, "search_type", None)
    store = getattr(retriever, "vectorstore", None)
    return {
        "k": k if isinstance(k, int) else None,
        "filters": None if _is_a(store, *_IGNORING_FILTERS) else _filters(given),
        "search_type": search_type if isinstance(search_type, str) else None,
        "store": None if store is None else _store_name(store),
    }


def _k_of(retriever: BaseRetriever) -> dict[str, Any]:
    """How many documents a retriever returns that says so itself, whatever it asks a store for."""
    k = getattr(retriever, "k", None)
    return {} if k is None else {"k": k}


def _heeds_arguments(retriever: BaseRetriever) -> bool:
    """Whether a retriever is handed what it is called with; from most, LangChain keeps it."""
    return bool(getattr(retriever, "_expects_other_args", True))


def _filters(arguments: dict[str, Any]) -> Any:
    """What the search was narrowed to, under whatever name the store calls it."""
    given = {n: _plain(arguments[n]) for n in _FILTER_NAMES if arguments.get(n) is not None}
    return json_value(next(iter(given.values())) if len(given) == 1 else given or None)


def _plain(condition: Any) -> Any:
    """A condition as data, also one that a store has classes for."""
    dump = getattr(condition, "model_dump", None)
    return dump(mode="json", exclude_none=True) if callable(dump) else condition


def _store_name(store: object) -> str:
    """The store's class, and the collection in it where that has a name."""
    named = (_held(store).get(name) for name in _COLLECTION_NAMES)
    collection = next((name for name in named if isinstance(name, str) and name), None)
    return type(store).__name__ + (f"({collection})" if collection else "")


def _held(store: object) -> dict[str, Any]:
    return getattr(store, "__dict__", {})


def _is_a(store: object, *names: str) -> bool:
    """Whether the store is of a class of that name; the classes themselves may not be installed."""
    return any(kind.__name__ in names for kind in type(store).__mro__)


def _has_its_own_way(kind: type[VectorStoreRetriever]) -> bool:
    return any(
        getattr(kind, name) is not getattr(VectorStoreRetriever, name)
        for name in ("_get_relevant_documents", "_aget_relevant_documents")
    )


@functools.lru_cache(maxsize=256)
def _accepts(method: Callable[..., Any], names: tuple[str, ...]) -> bool:
    """Whether the method takes arguments of these names beside store and query."""
    try:
        inspect.signature(method).bind(None, "", **dict.fromkeys(names))
    except (TypeError, ValueError):
        return False
    return True


@functools.lru_cache(maxsize=256)
def _default_k(method: Callable[..., Any]) -> int | None:
    k = inspect.signature(method).parameters.get("k")
    return k.default if k is not None and isinstance(k.default, int) else None


def _finite(score: Any) -> float | None:
    """The score as a number (numpy's too); NaN, None and words are no scores."""
    try:
        number = float(score)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _hit(result: Document | tuple[Document, object]) -> tuple[Document, float | None]:
    document, score = (result, None) if isinstance(result, Document) else result
    return document, _finite(score)


def _with_the_score_inside(document: Document) -> tuple[Document, object]:
    return document, document.metadata.get("_similarity_score")


def _score_kind(search: VectorSearch) -> ScoreKind | None:
    """What the store's scores mean; None where only the order of what it returns tells."""
    for kind in type(search.store).__mro__:
        if known := _SCORE_KINDS.get(kind.__name__):
            return known(search)
    return "unknown"


def _similarity(_search: VectorSearch) -> ScoreKind:
    return "similarity"


def _distance(_search: VectorSearch) -> ScoreKind:
    return "distance"


def _by_faiss_metric(search: VectorSearch) -> ScoreKind:
    metric = getattr(getattr(search.store, "index", None), "metric_type", None)
    kinds: dict[object, ScoreKind] = {0: "similarity", 1: "distance"}  # METRIC_INNER_PRODUCT, _L2
    return kinds.get(metric, "unknown")


def _by_lance_query(search: VectorSearch) -> ScoreKind:
    """A vector search has distances, a search of words has other scores or none."""
    return "distance" if search.arguments.get("query_type", "vector") == "vector" else "unknown"


def _by_qdrant_mode(search: VectorSearch) -> ScoreKind:
    held = _held(search.store)
    told = (_value(held.get("retrieval_mode")), _value(held.get("distance")))
    match told:
        case "dense", "Cosine" | "Dot":
            return "similarity"
        case "dense", "Euclid" | "Manhattan":
            return "distance"
        case "sparse", _:
            return "relevance"  # a sum of term weights, without a scale
        case "hybrid", _:
            return "fused"
        case _:
            return "unknown"


def _value(member: object) -> object:
    return getattr(member, "value", member)


# Only stores whose scores are known to run one way. Most others leave the metric to the index on the
# server, so from here it cannot be told whether larger is better.
_SCORE_KINDS: dict[str, Callable[[VectorSearch], ScoreKind | None]] = {
    "InMemoryVectorStore": _similarity,  # cosine, always
    "MongoDBAtlasVectorSearch": _similarity,
    "Chroma": _distance,  # squared l2, cosine distance or 1 - inner product: smaller is nearer
    "PGVector": _distance,  # l2, cosine distance or negative inner product
    "SQLiteVec": _distance,  # l2 in its own tables, and vec0 has no similarities
    "LanceDB": _by_lance_query,
    "FAISS": _by_faiss_metric,
    "QdrantVectorStore": _by_qdrant_mode,
    "PineconeVectorStore": lambda _: None,  # the index's metric, on the server; best first
}
