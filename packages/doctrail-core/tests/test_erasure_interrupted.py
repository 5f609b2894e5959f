"""Erasures that are killed on the way, and applications that go on recording meanwhile."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from doctrail_core.audit.verifying import Known, verify
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.spool import SUFFIX
from doctrail_core.erasure import erasing
from doctrail_core.erasure.erasing import erase_document, erase_user
from doctrail_core.erasure.receipts import Receipts
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.keyring import Keyring
from doctrail_core.ledger.sqlite import LedgerWriter
from doctrail_core.trails import open_trails
from doctrail_core.trails.sqlite import TrailWriter

PAYROLL = (
    'Jürgen Müller\'s salary rose to "91,000 €" on the 3rd of May,\nas agreed with Ms Peabody.'
)
OTHER = "The canteen serves lunch from eleven thirty until a quarter past two each day."

POINTS = [
    (Receipts, "draft", 1),
    (Receipts, "keep_draft", 1),
    (Receipts, "merge_report", 1),
    (Remarks, "change", 1),
    (TrailWriter, "replace", 1),
    (TrailWriter, "replace", 2),
    (TrailWriter, "drop_unused", 1),
    (erasing, "blank_what_was_moved", 1),
    (erasing, "discard_set_aside", 1),
    (TrailWriter, "scrub", 1),
    (LedgerWriter, "forget", 1),
    (Keyring, "destroy", 1),
    (erasing, "blank_what_was_moved", 2),
    (LedgerWriter, "scrub", 1),
    (LedgerWriter, "commit", 1),
    (LedgerWriter, "commit", 2),
    (Receipts, "complete", 1),
    (Receipts, "_write", 3),
]
NAMES = [f"{getattr(where, '__name__', where)}.{name}-{nth}" for where, name, nth in POINTS]


class Died(BaseException):
    """As far as databases go, what a kill would do."""


@pytest.fixture
def dying(monkeypatch):
    """Have the nth call of something die after it was done."""

    def die(where, name, nth):
        done, calls = getattr(where, name), []

        def dies(*args, **kwargs):
            calls.append(name)
            said = done(*args, **kwargs)
            if len(calls) == nth:
                raise Died
            return said

        monkeypatch.setattr(where, name, dies)

    yield die
    monkeypatch.undo()


@pytest.mark.parametrize("point", POINTS, ids=NAMES)
def test_whoever_dies_on_the_way_is_followed_by_one_who_completes_it(
    home, recorded, make_trail, dying, monkeypatch, files_with, pieces, point
):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL, "doc_9": OTHER}))
    recorded.put(make_trail("r2", texts={"doc_4": PAYROLL}, minute=1))
    other = recorded.put(make_trail("r3", texts={"doc_9": OTHER}, session_id="s-3"))
    Remarks(home).add("hold", f"he said {PAYROLL}")
    recorded.flush()
    dying(*point)
    with pytest.raises(Died):
        erase_document(home, "doc_4", reason="first")
    monkeypatch.undo()
    recorded.put(make_trail("r4", texts={"doc_9": OTHER}, session_id="s-4"))

    if point != (Receipts, "complete", 1):
        receipt = erase_document(home, "doc_4", reason="second")
        assert len(receipt.attempts) == (1 if point == (Receipts, "draft", 1) else 2)
        assert receipt.found["texts"] == 1
        assert receipt.removed == receipt.found
        assert receipt.impact.responses == 2
        assert not list(home.path.glob("receipts/*.draft"))

    assert files_with(*pieces(PAYROLL)) == []
    assert files_with(b"doc_4") == []
    with open_ledger(home) as ledger:
        (place,) = ledger.document("doc_4")
        assert ledger.key_of(place) is None
        assert [hit.response_id for hit in ledger.affected(Query(document_id="doc_4"))] == [
            "r1",
            "r2",
        ]
        flagged = sorted(response for _, response, _, _ in ledger.store.flags())
        assert flagged == sorted(ledger.first_of(each) for each in ("r1", "r2"))
    with open_trails(home) as trails:
        assert trails.get("r3") == other
        assert trails.get("r4") is not None


_ERASE = """
    import os, signal, sys
    from pathlib import Path
    from doctrail_core.durable.home import Home
    from doctrail_core.erasure import erasing
    from doctrail_core.erasure.receipts import Receipts
    from doctrail_core.ledger.keyring import Keyring
    from doctrail_core.ledger.sqlite import LedgerWriter
    from doctrail_core.trails.sqlite import TrailWriter

    where, name = sys.argv[2].split(".")
    owner = {"Receipts": Receipts, "Keyring": Keyring, "LedgerWriter": LedgerWriter}.get(where, TrailWriter)
    done = getattr(owner, name)

    def killed(*args, **kwargs):
        done(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)
    erasing.erase_user(Home(Path(sys.argv[1])), "ada-77", reason="-")
"""


def test_a_user_is_gone_after_any_number_of_deaths(home, recorded, make_trail, files_with, pieces):
    for number in range(3):
        recorded.put(
            make_trail(f"of-ada-{number}", question=PAYROLL, user_id="ada-77", session_id="ada-s")
        )
    nobodys = make_trail("of-ada-4", question=PAYROLL, user_id=None, session_id="ada-s")
    recorded.put(nobodys)
    bobs = recorded.put(make_trail("r2", user_id="bob", session_id="s-bob", question=OTHER))
    recorded.flush()
    recorded.close()
    deaths = ("TrailWriter.remove", "TrailWriter.scrub", "LedgerWriter.forget", "Keyring.destroy")
    for point in (*deaths, "LedgerWriter.commit"):
        erasing_ = [sys.executable, "-c", textwrap.dedent(_ERASE), str(home.path), point]
        assert subprocess.run(erasing_, check=False).returncode == -signal.SIGKILL
    receipt = erase_user(home, "ada-77", reason="-")
    assert len(receipt.attempts) == 6
    assert receipt.removed == {"keys": 2, "names": 6, "trails": 4}
    assert files_with(*pieces(PAYROLL), b"ada-77", b"of-ada", b"ada-s") == []
    with open_trails(home) as trails:
        assert trails.get("r2") == bobs


def test_who_records_meanwhile_loses_nothing(home, recorded, make_trail, monkeypatch):
    """Other processes append to their spools while both stores are held."""
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.flush()
    put, forget = recorded.put, LedgerWriter.forget
    later = make_trail("r2", texts={"doc_4": PAYROLL, "doc_9": OTHER}, session_id="s-2", minute=1)

    def forget_while_others_record(writer, forgotten):
        put(later)
        forget(writer, forgotten)

    monkeypatch.setattr(LedgerWriter, "forget", forget_while_others_record)
    receipt = erase_document(home, "doc_4", reason="-")
    monkeypatch.undo()
    with open_trails(home) as trails:
        assert trails.get("r2") == later
    with open_ledger(home) as ledger:
        first, second = ledger.document("doc_4")
        assert [first] == list(receipt.places)
        assert (ledger.name_of(first), ledger.name_of(second)) == (None, "doc_4")
        hits = [hit.response_id for hit in ledger.affected(Query(document_id="doc_4"))]
        assert hits == ["r1", "r2"]
    again = erase_document(home, "doc_4", reason="-")
    assert (again.found["trails"], again.found["names"], len(again.places)) == (1, 1, 2)


def test_what_a_living_process_has_in_its_spool_is_blanked_there(
    home, recorded, make_trail, files_with, pieces
):
    """A file that its writer has not given up cannot be deleted yet, though all in it is in the database."""
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    spooled = [name for name in files_with(*pieces(PAYROLL)) if name.endswith(SUFFIX)]
    assert spooled
    erase_document(home, "doc_4", reason="-")
    assert files_with(*pieces(PAYROLL)) == []
    assert files_with(b"doc_4") == []
    recorded.put(make_trail("r2", texts={"doc_9": OTHER}, minute=1))
    with open_trails(home) as trails:
        assert trails.get("r2") is not None
        assert trails.count() == 2
    with open_ledger(home) as ledger:
        assert len(ledger.entries_of("r2")) == 1


def test_what_was_set_aside_goes_where_nobody_can_say_that_it_may_stay(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.flush()
    aside = home.spool("trails")
    (aside / "a.1.damaged").write_bytes(b"salary")
    (aside / "a.2.refused").write_bytes(b'{"document_id":"doc_4"}')
    (aside / "a.3.refused").write_bytes(b'{"document_id":"doc_9"}')
    erase_document(home, "doc_4", reason="-")
    assert [path.name for path in aside.glob("a.*")] == ["a.3.refused"]


def test_a_log_that_somebody_reads_all_the_while_is_told_of(
    home, recorded, make_trail, monkeypatch
):
    monkeypatch.setattr("doctrail_core.durable.database._PATIENCE", 0.1)
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.put(make_trail("r2", texts={"doc_9": PAYROLL}))
    recorded.flush()
    with open_trails(home) as trails:
        reading = trails.responses()
        next(reading)
        with pytest.raises(StoreError, match=r"may still be in trails\.db-wal\. Run this again"):
            erase_document(home, "doc_4", reason="-")
        reading.close()
    receipt = erase_document(home, "doc_4", reason="-")
    assert len(receipt.attempts) == 2


def test_a_key_that_was_destroyed_is_in_no_file(home, recorded, make_trail, files_with):
    texts = {f"doc_{number}": f"Paragraph number {number} of the law." for number in range(300)}
    recorded.put(make_trail("r1", texts=texts))
    recorded.flush()
    with open_ledger(home) as ledger:
        (place,) = ledger.document("doc_123")
        key = ledger.key_of(place)
        assert files_with(key) == ["keys.db"] or files_with(key) == ["keys.db", "keys.db-wal"]
    erase_document(home, "doc_123", reason="-")
    assert files_with(key) == []
    with open_ledger(home) as ledger:
        assert ledger.key_of(place) is None
        assert ledger.name_of(ledger.document("doc_124")[0]) == "doc_124"


def test_without_a_key_nobody_can_try_texts(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.flush()
    with open_ledger(home) as ledger:
        (place,) = ledger.document("doc_4")
        assert ledger.store.content_tags(place, None)
        ((chunk, _),) = ledger.store.chunks(by="document", key=place)
    erase_document(home, "doc_4", reason="-")
    with open_ledger(home) as ledger:
        assert ledger.store.content_tags(place, None) == set()
        assert ledger.key_of(place) is None
        assert ledger.entry(chunk).body["commitment"]
        tag = ledger.tag("chunk", "doc_4#0")
        assert ledger.store.chunks(by="id_tag", key=tag) == [(chunk, place)]


def test_the_log_still_verifies_and_says_why_names_are_gone(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.put(make_trail("r2", texts={"doc_9": OTHER}, user_id="ada", session_id="s-2"))
    recorded.put(make_trail("r3", texts={"doc_9": OTHER}, user_id=None, session_id="s-2"))
    recorded.flush()
    with open_ledger(home) as ledger:
        size, root = ledger.size(), ledger.root()
    receipts = [erase_document(home, "doc_4", reason="-"), erase_user(home, "ada", reason="-")]
    with open_ledger(home) as ledger:
        assert ledger.root(size) == root
        report = verify(ledger, Known(None))
    assert report.is_sound
    told = [finding for finding in report.findings if finding.check == "names"]
    for receipt in receipts:
        assert any(f"erased by entry #{receipt.entry}:" in each.words for each in told)


def test_a_lease_that_is_not_given_up_is_told_of(home, recorded, make_trail, monkeypatch):
    from doctrail_core.durable.errors import SequencerBusyError
    from doctrail_core.durable.lease import Lease

    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.flush()
    monkeypatch.setattr(erasing, "PATIENCE", 0.05)
    lease = Lease(home.lease("trails"))
    assert lease.take()
    try:
        with pytest.raises(SequencerBusyError, match=f"process {os.getpid()} is writing"):
            erase_document(home, "doc_4", reason="-")
    finally:
        lease.release()
    assert erase_document(home, "doc_4", reason="-").found["texts"] == 1


_RECORD = """
    import sys, time
    from datetime import UTC, datetime
    from pathlib import Path
    from doctrail_core.durable.faults import Faults
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger.journal import LedgerJournal
    from doctrail_core.model import Chunk, Hit, Retrieval, Trail
    from doctrail_core.text.identity import content_hash
    from doctrail_core.trails.journal import TrailJournal

    home, name, text = Home(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
    faults = Faults(home)
    ledger, trails = LedgerJournal(home, faults), TrailJournal(home, faults)
    now = datetime.now(UTC)
    number = 0
    print("ready", flush=True)
    while not (home.path / "stop").exists():
        document = "doc_4" if number % 3 else "doc_9"
        chunk = Chunk(f"{document}#0", document, content_hash(text), text)
        found = Retrieval("q", "bm25", "?", "h", (Hit(chunk, 0),), now, now)
        trail = Trail(f"{name}-{number}", "ok", now, now, "h", "What?", "That.", retrievals=(found,))
        ledger.append("answered", trail)
        trails.append(trail)
        number += 1
        time.sleep(0.005)
    ledger.close()
    trails.close()
    print(number, flush=True)
"""


def test_processes_that_record_all_the_while_lose_nothing(home, recorded, make_trail, files_with):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    recorded.flush()
    script = textwrap.dedent(_RECORD)
    words = [sys.executable, "-c", script, str(home.path)]
    writers = [
        subprocess.Popen(
            [*words, name, "What they write now is something else altogether."],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("w1", "w2")
    ]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        receipts = [erase_document(home, "doc_4", reason="-") for _ in range(2)]
    finally:
        (home.path / "stop").touch()
    counts = [int(writer.communicate()[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert files_with(PAYROLL[:30].encode()) == []
    assert receipts[0].found["trails"] >= 1
    with open_trails(home) as trails:
        assert trails.count() == 1 + sum(counts)
    with open_ledger(home) as ledger:
        hits = [hit.response_id for hit in ledger.responses_with("doc_4")]
        expected = {f"w{w}-{n}" for w, count in enumerate(counts, 1) for n in range(count) if n % 3}
        assert set(hits) == expected | {"r1"}
        assert len(hits) == len(set(hits))
