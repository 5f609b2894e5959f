"""DOC-ID tags: the last step before the prompt, so that model and people can name a source.

Tags are for reading. Lineage is never derived from them, so a chunk that forges one deceives nobody
here; look-alikes in its text are neutralised for the model's sake.
"""

from collections.abc import Sequence

from langchain_core.documents import Document

from doctrail_core.text.identity import CHUNK_ID_STAMP
from doctrail_core.text.tags import TaggedBlock, split_tagged, tag
from langchain_doctrail.documents import StampedId, stamp_of, stamped

__all__ = ["block", "format_tagged", "tag_documents"]


def tag_documents(
    documents: Sequence[Document], *, scores: Sequence[float | None] | None = None
) -> list[Document]:
    """Copies whose text stands between DOC-ID tags; use it after every other step.

    A document that is tagged already stays as it is. Scores come with documents from a
    `LineageRetriever`, except distances, which would read the wrong way round.

    Args:
        documents: The documents, best first.
        scores: Scores to show instead, one per document.

    Raises:
        ValueError: There is not one score per document.
    """
    given = [None] * len(documents) if scores is None else scores
    return [_tagged(document, score) for document, score in zip(documents, given, strict=True)]


def format_tagged(
    documents: Sequence[Document], *, scores: Sequence[float | None] | None = None
) -> str:
    """The documents as one text of DOC-ID blocks: `retriever | format_tagged`."""
    tagged = tag_documents(documents, scores=scores)
    return "\n\n".join(document.page_content for document in tagged)


def block(text: str, stamp: str) -> str:
    """The text between tags, once."""
    return text if _is_block(text, stamp) else _wrapped(text, stamp)


def _tagged(document: Document, score: float | None) -> Document:
    stamp = stamp_of(document)
    if stamp is None or (score is not None and not _is_block(document.page_content, stamp)):
        document = stamped(document, score)
        stamp = document.metadata[CHUNK_ID_STAMP]
    return document.model_copy(update={"page_content": block(document.page_content, stamp)})


def _is_block(text: str, stamp: str) -> bool:
    """Whether the text is what tagging this very hit gives: no other tag is taken for ours."""
    match split_tagged(text):
        case [TaggedBlock() as found]:
            return _wrapped(found.text, stamp) == text
        case _:
            return False


def _wrapped(text: str, stamp: str) -> str:
    if not isinstance(stamp, StampedId):
        return tag(text, document_id=stamp)
    score = None if stamp.score_kind == "distance" else stamp.score
    return tag(text, document_id=stamp.document_id, chunk_index=stamp.chunk_index, score=score)
