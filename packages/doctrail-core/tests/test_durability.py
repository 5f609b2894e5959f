"""What survives a power cut, and when: at once in `strict`, soon in `bounded`; and disks that fail."""

import errno
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from doctrail_core.durable import sequencer as sequencer_module
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.frame import scan
from doctrail_core.durable.home import Home
from doctrail_core.durable.intake import sizes
from doctrail_core.durable.journal import Journal
from doctrail_core.durable.sequencer import Sequencer
from doctrail_core.durable.spool import Spool


class Disk:
    """Knows what was flushed, through which descriptors, and may fail or dawdle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushed: list[Path] = []
        self.folders: list[Path] = []
        self.before: Callable[[], None] = lambda: None
        self._data, self._entry = os.fdatasync, os.fsync
        monkeypatch.setattr(os, "fdatasync", self._fdatasync)
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fdatasync(self, fd: int) -> None:
        self.flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        self.before()
        self._data(fd)

    def _fsync(self, fd: int) -> None:
        self.folders.append(Path(f"/proc/self/fd/{fd}").readlink())
        self._entry(fd)

    def fail(self) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class Memory:
    """A database in memory, whose commit may take its time."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.places: dict[str, int] = {}
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.committing = threading.Event()

    def open(self) -> "Memory":
        return self

    def close(self) -> None: ...

    def cursors(self) -> Mapping[str, int]:
        return dict(self.places)

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        self.committing.set()
        assert self.may_commit.wait(20)
        self.records += payloads
        self.places |= cursors
        for name in forgotten:
            self.places.pop(name, None)


class Recording(Journal):
    """A journal that anybody may append to."""

    def __init__(self, home: Home, faults: Faults, *, strict: bool) -> None:
        self.memory = Memory()
        super().__init__(home, "ledger", self.memory, faults, strict=strict)

    def append(self, payload: bytes) -> None:
        self._put(payload)

    @property
    def spool(self) -> Spool:
        return self._spool


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def journal(home, faults):
    made: list[Recording] = []

    def make(*, strict: bool = False) -> Recording:
        made.append(Recording(home, faults, strict=strict))
        return made[-1]

    yield make
    for each in made:
        each.memory.may_commit.set()
        each.close()


def current(home: Home) -> Path:
    (file,) = home.spool("ledger").glob("*.spool")
    return file


# --- bounded


def test_a_record_is_flushed_without_anybody_asking(home, journal, disk, eventually):
    journal().append(b"one")
    eventually(lambda: current(home) in disk.flushed)


def test_records_are_flushed_while_others_are_being_moved(
    home, journal, disk, eventually, monkeypatch
):
    monkeypatch.setattr(sequencer_module, "_GATHER", 0.0)
    recording = journal()
    recording.memory.may_commit.clear()
    recording.append(b"one")
    assert recording.memory.committing.wait(20)
    recording.append(b"two")
    file = Path(recording.spool._current.path)
    eventually(lambda: file in disk.flushed)
    assert recording.memory.records == []


def test_appending_does_not_wait_for_a_flush(journal, disk):
    recording, flushing, go_on = journal(), threading.Event(), threading.Event()

    def dawdle() -> None:
        flushing.set()
        go_on.wait(20)

    disk.before = dawdle
    recording.append(b"one")
    assert flushing.wait(20)
    recording.append(b"two")
    recording.spool.seal()
    recording.append(b"three")
    go_on.set()
    recording.flush()
    assert recording.memory.records == [b"one", b"two", b"three"]


def test_a_flush_that_fails_is_counted_and_costs_no_record(home, journal, disk, faults, eventually):
    recording = journal()
    disk.before = disk.fail
    recording.append(b"one")
    eventually(faults.summary)
    disk.before = lambda: None
    recording.append(b"two")
    recording.flush()
    assert recording.memory.records == [b"one", b"two"]
    assert faults.summary() == {"syncing the spool: OSError": 1}


# --- strict


def test_an_appended_record_is_on_stable_storage_with_the_names_that_lead_to_it(
    home, journal, disk
):
    journal(strict=True).append(b"one")
    folder = home.spool("ledger")
    assert disk.flushed == [current(home)]
    assert disk.folders == [folder, folder.parent, home.path, home.path.parent]


def test_a_file_that_is_begun_later_has_its_name_flushed_too(home, journal, disk):
    recording = journal(strict=True)
    recording.append(b"one")
    recording.spool.seal()
    disk.folders.clear()
    recording.append(b"two")
    recording.append(b"three")
    assert disk.folders == [home.spool("ledger")]


def test_those_who_append_at_the_same_time_share_a_flush(journal, disk, eventually):
    recording, others = journal(strict=True), 7
    began = threading.Event()

    def hold_on() -> None:
        began.set()
        written = len(b"first") + 10 + others * (len(b"other") + 10)
        eventually(lambda: recording.spool._current.size == written)

    disk.before = hold_on
    threads = [threading.Thread(target=recording.append, args=(b"first",))]
    threads[0].start()
    assert began.wait(20)
    threads += [threading.Thread(target=recording.append, args=(b"other",)) for _ in range(others)]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(disk.flushed) == 2


def test_a_record_that_cannot_be_brought_to_stable_storage_is_an_error_and_stays_readable(
    home, journal, disk
):
    recording = journal(strict=True)
    recording.append(b"one")
    disk.before = disk.fail
    with pytest.raises(OSError, match=r"Input/output error: what was recorded last .*look after"):
        recording.append(b"two")
    disk.before = lambda: None
    recording.append(b"three")
    recording.flush()
    assert recording.memory.records == [b"one", b"two", b"three"]


def test_a_file_that_could_not_be_flushed_is_given_up_and_never_flushed_again(home, journal, disk):
    recording = journal(strict=True)
    disk.before = disk.fail
    with pytest.raises(OSError, match="Input/output error"):
        recording.append(b"one")
    (lost,) = sizes(home.spool("ledger"))
    disk.before = lambda: None
    disk.flushed.clear()
    recording.append(b"two")
    recording.append(b"three")
    assert lost not in [file.name for file in disk.flushed]
    assert len(sizes(home.spool("ledger"))) == 2


def test_all_who_share_a_flush_hear_that_it_failed(journal, disk, eventually):
    recording, refused = journal(strict=True), []
    began = threading.Event()

    def fail_together() -> None:
        began.set()
        eventually(lambda: recording.spool._current.size == 3 * 13)
        disk.fail()

    def append() -> None:
        try:
            recording.append(b"one")
        except OSError as error:
            refused.append(error.errno)

    disk.before = fail_together
    threads = [threading.Thread(target=append) for _ in range(3)]
    threads[0].start()
    assert began.wait(20)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert refused == [errno.EIO] * 3


def test_a_folder_whose_entry_cannot_be_flushed_is_an_error_too(home, journal, monkeypatch):
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="would not survive a power cut"):
        journal(strict=True).append(b"one")


def test_a_flush_that_a_flush_sets_off_does_no_harm(home, journal, disk, eventually):
    """As when the garbage collector closes a stream of an answer in the middle of it."""
    recording, inner = journal(strict=True), []

    def append_inside() -> None:
        if not inner:
            inner.append(True)
            recording.spool.seal()
            recording.append(b"inner")

    disk.before = append_inside
    recording.append(b"outer")
    recording.append(b"after")
    recording.flush()
    assert recording.memory.records == [b"outer", b"inner", b"after"]


def test_no_file_is_left_open(home, journal, disk, eventually):
    spool = str(home.spool("ledger"))

    def open_files() -> list[str]:
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return [name for link in links if (name := str(link.readlink())).startswith(spool)]

    recording = journal()
    recording.append(b"first")
    assert open_files()
    for number in range(20):
        recording.append(str(number).encode())
        recording.spool.seal()
    recording.close()
    assert open_files() == []
    assert recording.memory.records[1:] == [str(number).encode() for number in range(20)]


# --- the end of a file


def test_a_tail_torn_at_any_byte_costs_the_torn_record_alone(home, faults):
    memory = Memory()
    writer = Spool(home, "ledger")
    writer.append("the first, with ümlaut".encode())
    writer.append("the last, with ümlaut".encode())
    data = current(home).read_bytes()
    writer.seal()
    current(home).unlink()
    (first, _), (end, _) = scan(data).records
    for cut in range(first, end):
        dead = home.spool("ledger") / f"dead.{cut:08d}.spool"
        dead.write_bytes(data[:cut])
        after = home.spool("ledger") / f"dead.{cut:08d}.x.spool"
        after.write_bytes(data[first:])
        memory.records.clear()
        Sequencer(Spool(home, "ledger"), memory, faults).drain()
        found = [record[:9] for record in memory.records]
        assert found == [b"the first", b"the last,"], cut
    assert not list(home.spool("ledger").glob("*.damaged"))
    torn = "torn record of a process that died while writing it"
    assert faults.summary() == {torn: end - first - 1}


# --- clocks


def test_a_clock_that_goes_back_changes_no_order_and_stops_nothing(
    home, faults, make_trail, monkeypatch
):
    import time

    from doctrail_core.ledger import open_ledger
    from doctrail_core.ledger.journal import LedgerJournal

    clock = iter(range(2_000_000_000, 0, -86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 10**9)
    journal = LedgerJournal(home, faults)
    for number in range(20):
        journal.append("answered", make_trail(f"r{number:02d}", minute=-number))
    journal.close()
    with open_ledger(home) as ledger:
        told = [entry for entry in ledger.entries() if entry.kind == "answered"]
        assert [entry.counter for entry in told] == list(range(20))
        assert sorted((entry.time_us for entry in told), reverse=True) == [e.time_us for e in told]


# --- forks


def test_a_child_flushes_nothing_of_its_parents(home, journal, disk):
    recording = journal()
    recording.append(b"of the parent")
    parents = current(home)
    pid = os.fork()
    if pid == 0:
        _in_child(recording, parents, disk)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    recording.flush()
    assert sorted(recording.memory.records) == [b"of the child", b"of the parent"]


def _in_child(recording: Recording, parents: Path, disk: Disk) -> Any:
    code = 1
    try:
        disk.flushed.clear()
        recording.append(b"of the child")
        recording.spool.sync()
        code = 2 if parents in disk.flushed else 0
    finally:
        os._exit(code)


def test_flushing_goes_on_whatever_went_wrong_with_it(home, journal, disk, faults, eventually):
    def surprise() -> None:
        raise LookupError

    recording = journal()
    disk.before = surprise
    recording.append(b"one")
    eventually(faults.summary)
    disk.before = lambda: None
    recording.append(b"two")
    eventually(lambda: recording.spool._current is None or recording.spool._current.stable)
    assert faults.summary() == {"syncing the spool: LookupError": 1}
