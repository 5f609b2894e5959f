"""Under the servers and process pools that applications run in, every answer is on record once."""

import contextlib
import http.client
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wsgi import DOCUMENT

from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger

HERE = Path(__file__).parent
PATIENCE = 30.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


class Server:
    """gunicorn, listening on a socket in a folder."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.home = Home(folder / "home")
        self._socket = folder / "s"
        self._log = (folder / "log").open("w+")
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "gunicorn",
            "--bind",
            f"unix:{self._socket}",
        ]
        self.process = subprocess.Popen(
            [*command, "--workers", "2", "--chdir", str(HERE), *options, "wsgi:application"],
            env=os.environ | {"DOCTRAIL_HOME": str(self.home.path)} | environment,
            stdout=self._log,
            stderr=self._log,
        )
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.said()
        with contextlib.suppress(OSError), contextlib.closing(_Connection(self._socket)) as wire:
            wire.connect()
            return True
        return False

    def ask(self, question: str) -> tuple[str, int]:
        """The id of the response, and the process that gave it."""
        with contextlib.closing(_Connection(self._socket)) as wire:
            wire.request("GET", f"/{question}")
            response_id, pid = wire.getresponse().read().decode().split()
        return response_id, int(pid)

    def ask_many(self, count: int) -> dict[str, int]:
        with ThreadPoolExecutor(8) as pool:
            return dict(pool.map(self.ask, map(str, range(count))))

    def end(self) -> int:
        """Ask it to stop, as an orchestrator does."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as running:

        def start(*options: str, **environment: str) -> Server:
            server = Server(tmp_path, *options, **environment)
            running.callback(server.close)
            return server

        yield start


def answered(home: Home, *, drain: bool) -> list[str]:
    """The responses that are on record, each as often as it is."""
    with open_ledger(home, drain=drain) as ledger:
        assert ledger.warning is None
        assert not home.faults.exists()
        return [hit.response_id for hit in ledger.responses_with(DOCUMENT) if hit.complete]


KINDS = pytest.mark.parametrize(
    "options", [("-k", "sync"), ("-k", "gthread", "--threads", "4")], ids=["sync", "gthread"]
)


@KINDS
def test_gunicorn_that_preloads_drains_all_that_its_workers_recorded_when_it_is_stopped(
    options, serve
):
    server = serve("--preload", *options, RECORD_AT_IMPORT="1")
    given = server.ask_many(60)
    assert server.process.pid not in given.values()
    assert server.end() == 0
    found = answered(server.home, drain=False)
    assert len(found) == len(set(found)) == 61
    assert set(given) <= set(found)
    assert list(server.home.spool("ledger").glob("*.spool")) == []
    assert list(server.home.spool("trails").glob("*.spool")) == []


@KINDS
def test_answers_of_a_worker_that_is_killed_are_on_record(options, serve):
    server = serve("--preload", *options)
    before = server.ask_many(30)
    os.kill(max(before.values()), signal.SIGKILL)
    after = server.ask_many(30)
    server.process.kill()
    server.process.wait()
    assert set(before | after) <= set(answered(server.home, drain=True))


def test_a_worker_that_is_restarted_while_others_go_on_loses_nothing(serve):
    server = serve("--max-requests", "7", "-k", "gthread", "--threads", "2")
    given = server.ask_many(60)
    assert len(set(given.values())) > 2
    assert server.end() == 0
    assert set(answered(server.home, drain=True)) == set(given)


# --- processes of the application's own


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_pools_of_processes_record_what_their_workers_answer(method, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCTRAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    ask = (
        "import multiprocessing, sys\n"
        "from wsgi import answer_all\n"
        "if __name__ == '__main__':\n"
        "    answer_all(['in the parent'])\n"
        f"    with multiprocessing.get_context({method!r}).Pool(3) as pool:\n"
        "        parts = pool.map(answer_all, [[f'{p}-{n}' for n in range(10)] for p in range(6)], 1)\n"
        "        pool.close()\n"
        "        pool.join()\n"
        "    print(*sum(parts, []))\n"
    )
    program = tmp_path / "program.py"
    program.write_text(ask)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program], check=True, capture_output=True, text=True
    )
    given = done.stdout.split()
    assert len(given) == 60
    found = answered(Home(tmp_path / "home"), drain=True)
    assert len(found) == len(set(found)) == 61
    assert set(given) <= set(found)


def test_a_script_that_is_terminated_leaves_all_it_recorded_to_the_next_reader(tmp_path):
    """Python ends at once on SIGTERM unless told otherwise; no handler is installed behind its back."""
    home = Home(tmp_path / "home")
    script = (
        "import signal, sys\n"
        "from wsgi import answer\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "given = [answer(str(n)) for n in range(20)]\n"
        "assert signal.getsignal(signal.SIGTERM) is before\n"
        "print(*given, flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = os.environ | {"DOCTRAIL_HOME": str(home.path), "PYTHONPATH": str(HERE)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        given = process.stdout.readline().split()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == -signal.SIGTERM
    assert len(given) == 20
    assert sorted(answered(home, drain=True)) == sorted(given)


async def test_tasks_and_threads_record_side_by_side(tmp_path, monkeypatch):
    import asyncio

    import doctrail_core

    recording = doctrail_core.Lineage(doctrail_core.Settings(home=tmp_path / "home"))
    before = threading.active_count()

    async def ask(number: int) -> str:
        with recording.scope(question=str(number)) as opened:
            await asyncio.sleep(0)
            await asyncio.to_thread(_search, number)
        return opened.response_id

    def _search(number: int) -> None:
        from doctrail_core.manual import retrieval

        with retrieval(str(number), lineage=recording) as search:
            search.found([{"text": "x", "document_id": DOCUMENT, "chunk_id": "c1"}])

    given = await asyncio.gather(*(ask(number) for number in range(50)))
    recording.close()
    assert sorted(answered(Home(tmp_path / "home"), drain=True)) == sorted(given)
    assert threading.active_count() < before + 50
    assert multiprocessing.active_children() == []
