"""Who a chunk is: ids as they were given, or derived from the text when nobody gave any.

The same text in the same document has the same ids in every process and under every framework.
Every hash names its algorithm, so that a later change of algorithm can be told from a change of
text, and no id can carry control characters or grow without bound.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from doctrail_core.model import Chunk, IdOrigin
from doctrail_core.text.snapshot import json_value

__all__ = [
    "CHUNK_ID_STAMP",
    "as_name",
    "canonical_id",
    "clean_text",
    "content_hash",
    "identify",
    "keyed_hash",
]

CHUNK_ID_STAMP = "doctrail_chunk_id"
"""The metadata key under which a wrapped retriever keeps a chunk's id alive through later steps."""

_CHUNK_ID_KEY = "chunk_id"
_DOCUMENT_ID_KEYS = ("document_id", "doc_id", "ref_doc_id", "source", "file_path", "url")
_INDEX_KEYS = ("chunk_index", "index", "chunk")
_SOURCE_KEYS = ("source", "file_path", "url")

_MAX_ID = 512
_KEPT_OF_LONG_ID = 400
_LARGEST_INDEX = 2**63 - 1  # what a database column holds

_SURROGATE = re.compile("[\ud800-\udfff]")
# Listed, not asked of `str.isprintable`: beyond ASCII its answer changes with the Unicode version of Python.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_NO_METADATA: Mapping[str, Any] = MappingProxyType({})


def clean_text(text: str) -> str:
    """Replace lone surrogates, which no encoding can carry, by U+FFFD; offsets stay the same."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return _SURROGATE.sub("\ufffd", text)


def content_hash(text: str) -> str:
    return _hash_of(clean_text(text))


def _hash_of(clean: str) -> str:
    return f"sha256:{hashlib.sha256(clean.encode()).hexdigest()}"


def keyed_hash(key: bytes, text: str) -> str:
    """Hash so that equal questions can be compared under one key, but not guessed without it."""
    composed = text if text.isascii() else unicodedata.normalize("NFC", clean_text(text))
    # Not `hmac.digest`, which lets other threads take the interpreter, and waits until they give it back.
    keyed = _keyed(key).copy()
    keyed.update(" ".join(composed.split()).encode())
    return f"hmac-sha256:{keyed.hexdigest()}"


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def canonical_id(raw: str) -> str:
    """Keep an id of 1 to 512 printable characters; else make a readable, bounded one with a digest."""
    if raw.isascii():
        if 0 < len(raw) <= _MAX_ID and raw.isprintable():
            return raw
    elif len(raw) <= _MAX_ID and not _UNPRINTABLE.search(raw):
        return raw
    digest = hashlib.sha256(raw.encode(errors="surrogatepass")).hexdigest()
    return f"{_UNPRINTABLE.sub('_', raw[:_KEPT_OF_LONG_ID])}~sha256:{digest}"


def as_name(value: object) -> str | None:
    """A text as it is; of numbers, UUIDs and the like, which applications have for ids, what they are written as."""
    return value if isinstance(value, str) else _as_id(value)


def identify(
    text: str | None,
    *,
    chunk_id: object = None,
    document_id: object = None,
    index: int | None = None,
    metadata: Mapping[str, Any] = _NO_METADATA,
) -> Chunk:
    """Name a chunk: by the ids given, else by what its metadata says, else by its text.

    Of one whose text is not known (None) nothing else can name the document but the chunk's own id.
    """
    text = None if text is None else clean_text(text)
    digest, said = None if text is None else _hash_of(text), dict(metadata)
    stamp = _as_id(said.pop(CHUNK_ID_STAMP, None))
    given_document = _as_id(document_id) or _first(said, _DOCUMENT_ID_KEYS)
    document = given_document or digest or _as_id(chunk_id) or stamp or _hash_of("")
    given_chunk = _as_id(chunk_id) or stamp or _own_id(said, document)
    place = _index(index, said)
    return Chunk(
        chunk_id=given_chunk or _derived_id(document, place, digest),
        document_id=document,
        content_hash=digest,
        text=text,
        index=place,
        # One that we derived and stamped earlier stays derived.
        chunk_id_origin=_origin(given_chunk) if given_chunk == stamp else "given",
        document_id_origin=_origin(given_document),
        source=_first(said, _SOURCE_KEYS),
        version=_as_id(said.get("version")),
        metadata=json_value(said),
    )


def _derived_id(document_id: str, index: int | None, digest: str | None) -> str:
    place = "" if index is None else str(index)
    named = f"{document_id}\0{place}\0{digest or ''}"  # no canonical id holds a NUL
    return f"sha256:{hashlib.sha256(named.encode()).hexdigest()}"


def _own_id(metadata: Mapping[str, Any], document_id: str) -> str | None:
    """The chunk's id in its metadata; a plain number only counts within the document."""
    found = _as_id(metadata.get(_CHUNK_ID_KEY))
    return canonical_id(f"{document_id}#{found}") if found and found.isdecimal() else found


def _origin(given: str | None) -> IdOrigin:
    return "given" if given and not given.startswith("sha256:") else "derived"


def _index(given: int | None, metadata: Mapping[str, Any]) -> int | None:
    if _is_index(given):
        return given
    places = (metadata[key] for key in _INDEX_KEYS if key in metadata)
    return next(filter(_is_index, places), None)


def _is_index(place: object) -> bool:
    return type(place) is int and 0 <= place <= _LARGEST_INDEX


def _first(metadata: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    for key in keys:
        if key in metadata and (found := _as_id(metadata[key])):
            return found
    return None


def _as_id(value: object) -> str | None:
    """What the value names; None for blanks, NaN, containers and objects without a text."""
    if value is None:
        return None
    if isinstance(value, str):
        return canonical_id(value) if value.strip() else None
    with suppress(Exception):  # whatever an object does when compared or made a string
        if _names_something(value):
            return _as_id(str(value))
    return None


def _names_something(value: object) -> bool:
    if isinstance(value, bool | Iterable) or value != value:  # noqa: PLR0124 -- NaN differs from itself
        return False
    return isinstance(value, int | float) or type(value).__str__ is not object.__str__
