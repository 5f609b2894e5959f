"""Record what a Phoenix server exports of spans that were sent to it, beside this file.

    benchmarks/.venvs/peers/bin/python packages/doctrail/tests/recorded/phoenix_exports.py

It needs `arize-phoenix`. The server is a real one, on loopback, with a folder of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SENT = (
    "openinference_langchain.in_session",
    "openinference_langchain.failing_search",
    "openinference_llama_index.reranked",
)
PORT = 16_106
SERVER = f"http://127.0.0.1:{PORT}"
_SPANS = f"{SERVER}/v1/projects/default/spans"
_DEADLINE = 120.0


def main() -> None:
    """Start the server, send, export, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(PORT),
            "PHOENIX_GRPC_PORT": str(PORT + 1),
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        }
        command = [str(Path(sys.executable).parent / "phoenix"), "serve"]
        server = subprocess.Popen(command, env=os.environ | settings)  # the real one
        try:
            _until(lambda: _get(f"{SERVER}/healthz"))
            number = sum(_send(name) for name in SENT)
            _until(lambda: len(json.loads(_get(f"{_SPANS}?limit=1000"))["data"]) == number)
            _export()
        finally:
            server.terminate()
            server.wait(30)


def _export() -> None:
    first = _get(f"{_SPANS}?limit=10")
    cursor = json.loads(first)["next_cursor"]
    pages = [first, _get(f"{_SPANS}?limit=1000&cursor={cursor}")]
    _write("phoenix.spans.json", "[" + ",\n".join(pages) + "]\n")
    _write("phoenix.otlpv1.json", _get(f"{_SPANS}/otlpv1?limit=1000") + "\n")

    from phoenix.client import Client

    frame = Client(base_url=SERVER).spans.get_spans_dataframe(project_identifier="default")
    _write("phoenix.dataframe.jsonl", frame.to_json(orient="records", lines=True))
    dated = frame.to_json(orient="records", lines=True, date_format="iso", date_unit="us")
    _write("phoenix.dataframe.iso.jsonl", dated)


def _write(name: str, text: str) -> None:
    (FOLDER / name).write_text(text)


def _send(name: str) -> int:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    sent = json.loads((FOLDER / f"{name}.json").read_text())
    spans = [s for r in sent["resourceSpans"] for c in r["scopeSpans"] for s in c["spans"]]
    for span in spans:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = b64encode(bytes.fromhex(span[key])).decode()
    body = ParseDict(sent, ExportTraceServiceRequest()).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    urllib.request.urlopen(urllib.request.Request(f"{SERVER}/v1/traces", body, headers)).close()  # noqa: S310  # loopback
    return len(spans)


def _get(address: str) -> str:
    with urllib.request.urlopen(address) as reply:  # noqa: S310  # loopback
        return reply.read().decode()


def _until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        with suppress(OSError):
            if holds():
                return
        time.sleep(0.5)
    raise TimeoutError("the server does not get there")


if __name__ == "__main__":
    main()
