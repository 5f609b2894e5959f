"""Asks a LangChain retriever again, after an answer went wrong: deeper, without its filters, and unrecorded."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_core.retrievers import BaseRetriever

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.capture.scope import suppress
from langchain_doctrail.documents import retrieved
from langchain_doctrail.fields import fields
from langchain_doctrail.search import Found, VectorSearch

__all__ = ["RetrieverProbe", "deepened", "retriever_probe"]

_DEEPEST = 8
"""So many retrievers may be wrapped around each other."""


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
        self._searching = tuple(_searching(retriever, _DEEPEST))
        self._lift_filters = lift_filters

    def search(self, query: str, k: int, *, filtered: bool) -> Sequence[RetrievedChunk]:
        """See `doctrail_core.diagnosis.Probe`."""
        keep = filtered or not self._lift_filters
        with suppress():
            found = [_asked(retriever, query, k, filtered=keep) for retriever in self._searching]
        return [chunk for one in found for chunk in _chunks(one)]


def _searching(retriever: BaseRetriever, depth: int) -> Iterator[BaseRetriever]:
    """The retrievers that search something themselves; the others ask those."""
    inner = list(_inside(retriever)) if depth else []
    if not inner:
        yield retriever
    for one in inner:
        yield from _searching(one, depth - 1)


def _inside(retriever: BaseRetriever) -> Iterator[BaseRetriever]:
    for value in list(vars(retriever).values()):
        yield from (member for member in _members(value) if isinstance(member, BaseRetriever))


def _members(value: Any) -> Iterable[Any]:
    return cast("Iterable[Any]", value) if isinstance(value, list | tuple) else (value,)


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
