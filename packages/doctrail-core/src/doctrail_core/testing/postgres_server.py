"""A PostgreSQL server for tests, from the binaries that the system has. It lives as long as its `with` block.

The binaries refuse to run as root; there they run as `postgres` or, failing that, as `nobody`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

__all__ = ["PostgresServer", "binaries"]

_DEBIAN = Path("/usr/lib/postgresql")
_PATIENCE = 60.0
_FOR_TESTS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "50",
    "shared_buffers": "64MB",
}


def binaries() -> Path | None:
    """The folder of the server's programs; None where there are none."""
    found = shutil.which("postgres")
    versions = sorted(_DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    program = Path(found) if found else next(reversed(versions), None)
    folder = program.resolve().parent if program else None
    return folder if folder and (folder / "initdb").exists() else None


class PostgresServer:
    """One cluster on a port of the loopback, and on a socket in its folder.

    Args:
        durable: Whether what it acknowledges survives a power cut; else it is faster.
        settings: Of `postgresql.conf`.
        standby_of: The server that it follows, instead of being made empty.
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        standby_of: "PostgresServer | None" = None,
    ) -> None:
        found = binaries()
        if found is None:
            raise FileNotFoundError("no PostgreSQL server is installed here (initdb, postgres)")
        self._binaries = found
        self._user = _unprivileged()
        self._settings = ({} if durable else _FOR_TESTS) | dict(settings or {})
        self._process: subprocess.Popen[Any] | None = None
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="doctrail-postgres-"))
        self.data = self.folder / "data"
        try:
            if self._user is not None:
                shutil.chown(self.folder, self._user)
            self._make(standby_of)
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def address(self, database: str = "postgres", user: str = "doctrail") -> str:
        """A `postgresql://` address."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self, **options: str) -> str:
        """The address of an empty database."""
        name = f"d{uuid4().hex}"
        with_options = " ".join(f"{option} {value}" for option, value in options.items())
        self.execute(f"CREATE DATABASE {name} {with_options}")
        return self.address(name)

    def execute(self, *statements: str, database: str = "postgres") -> str:
        """Run statements as the superuser, each by itself; returns what they say, unaligned."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.address(database)]
        for statement in statements:
            command += ["-c", statement]
        return self._run(command).strip()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen(  # noqa: S603  # our own words
                [self._binaries / "postgres", "-D", self.data],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )
        self._process = started
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Have it end in an orderly way, whoever is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all of its processes at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def promote(self) -> None:
        """Make a standby a server that is written to."""
        self._run(["pg_ctl", "promote", "-w", "-D", str(self.data)])

    def close(self) -> None:
        """End it, and remove all that it had."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self, standby_of: "PostgresServer | None") -> None:
        if standby_of is None:
            trust = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
            self._run(["initdb", "-U", "doctrail", *trust, "-D", str(self.data)])
        else:
            copy = (
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
                "--no-sync",
            )
            source = standby_of.address() + "?application_name=standby"
            self._run(["pg_basebackup", *copy, "-d", source, "-D", str(self.data)])
        listening = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
        }
        lines = (f"{name} = '{value}'" for name, value in (listening | self._settings).items())
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n" + "\n".join(lines) + "\n")

    def _answers(self) -> bool:
        ready = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return self._called(ready).returncode == 0

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            if how is signal.SIGKILL:
                _kill_all(process.pid)
            else:
                process.send_signal(how)
        process.wait(_PATIENCE)

    def _run(self, command: Sequence[str]) -> str:
        done = self._called(command)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _called(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        program, *arguments = command
        return subprocess.run(  # noqa: S603  # our own words
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )

    def _as_user(self) -> dict[str, Any]:
        """Whoever may run it, in a folder and an environment that are its own."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.folder)}
        who: dict[str, Any] = {"cwd": self.folder, "env": environment}
        if self._user is not None:
            record = pwd.getpwnam(self._user)
            who |= {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": ()}
        return who


def _unprivileged() -> str | None:
    """Who runs it where we are root; None where we are not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _kill_all(pid: int) -> None:
    """Kill a process and its children; the server's have sessions of their own."""
    for each in (pid, *_children(pid)):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _children(pid: int) -> Collection[int]:
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
            if parent == pid:
                found.append(int(status.parent.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
