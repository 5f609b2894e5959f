"""OTLP in protobuf."""

import base64
from collections.abc import Iterable
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from doctrail.receiver.decoding import (
    KINDS,
    MOST,
    STATUSES,
    Decoded,
    MalformedRequestError,
    is_remote,
    span_id,
    trace_id,
)
from doctrail.receiver.span import ReceivedEvent, ReceivedLink, ReceivedSpan

__all__ = ["decode_protobuf"]


def decode_protobuf(body: bytes) -> Decoded:
    """The spans of an `ExportTraceServiceRequest`.

    Raises:
        MalformedRequestError: It is none.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedRequestError(
            "the body is no ExportTraceServiceRequest in protobuf"
        ) from error
    found = Decoded(most=MOST)
    for sent in found.bounded(request.resource_spans):
        resource = _attributes(sent.resource.attributes)
        for written in found.bounded(sent.scope_spans):
            for span in written.spans:
                found.add(partial(_span, span, written.scope.name, resource))
    return found


def _span(span: Span, scope: str, resource: dict[str, Any]) -> ReceivedSpan:
    parent = span.parent_span_id.hex()
    return ReceivedSpan(
        trace_id=trace_id(span.trace_id.hex()),
        span_id=span_id(span.span_id.hex()),
        parent_id=span_id(parent) if parent.strip("0") else None,
        name=span.name,
        kind=_word(KINDS, span.kind),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=tuple(
            ReceivedEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ),
        links=tuple(
            ReceivedLink(trace_id(link.trace_id.hex()), span_id(link.span_id.hex()))
            for link in span.links
        ),
        status=_word(STATUSES, span.status.code),
        status_message=span.status.message,
        scope=scope,
        resource=resource,
        parent_is_remote=is_remote(span.flags),
    )


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number] if 0 <= number < len(words) else words[0]


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "string_value" | "bool_value" | "int_value" | "double_value" as kind:
            return getattr(value, kind)
        case _:
            return None
