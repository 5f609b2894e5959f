"""A collector for tests: takes what real exporters send over OTLP/HTTP or OTLP/gRPC, and keeps the messages."""

import gzip
import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What was received.

    Attributes:
        endpoint: Where to send to.
    """

    endpoint: str
    messages: list[ExportTraceServiceRequest] = field(default_factory=list)

    @property
    def spans(self) -> list["Received"]:
        """All spans, in the order they began."""
        found = [
            Received(span, dict(_values(group.resource.attributes)), scoped.scope.name)
            for message in self.messages
            for group in message.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
        return sorted(found, key=lambda span: span.raw.start_time_unix_nano)

    def one(self, trace_id: str | None, kind: str) -> "Received":
        """The only span of a trace that is of this kind."""
        (found,) = [
            span
            for span in self.spans
            if span.trace_id == trace_id and span.attributes["openinference.span.kind"] == kind
        ]
        return found


@dataclass(frozen=True)
class Received:
    """A span as it came over the wire."""

    raw: Span
    resource: dict[str, Any]
    scope: str

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(_values(self.raw.attributes))

    @property
    def trace_id(self) -> str:
        return self.raw.trace_id.hex()

    @property
    def id(self) -> str:
        return self.raw.span_id.hex()

    @property
    def parent_id(self) -> str | None:
        return self.raw.parent_span_id.hex() or None

    @property
    def links(self) -> list[tuple[str, str]]:
        return [(link.trace_id.hex(), link.span_id.hex()) for link in self.raw.links]

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event.name, dict(_values(event.attributes))) for event in self.raw.events]


def _values(attributes: Any) -> Generator[tuple[str, Any]]:
    for attribute in attributes:
        yield attribute.key, _value(attribute.value)


def _value(told: AnyValue) -> Any:
    kind = told.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in told.array_value.values]
    return getattr(told, kind)


@contextmanager
def over_http() -> Generator[Collector]:
    """One that speaks OTLP/HTTP."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.messages.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    collector = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
    listening = Thread(target=server.serve_forever)
    listening.start()
    try:
        yield collector
    finally:
        server.shutdown()
        listening.join()
        server.server_close()


@contextmanager
def over_grpc() -> Generator[Collector]:
    """One that speaks OTLP/gRPC, with gRPC's own limit on messages."""

    class Door(TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # the protocol's name
            collector.messages.append(request)
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(Door(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    collector = Collector(f"http://127.0.0.1:{port}")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def documents(span: Received, prefix: str = "retrieval.documents") -> list[dict[str, Any]]:
    """The flattened documents of a span, in order."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in span.attributes.items():
        if name.startswith(prefix + "."):
            index, said = name.removeprefix(prefix + ".").split(".document.", 1)
            found.setdefault(int(index), {})[said] = value
    return [found[index] for index in sorted(found)]


def parsed(text: str | None) -> Any:
    """What a JSON text says; the text itself where it is none."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text
