"""A retention run: trails and ledger by the policy in force, nothing under hold, and each run on record."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from textwrap import dedent

import pytest

from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.verifying import Known, verify
from doctrail_core.audit.watch import checkpoint_now
from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.erasure.erasing import erase_document
from doctrail_core.erasure.holds import set_hold
from doctrail_core.erasure.policy import (
    Bounds,
    Period,
    Policy,
    PolicyError,
    policy_in_force,
    put_in_force,
)
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.retention import is_unfinished, run_retention
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.tree import verify_consistency
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
"""Trails of the tests began on 2026-03-01 at 12:00."""
MONTH = Policy(trails=Bounds(Period(days=7), Period(days=30)))


@pytest.fixture
def journal(home):
    with closing(LedgerJournal(home, Faults(home))) as journal:
        yield journal


@pytest.fixture
def keep(home, journal, make_trail):
    """Record answers, so many minutes after the first."""

    def keep(**minutes):
        with closing(TrailJournal(home, Faults(home))) as trails:
            for name, (minute, texts, more) in minutes.items():
                trail = make_trail(name, texts=texts, minute=minute, **more)
                journal.append("answered", trail)
                trails.append(trail)
            trails.flush()
        journal.flush()

    return keep


def trails_of(home):
    with open_trails(home) as trails:
        return {each.response_id for each in trails.responses()}


def hold(home, journal, scope, subject):
    with open_ledger(home) as ledger:
        set_hold(ledger, journal, Remarks(home), scope, subject, reason="a claim")


def runs(home):
    with open_ledger(home) as ledger:
        return [entry.body for entry in ledger.events("retained")]


OLD = {
    "doc_old": "The zanzibar clause was withdrawn.",
    "doc_both": "Both of them had the marmalade.",
}
NEW = {
    "doc_both": "Both of them had the marmalade.",
    "doc_new": "The new one says quixotic things.",
}


def test_trails_beyond_the_ceiling_go_with_texts_that_no_other_has(home, journal, keep):
    put_in_force(journal, MONTH)
    keep(
        old=(-2, OLD, {"question": "A zebra?", "answer": "A xylophone of old."}),
        young=(2, NEW, {"question": "A heron?", "answer": "Young and new."}),
    )
    run = run_retention(home, now=NOW)
    assert run.trails is not None
    assert (run.trails.removed, run.trails.texts, run.trails.held) == (1, 1, 0)
    assert run.ledger is None
    assert trails_of(home) == {"young"}
    with open_trails(home) as trails:
        young = trails.get("young")
        assert young is not None
        assert {chunk.text for chunk in young.chunks.values()} == set(NEW.values())
        assert list(trails.responses(phrase="xylophone")) == []
        assert [each.response_id for each in trails.responses(phrase="Young and")] == ["young"]
    planted = (b"zanzibar", b"xylophone", b"zebra")
    for path in home.path.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [word for word in planted if word in data], path
    assert b"quixotic" in home.database("trails").read_bytes()


def test_trails_on_a_server_go_as_those_in_files_do(home, postgres, make_trail):
    home = Home(home.path, postgres.new_database())
    faults = Faults(home)
    with (
        closing(LedgerJournal(home, faults)) as journal,
        closing(TrailJournal(home, faults)) as trails,
    ):
        put_in_force(journal, MONTH)
        for name, minute, texts in (("old", -2, OLD), ("held", -2, OLD), ("young", 2, NEW)):
            trail = make_trail(name, minute=minute, texts=texts)
            journal.append("answered", trail)
            trails.append(trail)
        journal.flush()
        trails.flush()
        hold(home, journal, "response", "held")
    run = run_retention(home, now=NOW)
    assert run.trails is not None
    assert (run.trails.removed, run.trails.held) == (1, 1)
    assert trails_of(home) == {"held", "young"}
    assert len(runs(home)) == 1


@pytest.mark.parametrize(
    ("scope", "subject"),
    [("document", "doc_old"), ("user", "user-1"), ("session", "session-1"), ("response", "old")],
)
def test_trails_under_a_hold_stay(home, journal, keep, scope, subject):
    put_in_force(journal, MONTH)
    others = {"user_id": "user-2", "session_id": "session-2"}
    keep(old=(-2, OLD, {}), other=(-2, NEW, others), young=(2, NEW, {}))
    hold(home, journal, scope, subject)
    run = run_retention(home, now=NOW)
    assert run.trails is not None
    assert (run.trails.removed, run.trails.held) == (1, 1)
    assert trails_of(home) == {"old", "young"}


@pytest.mark.parametrize("held", [False, True])
def test_what_was_set_aside_goes_when_it_is_old_unless_it_may_be_held(home, journal, keep, held):
    put_in_force(journal, MONTH)
    keep(young=(2, NEW, {}))
    if held:
        hold(home, journal, "response", "young")
    for name, age in (("1.refused", 31), ("2.damaged", 31), ("3.refused", 29), ("4.spool", 31)):
        path = home.spool("trails") / name
        path.write_bytes(b"")
        os.utime(path, ((NOW - age * DAY).timestamp(),) * 2)
    run = run_retention(home, now=NOW)
    left = {path.name[0] for path in home.spool("trails").glob("[1-9].*")}
    assert run.trails is not None
    assert run.trails.set_aside == (0 if held else 2)
    assert left >= ({"1", "2", "3"} if held else {"3"})
    assert held or not left & {"1", "2"}


def test_a_dry_run_says_what_would_go_and_removes_nothing(home, journal, keep):
    put_in_force(journal, MONTH)
    keep(old=(-2, OLD, {}), young=(2, NEW, {}))
    run = run_retention(home, now=NOW, dry=True)
    assert run.trails is not None
    assert run.trails.removed == 1
    assert trails_of(home) == {"old", "young"}
    assert runs(home) == []


def test_each_run_is_on_record_also_where_there_was_nothing_to_do(home, journal, keep):
    put_in_force(journal, MONTH, by="Ann Lee")
    keep(old=(-2, OLD, {}))
    run_retention(home, now=NOW)
    run_retention(home, now=NOW)
    first, second = runs(home)
    with open_ledger(home) as ledger:
        policy = policy_in_force(ledger)
    assert policy is not None
    assert (policy.policy, policy.by) == (MONTH, "Ann Lee")
    assert first["policy"] == second["policy"] == MONTH.digest
    assert first["because"] == policy.seq
    assert (first["trails"]["removed"], second["trails"]["removed"]) == (1, 0)
    assert "ledger" not in first


def test_without_a_policy_nothing_is_removed(home, keep):
    keep(old=(-2, OLD, {}))
    with pytest.raises(PolicyError, match="no retention policy is in force"):
        run_retention(home, now=NOW)
    assert trails_of(home) == {"old"}


def test_without_a_ledger_there_is_nothing_to_run_on(home):
    with pytest.raises(NothingRecordedError):
        run_retention(home, now=NOW)
    assert not home.path.exists()


@pytest.mark.parametrize("store", ["ledger", "trails"])
def test_nothing_below_the_floor_goes_whoever_asks(home, journal, keep, store):
    bounds = Bounds(Period(days=7))
    put_in_force(journal, Policy(**{store: bounds}))
    keep(old=(-2, OLD, {}))
    with pytest.raises(PolicyError, match=f"keeps the {store} at least 7 days"):
        run_retention(home, now=NOW, before={store: NOW - 7 * DAY + DAY / 24})
    assert trails_of(home) == {"old"}
    assert runs(home) == []


def test_more_than_the_ceiling_asks_for_may_go_down_to_the_floor(home, journal, keep):
    put_in_force(journal, Policy(trails=Bounds(Period(days=7), Period(days=300))))
    keep(old=(-2, OLD, {}))
    run_retention(home, now=NOW)
    assert trails_of(home) == {"old"}
    run_retention(home, now=NOW, before={"trails": NOW - 7 * DAY})
    assert trails_of(home) == set()


def test_the_policy_that_was_put_on_record_last_is_in_force(home, journal, keep):
    put_in_force(journal, MONTH)
    put_in_force(journal, Policy())
    keep(old=(-2, OLD, {}))
    run = run_retention(home, now=NOW)
    assert (run.ledger, run.trails) == (None, None)
    assert trails_of(home) == {"old"}


def test_remarks_about_what_is_gone_go(home, journal, keep):
    put_in_force(journal, Policy(ledger=Bounds(Period(), Period(days=0))))
    keep(old=(-2, OLD, {}))
    hold(home, journal, "document", "doc_old")
    Remarks(home).add("nobody", "a remark about nothing")
    run_retention(home, now=datetime.now(UTC) + DAY)
    assert list(Remarks(home).texts().values()) == ["a claim"]


def test_checkpoints_go_on_after_the_entries_of_the_last_one_were_pruned(home, journal):
    put_in_force(journal, Policy(ledger=Bounds(Period(), Period(days=30))))
    folder = AuditFolder(home)
    folder.make("example.com/log")
    _heartbeats(journal, 100)
    before, _ = checkpoint_now(home, journal, heartbeat=False)
    _heartbeats(journal, 500)
    run = run_retention(home, now=datetime.now(UTC) + 40 * DAY)
    assert run.ledger is not None
    assert before.size % 256 > 0
    assert run.ledger.minimum > before.size
    after, _ = checkpoint_now(home, journal, heartbeat=False)
    assert after.size > before.size
    with open_ledger(home) as ledger:
        assert ledger.root(before.size) == before.root
        proof = ledger.consistency(before.size, after.size)
        assert verify_consistency(before.size, after.size, before.root, after.root, proof)
        known = Known(folder.config().key, kept=list(folder.notes()))
        said = {(each.outcome, each.check) for each in verify(ledger, known).findings}
    assert ("holds", "checkpoints") in said
    assert not {("open", "checkpoints"), ("broken", "checkpoints"), ("broken", "entries")} & said


def test_what_answers_for_an_erased_document_goes_with_the_entry_that_says_so(home, journal, keep):
    put_in_force(journal, Policy(ledger=Bounds(Period(), Period(days=30))))
    keep(old=(-2, OLD, {}))
    erase_document(home, "doc_old", reason="withdrawn")
    _heartbeats(journal, 300)
    now = datetime.now(UTC)
    assert _answered_for(home) == (1, 1, 1)
    run_retention(home, now=now + 20 * DAY)
    assert _answered_for(home) == (1, 1, 1)
    run_retention(home, now=now + 40 * DAY)
    assert _answered_for(home) == (0, 0, 0)
    with open_ledger(home) as ledger:
        assert not [f for f in verify(ledger, Known()).findings if f.outcome == "broken"]


def _answered_for(home):
    """How often the document is known, said to be erased, and its answers flagged."""
    with open_ledger(home) as ledger:
        erased, flags = list(ledger.events("erased")), list(ledger.store.flags())
        return len(ledger.document("doc_old")), len(erased), len(flags)


def _heartbeats(journal, number):
    for _ in range(number):
        journal.note("heartbeat", {})
    journal.flush()


KILLED = """
    import os, signal, sys
    from datetime import datetime
    from pathlib import Path
    from doctrail_core.durable import writing
    from doctrail_core.durable.home import Home
    from doctrail_core.erasure import retention
    from doctrail_core.ledger.sqlite import LedgerWriter
    from doctrail_core.trails.sqlite import TrailWriter

    left = int(sys.argv[2])
    retention._TRAILS_STEP = 1

    def dying(change):
        def changed(*args, **kwargs):
            global left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **kwargs)
        return changed

    for cls, names in (
        (LedgerWriter, ("take_out", "commit", "_remove_links", "scrub", "_put")),
        (TrailWriter, ("remove", "drop_unused", "scrub")),
    ):
        for name in names:
            setattr(cls, name, dying(getattr(cls, name)))
    retention.run_retention(Home(Path(sys.argv[1])), now=datetime.fromisoformat(sys.argv[3]))
"""


@pytest.mark.parametrize("steps", [3, 5, 7, 9, 11, 13])
def test_a_run_that_was_killed_is_completed_by_the_next(home, journal, keep, steps):
    both = Policy(
        ledger=Bounds(Period(), Period(days=30)), trails=Bounds(Period(), Period(days=30))
    )
    journal.note("configured", {"retention": both.to_json()})
    keep(
        one=(-40, OLD, {}),
        two=(-30, {"doc_2": "Two has a wombat."}, {}),
        three=(-20, NEW, {}),
    )
    _heartbeats(journal, 600)
    later = datetime.now(UTC) + 40 * DAY
    keep(young=(60 * 24 * 400, NEW, {}))
    command = [sys.executable, "-c", dedent(KILLED), str(home.path), str(steps), later.isoformat()]
    process = subprocess.run(command, check=False, env={**os.environ})
    assert process.returncode == -signal.SIGKILL
    assert is_unfinished(home) is (steps < 6)
    run_retention(home, now=later)
    assert trails_of(home) == {"young"}
    with open_ledger(home) as ledger:
        assert ledger.minimum() == 512
        assert [h.response_id for h in ledger.responses_with("doc_both")] == ["young"]
        assert ledger.document("doc_2") == []
        findings = verify(ledger, Known()).findings
        assert not [each for each in findings if each.outcome == "broken"]
        left = [entry.kind for entry in ledger.entries(0, 512)]
        keys = ledger._keyring
        assert keys is not None
        assert all(ledger.store.name(owner) for owner in keys.owners() if owner)
    assert not {"heartbeat", "answered"} & set(left)
    assert not is_unfinished(home)
    for path in home.path.rglob("*"):
        assert not path.is_file() or b"wombat" not in path.read_bytes()
