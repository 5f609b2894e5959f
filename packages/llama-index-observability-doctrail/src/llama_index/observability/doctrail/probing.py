"""Asks a LlamaIndex retriever again, after an answer went wrong: deeper, without its filters, and unrecorded."""

import copy
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.base_retriever import BaseRetriever

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.capture.scope import suppress
from llama_index.observability.doctrail.describe import score_kind
from llama_index.observability.doctrail.hits import chunks

__all__ = ["RetrieverProbe", "retriever_probe", "widened"]

_COUNTS = ("_similarity_top_k", "similarity_top_k", "_top_k", "top_k")
_FILTERS = ("_filters", "_doc_ids", "_node_ids", "corpus_weight_mask")


def retriever_probe(retriever: BaseRetriever, *, lift_filters: bool = True) -> "RetrieverProbe":
    """Make a probe for `doctrail_core.diagnosis.diagnose`.

    Args:
        retriever: The application's retriever, as it is used there.
        lift_filters: Whether a diagnosis may look at what the retriever's filters leave out. Not where
            they keep one customer's documents from another.
    """
    return RetrieverProbe(retriever, lift_filters=lift_filters)


class RetrieverProbe:
    """Searches the stores behind a retriever, whatever fuses or merges what they find."""

    def __init__(self, retriever: BaseRetriever, *, lift_filters: bool) -> None:
        """Search nothing yet."""
        from doctrail_core.diagnosis.probe import searchers

        self._searching = tuple(searchers(retriever, BaseRetriever))
        self._lift_filters = lift_filters

    def search(self, query: str, k: int, *, filtered: bool) -> Sequence[RetrievedChunk]:
        """See `doctrail_core.diagnosis.Probe`."""
        keep = filtered or not self._lift_filters
        found: list[RetrievedChunk] = []
        with suppress():
            for retriever in self._searching:
                hits = widened(retriever, k, filtered=keep).retrieve(query)
                found += chunks(hits, score_kind(retriever))
        return found


def widened(retriever: BaseRetriever, k: int, *, filtered: bool) -> BaseRetriever:
    """A copy that returns `k` nodes, without filters unless `filtered`; the original stays as it is."""
    deep = copy.copy(retriever)
    held = vars(deep)
    held.update({name: min(k, _most(deep)) for name in _COUNTS if isinstance(held.get(name), int)})
    if not filtered:
        held.update({name: None for name in _FILTERS if name in held})
    return deep


def _most(retriever: BaseRetriever) -> int:
    """How many nodes there are, for a BM25 index, which can not be asked for more."""
    corpus = vars(retriever).get("corpus")
    return max(1, len(cast("list[Any]", corpus))) if isinstance(corpus, list) else 2**31
