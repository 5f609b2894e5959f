"""`doctrail serve` as a process of its own: started, killed, stopped, and refused."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("google.rpc.status_pb2")
pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")

from doctrail_core import Lineage, Settings
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.trails import open_trails

DEADLINE = 60
TOKEN = "a-token-of-some-length"  # noqa: S105
NOW = time.time_ns()


def span(trace, number, parent, kind, **attributes):
    said = {"openinference.span.kind": kind, **attributes}
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": kind.lower(),
        "startTimeUnixNano": str(NOW + 10 * number * bool(parent)),
        "endTimeUnixNano": str(NOW + 10 * number + (5 if parent else 1000)),
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in said.items()],
    }


def answer(trace):
    """The spans of an answer, in the order in which they end."""
    question, text = f"When is deadline {trace}?", "The deadline is February 28th."
    document = "retrieval.documents.0.document"
    message = "llm.{}_messages.0.message"
    return [
        span(
            *(trace, 2, 1, "RETRIEVER"),
            **{"input.value": question, f"{document}.id": "c1", f"{document}.content": text},
        ),
        span(
            *(trace, 3, 1, "LLM"),
            **{
                f"{message.format('input')}.role": "user",
                f"{message.format('input')}.content": f"{text}\n{question}",
                f"{message.format('output')}.role": "assistant",
                f"{message.format('output')}.content": "On February 28th.",
            },
        ),
        span(
            *(trace, 1, None, "CHAIN"),
            **{"input.value": question, "output.value": "On February 28th."},
        ),
    ]


def body(*spans):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


@dataclass
class Running:
    process: subprocess.Popen
    port: int
    endpoint: str

    def post(self, content, **headers):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as line:
            line.request(
                "POST", "/v1/traces", content, {"Content-Type": "application/json", **headers}
            )
            return line.getresponse().status

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def command(home):
    """Start the command; whatever is still running in the end is killed."""
    started = []

    def start(*words, **environment):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCTRAIL_", "OTEL_"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "doctrail", "serve", "--home", str(home), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=kept | environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def serve(command):
    def start(*words, **environment):
        process = command("--port", "0", "--quiet", "0.2", "--json", *words, **environment)
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        endpoint = json.loads(line)["endpoint"]
        return Running(process, int(endpoint.rpartition(":")[2]), endpoint)

    return start


@contextmanager
def trails_in(home):
    with closing(Lineage(Settings(home=home, spans="none"))) as lineage:
        lineage.flush(1)
    with open_trails(Home(home), drain=False) as trails:
        yield trails


def until(condition):
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def in_inbox(home, table):
    """How many spans wait, or how many traces are remembered as recorded."""
    with closing(sqlite3.connect(f"file:{home}/inbox.db?mode=ro", uri=True)) as inbox:
        return inbox.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # our names


def recorded(home):
    return in_inbox(home, "recorded")


def answered(home):
    """How often each response stands in the ledger with its answer, and the trails that there are."""
    with trails_in(home) as trails:
        ids = {summary.response_id for summary in trails.responses()}
    with open_ledger(Home(home)) as ledger:
        entries = (entry for entry in ledger.entries() if entry.kind == "answered")
        return Counter(ledger.response_id_of(entry.response) for entry in entries), ids


def response_id(trace):
    return str(UUID(int=trace))


def test_an_untouched_application_gets_trails(serve, home):
    running = serve()
    assert running.post(body(*answer(1))) == 200
    until(lambda: recorded(home))
    code, out, _ = running.stop()
    assert code == 0
    assert json.loads(out) == {"recorded": 1, "waiting": 0}
    with trails_in(home) as trails:
        trail = trails.get(response_id(1))
    assert trail.question == "When is deadline 1?"
    assert trail.answer == "On February 28th."
    assert list(trail.chunks) == ["c1"]
    assert trail.contexts[0].arrivals[0].state == "full"


def test_what_was_acknowledged_before_a_kill_is_recorded_once_after_the_next_start(serve, home):
    running = serve()
    numbers, acknowledged = count(1), set()
    lock, killed = threading.Lock(), threading.Event()

    def send():
        while not killed.is_set():
            with lock:
                trace = next(numbers)
            try:
                parts = answer(trace)
                if running.post(body(parts[0])) == running.post(body(*parts[1:])) == 200:
                    acknowledged.add(trace)
            except (OSError, http.client.HTTPException):
                return

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    until(lambda: len(acknowledged) >= 40)
    running.process.kill()
    killed.set()
    for sender in senders:
        sender.join(DEADLINE)

    running = serve("--patience", "1")
    for trace in list(acknowledged)[:5]:  # as senders do that did not hear the answer
        assert running.post(body(*answer(trace))) == 200
    wanted = {response_id(trace) for trace in acknowledged}
    until(lambda: in_inbox(home, "span") == 0)
    assert running.stop()[0] == 0
    times, ids = answered(home)
    assert wanted <= ids
    assert set(times) == ids
    assert max(times.values()) == 1


def test_a_door_that_is_told_to_end_answers_first_and_leaves_the_rest_to_the_next(serve, home):
    running = serve("--quiet", "100")
    assert running.post(body(*answer(1))) == 200
    code, out, err = running.stop()
    assert (code, err) == (0, "")
    assert json.loads(out) == {"waiting": 1}
    running = serve()
    until(lambda: recorded(home))
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as in the background of a script
    assert running.stop(signal.SIGINT)[0] == (0 if ignored else 130)
    assert answered(home)[1] == {response_id(1)}


def test_a_request_that_is_under_way_is_answered_before_the_door_closes(serve):
    running = serve()
    content = body(*answer(1))
    with closing(socket.create_connection(("127.0.0.1", running.port), DEADLINE)) as line:
        line.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(content)
        )
        line.sendall(content[:10])
        until(lambda: running.post(b"{}") == 200)  # so the other one is being read, too
        running.process.send_signal(signal.SIGTERM)
        line.sendall(content[10:])
        assert b" 200 " in line.recv(1000)
    assert running.stop()[0] == 0


def test_answers_are_checked_where_that_is_asked_for(serve, home):
    running = serve("--ground", "1")
    assert running.post(body(*answer(1))) == 200

    until(lambda: recorded(home))
    assert running.stop()[0] == 0
    with trails_in(home) as trails:
        assert trails.get(response_id(1)).assessments


@pytest.fixture
def backend():
    """A collector that keeps what it is sent."""
    sent = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            sent.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/traces", sent
        server.shutdown()
        thread.join(DEADLINE)


def test_what_was_found_out_is_sent_on_in_the_traces_that_it_belongs_to(serve, home, backend):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from doctrail.receiver.decoding import decode

    url, sent = backend
    running = serve("--send", url, "--ground", "1")
    assert running.post(body(*answer(1))) == 200
    until(lambda: recorded(home))
    assert running.stop()[0] == 0
    assert {path for path, _ in sent} == {"/traces"}
    spans = [span for _, content in sent for span in decode(content, "protobuf").spans]
    assembly, grounding = sorted(spans, key=lambda span: span.name)
    assert (assembly.name, grounding.name) == ("context assembly", "grounding embedded")
    assert (assembly.trace_id, assembly.parent_id) == (f"{1:032x}", f"{1:016x}")
    assert [(link.trace_id, link.span_id) for link in grounding.links] == [
        (f"{1:032x}", f"{3:016x}")
    ]
    assert {span.scope for span in spans} == {"doctrail"}


def test_the_door_does_not_send_to_itself(command):
    for host in ("127.0.0.1", "localhost"):
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        own = f"http://{host}:{port}/v1/traces"
        code, said = refused(command("--port", str(port), "--send", own))
        assert code == 2
        assert "this door itself" in said


def test_with_a_token_only_who_has_it_may_send(serve, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    for running in (serve("--token-file", str(file)),):
        assert running.post(b"{}") == 401
        assert running.post(b"{}", Authorization=f"Bearer {TOKEN}") == 200
        running.stop()
    running = serve(DOCTRAIL_SERVE_TOKEN=TOKEN)
    assert running.post(b"{}") == 401


def refused(process):
    out, err = process.communicate(timeout=DEADLINE)
    assert out == ""
    assert len(err.splitlines()) == 1
    return process.returncode, err


def test_other_machines_are_not_let_in_without_a_token(command):
    for host in ("0.0.0.0", "::"):  # noqa: S104
        code, said = refused(command("--host", host, "--port", "0"))
        assert code == 2
        assert "DOCTRAIL_SERVE_TOKEN" in said


def test_a_token_that_can_be_guessed_is_refused(command):
    code, said = refused(command(DOCTRAIL_SERVE_TOKEN="secret"))  # noqa: S106
    assert code == 2
    assert "16 characters" in said
    assert "secret" not in said


@pytest.mark.parametrize("content", [b"sixteen-of-these\nand-a-second-line", b"\xbe" * 20])
def test_a_token_that_no_sender_can_show_is_refused(command, tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    code, said = refused(command("--token-file", str(file)))
    assert code == 2
    assert "none of them white" in said


def test_a_port_that_is_taken_is_told(command):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        code, said = refused(command("--port", port))
    assert code == 2
    assert port in said
    assert "--port" in said


def test_a_second_door_to_the_same_home_is_refused(serve, command):
    running = serve()
    code, said = refused(command("--port", "0"))
    assert code == 2
    assert str(running.process.pid) in said


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "70000"),
        ("--quiet", "-1"),
        ("--quiet", "nan"),
        ("--ground", "2"),
        ("--verifier", "nli", "--model", "x"),
        ("--host", "no.such.host.invalid"),
        ("--token-file", "/no/such/file"),
        ("--port", "0", "--send", "127.0.0.1:6006"),
        ("--port", "0", "--send", "http://127.0.0.1:no/v1/traces"),
    ],
    ids=" ".join,
)
def test_words_that_mean_nothing_are_refused(doctrail, words):
    outcome = doctrail("serve", *words)
    assert outcome.code in (2, 3)
    assert outcome.out == ""
    assert outcome.err


def test_what_is_not_installed_is_named(doctrail, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr("doctrail.commands.serve._NEEDED", ("starlette", "no_such_module"))
    outcome = doctrail("serve")
    assert (outcome.code, outcome.out) == (2, "")
    assert "pip install 'doctrail[serve]'" in outcome.err


def test_the_home_is_made_for_the_owner_alone(serve, home):
    serve()
    assert home.stat().st_mode & 0o077 == 0
    assert Path(home / "inbox.db").stat().st_mode & 0o077 == 0
