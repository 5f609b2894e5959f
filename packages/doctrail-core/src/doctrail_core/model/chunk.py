"""A piece of a document, as a retriever returned it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

IdOrigin = Literal["given", "derived"]
"""`given`: the application or its store named it. `derived`: we hashed the text, because nobody did."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk and the document it belongs to.

    `content_hash` is `sha256:<hex>` over the UTF-8 text; it is None only when content capture is
    off, or where the text was never told. `text` is None when texts are not told or captured, or were
    erased. `metadata` holds JSON values.
    """

    chunk_id: str
    document_id: str
    content_hash: str | None
    text: str | None = None
    index: int | None = None
    chunk_id_origin: IdOrigin = "given"
    document_id_origin: IdOrigin = "given"
    source: str | None = None
    version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
