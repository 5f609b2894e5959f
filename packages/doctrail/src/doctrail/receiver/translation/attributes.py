"""What can be relied on in attributes that anybody may have written: nothing, so each is looked at.

Lists of records come either as one value or spread over names such as `retrieval.documents.0.document.id`;
`flat` makes the second of the first, so that readers know one form. Nothing in here raises.
"""

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, cast

__all__ = ["REDACTED", "flat", "items", "name", "number", "parsed", "record", "text", "whole"]

REDACTED = "__REDACTED__"
"""What OpenInference's instrumentations write in place of what is hidden; it is no text."""

_DEEPEST = 8
_MOST = 50_000
_LONGEST_NUMBER = 40

Attributes = Mapping[str, Any]


def flat(attributes: object) -> dict[str, Any]:
    """The attributes by name, with what is in lists and mappings beside them under names of its own."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, object, int]] = [("", attributes, 0)]
    while waiting and len(found) < _MOST:
        prefix, value, depth = waiting.pop()
        for key, inner in _named(value):
            place = f"{prefix}.{key}" if prefix else key
            found.setdefault(place, inner)
            if depth < _DEEPEST and isinstance(inner, Mapping | list | tuple):
                waiting.append((place, cast("object", inner), depth + 1))
    return found


def _named(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            if isinstance(key, str):
                yield key, inner
    elif isinstance(value, list | tuple):
        members = cast("list[Any] | tuple[Any, ...]", value)
        if any(isinstance(member, Mapping) for member in members):
            yield from ((str(place), member) for place, member in enumerate(members))


def items(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """The records of a list, each by the names that follow its number, in the order of the numbers."""
    start = f"{prefix}."
    found: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        if key.startswith(start):
            place, _, rest = key[len(start) :].partition(".")
            if rest and place.isascii() and place.isdecimal() and len(place) < _LONGEST_NUMBER:
                found.setdefault(int(place), {})[rest] = value
    return [found[place] for place in sorted(found)]


def text(value: object) -> str | None:
    """A text that says something; a record as JSON."""
    if isinstance(value, str):
        return value if value and value != REDACTED else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping | list | tuple):
        return _written(cast("object", value))
    return None


def _written(value: object) -> str | None:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return None


def name(value: object) -> str | None:
    """A text on one line, such as an id or a model's name."""
    found = text(value) if isinstance(value, str | int | float) else None
    return found.strip() or None if found else None


def number(value: object) -> float | None:
    """A finite number, also as it is written."""
    if isinstance(value, str) and len(value) < _LONGEST_NUMBER:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if isfinite(value) else None
    except OverflowError:
        return None


def whole(value: object) -> int | None:
    """A count, also as it is written."""
    found = number(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def parsed(value: object) -> Any:
    """What a JSON text says, or the record itself; None for all other texts."""
    if not isinstance(value, str):
        return cast("object", value) if isinstance(value, Mapping | list | tuple) else None
    if value[:1] not in "{[" and value.lstrip()[:1] not in "{[":
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return cast("object", found) if isinstance(found, dict | list) else None


def record(attributes: Attributes, key: str) -> dict[str, Any]:
    """A mapping that is one value, a JSON text, or spread over names."""
    found = parsed(attributes.get(key))
    if isinstance(found, Mapping):
        return {k: v for k, v in cast("Mapping[Any, Any]", found).items() if isinstance(k, str)}
    start = f"{key}."
    return {k[len(start) :]: v for k, v in attributes.items() if k.startswith(start)}
