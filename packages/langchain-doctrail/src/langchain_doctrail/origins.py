"""What a retriever made of documents that the retrievers inside of it had found.

Compressors cut texts, drop ids and score anew. A document without an id is the one that it was cut from
where that is certain: it has the metadata of exactly one of them, and its text lies in that one's.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from langchain_core.documents import Document

from doctrail_core.model import ScoreKind
from langchain_doctrail.documents import named_after, retrieved, stamp_of
from langchain_doctrail.fields import fields

__all__ = ["scored_anew", "traced"]

_RERANKED = "relevance_score"  # where LangChain's rerankers put their scores
_COMPARED = "query_similarity_score"  # where its embeddings filter does


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


def scored_anew(
    document: Document, inner: Sequence[Document]
) -> tuple[Any, ScoreKind] | None:
    """The score that a step after the search gave the document; the search's own is not in there."""
    compared = fields(getattr(document, "state", None)).get(_COMPARED)
    if compared is not None:
        return compared, "similarity"
    score = document.metadata.get(_RERANKED)
    if score is None or any(each.metadata.get(_RERANKED) == score for each in inner):
        return None
    return score, "rerank"


def _has_metadata_of(document: Document, other: Document) -> bool:
    with suppress(Exception):  # metadata may hold what cannot be compared
        return all(
            bool(document.metadata.get(key) == value) for key, value in other.metadata.items()
        )
    return False
