"""What an earlier doctrail wrote still opens: a home of before there were turns, steps and detours.

`data/home_of_schema_1.tar.gz` was written by that version: two responses in the databases, a third one
in the spool, because its process died.
"""

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from doctrail_core.capture.events import GenerationEnded, PromptSent, RunEnded, RunStarted
from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import Home
from doctrail_core.ledger import open_ledger
from doctrail_core.model import Message
from doctrail_core.trails import open_trails

OLD = Path(__file__).parent / "data" / "home_of_schema_1.tar.gz"
TEXT = "The contract renewal deadline for enterprise accounts is February 28th of each year."


@pytest.fixture
def old_home(tmp_path):
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path / "home", filter="data")
    return Home(tmp_path / "home")


def version(home, stream):
    with closing(sqlite3.connect(home.database(stream))) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_trails_that_no_writer_has_touched_yet_can_be_read(old_home):
    with open_trails(old_home, drain=False) as trails:
        assert [t.turn for t in trails.responses(session_id="s-1")] == [None, None]
        assert [u.involvement for u in trails.chunks_of("doc_42")] == ["direct", "direct"]
        old = trails.get("old-1")
    assert old is not None
    assert (old.turn, old.carried, old.steps) == (None, (), ())
    assert old.involvements == {"doc_42#0": "direct"}
    assert version(old_home, "trails") == 1


def test_a_ledger_that_no_writer_has_touched_yet_says_what_to_do(old_home):
    with pytest.raises(StoreError, match=r"earlier doctrail.*`doctrail doctor` does"):
        open_ledger(old_home, drain=False)


def test_a_ledger_is_brought_up_to_date_also_where_nothing_waits(old_home):
    for file in old_home.spool("ledger").glob("*.spool"):
        file.unlink()
    with open_ledger(old_home) as ledger:
        hits = list(ledger.responses_with("doc_42"))
    assert [(h.response_id, h.grade, h.involvement) for h in hits] == [
        ("old-1", "in_prompt", "direct"),
        ("old-2", "in_prompt", "direct"),
    ]


def test_what_waited_in_the_spool_is_moved_into_databases_that_are_brought_up_to_date(old_home):
    with open_ledger(old_home) as ledger:
        assert [h.response_id for h in ledger.responses_with("doc_42")] == [
            "old-1",
            "old-2",
            "old-3",
        ]
        assert [e.kind for e in ledger.entries_of("old-3")] == ["answered"]
    with open_trails(old_home) as trails:
        assert [t.response_id for t in trails.session("s-1", limit=2)] == ["old-2", "old-3"]
    assert [version(old_home, stream) for stream in ("ledger", "trails")] == [3, 3]


def test_a_session_goes_on_from_turns_that_had_no_numbers_then(old_home):
    lineage = Lineage(Settings(home=old_home.path, spans="none"))
    prompt = [
        Message("user", f"Answer from this:\n{TEXT}"),
        Message("assistant", "On February 28th."),
        Message("user", "Sure?"),
    ]
    lineage.record(RunStarted("new-1", None, "chain", "test", "Sure?", "s-1"))
    lineage.record(PromptSent("call", "new-1", prompt, "test"))
    lineage.record(GenerationEnded("call", "Yes."))
    lineage.record(RunEnded("new-1", "Yes."))
    trail = lineage.last
    assert trail is not None
    assert trail.turn == 4
    assert [(c.response_id, c.turn, c.carried_by) for c in trail.carried] == [("old-1", 1, "text")]
    assert lineage.flush()
    lineage.close()
