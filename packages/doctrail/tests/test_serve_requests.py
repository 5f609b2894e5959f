"""What senders are told, and what of theirs is kept."""

import gzip
import http.client
import json
import socket
import threading
import time
import zlib
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("google.rpc.status_pb2")
pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")

import uvicorn
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from doctrail.receiver.door import Door
from doctrail.receiver.inbox import Inbox
from doctrail.receiver.listening import address_of, listening, served_with
from doctrail.receiver.recording import Recording
from doctrail.receiver.server import Limits, application
from doctrail_core import Lineage, Settings
from doctrail_core.durable.errors import StoreError

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TOKEN = "a-token-of-some-length"  # noqa: S105
DEADLINE = 20


def request_with(*numbers, trace=1):
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in numbers:
        spans.add(
            trace_id=trace.to_bytes(16), span_id=number.to_bytes(8) if number else b"", name="x"
        )
    return request.SerializeToString()


IN_JSON = json.dumps(
    {
        "resourceSpans": [
            {"scopeSpans": [{"spans": [{"traceId": f"{1:032x}", "spanId": f"{1:016x}"}]}]}
        ]
    }
).encode()


@dataclass
class Server:
    door: Door
    inbox: Inbox
    endpoint: str
    port: int

    def post(self, body, content_type=PROTOBUF, path="/v1/traces", method="POST", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as line:
            line.request(method, path, body, {"Content-Type": content_type, **named})
            answer = line.getresponse()
            return answer, answer.read()

    def spans(self):
        return [
            span.span_id
            for trace_id in self.inbox.traces()
            for span in self.inbox.take(trace_id).spans
        ]


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def serving(home):
    """Run the door in a thread of this process."""

    @contextmanager
    def run(token=None, limits=None, room=1 << 30):
        lineage = Lineage(Settings(home=home, spans="none"))
        with closing(Inbox(home / "inbox.db", room=room)) as inbox, closing(lineage):
            door = Door(Recording(lineage, inbox, lambda _: []))
            with closing(listening("127.0.0.1", 0)) as listens:
                config = served_with(application(door, token, limits))
                server = uvicorn.Server(config)
                thread = threading.Thread(target=server.run, kwargs={"sockets": [listens]})
                thread.start()
                try:
                    yield Server(door, inbox, address_of(listens), listens.getsockname()[1])
                finally:
                    server.should_exit = True
                    thread.join(DEADLINE)

    return run


@pytest.fixture
def server(serving):
    with serving() as server:
        yield server


def test_spans_are_kept_before_they_are_acknowledged(server):
    answer, body = server.post(request_with(1, 2))
    assert (answer.status, answer.headers["Content-Type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(body) == ExportTraceServiceResponse()
    assert server.spans() == [f"{1:016x}", f"{2:016x}"]


def test_json_is_answered_in_json(server):
    answer, body = server.post(IN_JSON, "application/json; charset=utf-8")
    assert (answer.status, answer.headers["Content-Type"]) == (200, JSON)
    assert json.loads(body) == {}
    assert server.spans() == [f"{1:016x}"]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_requests_are_taken(server, encoding, pack):
    answer, _ = server.post(pack(request_with(1)), Content_Encoding=encoding)
    assert answer.status == 200
    assert server.spans() == [f"{1:016x}"]


def test_a_sender_is_told_how_many_of_its_spans_were_none(server):
    answer, body = server.post(request_with(1, 0, 0))
    told = ExportTraceServiceResponse.FromString(body).partial_success
    assert (answer.status, told.rejected_spans) == (200, 2)
    assert "span id must be 8 bytes" in told.error_message
    assert server.spans() == [f"{1:016x}"]
    _, body = server.post(IN_JSON.replace(b'"spanId"', b'"span"'), JSON)
    assert json.loads(body)["partialSuccess"]["rejectedSpans"] == "1"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"body": b"\xff\xff"}, 400, 3),
        ({"body": b"spans", "Content_Encoding": "gzip"}, 400, 3),
        ({"content_type": "text/plain"}, 415, 3),
        ({"Content_Encoding": "br"}, 415, 3),
        ({"path": "/v1/metrics"}, 404, 5),
        ({"method": "PUT"}, 405, 12),
        ({"Origin": "https://example.com"}, 403, 7),
    ],
    ids=str,
)
def test_what_is_no_proper_request_is_refused_with_a_reason(server, changes, status, code):
    answer, body = server.post(**{"body": request_with(1), **changes})
    assert answer.status == status
    if changes.get("content_type", PROTOBUF) == PROTOBUF:
        said = Status.FromString(body)
        assert (said.code, bool(said.message)) == (code, True)
    else:
        said = json.loads(body)
        assert said["code"] == code
        assert PROTOBUF in said["message"]
    assert server.spans() == []


def test_a_sender_of_metrics_is_told_how_to_stop(server):
    _, body = server.post(b"", path="/v1/metrics")
    assert "OTEL_METRICS_EXPORTER" in Status.FromString(body).message


def test_a_request_that_is_too_large_or_unpacks_to_that_is_refused(serving):
    with serving(limits=Limits(body=1000)) as server:
        for body, headers in [
            (b"\x00" * 1001, {}),
            (gzip.compress(b"\x00" * 100_000), {"Content_Encoding": "gzip"}),
        ]:
            answer, said = server.post(body, **headers)
            assert answer.status == 413
            assert "1,000 bytes" in Status.FromString(said).message
        assert server.post(request_with(1))[0].status == 200


def test_a_large_request_of_unknown_length_is_refused_when_it_gets_too_large(serving):
    with serving(limits=Limits(body=1000)) as server:
        answer, _ = server.post(iter([b"\x00" * 600] * 2))
        assert answer.status == 413


def test_while_there_is_no_room_senders_are_asked_to_come_again(serving):
    with serving(room=1) as server:
        assert server.post(request_with(1))[0].status == 200
        answer, body = server.post(request_with(2))
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        assert Status.FromString(body).code == 8
        [trace_id] = server.inbox.traces()
        server.inbox.forget(trace_id, server.spans())
        assert server.post(request_with(2))[0].status == 200


def test_while_too_much_is_being_received_senders_are_asked_to_come_again(serving):
    with serving(limits=Limits(body=1000, bodies=1500)) as server:
        slow = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        with closing(slow):
            slow.sendall(head(1000) + b"\x00" * 999)
            deadline = time.monotonic() + DEADLINE
            status = 0
            while status != 429 and time.monotonic() < deadline:
                answer, _ = server.post(b"\x0a\x00" * 350)
                status = answer.status
            assert (status, answer.headers["Retry-After"]) == (429, "2")
            assert server.post(request_with(1))[0].status == 200
            slow.sendall(b"\x00")
            assert b" 400 " in slow.recv(1000)
        assert server.post(b"\x0a\x00" * 350)[0].status == 200


def head(length):
    return (
        f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_a_sender_that_takes_too_long_is_sent_away_and_holds_up_nobody(serving):
    with serving(limits=Limits(seconds=0.2)) as server:
        slow = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        with closing(slow):
            slow.sendall(head(1000) + b"\x00")
            assert server.post(request_with(1))[0].status == 200
            assert b" 408 " in slow.recv(1000)


@pytest.mark.parametrize(
    "begun", [b"", b"POST /v1/traces HT", head(5)[:-2]], ids=["", "line", "head"]
)
def test_who_connects_and_begins_no_request_is_let_go(serving, monkeypatch, begun):
    monkeypatch.setattr("doctrail.receiver.listening._PATIENCE", 0.5)
    with serving() as server:
        line = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        with closing(line):
            line.sendall(begun)
            assert line.recv(1000) == b""
        assert server.post(request_with(1))[0].status == 200


def test_who_sends_one_request_after_the_other_keeps_the_connection(server):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)) as line:
        line.connect()
        first = line.sock
        for number in (1, 2, 3):
            line.request("POST", "/v1/traces", request_with(number), {"Content-Type": PROTOBUF})
            assert line.getresponse().read() == b""
            assert line.sock is first
    assert len(server.spans()) == 3


def test_a_sender_that_goes_away_in_the_middle_leaves_nothing_behind(server):
    with closing(socket.create_connection(("127.0.0.1", server.port), DEADLINE)) as gone:
        gone.sendall(head(1000) + b"\x00" * 500)
    assert server.post(request_with(1))[0].status == 200
    assert server.spans() == [f"{1:016x}"]


def test_only_who_shows_the_token_may_send(serving):
    with serving(token=TOKEN) as server:
        for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            answer, body = server.post(request_with(1), **shown)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            said = Status.FromString(body)
            assert said.code == 16
            assert TOKEN not in said.message
        assert server.spans() == []
        shown = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://example.com"}
        assert server.post(request_with(1), **shown)[0].status == 200


def test_nothing_is_read_from_who_may_not_send(serving):
    with serving(token=TOKEN) as server:
        line = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        with closing(line):
            line.sendall(head(1000))
            assert b" 401 " in line.recv(1000)


def test_where_nothing_can_be_kept_nothing_is_acknowledged(server, monkeypatch):
    def fail(_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(server.inbox, "put", fail)
    answer, body = server.post(request_with(1))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert Status.FromString(body).code == 14
    monkeypatch.undo()
    assert server.post(request_with(1))[0].status == 200


def test_a_fault_of_ours_is_told_as_one_and_counted(server, monkeypatch):
    noted = []
    monkeypatch.setattr(server.door, "fault", lambda where, error: noted.append(str(error)))
    monkeypatch.setattr(server.inbox, "put", lambda _: 1 / 0)
    assert server.post(request_with(1))[0].status == 500
    assert noted == ["division by zero"]


def test_many_senders_at_once_lose_nothing(server):
    failed = []

    def send(trace):
        for number in range(1, 6):
            answer, _ = server.post(request_with(number, trace=trace))
            failed.extend([answer.status] * (answer.status != 200))

    senders = [threading.Thread(target=send, args=(trace,)) for trace in range(1, 21)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(DEADLINE)
    assert failed == []
    assert len(server.spans()) == 100


def test_the_exporter_of_opentelemetry_is_content(server, caplog):
    exporters = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    for compression in Compression:
        provider = TracerProvider()
        exporter = exporters.OTLPSpanExporter(
            f"{server.endpoint}/v1/traces", compression=compression
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("app")
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
            pass
        provider.shutdown()
    assert [record.message for record in caplog.records] == []
    assert len(server.spans()) == 2 * len(Compression)


def test_the_exporter_of_opentelemetry_comes_again_when_it_is_asked_to(server, monkeypatch):
    exporters = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    put, tries = server.inbox.put, []

    def once_full(spans):
        tries.append(1)
        if len(tries) == 1:
            raise StoreError("the disk is full")
        return put(spans)

    monkeypatch.setattr("doctrail.receiver.server._RETRY", 1)
    monkeypatch.setattr(server.inbox, "put", once_full)
    provider = TracerProvider()
    exporter = exporters.OTLPSpanExporter(f"{server.endpoint}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("app").start_as_current_span("outer"):
        pass
    provider.shutdown()
    assert len(tries) == 2
    assert len(server.spans()) == 1


def test_the_loop_is_free_while_a_request_is_kept(server, monkeypatch):
    put, goes_on = server.inbox.put, threading.Event()

    def slowly(spans):
        assert goes_on.wait(DEADLINE)
        return put(spans)

    monkeypatch.setattr(server.inbox, "put", slowly)
    waiting = threading.Thread(target=server.post, args=(request_with(1),))
    waiting.start()
    assert server.post(b"\xff")[0].status == 400
    goes_on.set()
    waiting.join(DEADLINE)
    assert server.spans() == [f"{1:016x}"]
