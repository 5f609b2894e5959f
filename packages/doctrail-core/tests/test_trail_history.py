"""Reading sessions back: with one open reader, that no fork, removal or replacement gets in the way of."""

import os
import shutil

import pytest

from doctrail_core.durable import respite
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import Home
from doctrail_core.trails.history import History
from doctrail_core.trails.journal import TrailJournal
from doctrail_core.trails.place import TrailPlace


@pytest.fixture
def journal(home, faults):
    journal = TrailJournal(home, faults)
    yield journal
    journal.close()


@pytest.fixture
def history(home):
    history = History(home)
    yield history
    history.close()


def keep(journal, *trails):
    for trail in trails:
        journal.append(trail)
    journal.flush()


def ids(history, session_id="session-1", limit=50):
    return [trail.response_id for trail in history.session(session_id, limit=limit)]


def test_the_latest_turns_come_back_oldest_first(history, journal, make_trail):
    keep(journal, *(make_trail(f"r{n}", minute=n) for n in (3, 1, 2)))
    keep(journal, make_trail("other", session_id="session-2"))
    assert ids(history) == ["r1", "r2", "r3"]
    assert ids(history, limit=2) == ["r2", "r3"]


def test_what_is_added_is_seen_by_the_reader_that_is_open_already(history, journal, make_trail):
    assert ids(history) == []
    keep(journal, make_trail("r1"))
    assert ids(history) == ["r1"]
    reader = history._reader
    keep(journal, make_trail("r2", minute=1))
    assert ids(history) == ["r1", "r2"]
    assert history._reader is reader


def test_a_folder_that_was_removed_and_one_that_took_its_place(history, home, faults, make_trail):
    for name in ("r1", "r2"):
        journal = TrailJournal(home, faults)
        keep(journal, make_trail(name))
        journal.close()
        assert ids(history) == [name]
        shutil.rmtree(home.path)
        assert ids(history) == []


def test_no_reader_is_open_while_the_process_forks(history, journal, make_trail):
    keep(journal, make_trail("r1"))
    assert ids(history) == ["r1"]
    history.before_fork()
    assert history._reader is None
    history.after_fork_in_parent()
    assert ids(history) == ["r1"]
    child = os.fork()
    if child == 0:
        fresh = history._reader is None and ids(history) == ["r1"]
        os._exit(0 if fresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ids(history) == ["r1"]


@pytest.mark.parametrize(
    "session_id", ["s", "4711", 'a "quoted" \\ one', "日本", "x\ny", "s" * 900]
)
def test_a_session_is_found_in_the_spools_of_other_processes(
    tmp_path, faults, make_trail, session_id
):
    home = Home(tmp_path / "home")
    own, other = TrailJournal(home, faults), TrailJournal(home, faults)
    assert not own.others_wait_with(session_id)
    own.append(make_trail("r1", session_id=session_id))
    assert not own.others_wait_with(session_id)
    other.append(make_trail("r2", session_id=session_id))
    assert own.others_wait_with(session_id)
    assert not own.others_wait_with(f"{session_id[:400]}-not")
    own.flush()
    history = History(home)
    assert set(ids(history, session_id)) == {"r1", "r2"}
    for each in (own, other, history):
        each.close()


def test_a_store_that_failed_slowly_is_not_asked_for_every_session(history, monkeypatch):
    asked = []

    def fail(_: TrailPlace) -> None:
        asked.append(None)
        raise StoreError("no answer")

    monkeypatch.setattr(TrailPlace, "reader", fail)
    monkeypatch.setattr(respite, "_TIMES", 1e9)
    for session_id in ("s1", "s2", "s3"):
        with pytest.raises(StoreError, match="no answer"):
            ids(history, session_id)
    assert len(asked) == 1
    monkeypatch.undo()
    history._respite._until = 0.0
    assert ids(history) == []
