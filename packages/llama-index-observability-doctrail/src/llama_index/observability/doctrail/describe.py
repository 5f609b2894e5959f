"""What a retriever is set to: k, filters, search type, store, and what its scores mean.

Only values that the retriever already holds are read, never a property: some open a connection or
build an index. What it does not hold is None.
"""

from collections.abc import Mapping
from typing import Any, cast

from doctrail_core.capture.events import RetrievalDescribed
from doctrail_core.capture.replaying import current_replay
from doctrail_core.model import ScoreKind

__all__ = ["describe", "inner", "is_wrapper", "passes_scores_on", "score_kind"]

# By class name, looked up along the method resolution order; the classes live in packages that an
# application may not have.
_SCORE_KINDS: Mapping[str, ScoreKind] = {
    "SummaryIndexEmbeddingRetriever": "similarity",
    "BM25Retriever": "relevance",  # a sum of term weights: larger is better, without a scale
    "QueryFusionRetriever": "fused",
    "AutoMergingRetriever": "unknown",  # a parent's is the mean of those children that were found
    "RecursiveRetriever": "unknown",  # that of the link, not of the node behind it
    "RouterRetriever": "unknown",  # of several retrievers side by side
}
_SEARCH_KINDS: Mapping[str, ScoreKind] = {
    "hybrid": "fused",
    "semantic_hybrid": "fused",
    "sparse": "unknown",
    "text_search": "unknown",
    "mmr": "unknown",  # relevance less redundancy: depends on what was picked before
    "simple": "unknown",  # fusion that only puts hits of several scales in one row
}
# What a store calls `similarities` may be distances: only stores whose scores are known are here.
_SIMILAR_BY_MODE = {
    "SimpleVectorStore",
    "PGVectorStore",  # 1 - distance
    "MongoDBAtlasVectorSearch",
    "OpensearchVectorStore",
}
_SIMILAR_IN_ANY_MODE = {
    "ChromaVectorStore",  # e to the power of minus the distance
    "DuckDBVectorStore",  # cosine
}
# The metric is the collection's, which only the server knows; it returns the best first.
_TOLD_BY_ORDER = {"QdrantVectorStore", "PineconeVectorStore", "MilvusVectorStore"}
# METRIC_INNER_PRODUCT and METRIC_L2
_FAISS_KINDS: Mapping[object, ScoreKind] = {0: "similarity", 1: "distance"}
_PASSING_ON = {"TransformRetriever", "BaseAutoRetriever"}
"""They hand on what one other retriever found, with its scores."""
_SEARCH_TYPES = {"default": "similarity"}
_COLLECTIONS = ("collection_name", "index_name", "table_name", "_table_name", "namespace")
_STORE_FILTERS = ("where", "where_document", "qdrant_filters")  # in a store's own words


def is_wrapper(instance: object) -> bool:
    """Whether this is one of our wrappers."""
    return getattr(type(instance), "wraps_for_lineage", False) is True


def inner(retriever: object) -> object:
    """The retriever behind our wrapper, or the retriever itself."""
    return cast("Any", retriever).base if is_wrapper(retriever) else retriever


def describe(run_id: str, retriever: object) -> RetrievalDescribed:
    """Say what this retriever is set to."""
    base = inner(retriever)
    held = _held(base)
    return RetrievalDescribed(
        run_id,
        k=_replayed_k(retriever)
        or _number(held, "_similarity_top_k", "similarity_top_k", "_top_k", "top_k"),
        filters=_filters(held),
        search_type=_search_type(base),
        store=_store(held.get("_vector_store")),
    )


def score_kind(retriever: object) -> ScoreKind | None:
    """What the scores of this retriever mean; None where only the order of the hits tells."""
    base = inner(retriever)
    names = _class_names(base)
    if "VectorIndexRetriever" in names:
        return _store_score_kind(base)
    known = next((name for name in names if name in _SCORE_KINDS), None)
    if known is None:
        return "unknown"
    return _SEARCH_KINDS.get(_mode(base) or "", _SCORE_KINDS[known])


def passes_scores_on(retriever: object) -> bool:
    """Whether its scores are those of the retriever inside of it."""
    return not _PASSING_ON.isdisjoint(_class_names(inner(retriever)))


def _store_score_kind(retriever: object) -> ScoreKind | None:
    held, by_mode = _held(retriever), _SEARCH_KINDS.get(_mode(retriever) or "")
    store = held.get("_vector_store")
    names = set(_class_names(store))
    if names & _SIMILAR_BY_MODE:
        return by_mode or "similarity"
    if names & _TOLD_BY_ORDER:
        return by_mode
    if names & _SIMILAR_IN_ANY_MODE:
        return "similarity"
    if "FaissVectorStore" in names:
        metric = getattr(_held(store).get("_faiss_index"), "metric_type", None)
        return _FAISS_KINDS.get(metric, "unknown")
    if "LanceDBVectorStore" in names:
        query_type = {**_held(store), **_own_arguments(held)}.get("query_type")
        return "similarity" if query_type == "vector" else "unknown"  # others' are made of ranks
    return "unknown"


def _class_names(thing: object) -> list[str]:
    return [cls.__name__ for cls in type(thing).__mro__]


def _held(thing: object) -> dict[str, Any]:
    """The values that it holds, a pydantic model's private ones included."""
    public: dict[str, Any] = getattr(thing, "__dict__", {})
    private: dict[str, Any] | None = getattr(thing, "__pydantic_private__", None)
    return {**public, **private} if private else public


def _own_arguments(held: dict[str, Any]) -> dict[str, Any]:
    """What a vector retriever passes on to its store as it is."""
    given = held.get("_kwargs")
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _replayed_k(retriever: object) -> int | None:
    """How many nodes a replay has a wrapped retriever return."""
    replay = current_replay() if is_wrapper(retriever) else None
    return replay.k if replay else None


def _number(held: dict[str, Any], *names: str) -> int | None:
    return next((held[name] for name in names if isinstance(held.get(name), int)), None)


def _mode(retriever: object) -> str | None:
    held = _held(retriever)
    mode = held.get("_vector_store_query_mode", held.get("mode"))
    value = getattr(mode, "value", mode)
    return value if isinstance(value, str) else None


def _search_type(retriever: object) -> str | None:
    if "bm25" in _held(retriever):
        return "bm25"
    mode = _mode(retriever)
    return _SEARCH_TYPES.get(mode, mode) if mode else None


def _filters(held: dict[str, Any]) -> Any:
    found: dict[str, Any] = {}
    filters = held.get("_filters")
    if filters is not None:
        found["metadata"] = _plain(filters)
    if held.get("_doc_ids"):
        found["doc_ids"] = list(held["_doc_ids"])
    own = _own_arguments(held)
    found.update({n: _plain(own[n]) for n in _STORE_FILTERS if own.get(n) is not None})
    if held.get("corpus_weight_mask") is not None:
        found["left_out"] = sum(1 for weight in held["corpus_weight_mask"] if not weight)
    return found or None


def _plain(filters: Any) -> Any:
    if isinstance(filters, dict | str):
        return cast("Any", filters)
    return filters.model_dump(mode="json") if hasattr(filters, "model_dump") else repr(filters)


def _store(store: object) -> str | None:
    if store is None:
        return None
    held = _held(store)
    named = [held.get(name) for name in _COLLECTIONS]
    chroma = _held(_held(held.get("_collection")).get("_model"))  # a collection given as an object
    collection = next((n for n in (*named, chroma.get("name")) if isinstance(n, str)), None)
    name = type(store).__name__
    return f"{name} ({collection})" if collection else name
