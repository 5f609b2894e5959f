"""A LangChain document as a chunk, with an identity that survives what retrievers do to it.

Compressors and splitters drop `Document.id` but keep metadata, and multi-query retrievers drop equal
documents by comparing them whole. So the chunk's id lies in the metadata, and nothing else does: a
score in there would make equal documents differ.
"""

from numbers import Real
from typing import Any, cast

from langchain_core.documents import Document

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import Chunk, ScoreKind
from doctrail_core.text.identity import CHUNK_ID_STAMP, content_hash, identify
from langchain_doctrail.fields import fields

__all__ = [
    "StampedId",
    "as_documents",
    "chunk_id_of",
    "holds_documents",
    "named_after",
    "retrieved",
    "scores_in",
    "stamp_of",
    "stamped",
]


class StampedId(str):
    """A chunk id that remembers the hit it was stamped on.

    It is equal to, hashed and serialised as the plain id, so two hits on one chunk stay equal
    documents although their scores differ.
    """

    __slots__ = ("chunk_index", "document_id", "score", "score_kind")

    document_id: str
    chunk_index: int | None
    score: float | None
    score_kind: ScoreKind

    @classmethod
    def of(cls, chunk: Chunk, score: float | None, score_kind: ScoreKind) -> "StampedId":
        """The id of a hit on `chunk`."""
        stamp = cls(chunk.chunk_id)
        stamp.document_id = chunk.document_id
        stamp.chunk_index = chunk.index
        stamp.score = score
        stamp.score_kind = score_kind
        return stamp


def stamped(
    document: Document, score: float | None = None, score_kind: ScoreKind = "unknown"
) -> Document:
    """A copy whose metadata names the chunk."""
    return _bearing(document, StampedId.of(_named(retrieved(document)), score, score_kind))


def named_after(document: Document, origin: Document) -> Document:
    """A copy whose metadata names the chunk that `origin` is, which the document was cut from."""
    return _bearing(document, StampedId.of(_named(retrieved(origin)), None, "unknown"))


def stamp_of(document: Document) -> StampedId | None:
    """The stamp that the document bears in this process."""
    stamp = document.metadata.get(CHUNK_ID_STAMP)
    return stamp if isinstance(stamp, StampedId) else None


def chunk_id_of(document: Document) -> str:
    """The id that the document has as a chunk."""
    return _named(retrieved(document)).chunk_id


def retrieved(document: Document) -> RetrievedChunk:
    """The document as a chunk; ids that nobody gave it are left to be derived."""
    stamp = document.metadata.get(CHUNK_ID_STAMP)
    return RetrievedChunk(
        document.page_content,
        chunk_id=stamp if isinstance(stamp, str) else document.id or _point_id(document),
        document_id=_outlived_id(stamp_of(document), document.page_content),
        metadata=document.metadata,
    )


def as_documents(value: object) -> list[Document]:
    """The documents in an output: alone, in pairs with a score, or turned into dicts by a checkpoint."""
    return [document for item in _items(value) if (document := _as_document(item)) is not None]


def scores_in(value: object) -> dict[int, Any]:
    """The scores in an output of a document and its score each, by the document's `id()`."""
    lists = (value, *fields(value).values())
    pairs = (pair for each in lists for item in _items(each) if (pair := _pair(item)))
    return {id(document): score for document, score in pairs}


def holds_documents(value: object) -> bool:
    """Whether documents lie in `value` or in one of its entries."""
    if isinstance(value, Document):
        return True
    return any(map(as_documents, (value, *fields(value).values())))


def _bearing(document: Document, stamp: StampedId) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, CHUNK_ID_STAMP: stamp}})


def _point_id(document: Document) -> str | None:
    """The id that Qdrant's integration tells in the metadata only, next to the collection's name."""
    point = document.metadata.get("_id") if "_collection_name" in document.metadata else None
    return str(point) if isinstance(point, (str, int)) else None


def _outlived_id(stamp: StampedId | None, text: str) -> str | None:
    """A document id that was derived from the text before a later step cut it."""
    if stamp is None or not stamp.document_id.startswith("sha256:"):
        return None
    return None if stamp.document_id == content_hash(text) else stamp.document_id


def _named(found: RetrievedChunk) -> Chunk:
    return identify(
        found.text,
        chunk_id=found.chunk_id,
        document_id=found.document_id,
        metadata=found.metadata,
    )


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, (list, tuple)) else []


def _pair(item: object) -> tuple[object, object] | None:
    """What stores' searches with scores return: `(document, score)`."""
    parts = _items(item)
    if len(parts) != 2 or isinstance(parts[1], bool) or not isinstance(parts[1], Real):  # noqa: PLR2004  # a pair
        return None
    return parts[0], parts[1]


def _as_document(item: object) -> Document | None:
    if isinstance(item, Document):
        return item
    if pair := _pair(item):
        return _as_document(pair[0])
    told = fields(item)
    text = told.get("page_content")
    if not isinstance(text, str):
        return None
    given = told.get("id")
    chunk_id = None if given is None else str(given)
    return Document(text, id=chunk_id, metadata=dict(fields(told.get("metadata"))))
