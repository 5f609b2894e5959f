"""OTLP in JSON, in which ids are hexadecimal, enums numbers or names, and large numbers text."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from doctrail.receiver.decoding import (
    KINDS,
    OF_A_REQUEST,
    STATUSES,
    UNBOUNDED,
    Bounds,
    Decoded,
    MalformedRequestError,
    MalformedSpanError,
    is_remote,
    span_id,
    trace_id,
)
from doctrail.receiver.span import ReceivedEvent, ReceivedLink, ReceivedSpan

__all__ = ["decode_document", "decode_json"]

_DEEPEST = 64
_MOST = 1 << 64
_KIND_NAMES = {f"SPAN_KIND_{kind.upper()}": kind for kind in KINDS}
_STATUS_NAMES = {f"STATUS_CODE_{status.upper()}": status for status in STATUSES}


def decode_json(body: bytes | str) -> Decoded:
    """The spans of an `ExportTraceServiceRequest`.

    Raises:
        MalformedRequestError: It is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(
            f"the body is no JSON that can be read: {type(error).__name__}"
        ) from error
    return decode_document(document, OF_A_REQUEST)


def decode_document(document: object, bounds: Bounds = UNBOUNDED) -> Decoded:
    """The spans of an `ExportTraceServiceRequest` that was read from JSON.

    Args:
        document: What was read.
        bounds: What may become of it.

    Raises:
        MalformedRequestError: It is none.
    """
    found = Decoded(bounds=bounds)
    try:
        for sent in _groups(_object(document), "resourceSpans", found):
            resource = _attributes(_object(sent.get("resource") or {}))
            size = len(json.dumps(resource))
            for written in _groups(sent, "scopeSpans", found):
                scope = _text(_object(written.get("scope") or {}).get("name"))
                for span in _list(written, "spans"):
                    found.add(partial(_span, span, scope, resource, found), size + len(scope))
    except MalformedSpanError as error:
        raise MalformedRequestError(f"the body is no ExportTraceServiceRequest: {error}") from error
    return found


def _span(value: object, scope: str, resource: dict[str, Any], found: Decoded) -> ReceivedSpan:
    span = _object(value)
    found.count(len(_list(span, "events")) + len(_list(span, "links")))
    parent = _hex(span.get("parentSpanId"))
    status = _object(span.get("status") or {})
    return ReceivedSpan(
        trace_id=trace_id(_hex(span.get("traceId"))),
        span_id=span_id(_hex(span.get("spanId"))),
        parent_id=span_id(parent) if parent.strip("0") else None,
        name=_text(span.get("name")),
        kind=_word(KINDS, _KIND_NAMES, span.get("kind")),
        start=_number(span.get("startTimeUnixNano")),
        end=_number(span.get("endTimeUnixNano")),
        attributes=_attributes(span),
        events=tuple(
            ReceivedEvent(
                _text(event.get("name")), _number(event.get("timeUnixNano")), _attributes(event)
            )
            for event in _objects(span, "events")
        ),
        links=tuple(
            ReceivedLink(trace_id(_hex(link.get("traceId"))), span_id(_hex(link.get("spanId"))))
            for link in _objects(span, "links")
        ),
        status=_word(STATUSES, _STATUS_NAMES, status.get("code")),
        status_message=_text(status.get("message")),
        scope=scope,
        resource=resource,
        parent_is_remote=is_remote(_number(span.get("flags"))),
    )


def _attributes(holder: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    return _pairs(holder, "attributes", depth)


def _pairs(holder: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
    return {
        _text(pair.get("key")): _value(pair.get("value"), depth) for pair in _objects(holder, name)
    }


def _value(value: object, depth: int) -> Any:
    if depth > _DEEPEST:
        raise MalformedSpanError(f"a value is nested more than {_DEEPEST} deep")
    for kind, content in _object(value or {}).items():
        if kind in _READERS:
            return _READERS[kind](content, depth + 1)
    return None


def _items(content: object, depth: int) -> list[Any]:
    return [_value(item, depth) for item in _list(_object(content or {}), "values")]


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedSpanError(f"an object was expected, not {type(value).__name__}")
    return cast("dict[str, Any]", value)


def _list(holder: dict[str, Any], name: str) -> list[object]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedSpanError(f"{name} must be a list")
    return cast("list[object]", value)


def _objects(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    return map(_object, _list(holder, name))


def _groups(holder: dict[str, Any], name: str, found: Decoded) -> Iterator[dict[str, Any]]:
    found.count(len(_list(holder, name)))
    return _objects(holder, name)


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedSpanError(f"a text was expected, not {type(value).__name__}")
    return value


def _hex(value: object) -> str:
    text = _text(value).lower()
    if text.strip("0123456789abcdef"):
        raise MalformedSpanError("an id must be hexadecimal, as OTLP/JSON has it")
    return text


def _number(value: object, least: int = 0) -> int:
    if value in (None, ""):
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise MalformedSpanError(f"a whole number was expected, not {type(value).__name__}")
    try:
        number = int(value)
    except ValueError as error:
        raise MalformedSpanError("a text that is to be a whole number is none") from error
    if not least <= number < _MOST:
        raise MalformedSpanError("a whole number has more than 64 bits")
    return number


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise MalformedSpanError(f"a number was expected, not {type(value).__name__}")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise MalformedSpanError("a text that is to be a number is none") from error


def _base64(value: object) -> str:
    try:
        return base64.b64encode(base64.b64decode(_text(value), validate=True)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise MalformedSpanError("a text that is to be base64 is none") from error


def _word(words: tuple[str, ...], names: dict[str, str], value: object) -> str:
    if isinstance(value, str) and value in names:
        return names[value]
    number = _number(value)
    return words[number] if number < len(words) else words[0]


_READERS: dict[str, Callable[[object, int], Any]] = {
    "stringValue": lambda content, _: _text(content),
    "boolValue": lambda content, _: content is True,
    "intValue": lambda content, _: _number(content, least=-_MOST),
    "doubleValue": lambda content, _: _float(content),
    "arrayValue": _items,
    "kvlistValue": lambda content, depth: _pairs(_object(content or {}), "values", depth),
    "bytesValue": lambda content, _: _base64(content),
}
