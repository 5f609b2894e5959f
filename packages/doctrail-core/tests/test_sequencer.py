"""Moving records into a database: each exactly once, in order, whatever dies or breaks meanwhile."""

import fcntl
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from doctrail_core.durable import respite
from doctrail_core.durable import sequencer as sequencer_module
from doctrail_core.durable.errors import SequencerBusyError, StoreError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.frame import frame, scan
from doctrail_core.durable.home import Home
from doctrail_core.durable.intake import Intake, sizes
from doctrail_core.durable.lease import Lease
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool
from doctrail_core.durable.tenure import Tenure


class Memory:
    """A database in memory: what a store must do, and nothing else."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.places: dict[str, int] = {}
        self.commits = 0
        self.opened = 0
        self.broken: Exception | None = None
        self.dies_after_commit = False

    def open(self) -> "Memory":
        self.opened += 1
        return self

    def close(self) -> None:
        self.opened -= 1

    def cursors(self) -> Mapping[str, int]:
        return dict(self.places)

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        if self.broken is not None:
            raise self.broken
        for payload in payloads:
            if payload.startswith(b"poison"):
                raise ValueError("cannot be stored")
        self.records += payloads
        self.places |= cursors
        for name in forgotten:
            self.places.pop(name, None)
        self.commits += 1
        if self.dies_after_commit:
            raise KeyboardInterrupt


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def spool(home):
    spool = Spool(home, "ledger")
    yield spool
    spool.seal()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Records gather for less time than they do for users."""
    monkeypatch.setattr(sequencer_module, "_GATHER", 0.2)


@pytest.fixture
def sequencer(spool, memory, faults):
    sequencer = Sequencer(spool, memory, faults)
    yield sequencer
    sequencer.close()


def left_behind(home: Home, data: bytes, name: str = "dead.00000001") -> Path:
    """A spool file whose process has died."""
    home.ensure("ledger")
    file = home.spool("ledger") / f"{name}.spool"
    file.write_bytes(data)
    return file


def others(home: Home) -> list[str]:
    return sorted(
        file.name
        for file in home.spool("ledger").iterdir()
        if file.suffix in {".damaged", ".refused", ".spool"}
    )


# --- the ordinary course of things


def test_what_was_appended_is_synced_before_it_is_moved(
    spool, memory, sequencer, eventually, monkeypatch
):
    synced: list[bool] = []
    monkeypatch.setattr(
        "doctrail_core.durable.spool.os.fdatasync", lambda _fd: synced.append(not memory.records)
    )
    spool.append(b"one")
    sequencer.wake()
    eventually(lambda: memory.records == [b"one"])
    assert synced[0]


def test_a_lot_is_moved_without_waiting_for_more(spool, memory, sequencer, eventually, monkeypatch):
    monkeypatch.setattr(sequencer_module, "_GATHER", 3600.0)
    monkeypatch.setattr(sequencer_module, "_ENOUGH", 1000)
    spool.append(b"x" * 2000)
    sequencer.wake()
    eventually(lambda: memory.records)


def test_what_was_appended_arrives_without_anybody_asking(spool, memory, sequencer, eventually):
    spool.append(b"one")
    sequencer.wake()
    eventually(lambda: memory.records == [b"one"])


def test_records_that_come_together_are_committed_together(spool, memory, sequencer, eventually):
    for number in range(100):
        spool.append(str(number).encode())
        sequencer.wake()
    eventually(lambda: len(memory.records) == 100)
    assert memory.commits < 10
    assert memory.records == [str(number).encode() for number in range(100)]


def test_lease_connection_and_spool_are_given_up_when_nothing_comes(
    home, spool, memory, sequencer, eventually
):
    spool.append(b"one")
    sequencer.wake()
    eventually(lambda: memory.records == [b"one"])
    eventually(lambda: memory.opened == 0)
    assert sizes(home.spool("ledger")) == {}
    lease = Lease(home.spool("ledger") / "sequencer.lock")
    assert eventually(lease.take)
    lease.release()


def test_after_a_rest_it_goes_on(spool, memory, sequencer, eventually):
    spool.append(b"one")
    sequencer.wake()
    eventually(lambda: memory.records and memory.opened == 0)
    spool.append(b"two")
    sequencer.wake()
    eventually(lambda: memory.records == [b"one", b"two"])


def test_a_thread_that_could_not_be_started_is_started_with_the_next_record(
    spool, memory, sequencer, eventually, monkeypatch
):
    def fail(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as no_threads:
        no_threads.setattr(threading.Thread, "start", fail)
        spool.append(b"one")
        sequencer.wake()
    spool.append(b"two")
    sequencer.wake()
    eventually(lambda: memory.records == [b"one", b"two"])


def test_draining_moves_everything_at_once_and_leaves_no_file(home, spool, memory, sequencer):
    spool.append(b"one")
    sequencer.drain()
    assert memory.records == [b"one"]
    assert memory.opened == 0
    assert sizes(home.spool("ledger")) == {}


def test_draining_nothing_opens_nothing(home, memory, sequencer):
    sequencer.drain()
    assert memory.opened == 0
    assert not home.path.exists()


def test_closing_drains(spool, memory, sequencer):
    spool.append(b"one")
    sequencer.wake()
    sequencer.close()
    assert memory.records == [b"one"]


def test_what_is_appended_after_closing_is_drained_by_closing_again(spool, memory, sequencer):
    sequencer.close()
    spool.append(b"late")
    sequencer.wake()
    sequencer.close()
    assert memory.records == [b"late"]


def test_closing_does_not_wait_for_a_database_that_does_not_answer(
    spool, memory, faults, eventually
):
    answers = threading.Event()
    opens = memory.open

    def open_at_last() -> Memory:
        answers.wait()
        return opens()

    memory.open = open_at_last
    sequencer = Sequencer(spool, memory, faults)
    spool.append(b"one")
    sequencer.wake()
    eventually(sequencer._tenure._turn.locked)
    closing = threading.Thread(target=sequencer.close, args=(0.01,), daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    answers.set()
    eventually(lambda: memory.records == [b"one"])


def test_closing_does_not_ask_again_what_failed_slowly(spool, memory, faults, monkeypatch):
    monkeypatch.setattr(respite, "_TIMES", 1e9)
    asked = []

    def fail() -> Memory:
        asked.append(None)
        raise StoreError("no answer")

    memory.open = fail
    sequencer = Sequencer(spool, memory, faults)
    spool.append(b"one")
    sequencer.close()
    sequencer.close()  # as at exit
    assert len(asked) == 1


def test_segments_of_one_process_keep_their_order(home, memory, faults):
    spool = Spool(home, "ledger", segment_bytes=64)
    written = [f"{number:04d}".encode() for number in range(300)]
    for record in written:
        spool.append(record)
    Sequencer(spool, memory, faults).drain()
    assert memory.records == written


def test_the_cursors_of_deleted_files_are_forgotten_with_the_next_commit(
    spool, memory, sequencer, home
):
    spool.append(b"one")
    sequencer.drain()
    spool.append(b"two")
    sequencer.drain()
    assert len(memory.places) == 1
    assert memory.places.keys().isdisjoint(sizes(home.spool("ledger")))


# --- what others left behind


def test_the_backlog_of_dead_processes_is_moved_too(home, memory, sequencer):
    left_behind(home, frame(b"a") + frame(b"b"), "one.00000001")
    left_behind(home, frame(b"c"), "two.00000001")
    sequencer.drain()
    assert memory.records == [b"a", b"b", b"c"]
    assert others(home) == []


def test_a_file_that_is_still_written_to_is_read_but_not_deleted(home, memory, faults):
    writer, reader = Spool(home, "ledger"), Spool(home, "ledger")
    writer.append(b"one")
    sequencer = Sequencer(reader, memory, faults)
    sequencer.drain()
    assert memory.records == [b"one"]
    assert len(sizes(home.spool("ledger"))) == 1
    writer.append(b"two")
    sequencer.drain()
    assert memory.records == [b"one", b"two"]
    writer.seal()


def test_the_torn_record_of_a_dead_process_is_counted_and_no_more(home, memory, faults, sequencer):
    left_behind(home, frame(b"whole") + frame(b"torn")[:-1])
    sequencer.drain()
    assert memory.records == [b"whole"]
    assert others(home) == []
    assert list(faults.summary()) == ["torn record of a process that died while writing it"]


def test_an_incomplete_record_of_a_living_process_is_waited_for(home, memory, faults):
    spool = Spool(home, "ledger")
    spool.append(b"one")
    (file,) = home.spool("ledger").glob("*.spool")
    rest = frame(b"two")
    with file.open("ab") as half:
        half.write(rest[:7])
        half.flush()
        sequencer = Sequencer(Spool(home, "ledger"), memory, faults)
        sequencer.drain()
        assert memory.records == [b"one"]
        half.write(rest[7:])
    sequencer.drain()
    assert memory.records == [b"one", b"two"]
    assert faults.summary() == {}
    spool.seal()


def test_damage_in_the_middle_is_set_aside_and_the_rest_goes_on(home, memory, faults, sequencer):
    broken = bytearray(frame(b"broken"))
    broken[-1] ^= 1
    left_behind(home, frame(b"one") + broken + frame(b"two"))
    sequencer.drain()
    assert memory.records == [b"one", b"two"]
    assert others(home) == ["dead.00000001.spool.13.damaged"]
    assert (home.spool("ledger") / others(home)[0]).read_bytes() == broken
    assert list(faults.summary()) == ["damaged bytes in the spool, set aside"]


def test_damage_at_the_end_is_set_aside(home, memory, faults, sequencer):
    left_behind(home, frame(b"one") + b"\0" * 40)
    sequencer.drain()
    assert memory.records == [b"one"]
    assert others(home) == ["dead.00000001.spool.13.damaged"]
    assert list(faults.summary()) == ["damaged bytes in the spool, set aside"]


def test_a_record_that_the_store_refuses_does_not_block_the_others(home, memory, faults, sequencer):
    texts = [b"one", b"two", b"poison", b"three", b"poison 2", b"four"]
    left_behind(home, b"".join(map(frame, texts)))
    sequencer.drain()
    assert memory.records == [b"one", b"two", b"three", b"four"]
    assert faults.summary() == {
        "storing a record: ValueError": 2,
        "record that the store refused, set aside": 2,
    }
    refused = [(home.spool("ledger") / name).read_bytes() for name in others(home)]
    assert [scan(data).records[0][1] for data in refused] == [b"poison", b"poison 2"]


def test_a_record_that_was_refused_is_not_refused_again(home, memory, faults):
    spool = Spool(home, "ledger")
    spool.append(b"one")
    spool.append(b"poison")
    for _ in range(2):
        Sequencer(Spool(home, "ledger"), memory, faults).drain()
    assert faults.summary()["storing a record: ValueError"] == 1
    spool.seal()


# --- what breaks


def test_a_crash_between_commit_and_deletion_brings_nothing_twice(home, memory, sequencer):
    left_behind(home, frame(b"one"))
    memory.dies_after_commit = True
    with pytest.raises(KeyboardInterrupt):
        sequencer.drain()
    memory.dies_after_commit = False
    sequencer.drain()
    assert memory.records == [b"one"]
    assert others(home) == []


def test_a_crash_between_deletion_and_forgetting_leaves_only_a_cursor_that_goes_later(
    home, memory, faults
):
    memory.places["gone.00000001.spool"] = 100
    left_behind(home, frame(b"one"))
    Intake(home.spool("ledger"), memory, faults).once()
    assert list(memory.places) == ["dead.00000001.spool"]


def test_a_database_that_does_not_work_is_tried_again_and_nothing_is_lost(
    spool, memory, faults, sequencer, eventually
):
    memory.broken = StoreError("the disk is full")
    spool.append(b"one")
    sequencer.wake()
    eventually(faults.summary)
    memory.broken = None
    eventually(lambda: memory.records == [b"one"])
    assert list(faults.summary()) == ["moving the ledger spool into its database: StoreError"]


def test_draining_into_a_database_that_does_not_work_says_so(spool, memory, sequencer):
    memory.broken = StoreError("the disk is full")
    spool.append(b"one")
    with pytest.raises(StoreError, match="the disk is full"):
        sequencer.drain()
    memory.broken = None


def test_a_home_that_was_removed_is_no_fault(home, spool, memory, faults, sequencer, eventually):
    spool.append(b"one")
    sequencer.wake()
    eventually(lambda: memory.records)
    _remove(home)
    eventually(lambda: memory.opened == 0)
    assert faults.summary() == {}
    assert not home.path.exists()


def _remove(home: Home) -> None:
    import shutil

    shutil.rmtree(home.path)


def test_a_spool_that_cannot_be_synced_is_still_committed(
    home, memory, faults, sequencer, monkeypatch
):
    left_behind(home, frame(b"one"))

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    sequencer.drain()
    assert memory.records == [b"one"]
    assert faults.summary() == {"syncing the spool: OSError": 1}


def test_what_is_read_was_synced_before_it_is_committed(home, memory, sequencer, monkeypatch):
    left_behind(home, frame(b"one"))
    order = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: order.append("sync"))
    monkeypatch.setattr(memory, "commit", lambda *_: order.append("commit"))
    sequencer.drain()
    assert order == ["sync", "commit"]


# --- several at once


def test_only_one_can_have_the_lease(home):
    home.ensure("ledger")
    path = home.spool("ledger") / "sequencer.lock"
    first, second = Lease(path), Lease(path)
    assert first.take()
    assert not second.take()
    assert second.holder() == os.getpid()
    first.release()
    assert second.take()
    second.release()


def test_a_lease_whose_file_is_gone_is_no_lease(home):
    home.ensure("ledger")
    lease = Lease(home.spool("ledger") / "sequencer.lock")
    lease.take()
    (home.spool("ledger") / "sequencer.lock").unlink()
    assert not lease.is_held()
    lease.release()


def test_a_drain_waits_for_the_one_that_is_at_it(home, spool, memory, faults):
    spool.append(b"one")
    lease = Lease(home.spool("ledger") / "sequencer.lock")
    lease.take()
    done = threading.Event()

    def drain() -> None:
        Sequencer(Spool(home, "ledger"), memory, faults).drain(20)
        done.set()

    thread = threading.Thread(target=drain)
    thread.start()
    assert not done.wait(0.1)
    memory.records.append(b"one")
    memory.places |= sizes(home.spool("ledger"))
    assert done.wait(20)
    lease.release()
    thread.join()


def test_a_drain_goes_on_itself_when_the_lease_becomes_free(home, spool, memory, faults):
    spool.append(b"one")
    lease = Lease(home.spool("ledger") / "sequencer.lock")
    lease.take()
    threading.Timer(0.1, lease.release).start()
    Sequencer(Spool(home, "ledger"), memory, faults).drain(20)
    assert memory.records == [b"one"]


def test_a_drain_that_is_kept_waiting_names_who_keeps_it(home, spool, memory, faults):
    spool.append(b"one")
    lease = Lease(home.spool("ledger") / "sequencer.lock")
    lease.take()
    with pytest.raises(SequencerBusyError, match=f"process {os.getpid()}") as caught:
        Sequencer(Spool(home, "ledger"), memory, faults).drain(0.05)
    assert (caught.value.pid, caught.value.waiting) == (os.getpid(), 13)
    lease.release()


# --- forks


@pytest.fixture
def tenure(home, memory, faults):
    left_behind(home, frame(b"one"))
    tenure = Tenure(home.spool("ledger"), memory, faults)
    assert tenure.move() == 1
    assert memory.opened == 1
    yield tenure
    tenure.let_go()


def test_no_database_is_open_while_the_process_forks(home, memory, tenure):
    tenure.before_fork()
    assert memory.opened == 0
    other = Lease(home.spool("ledger") / "sequencer.lock")
    assert other.take()
    other.release()
    tenure.after_fork_in_parent()
    assert tenure.move() == 0
    assert memory.opened == 1


def test_a_child_neither_uses_nor_closes_the_database_it_got_from_its_parent(memory, tenure):
    tenure.after_fork_in_child()
    assert memory.opened == 1
    tenure.let_go()
    assert memory.opened == 1
    assert tenure.move() == 0
    assert memory.opened == 2


def test_a_child_does_not_believe_to_have_its_parents_lease(tenure):
    of_the_parent = os.dup(tenure._lease._fd)
    tenure.after_fork_in_child()
    assert tenure.move() is None
    os.close(of_the_parent)


def test_a_child_leaves_the_lease_with_its_parent(home):
    home.ensure("ledger")
    path = home.spool("ledger") / "sequencer.lock"
    lease = Lease(path)
    lease.take()
    of_the_parent = os.dup(lease._fd)
    lease.drop()
    assert not lease.is_held()
    assert not Lease(path).take()
    assert lease.holder() == os.getpid()
    os.close(of_the_parent)


def test_faults_of_another_installation_stay_there(tmp_path, memory):
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    left_behind(one, frame(b"x") + b"\0" * 9)
    faults = Faults(other)
    Sequencer(Spool(one, "ledger"), memory, Faults(one)).drain()
    assert faults.summary() == {}
    assert one.faults.exists()
    assert not other.faults.exists()


def test_a_file_that_was_locked_late_is_not_deleted_with_what_was_written_since(
    home, memory, faults, monkeypatch
):
    """Its writer was interrupted between making and locking it, just when the folder was read."""
    left_behind(home, frame(b"of somebody else"))
    writer = Spool(home, "ledger")
    flock = fcntl.flock
    arrived: list[bytes] = []

    def late(fd: int, operation: int) -> None:
        if not arrived and operation == fcntl.LOCK_EX:
            arrived.append(b"written meanwhile")
            moving = Intake(home.spool("ledger"), memory, faults)
            commit = memory.commit

            def committed_late(*batch: Any) -> None:
                flock(fd, fcntl.LOCK_EX)
                os.write(fd, frame(b"written meanwhile"))
                commit(*batch)

            monkeypatch.setattr(memory, "commit", committed_late)
            moving.once()
            monkeypatch.setattr(memory, "commit", commit)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    writer.append(b"written after that")
    writer.seal()
    Sequencer(Spool(home, "ledger"), memory, faults).drain()
    assert memory.records == [b"of somebody else", b"written meanwhile", b"written after that"]
