"""Real disks that are full, read-only or broken: the application goes on, or is refused if it wants that."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pipelines import ANSWER, DOCUMENT, HOSTS

from doctrail_core import Lineage, NotRecordedError, Settings
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.spool import Spool
from doctrail_core.ledger import open_ledger
from doctrail_core.model import Receipt

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")

Mount = Callable[..., Path]


def run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this cannot be done here: {done.stderr.strip()}")


@pytest.fixture
def mount(tmp_path) -> Iterator[Mount]:
    with ExitStack() as mounted:

        def mount(*what: str | Path) -> Path:
            place = tmp_path / f"disk {len(list(tmp_path.iterdir()))}"
            place.mkdir()
            run("mount", *what, place)
            mounted.callback(run, "umount", "-l", place)
            return place

        yield mount


def ask(lineage: Lineage) -> str:
    return HOSTS["langchain"](lineage, lambda: ANSWER)


def receipt(lineage: Lineage) -> Receipt | None:
    assert lineage.last is not None
    return lineage.receipt(lineage.last.response_id)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def test_on_a_full_disk_answers_are_given_and_the_loss_is_on_record_when_there_is_room_again(mount):
    disk = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    lineage = Lineage(Settings(home=disk / "home"))
    assert ask(lineage) == ANSWER
    assert lineage.flush()
    unrecorded = 0
    while unrecorded < 3:  # what was moved and deleted makes room for a moment
        ballast = fill(disk)
        assert ask(lineage) == ANSWER
        unrecorded += receipt(lineage) is None
    ballast.unlink()
    assert ask(lineage) == ANSWER
    lineage.close()
    with open_ledger(Home(disk / "home")) as ledger:
        entries = [entry for entry in ledger.entries() if entry.writer]
        given = [hit for hit in ledger.responses_with(DOCUMENT) if hit.complete]
    there = {number for entry in entries for number in (entry.counter, *entry.covers)}
    gaps = [gap for entry in entries if entry.kind == "lost" for gap in entry.body["counters"]]
    lost = {number for first, last in gaps for number in range(first, last + 1)}
    assert lost
    assert there.isdisjoint(lost)
    assert there | lost == set(range(max(there) + 1))
    assert len(given) >= 2


def test_on_a_full_disk_answers_are_refused_where_that_is_asked_for(mount):
    disk = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    lineage = Lineage(Settings(home=disk / "home", when_unrecorded="refuse"))
    assert ask(lineage) == ANSWER
    assert lineage.flush()
    with pytest.raises(NotRecordedError, match="No space left on device"):
        ask_and_fill(lineage, disk)
    (disk / "ballast").unlink()
    assert ask(lineage) == ANSWER
    lineage.close()


def ask_and_fill(lineage: Lineage, disk: Path) -> None:
    while True:  # what was moved and deleted makes room for a moment
        fill(disk)
        ask(lineage)


@pytest.mark.parametrize("host", HOSTS)
def test_where_nothing_can_be_written_the_application_goes_on(host, mount, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    disk = mount("--bind", source)
    run("mount", "-o", "remount,ro,bind", disk)
    lineage = Lineage(Settings(home=disk / "home"))
    assert HOSTS[host](lineage, lambda: ANSWER) == ANSWER
    assert receipt(lineage) is None
    lineage.close()
    assert list(source.iterdir()) == []


@pytest.fixture
def breakable(tmp_path, mount) -> tuple[Path, Callable[[], None]]:
    """A disk, and what breaks it: it lies on another one, which is full from then on."""
    below = mount("-t", "tmpfs", "-o", "size=16m", "tmpfs")
    image = below / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    run("mkfs.ext4", "-q", image)

    def break_down() -> None:
        fill(below)

    return mount("-o", "loop", image), break_down


def test_a_disk_that_breaks_down_is_an_error_in_strict_and_what_was_there_can_be_read(breakable):
    disk, break_down = breakable
    home = Home(disk / "home")
    spool = Spool(home, "ledger")
    spool.settle(spool.append(b"one"))
    break_down()
    lost = spool.append(b"two")
    with pytest.raises(OSError, match="would not survive a power cut"):
        spool.settle(lost)
    with pytest.raises(OSError, match="would not survive a power cut"):
        spool.settle(lost)
    assert Faults(home).summary() == {}


def test_an_application_whose_disk_breaks_down_goes_on(breakable):
    disk, break_down = breakable
    lineage = Lineage(Settings(home=disk / "home", durability="strict"))
    assert ask(lineage) == ANSWER
    break_down()
    for _ in range(3):
        assert ask(lineage) == ANSWER
    lineage.close()


def test_an_application_whose_disk_breaks_down_is_refused_its_answers_where_it_wants_that(
    breakable,
):
    disk, break_down = breakable
    settings = Settings(home=disk / "home", durability="strict", when_unrecorded="refuse")
    lineage = Lineage(settings)
    assert ask(lineage) == ANSWER
    break_down()
    for _ in range(3):
        with pytest.raises(NotRecordedError):
            ask(lineage)
    lineage.close()
