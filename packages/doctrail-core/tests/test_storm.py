"""Processes are killed while they write and while they move records: none is lost, none comes twice."""

import os
import random
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.trails import open_trails

_WRITER = """
import os, sys, json
from datetime import datetime, UTC
from pathlib import Path
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.trails.journal import TrailJournal
from doctrail_core.model import Chunk, Hit, Retrieval, Trail

home = Home(Path(sys.argv[1]))
faults = Faults(home)
ledger, trails = LedgerJournal(home, faults), TrailJournal(home, faults)
acknowledged = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
now = datetime.now(UTC)
number = 0
while True:
    name = f"{os.getpid()}-{number}"
    hit = Hit(Chunk("c", f"doc_{number % 7}", "sha256:00", f"text {number % 7}"), 0)
    retrieval = Retrieval("r", "bm25", "q", "h", (hit,), now, now)
    trail = Trail(name, "ok", now, now, "h", f"question {name}", "a", retrievals=(retrieval,))
    ledger.append("retrieved", trail)
    os.write(acknowledged, f"retrieved {name}\\n".encode())
    ledger.append("answered", trail)
    os.write(acknowledged, f"answered {name}\\n".encode())
    trails.append(trail)
    os.write(acknowledged, f"trail {name}\\n".encode())
    number += 1
"""

_SEQUENCER = """
import sys, time
from pathlib import Path
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.trails import open_trails
home = Home(Path(sys.argv[1]))
while True:
    for opened in (open_ledger, open_trails):
        try:
            opened(home, timeout=0.2).close()
        except Exception as error:
            if "nothing is recorded" not in str(error):
                raise
    time.sleep(0.01)
"""


def test_what_was_acknowledged_is_there_exactly_once_whatever_was_killed(home, tmp_path):
    home.ensure("ledger")
    log = tmp_path / "acknowledged"
    rng = random.Random(7)  # noqa: S311  # a storm that can be had again
    storm = _Storm(home, log)
    end = time.monotonic() + 6
    try:
        while time.monotonic() < end:
            time.sleep(rng.uniform(0.05, 0.35))
            storm.kill(rng.choice(["writer 0", "writer 1", "sequencer"]))
    finally:
        storm.over()
    assert storm.died_by_themselves == []
    assert storm.kills > 10
    _check(home, log.read_text().splitlines())


class _Storm:
    def __init__(self, home: Home, log: os.PathLike) -> None:
        writer = [sys.executable, "-c", _WRITER, str(home.path), str(log)]
        mover = [sys.executable, "-c", _SEQUENCER, str(home.path)]
        self._commands = {"writer 0": writer, "writer 1": writer, "sequencer": mover}
        self._running = {name: self._start(name) for name in self._commands}
        self.kills = 0
        self.died_by_themselves: list[bytes] = []

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._commands[name], stderr=subprocess.PIPE)

    def kill(self, name: str) -> None:
        self._end(self._running[name])
        self._running[name] = self._start(name)
        self.kills += 1

    def over(self) -> None:
        for process in self._running.values():
            self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            self.died_by_themselves.append(process.stderr.read())
        process.send_signal(signal.SIGKILL)
        process.communicate()


def _check(home: Home, acknowledged: list[str]) -> None:
    # What was written but not acknowledged, because its writer died in between, may be there as well.
    with open_ledger(home) as ledger, open_trails(home) as trails:
        assert (ledger.warning, trails.warning) == (None, None)
        in_ledger = [f"{record.kind} {record.response_id}" for record in _records(ledger)]
        in_trails = [f"trail {found.response_id}" for found in trails.responses()]
        there = in_ledger + in_trails
        assert len(acknowledged) > 300
        assert set(acknowledged) - set(there) == set()
        assert len(there) == len(set(there))
        assert len(there) - len(acknowledged) <= 100
        _check_order(_records(ledger))
        hits = [hit.response_id for n in range(7) for hit in ledger.responses_with(f"doc_{n}")]
        assert sorted(hits) == sorted({line.split()[1] for line in in_ledger})
    assert list(home.spool("ledger").glob("*.spool")) == []
    assert [*home.spool("ledger").glob("*.damaged"), *home.spool("trails").glob("*.refused")] == []


class Recorded(NamedTuple):
    """A record that became an entry, or a part of one."""

    kind: str
    response_id: str
    writer: int
    counter: int


def _records(ledger: LedgerReader) -> list[Recorded]:
    entries = list(ledger.entries())
    assert [entry.seq for entry in entries] == list(range(ledger.size()))
    found: list[Recorded] = []
    for entry in entries:
        if entry.response is not None:
            whose = (ledger.response_id_of(entry.response), entry.writer)
            found += [Recorded("retrieved", *whose, counter) for counter in entry.covers]
            found.append(Recorded(entry.kind, *whose, entry.counter))
    return found


def _check_order(records: list[Recorded]) -> None:
    by_writer: dict[int, list[Recorded]] = {}
    for record in records:
        by_writer.setdefault(record.writer, []).append(record)
    for own in by_writer.values():
        assert [record.counter for record in own] == list(range(len(own)))


# --- forks

_FORKING = """
import os, sys, threading, time
from datetime import datetime, UTC
from pathlib import Path
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import Chunk, Hit, Retrieval, Trail

now = datetime.now(UTC)
retrieval = Retrieval("r", "b", "q", "h", (Hit(Chunk("c", "doc_4", "sha256:00"), 0),), now, now)
home = Home(Path(sys.argv[1]))
ledger = LedgerJournal(home, Faults(home))

def append(name):
    ledger.append("answered", Trail(name, "ok", now, now, "h", retrievals=(retrieval,)))

stop = threading.Event()
def keep_appending():
    number = 0
    while not stop.is_set():
        append(f"{os.getpid()}-parent-{number}")
        number += 1
        time.sleep(0.0005)
    print(number, flush=True)

thread = threading.Thread(target=keep_appending)
thread.start()
children = []
for child in range(6):
    time.sleep(0.08)
    pid = os.fork()
    if pid == 0:
        for number in range(40):
            append(f"child-{child}-{number}")
        if child % 2:
            os._exit(0)      # without a chance to drain
        ledger.close()
        os._exit(0)
    children.append(pid)
for pid in children:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
stop.set()
thread.join()
ledger.close()
"""


def test_a_process_that_forks_while_it_writes_loses_nothing_and_neither_do_its_children(home):
    command = [sys.executable, "-W", "ignore", "-c", _FORKING, str(home.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    of_the_parent = int(done.stdout.split()[0])
    with open_ledger(home) as ledger:
        assert ledger.warning is None
        records = _records(ledger)
        _check_order(records)
    assert len(records) == of_the_parent + 6 * 40
    assert len({record.response_id for record in records}) == len(records)
    assert len({record.writer for record in records}) == 7
    assert list(home.spool("ledger").glob("*.spool")) == []


_WITH_A_CHILD_THAT_STAYS = """
append("one")
there, here = os.pipe()
pid = os.fork()
if pid == 0:
    os.read(there, 1)
    os._exit(0)
ledger.flush()
print(len(list(home.spool("ledger").glob("*.spool"))))
os.write(here, b"x")
os.waitpid(pid, 0)
"""


def test_a_child_that_stays_does_not_keep_its_parents_files(home):
    program = _FORKING.partition("stop = ")[0] + _WITH_A_CHILD_THAT_STAYS
    command = [sys.executable, "-W", "ignore", "-c", program, str(home.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0"]


def test_an_interpreter_that_exits_drains_what_it_wrote(home):
    program = _FORKING.partition("stop = ")[0] + "append('last words')"
    command = [sys.executable, "-c", program, str(home.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    with open_ledger(home, drain=False) as ledger:
        assert len(_records(ledger)) == 1
    assert list(home.spool("ledger").glob("*.spool")) == []


def test_a_killed_process_leaves_what_it_wrote_to_the_next_reader(home):
    program = _FORKING.partition("stop = ")[0] + "append('x'); os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", program, str(home.path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    with open_ledger(home) as ledger:
        assert len(_records(ledger)) == 1
