"""What a retriever is set to: k, filters, search type, store, and what its scores mean.

Only values that the retriever already holds are read, never a property: some open a connection or
build an index. What it does not hold is None.
"""

from collections.abc import Mapping
from typing import Any, cast

from doctrail_core.capture.events import RetrievalDescribed
from doctrail_core.model import ScoreKind

__all__ = ["describe", "inner", "is_wrapper", "score_kind"]

# By class name, looked up along the method resolution order; the classes live in packages that an
# application may not have.
_SCORE_KINDS: Mapping[str, ScoreKind] = {
    "VectorIndexRetriever": "similarity",  # the stores' contract: `similarities`, larger is closer
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
_SEARCH_TYPES = {"default": "similarity"}
_COLLECTIONS = ("collection_name", "index_name", "table_name", "namespace")


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
        k=_number(held, "_similarity_top_k", "similarity_top_k", "_top_k", "top_k"),
        filters=_filters(held),
        search_type=_search_type(base),
        store=_store(held.get("_vector_store")),
    )


def score_kind(retriever: object) -> ScoreKind:
    """What the scores of this retriever mean."""
    base = inner(retriever)
    for cls in type(base).__mro__:
        if cls.__name__ in _SCORE_KINDS:
            return _SEARCH_KINDS.get(_mode(base) or "", _SCORE_KINDS[cls.__name__])
    return "unknown"


def _held(thing: object) -> dict[str, Any]:
    return getattr(thing, "__dict__", {})


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
    if held.get("corpus_weight_mask") is not None:
        found["left_out"] = sum(1 for weight in held["corpus_weight_mask"] if not weight)
    return found or None


def _plain(filters: Any) -> Any:
    return filters.model_dump(mode="json") if hasattr(filters, "model_dump") else repr(filters)


def _store(store: object) -> str | None:
    if store is None:
        return None
    held = _held(store)
    collection = next((held[n] for n in _COLLECTIONS if isinstance(held.get(n), str)), None)
    name = type(store).__name__
    return f"{name} ({collection})" if collection else name
