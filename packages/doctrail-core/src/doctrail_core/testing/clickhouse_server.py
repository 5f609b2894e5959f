"""A ClickHouse server for tests: the engine of chdb, in a process of its own.

It speaks as much of ClickHouse's HTTP as its client uses. It lives as long as its `with` block, and its data as long as
its folder. Each statement is run by the same engine that servers run. What a server does beside that is not there: no users, no
Keeper, no replicas; statements wait for each other.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from urllib.request import urlopen
from uuid import uuid4

__all__ = ["ClickHouseServer"]

_INSERT = re.compile(rb"\s*(INSERT INTO .*?)\s+FORMAT\s+(\w+)\s*\n", re.DOTALL)
_ASKS = re.compile(r"\s*(SELECT|WITH|SHOW|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE)
_NO_SETTINGS = frozenset(
    {
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "database",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "query",
        "query_id",
        "send_progress_in_http_headers",
        "session_id",
        "wait_end_of_query",
    }
)
"""What HTTP has and the engine has not."""


class ClickHouseServer:
    """One server on a port of the loopback.

    Args:
        folder: Holds its data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def url(self, database: str = "default") -> str:
        """The address of a database."""
        return f"clickhouse://127.0.0.1:{self._port}/{database}"

    def new_database(self) -> str:
        """The address of a database of its own."""
        name = f"of_{uuid4().hex}"
        asked = f"CREATE DATABASE {name}".encode()
        urlopen(f"http://127.0.0.1:{self._port}/", data=asked).close()
        return self.url(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on another port each time."""
        command = [sys.executable, "-m", __spec__.name, str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.strip():
            raise RuntimeError("chdb did not start")
        self._port = int(line)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class _Engine:
    """chdb, which runs one statement at a time."""

    def __init__(self, folder: str) -> None:
        from chdb import session

        self._session: Any = session.Session(folder)
        self._lock = Lock()

    def run(self, options: Mapping[str, str], body: bytes) -> bytes:
        with self._lock:
            self._session.query(f"USE `{options.get('database', 'default')}`")
            parameters = {k: v for k, v in options.items() if k.startswith("param_")}
            for name, value in parameters.items():
                self._session.query(f"SET {name} = {_quoted(value)}")
            settings = {
                name: value
                for name, value in options.items()
                if name not in _NO_SETTINGS and name not in parameters
            }
            inserted = _INSERT.match(body)
            if inserted is not None:
                return self._insert(inserted, body[inserted.end() :], settings)
            return self._statement(body.decode(), settings)

    def _insert(self, inserted: re.Match[bytes], data: bytes, settings: Mapping[str, str]) -> bytes:
        into, form = inserted[1].decode(), inserted[2].decode()
        with NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            source = f"FROM INFILE '{file.name}'{_settings(settings)} FORMAT {form}"
            return bytes(self._session.query(f"{into} {source}").bytes())

    def _statement(self, statement: str, settings: Mapping[str, str]) -> bytes:
        head, found, form = statement.rpartition("FORMAT ")
        if not _ASKS.match(statement):
            return bytes(self._session.query(statement, "TabSeparated").bytes())
        if not found or " " in form.strip():
            head, form = statement, "TabSeparated"
        # Parsed with the query itself, a format would be another one's than that of the answer.
        return bytes(self._session.query(f"{head}{_settings(settings)}", form.strip()).bytes())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    engine: _Engine

    def do_GET(self) -> None:  # the base's name
        self._answer(b"Ok.\n", 200)

    def do_POST(self) -> None:
        options = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        if "query" in options:
            body = f"{options['query']}\n".encode() + body
        try:
            answer, status = self.engine.run(options, body), 200
        except Exception as error:  # noqa: BLE001  # whatever it was, the client is told
            answer, status = str(error).encode(), 500
        self._answer(answer, status)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Say nothing."""

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is not None:
            return self.rfile.read(int(length))
        pieces: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _settings(settings: Mapping[str, str]) -> str:
    told = ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())
    return f" SETTINGS {told}" if told else ""


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _serve(folder: str) -> None:
    _Handler.engine = _Engine(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)  # noqa: T201  # to whoever started it
    server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
