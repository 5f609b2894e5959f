"""Spans as Phoenix exports them: rows of its dataframe in JSON, and pages of its API in both of their forms.

Phoenix keeps neither the name of the instrumentation nor the sender's attributes nor links. JSON texts among
the attributes come back as what they say. Rows written by `to_json` have times to the millisecond and ten
digits of a score, unless it was told otherwise.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from doctrail.receiver.decoding import (
    KINDS,
    STATUSES,
    Decoded,
    MalformedSpanError,
    span_id,
    trace_id,
)
from doctrail.receiver.span import ReceivedEvent, ReceivedSpan

__all__ = ["decode_phoenix"]

_Record = Mapping[str, Any]
_COLUMN = "attributes."
_KIND = "openinference.span.kind"
_DEEPEST = 64
_MOST = 1 << 64
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""Below which a number counts seconds, milliseconds or microseconds since the epoch, and how many nanoseconds
those are."""


def decode_phoenix(document: object) -> Decoded:
    """The spans of a page, of a row, or of a list of either.

    Args:
        document: What was read from JSON.
    """
    found = Decoded()
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(cast("list[object]", value)))
        elif isinstance(value, dict) and isinstance(value.get("data"), list):  # pyright: ignore[reportUnknownMemberType] -- JSON
            waiting.append(cast("dict[str, object]", value)["data"])
        else:
            found.add(partial(_span, value))
    return found


def _span(value: object) -> ReceivedSpan:
    if not isinstance(value, dict):
        raise MalformedSpanError(f"a span was expected, not {type(value).__name__}")
    told = cast("dict[str, Any]", value)
    if "start_time_unix_nano" in told:
        return _otlp(told)
    context = told.get("context")
    if isinstance(context, dict):
        return _made(told, cast("_Record", context), _record(told.get("attributes")))
    if "context.trace_id" in told:
        named = {key: told.get(f"context.{key}") for key in ("trace_id", "span_id")}
        return _made(told, named, _columns(told))
    raise MalformedSpanError("it is neither OTLP in JSON nor an export of Phoenix")


def _made(told: _Record, context: _Record, attributes: dict[str, Any]) -> ReceivedSpan:
    kind = told.get("span_kind")
    if isinstance(kind, str) and kind not in ("", "UNKNOWN"):
        attributes.setdefault(_KIND, kind)
    status = _text(told.get("status_code")).lower()
    return ReceivedSpan(
        trace_id=trace_id(_hex(context.get("trace_id"))),
        span_id=span_id(_hex(context.get("span_id"))),
        parent_id=_parent(told.get("parent_id")),
        name=_text(told.get("name")),
        kind=KINDS[0],
        start=_time(told.get("start_time")),
        end=_time(told.get("end_time")),
        attributes=attributes,
        events=tuple(_events(told.get("events"), "timestamp", _record)),
        status=status if status in STATUSES else STATUSES[0],
        status_message=_text(told.get("status_message")),
    )


def _columns(told: _Record) -> dict[str, Any]:
    """A row has a column for whatever any span has."""
    return {
        key[len(_COLUMN) :]: value
        for key, value in told.items()
        if key.startswith(_COLUMN) and value is not None
    }


def _otlp(told: _Record) -> ReceivedSpan:
    status = _record(told.get("status"))
    known: dict[object, str] = dict(enumerate(STATUSES))
    code: object = status.get("code")
    return ReceivedSpan(
        trace_id=trace_id(_hex(told.get("trace_id"))),
        span_id=span_id(_hex(told.get("span_id"))),
        parent_id=_parent(told.get("parent_span_id")),
        name=_text(told.get("name")),
        kind=KINDS[0],
        start=_time(told.get("start_time_unix_nano")),
        end=_time(told.get("end_time_unix_nano")),
        attributes=_pairs(told.get("attributes")),
        events=tuple(_events(told.get("events"), "time_unix_nano", _pairs)),
        status=known.get(code, STATUSES[0]) if isinstance(code, int) else STATUSES[0],
        status_message=_text(status.get("message")),
    )


def _events(
    value: object, time: str, attributes: Callable[[object], dict[str, Any]]
) -> Iterator[ReceivedEvent]:
    for one in _items(value):
        told = _record(one)
        yield ReceivedEvent(
            _text(told.get("name")), _time(told.get(time)), attributes(told.get("attributes"))
        )


def _pairs(value: object) -> dict[str, Any]:
    pairs = map(_record, _items(value))
    return {_text(pair.get("key")): _value(pair.get("value"), 0) for pair in pairs}


def _value(value: object, depth: int) -> Any:
    """The one field of a value that is not null."""
    if depth > _DEEPEST:
        raise MalformedSpanError(f"a value is nested more than {_DEEPEST} deep")
    for kind, content in _record(value).items():
        if content is not None:
            if kind != "array_value":
                return content
            return [_value(item, depth + 1) for item in _items(_record(content).get("values"))]
    return None


def _record(value: object) -> dict[str, Any]:
    return dict(cast("_Record", value)) if isinstance(value, dict) else {}


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _hex(value: object) -> str:
    text = _text(value).lower()
    if text.strip("0123456789abcdef"):
        raise MalformedSpanError("an id must be hexadecimal")
    return text


def _parent(value: object) -> str | None:
    text = _hex(value)
    return span_id(text) if text else None


def _time(value: object) -> int:
    """Nanoseconds since the epoch, of a date or a number."""
    if isinstance(value, str) and not value.isdecimal():
        return _date(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    try:
        number = int(value)
        unit = next((unit for limit, unit in _UNITS if number < limit), 1)
        told = int(value * unit) if isinstance(value, float) else number * unit
    except (ValueError, OverflowError) as error:
        raise MalformedSpanError("a time is no number") from error
    if not 0 <= told < _MOST:
        raise MalformedSpanError("a time has more than 64 bits")
    return told


def _date(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise MalformedSpanError("a time is neither a number nor a date") from error
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(
        1970, 1, 1, tzinfo=UTC
    )
    return max(0, (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000)
