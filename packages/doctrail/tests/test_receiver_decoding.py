"""What is read from OTLP, well formed or hostile."""

import base64
import gzip
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")

from google.protobuf.internal.encoder import _VarintBytes
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from doctrail.receiver.bodies import BodyTooLargeError, MalformedBodyError, unpacked
from doctrail.receiver.decoding import MalformedRequestError, decode
from doctrail.receiver.otlp_json import decode_document
from doctrail.receiver.span import ReceivedEvent, ReceivedLink, ReceivedSpan

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


def request_with(*spans):
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "shop"
    written = sent.scope_spans.add()
    written.scope.name = "openinference.instrumentation.langchain"
    for fields in spans:
        written.spans.add(**fields)
    return request


def fields(**changes):
    return {
        "trace_id": bytes.fromhex(TRACE),
        "span_id": bytes.fromhex(SPAN),
        "parent_span_id": bytes.fromhex(PARENT),
        "name": "retrieve",
        "kind": 3,
        "start_time_unix_nano": 1_700_000_000_123_456_789,
        "end_time_unix_nano": 1_700_000_001_123_456_789,
        **changes,
    }


def in_json(request):
    """The request as OTLP has it in JSON, which is not what protobuf does by itself."""
    document = MessageToDict(request)
    for sent in document["resourceSpans"]:
        for written in sent["scopeSpans"]:
            for span in written["spans"]:
                for holder in (span, *span.get("links", ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in holder:
                            holder[name] = base64.b64decode(holder[name]).hex().upper()
    return document


VALUES = [
    KeyValue(key="text", value=AnyValue(string_value="é\n")),
    KeyValue(key="yes", value=AnyValue(bool_value=True)),
    KeyValue(key="large", value=AnyValue(int_value=-(1 << 62))),
    KeyValue(key="score", value=AnyValue(double_value=0.25)),
    KeyValue(key="bytes", value=AnyValue(bytes_value=b"\xff\x00")),
    KeyValue(key="nothing", value=AnyValue()),
    KeyValue(
        key="list",
        value=AnyValue(
            array_value=ArrayValue(
                values=[
                    AnyValue(
                        kvlist_value=KeyValueList(
                            values=[KeyValue(key="id", value=AnyValue(string_value="d1"))]
                        )
                    )
                ]
            )
        ),
    ),
]


def whole_request():
    return request_with(
        fields(
            attributes=VALUES,
            events=[{"name": "exception", "time_unix_nano": 5, "attributes": VALUES[:1]}],
            links=[{"trace_id": b"\x01" * 16, "span_id": b"\x02" * 8}],
            status={"code": 2, "message": "boom"},
            flags=0x300,
        )
    )


EXPECTED = ReceivedSpan(
    trace_id=TRACE,
    span_id=SPAN,
    parent_id=PARENT,
    name="retrieve",
    kind="client",
    start=1_700_000_000_123_456_789,
    end=1_700_000_001_123_456_789,
    attributes={
        "text": "é\n",
        "yes": True,
        "large": -(1 << 62),
        "score": 0.25,
        "bytes": base64.b64encode(b"\xff\x00").decode(),
        "nothing": None,
        "list": [{"id": "d1"}],
    },
    events=(ReceivedEvent("exception", 5, {"text": "é\n"}),),
    links=(ReceivedLink("01" * 16, "02" * 8),),
    status="error",
    status_message="boom",
    scope="openinference.instrumentation.langchain",
    resource={"service.name": "shop"},
    parent_is_remote=True,
)


def test_a_span_in_protobuf_is_read_with_all_that_it_says():
    assert decode(whole_request().SerializeToString(), "protobuf").spans == [EXPECTED]


def test_the_same_span_in_json_is_the_same():
    body = json.dumps(in_json(whole_request())).encode()
    assert decode(body, "json").spans == [EXPECTED]


def test_json_may_have_numbers_for_names_and_texts_for_numbers():
    document = in_json(whole_request())
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span["kind"] == "SPAN_KIND_CLIENT"
    assert span["startTimeUnixNano"] == "1700000000123456789"
    span["kind"] = 3
    span["status"]["code"] = "STATUS_CODE_ERROR"
    span["startTimeUnixNano"] = 1_700_000_000_123_456_789
    span["attributes"][2]["value"] = {"intValue": -(1 << 62)}
    span["unknown"] = {"field": []}
    assert decode_document(document).spans == [EXPECTED]


def test_a_first_span_has_no_parent_whether_that_is_empty_or_zero():
    for nothing in (b"", b"\x00" * 8):
        [span] = decode(
            request_with(fields(parent_span_id=nothing)).SerializeToString(), "protobuf"
        ).spans
        assert span.parent_id is None
        assert not span.parent_is_remote


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": b""},
        {"trace_id": b"\x00" * 16},
        {"trace_id": b"\x01" * 15},
        {"span_id": b"\x01" * 16},
        {"span_id": b"\x00" * 8},
        {"parent_span_id": b"\x01" * 3},
        {"links": [{"trace_id": b"", "span_id": b""}]},
    ],
)
def test_a_span_without_proper_ids_is_rejected_and_costs_the_others_nothing(wrong):
    request = request_with(fields(**wrong), fields())
    for decoded in (
        decode(request.SerializeToString(), "protobuf"),
        decode(json.dumps(in_json(request)).encode(), "json"),
    ):
        assert (len(decoded.spans), decoded.rejected) == (1, 1)
        assert "id must be" in decoded.reason


def with_span(**changes):
    document = in_json(request_with(fields()))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= changes
    return document


def nested(depth):
    value = {"stringValue": "x"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


@pytest.mark.parametrize(
    "wrong",
    [
        {"traceId": "zz" * 16},
        {"traceId": 7},
        {"name": ["x"]},
        {"kind": True},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": 1 << 65},
        {"startTimeUnixNano": -1},
        {"attributes": {"a": "b"}},
        {"attributes": ["a"]},
        {"attributes": [{"key": "a", "value": "b"}]},
        {"attributes": [{"key": "a", "value": {"bytesValue": "?"}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": "much"}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": 10**400}}]},
        {"attributes": [{"key": "a", "value": nested(80)}]},
        {"events": [[]]},
        {"status": "ok"},
    ],
    ids=str,
)
def test_what_a_span_in_json_has_of_a_wrong_kind_costs_that_span_alone(wrong):
    decoded = decode_document(with_span(**wrong))
    assert (decoded.spans, decoded.rejected) == ([], 1)
    assert decoded.reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [{"scopeSpans": [[]]}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_no_request_in_json_is_refused(body):
    with pytest.raises(MalformedRequestError):
        decode(body, "json")


def test_a_request_without_spans_has_none():
    assert decode(b"", "protobuf").spans == decode(b"{}", "json").spans == []


@given(st.binary(max_size=400))
def test_any_bytes_are_read_as_protobuf_or_refused(body):
    try:
        decoded = decode(body, "protobuf")
    except MalformedRequestError:
        return
    assert all(isinstance(span, ReceivedSpan) for span in decoded.spans)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_request_is_read_or_refused(data):
    body = bytearray(whole_request().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = bytes(body[: data.draw(st.integers(1, len(body)))])
    try:
        decoded = decode(body, "protobuf")
    except MalformedRequestError:
        return
    for span in decoded.spans:
        json.dumps(span.attributes)
        assert len(span.trace_id) == 32


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["key", "value", "values", "stringValue", "intValue", "arrayValue", "kvlistValue"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
NAMES = ["traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano"]
NAMES += ["attributes", "events", "links", "status", "flags"]


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_in_a_span_is_read_or_rejected(changes):
    decoded = decode_document(with_span(**changes))
    assert len(decoded.spans) + decoded.rejected == 1


@given(JSON)
def test_any_json_is_a_request_or_refused(document):
    try:
        decode_document({"resourceSpans": document})
        decode_document(document)
    except MalformedRequestError:
        pass


def test_a_request_of_too_many_spans_is_refused_before_they_are_looked_at():
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for _ in range(100_001):
        spans.add()
    with pytest.raises(MalformedRequestError, match="100,000 spans"):
        decode(request.SerializeToString(), "protobuf")
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 100_001}]}]})
    with pytest.raises(MalformedRequestError, match="100,000 spans"):
        decode(body.encode(), "json")


def field(number, *inner):
    """A message within a message, or several such, as protobuf writes them."""
    content = b"".join(inner)
    return bytes([number << 3 | 2]) + _VarintBytes(len(content)) + content


def in_a_span(*inner):
    ids = field(1, b"\x01" * 16) + field(2, b"\x01" * 8)
    return field(1, field(2, field(2, ids, *inner)))


def in_a_value(inner):
    return in_a_span(field(9, field(2, inner)))


MANY = 1_000_001
GROUPS = {
    "resource spans": field(1) * MANY,
    "scope spans": field(1, field(2) * MANY),
    "attributes of a resource": field(1, field(1, field(1) * MANY)),
    "attributes": in_a_span(field(9) * MANY),
    "events": in_a_span(field(11) * MANY),
    "links": in_a_span(field(13) * MANY),
    "attributes of an event": in_a_span(field(11, field(3) * MANY)),
    "lists in a list": in_a_value(field(5, field(1, field(5)) * MANY)),
    "pairs in a value": in_a_value(field(6, field(1) * MANY)),
}


@pytest.mark.parametrize("body", GROUPS.values(), ids=GROUPS)
def test_a_request_of_too_many_parts_is_refused_before_anything_is_made_of_them(body):
    with pytest.raises(MalformedRequestError, match="1,000,000"):
        decode(body, "protobuf")


PATHS = {
    "resource spans": ("resourceSpans",),
    "scope spans": ("scopeSpans", "resourceSpans"),
    "events": ("events", "spans", "scopeSpans", "resourceSpans"),
    "links": ("links", "spans", "scopeSpans", "resourceSpans"),
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_so_is_one_in_json(path):
    parts = [{}] * MANY
    for name in path:
        parts = [{name: parts}]
    with pytest.raises(MalformedRequestError, match="1,000,000"):
        decode(json.dumps(parts[0]).encode(), "json")


@pytest.mark.parametrize("form", ["protobuf", "json"])
@pytest.mark.parametrize("where", ["resource", "scope"])
def test_what_is_said_once_and_kept_with_each_span_cannot_fill_the_disk(where, form):
    request = request_with(*[fields()] * 1_000)
    sent = request.resource_spans[0]
    if where == "resource":
        sent.resource.attributes.add(key="padding").value.string_value = "x" * 100_000
    else:
        sent.scope_spans[0].scope.name = "x" * 100_000
    body = request.SerializeToString()
    if form == "json":
        body = json.dumps(in_json(request)).encode()
    with pytest.raises(MalformedRequestError, match="too large for the number of its spans"):
        decode(body, form)


def test_compressed_bodies_are_unpacked():
    assert unpacked(gzip.compress(b"spans"), "gzip", 5) == b"spans"
    assert unpacked(zlib.compress(b"spans"), "deflate", 5) == b"spans"
    assert unpacked(b"spans", "identity", 5) == b"spans"


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked():
    bomb = gzip.compress(b"\x00" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(BodyTooLargeError, match="more than 1,000 bytes"):
        unpacked(bomb, "gzip", 1000)


@pytest.mark.parametrize(
    "body",
    [b"", b"spans", gzip.compress(b"spans")[:-9], gzip.compress(b"spans") + b"more"],
    ids=["empty", "plain", "cut", "followed"],
)
def test_a_body_that_is_no_whole_piece_of_compressed_data_is_refused(body):
    with pytest.raises(MalformedBodyError):
        unpacked(body, "gzip", 1000)
