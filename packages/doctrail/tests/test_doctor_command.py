"""`doctrail doctor`."""

import errno
import json
from dataclasses import fields

import pytest

from doctrail import health
from doctrail_core import Settings
from doctrail_core.durable import filesystem
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home


def test_a_healthy_installation_is_told_as_such(app, doctrail):
    app.answer()
    said = doctrail("doctor")
    assert (said.code, said.err) == (0, "")
    assert said.lines[-1] == "All is well."
    assert "trails: " in said.out
    assert "1 records, integrity ok, 0 bytes waiting in the spool" in said.out


def test_where_nothing_is_recorded_yet_nothing_is_wrong(home, doctrail):
    said = doctrail("doctor")
    assert said.code == 0
    assert "nothing is recorded yet" in said.out
    assert not home.exists()


def test_every_setting_is_shown_with_where_it_comes_from(app, doctrail, monkeypatch):
    monkeypatch.setenv("DOCTRAIL_CONTENT", "hash")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "support-bot")
    monkeypatch.setenv("DOCTRAIL_DURABILITY", "strict")
    monkeypatch.setenv(
        "DOCTRAIL_DATABASE", "postgresql://me:secret@db.example:5432/answers?x=secret"
    )
    chosen = {
        c["name"]: (c["value"], c["origin"]) for c in doctrail("doctor", "--json").json["settings"]
    }
    assert chosen == {
        "home": (str(app.home), "DOCTRAIL_HOME"),
        "content": ("hash", "DOCTRAIL_CONTENT"),
        "span_content": (False, "default"),
        "spans": ("missing", "default"),
        "span_families": ("backends, genai, openinference", "default"),
        "service": ("support-bot", "OTEL_SERVICE_NAME"),
        "durability": ("strict", "DOCTRAIL_DURABILITY"),
        "when_unrecorded": ("count", "default"),
        "database": ("postgresql://db.example:5432/answers", "DOCTRAIL_DATABASE"),
    }
    assert set(chosen) == {field.name for field in fields(Settings)}


def test_what_is_typed_goes_before_the_environment(app, doctrail, tmp_path):
    chosen = doctrail("doctor", "--json", "--home", str(tmp_path / "elsewhere")).json["settings"][0]
    assert chosen == {"name": "home", "value": str(tmp_path / "elsewhere"), "origin": "--home"}


def test_a_home_on_another_machine_is_something_to_look_at(app, doctrail, monkeypatch, tmp_path):
    app.answer()
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 21 0:40 / {app.home.parent} rw - nfs4 somewhere:/share rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    said = doctrail("doctor")
    assert said.code == 1
    assert "lies on a network file system (nfs4)" in said.out


def test_a_setting_that_means_nothing_is_something_to_look_at(app, doctrail, monkeypatch):
    app.answer()
    monkeypatch.setenv("DOCTRAIL_CONTENT", "some")
    said = doctrail("doctor")
    assert said.code == 1
    assert "content is 'some'; it must be one of full, hash, off" in said.out


def test_swallowed_errors_and_dropped_records_are_shown(app, doctrail, caplog):
    app.answer()
    faults = Faults(Home(app.home))
    faults.note("langchain.on_retriever_end", ValueError("the secret text"))
    faults.count("records dropped")
    said = doctrail("doctor")
    assert said.code == 1
    assert "langchain.on_retriever_end ValueError, 1 times" in said.out
    assert "records dropped, 1 times" in said.out
    assert "2 faults were kept from the application" in said.out
    assert "the secret text" not in said.out


def test_a_damaged_store_does_not_keep_the_other_from_being_looked_at(app, doctrail):
    app.answer()
    (app.home / "trails.db").write_bytes(b"this is no database" * 1000)
    said = doctrail("doctor", "--json")
    ledger, trails = said.json["stores"]
    assert said.code == 1
    assert (ledger["integrity"], ledger["trouble"]) == ("ok", None)
    assert str(app.home / "trails.db") in trails["trouble"]


@pytest.mark.parametrize("kind", ["damaged", "refused"])
def test_records_set_aside_are_pointed_out(kind, app, doctrail):
    app.answer()
    aside = app.home / "spool" / "ledger" / f"x.spool.0.{kind}"
    aside.write_bytes(b"?")
    said = doctrail("doctor")
    assert said.code == 1
    assert str(aside) in said.out


def test_a_missing_key_of_names_is_pointed_out(app, doctrail):
    app.answer()
    doctrail("doctor")
    (app.home / "keys").unlink()
    said = doctrail("doctor")
    assert said.code == 1
    assert "file keys is missing, and without it no name can be found" in said.out


def test_a_folder_that_others_can_open_is_pointed_out(app, doctrail):
    app.answer()
    app.home.chmod(0o755)
    said = doctrail("doctor")
    assert said.code == 1
    assert "chmod 700 it" in said.out


def test_a_file_in_the_place_of_the_folder_is_pointed_out(home, doctrail):
    home.write_text("")
    said = doctrail("doctor")
    assert said.code == 1
    assert f"{home} is no folder" in said.out


def test_a_database_whose_pages_are_damaged_is_found(app, doctrail):
    for number in range(30):
        app.answer(f"response-{number}", texts=(f"{number} " * 500,), flush=number == 29)
    path = app.home / "trails.db"
    data = bytearray(path.read_bytes())
    data[8192:20000] = bytes(20000 - 8192)
    path.write_bytes(bytes(data))
    said = doctrail("doctor")
    assert said.code == 1
    assert str(path) in said.out.partition("To look at")[2]


def test_an_anchor_that_takes_no_checkpoints_is_told(app, doctrail, tmp_path):
    app.answer()
    assert doctrail("audit", "init").code == 0
    config = app.home / "audit" / "config.json"
    anchor = {"kind": "directory", "name": "auditor", "path": str(tmp_path / "inbox")}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"anchors": [anchor]}))
    assert doctrail("audit", "checkpoint").code == 0
    said = doctrail("doctor")
    assert said.code == 1
    assert "anchor auditor takes no checkpoints since" in said.out
    (tmp_path / "inbox").mkdir()
    assert doctrail("audit", "checkpoint").code == 0
    assert doctrail("doctor").lines[-1] == "All is well."
    config.write_text(json.dumps(json.loads(config.read_text()) | {"anchors": [{}]}))
    assert "lacks 'kind'" in doctrail("doctor").out


@pytest.mark.parametrize("bad", ["postgresql://me:a/secret@db/d", "host=db password=secret"])
def test_an_address_of_a_server_that_is_none_is_said_and_not_shown(app, doctrail, monkeypatch, bad):
    monkeypatch.setenv("DOCTRAIL_DATABASE", bad)
    said = doctrail("doctor")
    assert said.code == 1
    assert "the address of the database server is none that can be used" in said.out
    assert "secret" not in said.out


def test_a_server_that_cannot_have_what_lies_in_files_is_something_to_look_at(
    app, doctrail, monkeypatch
):
    app.answer()
    assert doctrail("doctor").code == 0
    monkeypatch.setenv("DOCTRAIL_DATABASE", "postgresql://db.example/d")
    said = doctrail("doctor")
    assert said.code == 1
    assert "has records already, and DOCTRAIL_DATABASE names a server" in said.out


def test_a_store_on_a_disk_that_cannot_be_written_to_is_one_more_thing_to_look_at(
    app, doctrail, monkeypatch
):
    app.answer()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "somewhere/sequencer.lock")

    monkeypatch.setattr(health, "open_ledger", fail)
    said = doctrail("doctor")
    assert said.code == 1
    assert "somewhere/sequencer.lock cannot be used: Read-only file system." in said.out
    assert "trails: " in said.out


def test_the_version_of_sqlite_is_that_which_opens_the_files(app, doctrail, monkeypatch):
    apsw = pytest.importorskip("apsw", reason="the apsw extra is not installed")
    app.answer()
    monkeypatch.setenv("DOCTRAIL_SQLITE", "apsw")
    assert f"sqlite {apsw.sqlite_lib_version()}" in doctrail("doctor").out
