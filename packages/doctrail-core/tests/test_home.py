"""The home folder, and the key in it."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import Home
from doctrail_core.durable.keys import KEY_BYTES, load_or_create_key


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_naming_a_home_makes_nothing(tmp_path):
    home = Home(tmp_path / "home")
    assert home.database("ledger").name == "ledger.db"
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_may_look_inside(home):
    home.ensure("trails")
    folders = [home.path, home.path / "spool", home.spool("trails")]
    assert [mode(folder) for folder in folders] == [0o700] * 3


def test_a_home_keeps_itself_out_of_version_control(home):
    home.ensure()
    assert (home.path / ".gitignore").read_text() == "*\n"


def test_a_home_that_is_there_is_left_as_it_is(home):
    home.path.mkdir(mode=0o750)
    home.ensure()
    assert mode(home.path) == 0o750
    assert list(home.path.iterdir()) == []


def test_a_key_is_made_once_and_only_its_owner_may_read_it(home):
    home.ensure()
    key = load_or_create_key(home.keys)
    assert len(key) == KEY_BYTES
    assert load_or_create_key(home.keys) == key
    assert mode(home.keys) == 0o600
    assert [file.name for file in home.path.iterdir() if file.name != ".gitignore"] == ["keys"]


def test_processes_that_race_for_the_key_end_up_with_the_same_one(home):
    home.ensure()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(load_or_create_key, [home.keys] * 16, chunksize=1)
    assert len(set(keys)) == 1


def test_a_key_of_the_wrong_length_is_refused_with_advice(home):
    home.ensure()
    home.keys.write_bytes(b"short")
    with pytest.raises(StoreError, match=r"keys is not a key.*backup"):
        load_or_create_key(home.keys)
    assert home.keys.read_bytes() == b"short"
