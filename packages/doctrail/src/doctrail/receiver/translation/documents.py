"""Documents in the JSON that frameworks write."""

from doctrail.receiver.translation.attributes import REDACTED, name, number, parsed, text
from doctrail.receiver.translation.messages import Record, as_list, as_record, unwrapped
from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import ScoreKind

__all__ = ["chunk", "documents_in"]


def documents_in(value: object) -> list[RetrievedChunk]:
    """The documents that a JSON text holds, as frameworks write them."""
    found = parsed(value)
    said = as_record(found)
    if said is not None:
        keys = ("documents", "outputs", "output", "nodes", "source_nodes", "results")
        listed = next((inner for key in keys if as_list(inner := parsed(said.get(key)))), None)
        found = listed
    return [one for one in map(_document, as_list(found)) if one is not None]


def _document(value: object) -> RetrievedChunk | None:
    said = unwrapped(value)
    if said is None:
        return None
    inner = as_record(said.get("node")) or as_record(said.get("document")) or said
    texts = (inner.get(key) for key in ("page_content", "pageContent", "content", "text"))
    ids = (inner.get(key) for key in ("id", "id_", "chunk_id", "node_id"))
    about = (as_record(parsed(inner.get(key))) for key in ("metadata", "meta"))
    return chunk(
        next((found for found in texts if found is not None), None),
        next((found for found in ids if found is not None), None),
        next((found for found in about if found is not None), None),
        said.get("score"),
    )


def chunk(
    content: object,
    chunk_id: object,
    metadata: Record | None,
    score: object,
    score_kind: ScoreKind = "unknown",
) -> RetrievedChunk | None:
    """A chunk, if anything is told by which it can be known."""
    told, named = text(content), name(chunk_id)
    named = None if named == REDACTED else named
    if told is None and named is None and not metadata:
        return None
    scored = number(score)
    kind: ScoreKind = "unknown" if scored is None else score_kind
    return RetrievedChunk(told, named, metadata=metadata or {}, score=scored, score_kind=kind)
