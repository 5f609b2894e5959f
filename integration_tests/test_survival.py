"""What is on record when things go wrong, and that the user's chain answers in any case."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pipelines import ANSWER, DOCUMENT, HOSTS, QUESTION

from doctrail_core import Lineage, Settings
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.trails import open_trails

PIPELINES = Path(__file__).with_name("pipelines.py")

each_host = pytest.mark.parametrize("host", HOSTS)


def start(host: str, home: Path, *how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PIPELINES, host, home, *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@each_host
def test_sources_are_on_record_when_the_process_dies_inside_the_model(host, tmp_path):
    home = tmp_path / "home"
    with start(host, home, "die") as process:
        assert process.wait(60) == -signal.SIGKILL
    with open_ledger(Home(home)) as ledger:
        (hit,) = ledger.responses_with(DOCUMENT)
    assert (hit.status, hit.complete, hit.grade) == ("interrupted", False, "retrieved")


@each_host
def test_another_process_sees_an_answer_as_soon_as_it_was_given(host, tmp_path):
    home = tmp_path / "home"
    with start(host, home) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == ANSWER
        with open_trails(Home(home)) as trails:
            (found,) = trails.find("renewal deadline")
            trail = trails.get(found.response_id)
        assert process.poll() is None
        process.communicate("")
    assert trail is not None
    assert (trail.question, trail.answer, trail.status) == (QUESTION, ANSWER, "ok")


def file_in_the_way(home: Path) -> None:
    home.write_text("not a folder")


def corrupt_databases(home: Path) -> None:
    home.mkdir()
    for name in ("ledger.db", "trails.db"):
        (home / name).write_bytes(b"this is no database " * 500)


def newer_schema(home: Path) -> None:
    home.mkdir()
    for name in ("ledger.db", "trails.db"):
        with sqlite3.connect(home / name) as database:
            database.execute("PRAGMA user_version = 99")
            database.execute("CREATE TABLE of_the_future (x)")
        database.close()


def broken_key(home: Path) -> None:
    home.mkdir()
    (home / "keys").write_bytes(b"short")


@each_host
@pytest.mark.parametrize(
    "harm", [file_in_the_way, corrupt_databases, newer_schema, broken_key], ids=lambda h: h.__name__
)
def test_the_chain_answers_whatever_is_wrong_with_the_home(host, harm, tmp_path):
    home = tmp_path / "home"
    harm(home)
    lineage = Lineage(Settings(home=home))
    try:
        assert HOSTS[host](lineage, lambda: ANSWER) == ANSWER
        assert lineage.last is not None
        assert lineage.last.answer == ANSWER
        assert lineage.open_count == 0
    finally:
        lineage.close()


@each_host
def test_the_chain_answers_on_a_full_disk(host, tmp_path, monkeypatch):
    lineage = Lineage(Settings(home=tmp_path / "home"))

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr("doctrail_core.durable.spool.os.write", full)
        assert HOSTS[host](lineage, lambda: ANSWER) == ANSWER
    assert lineage.last is not None
    lineage.close()
