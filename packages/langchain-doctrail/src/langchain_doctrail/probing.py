"""Asks a LangChain retriever again, after an answer went wrong: deeper, without its filters, and unrecorded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.retrievers import BaseRetriever

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.capture.scope import suppress
from langchain_doctrail.documents import retrieved
from langchain_doctrail.fields import fields
from langchain_doctrail.search import Found, VectorSearch

__all__ = ["RetrieverProbe", "deepened", "retriever_probe"]


def retriever_probe(retriever: BaseRetriever, *, lift_filters: bool = True) -> "RetrieverProbe":
    """Make a probe for `doctrail_core.diagnosis.diagnose`.

    Args:
        retriever: The application's retriever, as it is used there.
        lift_filters: Whether a diagnosis may look at what the retriever's filters leave out. Not where
            they keep one customer's documents from another.
    """
    return RetrieverProbe(retriever, lift_filters=lift_filters)


class RetrieverProbe:
    """Searches the stores behind a retriever, whatever rerankers and compressors stand before them."""

    def __init__(self, retriever: BaseRetriever, *, lift_filters: bool) -> None:
        """Search nothing yet."""
        from doctrail_core.diagnosis.probe import searchers

        self._searching = tuple(searchers(retriever, BaseRetriever))
        self._lift_filters = lift_filters

    def search(self, query: str, k: int, *, filtered: bool) -> Sequence[RetrievedChunk]:
        """See `doctrail_core.diagnosis.Probe`."""
        keep = filtered or not self._lift_filters
        with suppress():
            found = [_asked(retriever, query, k, filtered=keep) for retriever in self._searching]
        return [chunk for one in found for chunk in _chunks(one)]


def _asked(retriever: BaseRetriever, query: str, k: int, *, filtered: bool) -> Found:
    search = VectorSearch.of(retriever, {})
    if search is not None:
        return search.widened(k, filtered=filtered).run(query)
    return Found.unscored(deepened(retriever, k).invoke(query))


def deepened(retriever: BaseRetriever, k: int) -> BaseRetriever:
    """A copy that returns `k` documents, where the retriever says how many it does; else itself."""
    deeper: dict[str, Any] = {}
    if isinstance(getattr(retriever, "k", None), int):
        deeper["k"] = k
    if searched := fields(getattr(retriever, "search_kwargs", None)):
        deeper["search_kwargs"] = {**searched, "k": k}
    return retriever.model_copy(update=deeper) if deeper else retriever


def _chunks(found: Found) -> Iterator[RetrievedChunk]:
    for document, score in found.hits:
        yield replace(retrieved(document), score=score, score_kind=found.score_kind)
