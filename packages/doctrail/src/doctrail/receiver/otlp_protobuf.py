"""OTLP in protobuf."""

import base64
from collections.abc import Collection
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from doctrail.receiver.decoding import (
    KINDS,
    OF_A_REQUEST,
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
    found = Decoded(bounds=OF_A_REQUEST)
    found.count(len(request.resource_spans))
    for sent in request.resource_spans:
        resource, size = _attributes(sent.resource.attributes, found), sent.resource.ByteSize()
        found.count(len(sent.scope_spans))
        for written in sent.scope_spans:
            scope = written.scope.name
            for span in written.spans:
                found.add(partial(_span, span, scope, resource, found), size + len(scope))
    return found


def _span(span: Span, scope: str, resource: dict[str, Any], found: Decoded) -> ReceivedSpan:
    found.count(len(span.events) + len(span.links))
    parent = span.parent_span_id.hex()
    return ReceivedSpan(
        trace_id=trace_id(span.trace_id.hex()),
        span_id=span_id(span.span_id.hex()),
        parent_id=span_id(parent) if parent.strip("0") else None,
        name=span.name,
        kind=_word(KINDS, span.kind),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes, found),
        events=tuple(
            ReceivedEvent(event.name, event.time_unix_nano, _attributes(event.attributes, found))
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


def _attributes(pairs: Collection[KeyValue], found: Decoded) -> dict[str, Any]:
    found.count(len(pairs))
    return {pair.key: _value(pair.value, found) for pair in pairs}


def _value(value: AnyValue, found: Decoded) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            found.count(1)
            return [_value(item, found) for item in value.array_value.values]
        case "kvlist_value":
            found.count(1)
            return _attributes(value.kvlist_value.values, found)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case "string_value" | "bool_value" | "int_value" | "double_value" as kind:
            return getattr(value, kind)
        case _:
            return None
