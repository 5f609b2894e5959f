"""Whatever a search returned, as chunks."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import ScoreKind
from doctrail_core.text.identity import identify

ChunkLike = RetrievedChunk | Mapping[str, Any] | str
"""A chunk, a mapping with the names of `RetrievedChunk`'s fields, or a bare text."""

_FIELDS = frozenset(field.name for field in fields(RetrievedChunk))


def as_chunk(one: ChunkLike, score_kind: ScoreKind = "unknown") -> RetrievedChunk:
    """The chunk; a score of unknown kind is of this kind.

    Raises:
        TypeError: It is nothing that a chunk could be made of.
    """
    chunk = _as_chunk(one)
    return replace(chunk, score_kind=score_kind) if chunk.score_kind == "unknown" else chunk


def chunk_id(kept: ChunkLike) -> str:
    """The id by which a trail knows this chunk; a bare text is taken for the id itself."""
    if isinstance(kept, str):
        return kept
    chunk = _as_chunk(kept)
    return identify(
        chunk.text,
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        index=chunk.index,
        metadata=chunk.metadata,
    ).chunk_id


def _as_chunk(one: object) -> RetrievedChunk:
    if isinstance(one, RetrievedChunk):
        return one
    if isinstance(one, str):
        return RetrievedChunk(one)
    if isinstance(one, Mapping):
        given = dict(cast("Mapping[str, Any]", one))
        if "text" in given and given.keys() <= _FIELDS:
            return RetrievedChunk(**given)
        raise TypeError(
            f"a chunk has the keys {', '.join(sorted(map(str, given)))}; it must have `text` and may have"
            f" {', '.join(sorted(_FIELDS - {'text'}))}"
        )
    raise TypeError(
        f"a chunk is a {type(one).__name__}; give a RetrievedChunk, a mapping with its fields, or a text"
    )
