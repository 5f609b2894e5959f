"""`doctrail archive`: sealing a real segment, pushing it to a lake and to ClickHouse, and telling how all is."""

import shutil
from contextlib import closing

import pytest

from doctrail_core.archive.manifest import SEGMENT
from doctrail_core.durable.home import Home
from doctrail_core.ledger.record import EventRecord, encode
from doctrail_core.ledger.sqlite import LedgerWriter
from doctrail_core.testing.clickhouse_server import ClickHouseServer
from doctrail_core.testing.saying import BEGIN, expected, put, said_at_random

for needed in ("chdb", "clickhouse_connect", "deltalake", "duckdb", "pyarrow"):
    pytest.importorskip(needed)

SAID = said_at_random(60)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A ledger of a segment, some answers in it, and a few entries more."""
    home = Home(tmp_path_factory.mktemp("full") / "home")
    put(home, SAID)
    beat = EventRecord(
        body={}, counter=0, event="heartbeat", timestamp=BEGIN.isoformat(), writer="w"
    )
    with closing(LedgerWriter(home)) as writer:
        writer.commit([encode(beat)] * (SEGMENT - 100), {}, ())
    put(home, said_at_random(90)[60:])
    return home


@pytest.fixture
def home(full, tmp_path, monkeypatch):
    home = tmp_path / "home"
    shutil.copytree(full.path, home)
    monkeypatch.setenv("DOCTRAIL_HOME", str(home))
    return home


@pytest.fixture
def server(tmp_path):
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        yield server


def test_a_full_segment_is_sealed_once(home, doctrail):
    said = doctrail("archive", "seal")
    assert (said.code, said.err) == (0, "")
    assert said.lines[0].startswith("sealed segment 0: ")
    again = doctrail("archive", "seal")
    assert (again.code, again.out) == (0, "")
    assert "nothing to seal: " in again.err


def test_what_is_sealed_is_told_to_programs(home, doctrail):
    (told,) = doctrail("archive", "seal", "--json").json_lines
    assert (told["segment"], len(told["root"])) == (0, 64)


def test_only_segments_that_ended_before_a_time_are_sealed(home, doctrail):
    early = doctrail("archive", "seal", "--before", "2026-01-01")
    assert (early.code, early.out) == (0, "")
    assert doctrail("archive", "seal", "--before", "2030-01-01").out.startswith("sealed segment 0")


def test_a_segment_that_is_not_full_is_refused(home, doctrail):
    said = doctrail("archive", "seal", "--segment", "1")
    assert (said.code, said.out) == (3, "")
    assert "segment 1 is not full" in said.err


def test_the_status_names_what_is_open_sealed_and_damaged(home, doctrail):
    (told,) = doctrail("archive", "status", "--json").json_lines
    assert (told["segment"], told["state"], told["arrived"]) == (0, "open", None)
    assert doctrail("archive", "status").code == 1
    doctrail("archive", "seal")
    said = doctrail("archive", "status")
    assert said.code == 0
    assert said.lines[1].split()[:2] == ["0", "sealed"]
    links = home / "archive" / "00000000" / "links.parquet"
    links.write_bytes(links.read_bytes()[:-1])
    said = doctrail("archive", "status")
    assert said.code == 1
    assert said.lines[1].split()[:2] == ["0", "damaged"]
    assert "segment 0: links.parquet is not what was sealed" in said.err
    assert "Move its folder away" in said.err
    links.parent.rename(home / "damaged")
    assert doctrail("archive", "seal").code == 0
    assert doctrail("archive", "status").code == 0


def test_segments_are_pushed_to_a_lake_once(home, doctrail, tmp_path):
    doctrail("archive", "seal")
    lake = str(tmp_path / "lake")
    assert doctrail("archive", "status", "--to", lake).code == 1
    assert doctrail("archive", "push", "--to", lake).lines == [
        "pushed segment 0",
        f"1 pushed, 0 there before: {lake}",
    ]
    assert doctrail("archive", "push", "--to", lake, "--json").json == {
        "target": lake,
        "pushed": 0,
        "there": 1,
    }
    (told,) = doctrail("archive", "status", "--to", lake, "--json").json_lines
    assert (told["state"], told["arrived"]) == ("sealed", True)


def test_segments_are_pushed_to_clickhouse_and_asked_there(home, doctrail, server):
    doctrail("archive", "seal")
    assert doctrail("archive", "push", "--to", server.url()).code == 0
    own = doctrail("affected", "--document", "document 3", "--json")
    ids = [hit["response_id"] for hit in own.json_lines]
    assert ids == list(expected(said_at_random(90), "document 3"))
    for index in ("segments", server.url()):
        asked = doctrail("affected", "--document", "document 3", "--json", "--index", index)
        assert asked == own


def test_nothing_is_pushed_before_it_is_sealed(home, doctrail, tmp_path):
    said = doctrail("archive", "push", "--to", str(tmp_path / "lake"))
    assert (said.code, said.out) == (1, "")
    assert "doctrail archive seal" in said.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["seal", "--to", "x"], "--to is of push"),
        (["push"], "say where to"),
        (["push", "--to", "x", "--segment", "1"], "are of seal, not of push"),
        (["status", "--before", "2026-01-01"], "are of seal, not of status"),
    ],
)
def test_words_that_do_not_belong_together_are_refused(home, doctrail, words, why):
    said = doctrail("archive", *words)
    assert (said.code, said.out) == (2, "")
    assert why in said.err


def test_a_server_that_does_not_answer_is_one_line_without_the_password(home, doctrail):
    doctrail("archive", "seal")
    said = doctrail("archive", "push", "--to", "clickhouse://anna:hunter2@127.0.0.1:1/x")
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert "hunter2" not in said.err
