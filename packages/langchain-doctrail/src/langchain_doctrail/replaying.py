"""A wrapped retriever's search as it is to be made now: as ever, or as a replay has it."""

from dataclasses import dataclass, replace
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from doctrail_core.capture.records import chunk_record
from doctrail_core.capture.replaying import Replay, current_replay
from langchain_doctrail.documents import retrieved
from langchain_doctrail.probing import deepened
from langchain_doctrail.search import Found, VectorSearch, description

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched and with which arguments, and what of it the caller gets.

    `arguments` are the caller's, with another `k` where a replay asks for one.
    """

    inner: BaseRetriever
    search: VectorSearch | None
    arguments: dict[str, Any]
    k: int | None = None
    replay: Replay | None = None

    @classmethod
    def of(cls, inner: BaseRetriever, arguments: dict[str, Any]) -> Self:
        """The search that the retriever makes when it is called with these arguments."""
        search = VectorSearch.of(inner, arguments)
        replay = current_replay()
        if replay is None:
            return cls(inner, search, arguments)
        k = description(inner, search, arguments)["k"]
        told = arguments if replay.k is None else {**arguments, "k": replay.k}
        reach = replay.reach(k)
        if reach is not None and search is None:
            inner = deepened(inner, reach)
        elif reach is not None and search is not None:
            search = replace(search, arguments={**search.arguments, "k": reach})
        return cls(inner, search, told, k, replay)

    @property
    def called_with(self) -> dict[str, Any]:
        """What a retriever that is no vector search is called with: `k` is set on it, if anything."""
        return {n: v for n, v in self.arguments.items() if self.replay is None or n != "k"}

    def kept(self, found: Found) -> Found:
        """What the caller gets."""
        if self.replay is None:
            return found
        return replace(found, hits=self.replay.kept(found.hits, _document_id, self.k))


def _document_id(hit: tuple[Document, float | None]) -> str:
    return chunk_record(retrieved(hit[0])).document_id
