"""A primary dies while processes record: its standby has all that was committed, and gets the rest once."""

import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.testing.postgres_server import PostgresServer, binaries

pytest.importorskip("psycopg", reason="the postgres extra is not installed")

PATIENCE = 60.0
WRITER = """
import sys, time
from contextlib import suppress
from pathlib import Path

from doctrail_core.durable.errors import SequencerBusyError, StoreError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import Trail
from datetime import UTC, datetime

name, folder, address = sys.argv[1:]
home = Home(Path(folder), address)
journal = LedgerJournal(home, Faults(home))
stop, number = Path(folder) / "stop", 0
while not stop.exists():
    for _ in range(20):
        now = datetime.now(UTC)
        response = f"{name}-{number}"
        trail = Trail(response, "ok", now, now, query_hash="hmac-sha256:00")
        journal.append("answered", trail)
        print(response, flush=True)
        number += 1
    with suppress(StoreError):
        journal.flush(0.2)
    time.sleep(0.005)
journal.close()
"""


@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed here")
def test_nothing_that_was_committed_is_missing_when_the_standby_takes_over(tmp_path):
    with ExitStack() as stack:
        primary = stack.enter_context(PostgresServer(durable=True))
        standby = stack.enter_context(PostgresServer(durable=True, standby_of=primary))
        _wait_for_the_standby(primary)
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        address = f"postgresql://doctrail@{hosts}/postgres?target_session_attrs=read-write"
        home = Home(tmp_path / "home", address)
        home.ensure("ledger")
        writers = [_writing(stack, f"w{number}", home, tmp_path) for number in range(2)]

        _until(lambda: _entries(home) > 300)
        primary.kill()
        appended = _appended(tmp_path)
        _until(lambda: _appended(tmp_path) > appended + 100)  # while there is no server at all
        standby.promote()
        committed = _entries(home)
        _until(lambda: _entries(home) > committed + 100)

        (home.path / "stop").touch()
        assert [writer.wait(PATIENCE) for writer in writers] == [0, 0]
        acknowledged = _lines(tmp_path)
        with open_ledger(home, timeout=PATIENCE) as ledger:
            assert ledger.warning is None
            found = Counter(
                ledger.response_id_of(entry.response)
                for entry in ledger.entries()
                if entry.kind == "answered" and entry.response
            )
            assert [seq for seq, _ in ledger.bodies()] == list(range(ledger.size()))
    assert len(acknowledged) > 500
    assert [each for each, times in found.items() if times > 1] == []
    assert set(acknowledged) <= found.keys()


def _writing(stack, name, home, folder):
    output = stack.enter_context((folder / f"{name}.out").open("wb"))
    program = [sys.executable, "-c", WRITER, name, home.path, home.address]
    process = subprocess.Popen(program, stdout=output)
    stack.callback(process.kill)
    return process


def _wait_for_the_standby(primary):
    primary.execute("ALTER SYSTEM SET synchronous_standby_names TO 'standby'")
    primary.execute("SELECT pg_reload_conf()")
    _until(lambda: primary.execute("SELECT sync_state FROM pg_stat_replication") == "sync")


def _until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def _entries(home):
    with suppress(StoreError), open_ledger(home, drain=False) as ledger:
        return ledger.size()
    return 0


def _appended(folder):
    return len(_lines(folder))


def _lines(folder):
    """What was acknowledged, but for a line that is being written."""
    return [
        line for file in folder.glob("*.out") for line in file.read_text().split("\n")[:-1] if line
    ]
