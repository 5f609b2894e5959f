"""A decision on access: as its record has it, with ids, and as its entry has it, with places."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doctrail_core.ledger.record import ChunkFact

__all__ = ["AccessFact", "ChunkLabel", "access_entry", "access_fact", "chunks_decided"]

_ALLOWED, _DENIED = "allowed", "denied"


@dataclass(frozen=True, slots=True)
class ChunkLabel:
    """How a chunk was classified when it was decided about.

    Attributes:
        chunk: The place that binds its version.
    """

    chunk: int
    label: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFact:
    """A decision, as an entry has it.

    Attributes:
        principal: The place of the name of whom it was made for.
        point: Where it was enforced.
        policy: Revision or hash of the policy that decided; None where nothing was decided.
        search: Which search of the response it was, from 1.
        error: What kind of error there was in place of a ruling; then nothing was released.
    """

    engine: str
    point: str
    search: int
    principal: int | None = None
    decision: str | None = None
    policy: str | None = None
    error: str | None = None
    allowed: tuple[ChunkLabel, ...] = ()
    denied: tuple[ChunkLabel, ...] = ()


def chunks_decided(body: Mapping[str, Any]) -> Sequence[ChunkFact]:
    """The chunks that a record's decision is about."""
    return [
        ChunkFact(
            chunk_id=told["chunk_id"],
            content_hash=told.get("content_hash"),
            document_id=told["document_id"],
            grade="retrieved",
            source=told.get("source") if told.get("source") != told["document_id"] else None,
            version=told.get("version"),
        )
        for told in body["chunks"]
    ]


def access_entry(
    body: Mapping[str, Any], place_of: Callable[[ChunkFact], int], principal: int | None
) -> dict[str, Any]:
    """An entry's body of a record's.

    Args:
        body: The record's.
        place_of: Says where a chunk is bound.
        principal: The place of the principal's name.
    """
    labels: dict[str, list[list[Any]]] = {_ALLOWED: [], _DENIED: []}
    for fact, told in zip(chunks_decided(body), body["chunks"], strict=True):
        words = [place_of(fact), told.get("label"), told.get("label_version")]
        while words[-1] is None:
            words.pop()
        labels[_ALLOWED if told["allowed"] else _DENIED].append(words)
    said = {
        "decision": body.get("decision_id"),
        "engine": body["engine"],
        "error": body.get("error"),
        "point": body["point"],
        "policy": body.get("policy"),
        "principal": principal,
        "search": body["search"],
    }
    return {name: value for name, value in (said | labels).items() if value not in (None, [])}


def access_fact(body: Mapping[str, Any]) -> AccessFact:
    """The decision that an entry's body tells of.

    Raises:
        ValueError: It tells of none.
    """
    told = dict(body)
    allowed, denied = told.pop(_ALLOWED, ()), told.pop(_DENIED, ())
    try:
        return AccessFact(**told, allowed=_labels(allowed), denied=_labels(denied))
    except TypeError as error:
        raise ValueError("this entry tells of no decision on access") from error


def _labels(rows: Iterable[Sequence[Any]]) -> tuple[ChunkLabel, ...]:
    return tuple(ChunkLabel(*words) for words in rows)
