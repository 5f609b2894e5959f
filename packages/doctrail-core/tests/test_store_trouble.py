"""Stores that cannot be used say which file, what is wrong and what to do; nothing gets lost meanwhile."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.home import Home
from doctrail_core.durable.intake import sizes
from doctrail_core.durable.lease import Lease
from doctrail_core.durable.spool import Spool
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.record import encode, from_trail
from doctrail_core.ledger.sqlite import LedgerWriter
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal
from doctrail_core.trails.sqlite import TrailWriter

STORES = pytest.mark.parametrize(
    ("stream", "opened", "writer"),
    [
        ("ledger", open_ledger, LedgerWriter),
        ("trails", open_trails, lambda home: TrailWriter(home.database("trails"))),
    ],
    ids=["ledger", "trails"],
)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@pytest.fixture
def journal(home, faults):
    journal = LedgerJournal(home, faults)
    yield journal
    journal.close()


def entry(make_trail, number=0):
    return encode(from_trail("answered", make_trail(f"r{number}"), writer="w", counter=number))


def answers(ledger):
    return sum(entry.kind == "answered" for entry in ledger.entries())


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# --- files that are not what they should be


@STORES
def test_a_file_that_is_no_database(home, stream, opened, writer):
    home.ensure(stream)
    path = home.database(stream)
    path.write_bytes(b"This is a text, and long enough to be taken for a database's header. " * 99)
    with pytest.raises(
        StoreError, match=rf"{stream}\.db: it is damaged or no database.*Move it away"
    ):
        opened(home)
    with pytest.raises(StoreError, match="Move it away"):
        writer(home)


@STORES
def test_a_damaged_database(home, stream, opened, writer):
    home.ensure(stream)
    path = home.database(stream)
    writer(home).close()
    data = bytearray(path.read_bytes())
    data[100:2000] = os.urandom(1900)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged.*backup"):
        opened(home)


def test_damage_that_shows_only_when_it_is_read(home, make_trail):
    home.ensure("ledger")
    path = home.database("ledger")
    with closing(LedgerWriter(home)) as writer:
        writer.commit([entry(make_trail, number) for number in range(200)], {}, ())
    data = bytearray(path.read_bytes())
    for page in range(10, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with open_ledger(home) as ledger, pytest.raises(StoreError, match=r"ledger\.db: it is damaged"):
        [ledger.entries_of(f"r{number}") for number in range(200)]


@STORES
def test_a_database_of_a_newer_doctrail(home, stream, opened, writer):
    home.ensure(stream)
    path = home.database(stream)
    writer(home).close()
    change(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    for use in (lambda: opened(home), lambda: writer(home)):
        with pytest.raises(StoreError, match=r"newer doctrail \(its schema is 99.*Upgrade"):
            use()
    assert path.read_bytes() == before


@STORES
def test_a_database_of_somebody_else(home, stream, opened, writer):
    home.ensure(stream)
    path = home.database(stream)
    change(path, "CREATE TABLE customers (name TEXT)")
    for use in (lambda: opened(home), lambda: writer(home)):
        with pytest.raises(StoreError, match=r"not a doctrail .*Move it away"):
            use()


def test_the_ledger_in_the_place_of_the_trails(home):
    home.ensure("trails")
    LedgerWriter(home).close()
    shutil.copy(home.database("ledger"), home.database("trails"))
    with pytest.raises(StoreError, match="not a doctrail trail store"):
        open_trails(home)


@STORES
def test_an_empty_file_is_no_store_yet_and_becomes_one(home, stream, opened, writer):
    home.ensure(stream)
    home.database(stream).touch()
    with pytest.raises(StoreError, match="nothing is recorded yet"):
        opened(home)
    writer(home).close()
    opened(home).close()


@STORES
def test_a_folder_in_the_place_of_the_file(home, stream, opened, writer):
    home.ensure(stream)
    home.database(stream).mkdir()
    with pytest.raises(StoreError, match=rf"{stream}\.db"):
        opened(home)
    with pytest.raises(StoreError, match=rf"{stream}\.db"):
        writer(home)


@STORES
def test_only_the_owner_may_read_a_store(home, stream, opened, writer):
    home.ensure(stream)
    with closing(writer(home)):
        modes = {file.name: file.stat().st_mode & 0o777 for file in home.path.glob("*.db*")}
    assert len(modes) == 3 * len({name.partition(".")[0] for name in modes})
    assert set(modes.values()) == {0o600}


# --- others in the way


def test_a_store_locked_by_another_program(home, journal, faults, make_trail):
    home.ensure("ledger")
    LedgerWriter(home).close()
    journal.append("answered", make_trail())
    with closing(sqlite3.connect(home.database("ledger"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked by another program.*Close that program"):
            journal.flush()
        other.execute("ROLLBACK")
    journal.flush()
    with open_ledger(home) as ledger:
        assert answers(ledger) == 1


def test_readers_do_not_wait_for_the_writer(home, make_trail):
    home.ensure("ledger")
    with closing(LedgerWriter(home)) as writer:
        writer.commit([entry(make_trail)], {}, ())
        writer._connection.execute("BEGIN IMMEDIATE")
        with open_ledger(home) as ledger:
            assert answers(ledger) == 1
        writer._connection.execute("ROLLBACK")


def test_a_database_that_is_opened_again_keeps_its_locks(home, make_trail):
    home.ensure()
    path = home.database("ledger")
    LedgerWriter(home).close()
    change_mode = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0);"
        "c.execute('PRAGMA journal_mode = DELETE')"  # nobody else may have it open for that
    )
    with open_ledger(home, drain=False) as reader:
        reader.size()
        writer = LedgerWriter(home)
        other = subprocess.run(
            [sys.executable, "-c", change_mode, path], capture_output=True, check=False
        )
        writer.close()
    assert b"database is locked" in other.stderr


@STORES
def test_what_another_process_holds_back_is_told_with_the_answer(
    home, stream, opened, writer, monkeypatch
):
    home.ensure(stream)
    writer(home).close()
    spool = Spool(home, stream)
    spool.append(b"waiting")
    lease = Lease(home.spool(stream) / "sequencer.lock")
    lease.take()
    with opened(home, timeout=0.05) as reader:
        assert f"process {os.getpid()} is the one to move them" in reader.warning
        assert reader.warning.startswith("17 bytes wait in ")
    with opened(home, drain=False) as reader:
        assert reader.warning is None
    lease.release()
    spool.seal()


def test_two_writers_who_both_believe_to_be_the_only_one_bring_nothing_twice(home, make_trail):
    home.ensure("ledger")
    with (
        closing(LedgerWriter(home)) as one,
        closing(LedgerWriter(home)) as two,
    ):
        one.commit([entry(make_trail)], {"file": 10}, ())
        with pytest.raises(StoreError, match="another process wrote"):
            two.commit([entry(make_trail)], {"file": 10}, ())
        one.commit([entry(make_trail, 1)], {"file": 20}, ())
    with open_ledger(home) as ledger:
        assert answers(ledger) == 2


def test_a_database_that_is_removed_is_made_anew_with_all_that_is_still_in_the_spool(
    home, journal, make_trail, eventually
):
    journal.append("answered", make_trail("r1"))
    eventually(lambda: _count(home))
    for file in home.path.glob("ledger.db*"):
        file.unlink()
    journal.append("answered", make_trail("r2"))
    journal.flush()
    with open_ledger(home) as ledger:
        assert [hit.response_id for hit in ledger.responses_with("doc_4")] == ["r2"]


def _count(home):
    try:
        with open_ledger(home, drain=False) as ledger:
            return answers(ledger)
    except NothingRecordedError:
        return 0


# --- no room, no permission


@root_only
def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path, faults, make_trail):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False
    ).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        home = Home(disk / "home")
        journal = TrailJournal(home, faults)
        acknowledged: list[str] = []
        with pytest.raises(OSError, match=r"No space left on device: nothing can be recorded"):
            _fill(journal, make_trail, acknowledged)
        journal.close(timeout=0)
        whole = Home(tmp_path / "more room")
        shutil.copytree(home.path, whole.path)
        with open_trails(whole) as trails:
            assert {found.response_id for found in trails.responses()} == set(acknowledged)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(journal, make_trail, acknowledged):
    for number in range(1_000):
        journal.append(make_trail(f"r{number:03d}", answer=os.urandom(2_000).hex()))
        acknowledged.append(f"r{number:03d}")


def test_a_database_that_may_not_grow_keeps_what_waits_in_the_spool(home, journal, make_trail):
    home.ensure("ledger")
    LedgerWriter(home).close()
    journal.append("answered", make_trail())
    limited = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from doctrail_core.durable.home import Home\n"
        "from doctrail_core.ledger import open_ledger\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "try:\n    open_ledger(Home(Path(sys.argv[1])))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    journal._sequencer._syncing.stop(0)
    command = [sys.executable, "-c", limited, str(home.path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.startswith("StoreError")
    assert "waits in the spool" in said
    with open_ledger(home) as ledger:
        assert answers(ledger) == 1


@root_only
def test_a_folder_that_is_read_only_can_be_read(home, tmp_path, make_trail, faults):
    journal = LedgerJournal(home, faults)
    journal.append("answered", make_trail())
    journal.close()
    bound = tmp_path / "bound"
    bound.mkdir()
    if subprocess.run(["mount", "--bind", str(home.path), str(bound)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(bound)], check=True)
        with open_ledger(Home(bound)) as ledger:
            assert answers(ledger) == 1
            assert ledger.warning is None
        spool = Spool(home, "ledger")
        spool.append(entry(make_trail, 1))
        with open_ledger(Home(bound), timeout=0.05) as ledger:
            assert "cannot be moved into the database: Read-only file system" in ledger.warning
        with pytest.raises(OSError, match=r"Read-only file system: nothing can be recorded in"):
            Spool(Home(bound), "ledger").append(b"x")
        spool.seal()
    finally:
        subprocess.run(["umount", "-l", str(bound)], check=True)


def test_a_home_that_cannot_be_made_costs_no_answer_and_can_be_told_from_an_empty_one(
    home, journal, make_trail
):
    home.path.parent.mkdir(exist_ok=True)
    home.path.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="nothing can be recorded in"):
        journal.append("answered", make_trail())
    with pytest.raises(StoreError, match="nothing is recorded yet"):
        open_ledger(home)


def test_what_is_waiting_is_moved_once_the_store_was_mended(home, journal, make_trail, faults):
    home.ensure("ledger")
    home.database("ledger").write_bytes(b"not a database at all, but long enough " * 99)
    journal.append("answered", make_trail())
    with pytest.raises(StoreError, match="Move it away"):
        journal.flush()
    assert sum(sizes(home.spool("ledger")).values()) > 0
    home.database("ledger").rename(home.path / "ledger.db.broken")
    journal.flush()
    with open_ledger(home) as ledger:
        assert answers(ledger) == 1
