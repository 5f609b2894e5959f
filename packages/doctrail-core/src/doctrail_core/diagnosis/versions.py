"""Which of two documents is the newer version of the other, as far as ids and metadata tell.

Nothing is guessed from texts: documents are versions of one another when one names the other, or their
ids differ in a version or a date alone; and the newer is the one whose version or date is larger.
"""

import re
from collections.abc import Mapping

from doctrail_core.model import Chunk

__all__ = ["newer", "version_of"]

_NUMBERS = ("version", "revision", "rev")
_DATES = (
    "effective_date", "valid_from", "effective", "date", "updated_at", "last_updated",
    "last_modified", "modified_at", "last_modified_date", "published_at", "created_at",
)  # fmt: skip
_SUPERSEDED = ("supersedes", "replaces", "amends", "previous_version")
_SUPERSEDING = ("superseded_by", "replaced_by", "amended_by", "next_version")
_ISO = re.compile(
    r"([0-9]{4})(?:[-/.]?([0-9]{2}))?(?:[-/.]?([0-9]{2}))?(?:[T ]([0-9]{2}):?([0-9]{2}))?(?![0-9])"
)
_DIGITS = re.compile(r"[0-9]{1,15}")
_MARK = re.compile(
    r"(?<![^\W_])(?:v|ver|version|rev|revision)[ _.-]?[0-9]{1,8}(?:\.[0-9]{1,8}){0,3}(?![^\W_])"
    r"|(?<![^\W_])(?:19|20)[0-9]{2}(?:[-_.]?[01][0-9](?:[-_.]?[0-3][0-9])?)?(?![^\W_])",
    re.IGNORECASE,
)
"""A version, or a date that begins with its year. Other numbers tell documents apart, as in `doc_4821`."""
_EDGES = re.compile(r"[\W_]+")
_LONGEST = 512
_SHOWN = 40

_Place = tuple[int, ...]


def newer(one: Chunk, other: Chunk) -> bool:
    """Whether `other` is a piece of a newer version of the document that `one` is a piece of."""
    if _names(one, _SUPERSEDING, other) or _names(other, _SUPERSEDED, one):
        return True
    if not _same_family(one, other):
        return False
    mine, theirs = _places(one), _places(other)
    return any(theirs[key] > mine[key] for key in mine if key in theirs) and not any(
        theirs[key] < mine[key] for key in mine if key in theirs
    )


def version_of(chunk: Chunk) -> str | None:
    """What tells the version, for people."""
    if chunk.version:
        return f"version {chunk.version[:_SHOWN]}"
    told = next((key for key in (*_NUMBERS, *_DATES) if chunk.metadata.get(key)), None)
    return f"{told.replace('_', ' ')} {str(chunk.metadata[told])[:_SHOWN]}" if told else None


def _names(chunk: Chunk, keys: tuple[str, ...], other: Chunk) -> bool:
    named = [chunk.metadata.get(key) for key in keys]
    ids = {other.document_id, other.source} - {None}
    return any(name in ids for name in named if isinstance(name, str))


def _same_family(one: Chunk, other: Chunk) -> bool:
    return one.document_id == other.document_id or _family(one.document_id) == _family(
        other.document_id
    )


def _family(document_id: str) -> str:
    """The id without versions and dates."""
    bare = _EDGES.sub(" ", _MARK.sub("", document_id[:_LONGEST])).strip().casefold()
    return bare or document_id


def _places(chunk: Chunk) -> Mapping[str, _Place]:
    """Where the document stands in time, by each thing that tells it."""
    told = chunk.metadata
    places = {key: _number(told.get(key)) for key in _NUMBERS}
    places |= {key: _date(told.get(key)) for key in _DATES}
    places["version"] = places["version"] or _number(chunk.version)
    places["id"] = _number(" ".join(_MARK.findall(chunk.document_id[:_LONGEST])))
    return {key: place for key, place in places.items() if place}


def _number(value: object) -> _Place:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ()
    return tuple(map(int, _DIGITS.findall(str(value)[:_LONGEST])))


def _date(value: object) -> _Place:
    """A date with its year first, or a time stamp; others have no order that could be told."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    found = _ISO.match(value) if isinstance(value, str) else None
    return tuple(int(field) for field in found.groups("0")) if found else ()
