"""How fast the OTLP door takes spans in, and puts their answers on record.

A real `doctrail serve` on loopback, with a home of its own; senders in this process, each with a connection that
it keeps. An answer is seven spans as OpenInference writes them, with five chunks of 430 characters. First all
is sent, in large requests or in small ones, then the answers on record are counted while the door works through them.
Run: `python benchmarks/receive.py --folder SOMEWHERE/ON/A/DISK`.
"""

import argparse
import http.client
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

TEXT = "The renewal of an enterprise contract must be declared in writing by February 28th. " * 5
CHUNKS = [f"{TEXT} {number}" for number in range(5)]
QUESTION = "When must the renewal be declared?"
SPANS = 7


def main() -> None:
    """Send in both ways, then watch the door."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the home lies while it runs")
    parser.add_argument("--answers", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=30, help="to count answers on record")
    options = parser.parse_args()
    for per_request, senders in ((60, 2), (1, 8)):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(Path(folder), options.answers, per_request, senders, options.seconds)


def measure(home: Path, answers: int, per_request: int, senders: int, seconds: float) -> None:
    """Start a door, send, watch, stop it."""
    command = [sys.executable, "-m", "doctrail", "serve", "--home", str(home), "--json"]
    door = subprocess.Popen(
        [*command, "--port", "0", "--quiet", "1"], stdout=subprocess.PIPE, text=True
    )
    assert door.stdout is not None  # noqa: S101  # it was asked for
    try:
        port = int(json.loads(door.stdout.readline())["endpoint"].rpartition(":")[2])
        took, latencies = send(port, answers // per_request // senders, per_request, senders)
        sent = len(latencies) * per_request
        print(
            f"requests of {per_request} answers, {senders} senders: {sent * SPANS / took:,.0f} spans/s,"
            f" a request p50 {statistics.median(latencies) * 1000:.1f} ms,"
            f" p99 {statistics.quantiles(latencies, n=100)[98] * 1000:.1f} ms"
        )
        rate = watch(home / "inbox.db", sent, seconds)
        memory = Path(f"/proc/{door.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        print(
            f"  recorded {rate:.0f} answers/s, {rate * SPANS:,.0f} spans/s; {int(memory) >> 10} MiB"
        )
    finally:
        door.send_signal(signal.SIGTERM)
        door.wait(60)


def send(port: int, requests: int, per_request: int, senders: int) -> tuple[float, list[float]]:
    """Seconds for all, and for each request."""
    latencies: list[float] = []
    ready = threading.Barrier(senders + 1)

    def run(seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311
        bodies = [body(rng, per_request) for _ in range(requests)]
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as line:
            ready.wait()
            for each in bodies:
                began = time.perf_counter()
                line.request("POST", "/v1/traces", each, {"Content-Type": "application/x-protobuf"})
                answer = line.getresponse()
                answer.read()
                latencies.append(time.perf_counter() - began)
                if answer.status != http.HTTPStatus.OK:
                    raise SystemExit(f"the door said {answer.status}")

    threads = [threading.Thread(target=run, args=(os.getpid() + n,)) for n in range(senders)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, latencies


def watch(inbox: Path, sent: int, seconds: float) -> float:
    """Answers that are recorded in a second, from the first on."""
    with closing(sqlite3.connect(f"file:{inbox}?mode=ro", uri=True)) as connection:
        began, first, count = 0.0, 0, 0
        while count < sent and (not began or time.perf_counter() < began + seconds):
            time.sleep(0.1)
            with suppress(sqlite3.OperationalError):
                (count,) = connection.execute("SELECT count(*) FROM recorded").fetchone()
            if count and not began:
                began, first = time.perf_counter(), count
    return (count - first) / (time.perf_counter() - began)


def body(rng: random.Random, answers: int) -> bytes:
    """A request with so many answers."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    written = request.resource_spans.add().scope_spans.add()
    written.scope.name = "openinference.instrumentation.langchain"
    for _ in range(answers):
        trace_id, now = rng.randbytes(16), time.time_ns()
        for number, parent, start, end, said in spans():
            span = written.spans.add(
                trace_id=trace_id,
                span_id=number.to_bytes(8, "big"),
                parent_span_id=parent.to_bytes(8, "big") if parent else b"",
                name="span",
                start_time_unix_nano=now + start,
                end_time_unix_nano=now + end,
            )
            for key, value in said.items():
                span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def spans() -> list[tuple[int, int, int, int, dict[str, str]]]:
    """Number, parent, times and attributes of the spans of an answer."""
    kind = "openinference.span.kind"
    search = {kind: "RETRIEVER", "input.value": QUESTION}
    for number, text in enumerate(CHUNKS):
        document = f"retrieval.documents.{number}.document"
        search |= {f"{document}.id": f"chunk-{number}", f"{document}.content": text}
        search |= {f"{document}.metadata": '{"source": "contract.pdf"}'}
    asked, said = "llm.input_messages.0.message", "llm.output_messages.0.message"
    prompt = "\n".join([*CHUNKS, QUESTION])
    call = {kind: "LLM", f"{asked}.role": "user", f"{asked}.content": prompt}
    call |= {f"{said}.role": "assistant", f"{said}.content": "By February 28th."}
    root = {kind: "CHAIN", "input.value": QUESTION, "output.value": "By February 28th."}
    steps = [(10 + number, 1, number, number + 1, {kind: "CHAIN"}) for number in range(4)]
    return [*steps, (2, 1, 10, 20, search), (3, 1, 30, 40, call), (1, 0, 0, 50, root)]


if __name__ == "__main__":
    main()
