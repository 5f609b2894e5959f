"""Appending: one write per record, whole or not at all, to a file of the process's own."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from doctrail_core.durable.frame import scan
from doctrail_core.durable.home import Home
from doctrail_core.durable.intake import sizes
from doctrail_core.durable.spool import Spool


@pytest.fixture
def spool(home):
    spool = Spool(home, "ledger")
    yield spool
    spool.seal()


def written(home: Home) -> list[bytes]:
    files = sorted(home.spool("ledger").glob("*.spool"))
    return [payload for file in files for _, payload in scan(file.read_bytes()).records]


def test_a_spool_makes_nothing_before_the_first_record(home, spool):
    assert not home.path.exists()
    spool.append(b"one")
    assert written(home) == [b"one"]


def test_a_record_is_one_write(home, spool, monkeypatch):
    writes = []
    write = os.write
    spool.append(b"one")
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(data) or write(fd, data))
    spool.append(b"two")
    assert len(writes) == 1
    assert written(home) == [b"one", b"two"]


def test_only_the_owner_may_read_what_waits(home, spool):
    spool.append(b"one")
    (file,) = home.spool("ledger").glob("*.spool")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_threads_do_not_mix_their_records(home, spool):
    texts = [f"{number}-{'x' * number}".encode() for number in range(200)]
    threads = [
        threading.Thread(target=lambda part=part: [spool.append(text) for text in part])
        for part in (texts[:100], texts[100:])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written(home)) == sorted(texts)


def test_a_full_segment_is_followed_by_another_whose_name_sorts_after_it(home):
    spool = Spool(home, "ledger", segment_bytes=100)
    texts = [f"record {number:03d} {'x' * 40}".encode() for number in range(20)]
    for text in texts:
        spool.append(text)
    assert len(sizes(home.spool("ledger"))) > 5
    assert written(home) == texts
    spool.seal()


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_a_spool_that_vanished_is_made_anew(home, spool, lost):
    spool.append(b"lost")
    for file in home.spool("ledger").iterdir():
        file.unlink()
    if lost == "folder":
        home.spool("ledger").rmdir()
    spool.append(b"kept")
    assert written(home) == [b"kept"]


def test_after_sealing_a_new_file_is_begun(home, spool):
    spool.append(b"one")
    spool.seal()
    spool.append(b"two")
    assert len(sizes(home.spool("ledger"))) == 2
    assert written(home) == [b"one", b"two"]


def test_half_a_record_is_taken_back_when_the_disk_is_full(home, spool, monkeypatch):
    spool.append(b"one")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    with pytest.raises(OSError, match=r"No space left.*Make room") as caught:
        spool.append(b"two")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    spool.append(b"three")
    (size,) = sizes(home.spool("ledger")).values()
    assert written(home) == [b"one", b"three"]
    assert size == sum(len(scan_frame) for scan_frame in (b"one", b"three")) + 20


def test_half_a_record_that_cannot_be_taken_back_does_not_harm_those_after_it(
    home, spool, monkeypatch
):
    write = os.write
    spool.append(b"one")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
        patched.setattr(os, "ftruncate", _fail)
        with pytest.raises(OSError, match="No space left"):
            spool.append(b"two")
    spool.append(b"three")
    assert len(sizes(home.spool("ledger"))) == 2
    assert written(home) == [b"one", b"three"]


def _fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


_AGAINST_A_LIMIT = """
import resource, sys
from pathlib import Path
from doctrail_core.durable.home import Home
from doctrail_core.durable.spool import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
spool = Spool(Home(Path(sys.argv[1])), "ledger")
acknowledged = 0
try:
    while True:
        spool.append(b"x" * 90)
        acknowledged += 1
except OSError as error:
    print(acknowledged, error.strerror)
"""


def test_a_file_that_really_may_not_grow_keeps_exactly_what_was_acknowledged(home):
    command = [sys.executable, "-c", _AGAINST_A_LIMIT, str(home.path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    acknowledged, _, advice = output.partition(" ")
    assert written(home) == [b"x" * 90] * int(acknowledged)
    assert int(acknowledged) == 10
    assert "Make room" in advice


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(home, spool):
    home.path.parent.mkdir(exist_ok=True)
    home.path.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"nothing can be recorded in .*DOCTRAIL_HOME"):
        spool.append(b"one")


def test_a_file_deleted_before_its_writer_could_lock_it_is_not_written_to(home, monkeypatch):
    import fcntl

    spool = Spool(home, "ledger")
    flock = fcntl.flock
    deleted = []

    def late(fd: int, operation: int) -> None:
        if not deleted:
            deleted.append(Path(f"/proc/self/fd/{fd}").readlink())
            deleted[0].unlink()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    spool.append(b"one")
    assert deleted
    assert written(home) == [b"one"]
    spool.seal()
