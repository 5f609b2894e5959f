"""Servers of other projects, each in an environment of its own, for as long as a `with` block lasts."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

PATIENCE = 120.0
_Found = TypeVar("_Found")


def installed(program: str) -> Path | None:
    """Where the program is, if somebody installed it and said where: the folder is in DOCTRAIL_BACKENDS."""
    folder = os.environ.get("DOCTRAIL_BACKENDS")
    found = Path(folder).resolve() / "bin" / program if folder else None
    return found if found and found.exists() else None


class Server:
    """A program that serves HTTP on loopback, in a folder of its own.

    Args:
        command: Starts it.
        environment: What is set for it beside PATH; nothing else of ours.
        alive: A path that answers once it serves.
    """

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], port: int, alive: str
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._alive = self.url + alive
        self._command = [str(word) for word in command]
        self._environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"} | environment

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="doctrail-backend-"))
        self._log = (self.folder / "log").open("w+")
        # a session of its own: some of them start processes, and all of these must end
        self._process = subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=self._environment | {"HOME": str(self.folder), "TMPDIR": str(self.folder)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until(self._serves)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it and what it started."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """What it answers in JSON; a body is posted."""
        return ask(self.url + path, body, headers)

    def _serves(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"it did not start:\n{(self.folder / 'log').read_text()}")
        try:
            with urllib.request.urlopen(self._alive, timeout=5):  # noqa: S310  # our own address
                return True
        except OSError:
            return False


def ask(url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """What an address answers in JSON; a body is posted."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  # our own address
        url, data, {"Content-Type": "application/json"} | dict(headers or {})
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310  # likewise
            said = answer.read()
    except urllib.error.HTTPError as refused:
        raise AssertionError(f"{url}: {refused.code} {refused.read().decode()[:2000]}") from refused
    return json.loads(said) if said else None


def until(find: Callable[[], _Found]) -> _Found:
    """What was looked for, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while not (found := find()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
