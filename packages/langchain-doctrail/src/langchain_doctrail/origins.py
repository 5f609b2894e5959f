"""What a retriever made of documents that the retrievers inside of it had found.

Compressors cut texts, drop ids and score anew. A document without an id is the one that it was cut from
where that is certain: it has the metadata of exactly one of them, and its text lies in that one's.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from numbers import Real

from langchain_core.documents import Document

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import ScoreKind
from langchain_doctrail.documents import named_after, retrieved, stamp_of
from langchain_doctrail.fields import fields

__all__ = ["Search", "chunk_of", "score_before", "scored_anew", "traced"]

_RERANKED = "relevance_score"  # where LangChain's rerankers put their scores
_COMPARED = "query_similarity_score"  # where its embeddings filter does


@dataclass(slots=True)
class Search:
    """A running retriever, and what those right inside of it have found.

    `around` is the run that the outermost of the retrievers around it runs inside of.
    """

    outer: "Search | None" = None
    run_id: str = ""
    around: str | None = None
    query: str | None = None
    inner: list[Document] = field(default_factory=list[Document])


def traced(document: Document, inner: Sequence[Document]) -> Document:
    """The document, with the id of the one it was cut from where it has none."""
    if document.id is not None or stamp_of(document) is not None:
        return document
    origins = {
        retrieved(each).chunk_id or each.page_content: each
        for each in inner
        if document.page_content in each.page_content and _has_metadata_of(document, each)
    }
    if len(origins) != 1:
        return document
    (origin,) = origins.values()
    return named_after(document, origin)


def chunk_of(document: Document, inner: Sequence[Document]) -> RetrievedChunk:
    """The document as the outer retriever's chunk, with the score that it gave it, if it did.

    Scores of the search itself are the inner retrievers'.
    """
    chunk = retrieved(document)
    if inner and (scored := scored_anew(document, inner)):
        score, kind = scored
        return replace(chunk, score=score, score_kind=kind)
    return chunk


def score_before(document: Document) -> float | None:
    """The score that the document came with: that of the last step that gave one, or of the search."""
    stamp = stamp_of(document)
    given = (_reranked(document), _compared(document), stamp.score if stamp else None)
    return next((score for score in given if score is not None), None)


def scored_anew(document: Document, inner: Sequence[Document]) -> tuple[float, ScoreKind] | None:
    """The score that a step gave the document, and of what kind; None if it has that of one before."""
    given: dict[ScoreKind, Callable[[Document], float | None]] = {
        "rerank": _reranked,
        "similarity": _compared,
    }
    for kind, score_of in given.items():
        score = score_of(document)
        if score is not None and all(score_of(each) != score for each in inner):
            return score, kind
    return None


def _reranked(document: Document) -> float | None:
    return _number(document.metadata.get(_RERANKED))


def _compared(document: Document) -> float | None:
    return _number(fields(getattr(document, "state", None)).get(_COMPARED))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, Real) else None


def _has_metadata_of(document: Document, other: Document) -> bool:
    with suppress(Exception):  # metadata may hold what cannot be compared
        return all(
            bool(document.metadata.get(key) == value) for key, value in other.metadata.items()
        )
    return False
