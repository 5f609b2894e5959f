"""Verifying a log: what holds is said to hold, what is broken is named, what cannot be known is left open."""

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.audit import segments
from doctrail_core.audit.checkpoint import Checkpoint, signed
from doctrail_core.audit.folder import AuditConfig, AuditFolder
from doctrail_core.audit.note import COSIGNATURE, Note, SigningKey
from doctrail_core.audit.sealing import committed, postings_of
from doctrail_core.audit.segments import Absence, Postings, Presence, SegmentIndex
from doctrail_core.audit.signing import RewrittenError, sign_checkpoint
from doctrail_core.audit.stream import Block, CounterCheck, TimeCheck, TreeCheck, blocks
from doctrail_core.audit.verifying import Known, verify
from doctrail_core.audit.watch import BusyError, Watch, begin, checkpoint_now
from doctrail_core.durable.errors import StoreError
from doctrail_core.folder import Folder
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import ChunkUse, Entry, decode, encode
from doctrail_core.ledger.tree import EMPTY_ROOT, Frontier, leaf_hash

WIDTH = 256


class Log:
    """A log on disk that signs checkpoints, and can be tampered with."""

    def __init__(self, home, make_trail):
        self.home = home
        self.folder = Folder(home.path)
        self.audit = AuditFolder(home)
        self._make_trail = make_trail
        self._answers = 0

    def answer(self, number=1, **changes):
        """Answer questions, each with two documents of seven."""
        for _ in range(number):
            at, self._answers = self._answers, self._answers + 1
            texts = {f"doc_{at % 7}": "one", f"doc_{at * 3 % 7}": "another"}
            changed = {"texts": texts} | changes
            trail = self._make_trail(f"00000000-0000-4000-8000-{at:012}", minute=at, **changed)
            self.folder.ledger.append("retrieved", trail)
            self.receipt = self.folder.ledger.append("answered", trail)

    def checkpoint(self, **how):
        return checkpoint_now(self.home, self.folder.ledger, **{"heartbeat": False} | how)

    def open(self):
        self.folder.flush(10)
        return open_ledger(self.home)

    def verify(self, *brought, **how):
        receipts = how.pop("receipts", ())
        config = self.audit.config() if self.audit.exists() else None
        with self.open() as log:
            kept = self.audit.notes()
            return verify(log, Known(config and config.key, kept, brought, receipts), **how)

    def alter(self, *statements):
        self.folder.flush(10)
        with closing(sqlite3.connect(self.home.database("ledger"))) as database, database:
            for statement, *parameters in statements:
                assert database.execute(statement, parameters).rowcount

    def seq_of(self, kind, number=0):
        with self.open() as log:
            return [entry.seq for entry in log.entries() if entry.kind == kind][number]


@pytest.fixture
def log(home, make_trail):
    log = Log(home, make_trail)
    yield log
    log.folder.close()


@pytest.fixture
def signed_log(log):
    """Twenty answers, three checkpoints."""
    log.answer(5)
    begin(log.home, log.folder.ledger, "log.example/rag")
    log.answer(10)
    log.checkpoint()
    log.answer(5)
    log.checkpoint()
    return log


@pytest.fixture
def narrow(monkeypatch):
    """Segments of few entries."""
    monkeypatch.setattr(segments, "SEGMENT", WIDTH)


def said(report, check, outcome):
    return [f.words for f in report.findings if (f.check, f.outcome) == (check, outcome)]


def outcomes(report):
    return {finding.check: finding.outcome for finding in report.findings}


def test_a_log_that_nobody_touched_holds(signed_log):
    report = signed_log.verify(now_us=0)  # its answers are of a time before its heartbeats
    assert outcomes(report) == {
        "signatures": "holds",
        "checkpoints": "holds",
        "entries": "holds",
        "counters": "holds",
        "heartbeats": "holds",
        "tables": "holds",
        "names": "holds",
    }
    assert report.is_sound
    with signed_log.open() as opened:
        assert (report.size, report.root) == (opened.size(), opened.root())
    (words,) = said(report, "checkpoints", "holds")
    assert words.startswith("the tree of the entries is that of 3 checkpoint(s)")
    (words,) = said(report, "counters", "holds")
    assert words.startswith("41 records of 1 writer(s)")


def test_a_log_that_nobody_signs_is_looked_at_all_the_same(log):
    log.answer(3)
    report = log.verify()
    assert report.is_sound
    assert outcomes(report)["signatures"] == outcomes(report)["checkpoints"] == "open"
    assert said(report, "counters", "holds")
    assert any("same hands" in words for words in report.unproven)


def test_an_entry_that_was_changed_in_place_is_noticed(signed_log):
    seq = signed_log.seq_of("answered", 3)
    with signed_log.open() as opened:
        body = opened.body(seq)
    changed = encode(replace(decode(body, seq), status="error"))
    signed_log.alter(("UPDATE entry SET body = ? WHERE seq = ?", changed, seq))
    report = signed_log.verify()
    assert not report.is_sound
    assert "not those that a checkpoint was signed for" in said(report, "checkpoints", "broken")[0]


@pytest.mark.parametrize("kind", ["document", "configured", "name", "answered"])
def test_bytes_that_are_no_entry_are_named(signed_log, kind):
    seq = signed_log.seq_of(kind, -1)
    signed_log.alter(("UPDATE entry SET body = x'00' WHERE seq = ?", seq))
    report = signed_log.verify()
    assert said(report, "entries", "broken")[0].endswith(f": {seq}")


@pytest.mark.parametrize("kind", ["document", "configured", "name", "chunk", "answered"])
def test_an_entry_whose_tail_is_cut_is_named(signed_log, kind):
    seq = signed_log.seq_of(kind, -1)
    signed_log.alter(("UPDATE entry SET body = substr(body, 1, 35) WHERE seq = ?", seq))
    report = signed_log.verify()
    assert any(words.endswith(f": {seq}") for words in said(report, "entries", "broken"))


def test_an_entry_that_is_gone_is_missed(signed_log):
    seq = signed_log.seq_of("answered", 7)
    signed_log.alter(("DELETE FROM entry WHERE seq = ?", seq))
    report = signed_log.verify()
    assert said(report, "entries", "broken")[0].endswith(f"without having been pruned: {seq}")


def test_a_log_cut_off_behind_its_last_checkpoint_is_noticed(signed_log):
    before, _ = signed_log.audit.latest()
    cut = Frontier()
    with signed_log.open() as opened:
        cut.append_all(leaf_hash(body) for _, body in opened.bodies(0, 20))
    signed_log.alter(
        ("DELETE FROM entry WHERE seq >= 20",), ("UPDATE frontier SET state = ?", bytes(cut))
    )
    report = signed_log.verify(quick=True)
    (words,) = said(report, "checkpoints", "broken")
    assert f"signed of more, up to {before.size}" in words


def test_a_log_that_was_made_anew_is_told_by_a_checkpoint_from_outside_alone(signed_log):
    _, kept = signed_log.audit.latest()
    forged = SigningKey.parse((signed_log.audit.path / "key").read_text())
    seq = signed_log.seq_of("answered", 3)
    with signed_log.open() as opened:
        bodies = [body for _, body in opened.bodies()]
    bodies[seq] = encode(replace(decode(bodies[seq], seq), trace=None))
    anew = Frontier()
    anew.append_all(map(leaf_hash, bodies))
    signed_log.alter(
        ("UPDATE entry SET body = ? WHERE seq = ?", bodies[seq], seq),
        ("UPDATE frontier SET state = ?", bytes(anew)),
    )
    for path in (signed_log.audit.path / "checkpoints").iterdir():
        path.unlink()
    signed_log.audit.keep(signed(Checkpoint(forged.name, anew.size, anew.root()), forged))
    assert signed_log.verify().is_sound
    assert said(signed_log.verify(kept), "checkpoints", "broken")


def test_a_checkpoint_under_another_key_is_refused(signed_log):
    other = SigningKey.generate("log.example/rag")
    note = signed(Checkpoint(other.name, 3, bytes(32)), other)
    report = signed_log.verify(note)
    assert said(report, "signatures", "broken") == [
        "a checkpoint that was brought: the checkpoint is not signed by 'log.example/rag'"
    ]


def test_a_key_that_was_put_in_the_place_of_the_logs_own_is_noticed(signed_log):
    """As an operator does who removes the folder with all that was signed, and begins anew."""
    seq = signed_log.seq_of("configured", 1)
    assert f"entry #{seq} of the log names the same key" in said(
        signed_log.verify(), "signatures", "holds"
    )
    shutil.rmtree(signed_log.audit.path)
    begin(signed_log.home, signed_log.folder.ledger, "log.example/rag")
    (words,) = said(signed_log.verify(), "signatures", "broken")
    assert words.startswith(f"entry #{seq} of the log names another key, log.example/rag+")


def test_a_checkpoint_of_another_log_is_refused(signed_log):
    key = signed_log.audit.signing_key()
    report = signed_log.verify(signed(Checkpoint("log.example/other", 3, bytes(32)), key))
    assert "of another log, 'log.example/other'" in said(report, "signatures", "broken")[0]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM link_202603 WHERE seq = (SELECT max(seq) FROM link_202603)", "links"),
        ("UPDATE link_202603 SET flags = flags | 3", "links"),
        ("UPDATE entry SET state = 0 WHERE seq = (SELECT max(seq) FROM link_202603)", "states"),
        ("DELETE FROM mention WHERE response = (SELECT max(seq) FROM link_202603)", "mentions"),
    ],
)
def test_rows_that_do_not_follow_from_the_entries_are_noticed(signed_log, statement, told):
    signed_log.alter((statement,))
    report = signed_log.verify()
    (words,) = said(report, "tables", "broken")
    assert told in words


def test_a_response_that_the_store_finds_elsewhere_is_noticed(signed_log):
    signed_log.alter(("UPDATE response SET seq = seq + 1",))
    report = signed_log.verify()
    assert any("under their response" in words for words in said(report, "tables", "broken"))


def test_a_chunk_that_was_moved_to_another_document_is_noticed(signed_log):
    signed_log.alter(("UPDATE chunk SET document = 1 WHERE seq = (SELECT max(seq) FROM chunk)",))
    report = signed_log.verify()
    assert any("under another document" in words for words in said(report, "tables", "broken"))


def test_a_later_word_about_an_answer_is_part_of_what_its_rows_follow_from(
    signed_log, make_assessment, make_trail
):
    trail = make_trail("00000000-0000-4000-8000-000000000003", minute=3)
    checked = replace(trail, assessments=(make_assessment(trail),))
    signed_log.folder.ledger.append("assessed", checked)
    signed_log.folder.ledger.note("flagged", {"because": -1}, response_id=trail.response_id)
    flag = signed_log.seq_of("flagged")
    signed_log.folder.ledger.note("reviewed", {"flag": flag}, response_id=trail.response_id)
    signed_log.folder.ledger.note("derived", {"document": "sum", "from": ["doc_1", "doc_2"]})
    report = signed_log.verify()
    assert said(report, "tables", "holds")
    signed_log.alter(("UPDATE flag SET decided = NULL",))
    assert said(signed_log.verify(), "tables", "broken")


def test_hashes_of_the_tree_that_are_not_those_of_the_entries_are_noticed(log):
    log.answer(270)
    log.alter(("UPDATE tile SET hash = zeroblob(32) WHERE number = 0",))
    assert said(log.verify(quick=True), "tree", "broken")


def test_a_name_that_is_gone_without_an_erasure_is_noticed(signed_log):
    seq = signed_log.seq_of("document")
    signed_log.alter(("UPDATE document SET sealed = NULL WHERE seq = ?", seq))
    assert said(signed_log.verify(), "names", "broken") == [
        f"names are gone, and no entry says that they were erased: entries {seq}"
    ]


def test_names_of_people_are_looked_at_too(signed_log):
    signed_log.alter(("UPDATE name SET sealed = NULL WHERE kind = 'user'",))
    assert said(signed_log.verify(), "names", "broken")


def test_a_name_whose_key_is_not_here_is_left_open(signed_log):
    seq = signed_log.seq_of("document")
    with closing(sqlite3.connect(signed_log.home.path / "keys.db")) as keys, keys:
        assert keys.execute("DELETE FROM key WHERE owner = ?", (seq,)).rowcount
    report = signed_log.verify()
    assert "1 names cannot be opened: their keys are not here" in said(report, "names", "open")
    assert report.is_sound


def test_a_name_that_was_erased_is_told_with_the_entry_that_says_so(signed_log):
    seq = signed_log.seq_of("document")
    signed_log.folder.ledger.note("erased", {"at": [seq], "scope": "document"})
    signed_log.alter(("UPDATE document SET sealed = NULL WHERE seq = ?", seq))
    report = signed_log.verify()
    by = signed_log.seq_of("erased")
    assert f"erased by entry #{by}: the names of entries {seq}" in said(report, "names", "holds")
    assert report.is_sound


def test_a_receipt_finds_its_answer(signed_log):
    report = signed_log.verify(receipts=[signed_log.receipt])
    (words,) = said(report, "receipts", "holds")
    assert words.endswith("with the same answer")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"counter": 4711}, "no record 4711"),
        ({"writer": "stranger"}, "of writer stranger"),
        ({"origin": "other.example/log"}, "of another log, 'other.example/log'"),
        ({"response_id": "00000000-0000-4000-8000-000000000001"}, "about another answer"),
        ({"answer_hash": f"sha256:{sha256(b'other').hexdigest()}"}, "another answer is on record"),
    ],
)
def test_a_receipt_of_what_is_not_on_record_is_told(signed_log, changes, told):
    report = signed_log.verify(receipts=[replace(signed_log.receipt, **changes)], quick=True)
    assert told in said(report, "receipts", "broken")[0]


def test_a_receipt_of_a_record_that_another_covers_finds_that(signed_log):
    covered = replace(signed_log.receipt, counter=signed_log.receipt.counter - 1)
    assert said(signed_log.verify(receipts=[covered], quick=True), "receipts", "holds")


# Counters and times, one entry at a time.


def block(*entries):
    return Block(0, len(entries), [(seq, encode(entry)) for seq, entry in enumerate(entries)])


def counted(*numbers, start=0):
    check = CounterCheck()
    entries = [Entry(kind="heartbeat", time_us=0, writer=1, counter=n) for n in numbers]
    check.take(
        Block(start, start + len(entries), [(start + s, encode(e)) for s, e in enumerate(entries)])
    )
    return list(check.findings())


@given(st.permutations(range(30)))
def test_the_order_of_a_writers_records_does_not_matter(order):
    (finding,) = counted(*order)
    assert finding.outcome == "holds"
    assert finding.words.startswith("30 records")


@given(st.sets(st.integers(0, 40), min_size=1))
def test_each_record_that_is_missing_between_others_is_missed(numbers):
    missing = set(range(max(numbers) + 1)) - numbers
    finding, *more = counted(*sorted(numbers))
    assert not more
    assert (finding.outcome == "broken") == bool(missing)


@pytest.mark.parametrize("numbers", [(0, 1, 1), (0, 2, 2, 1), (0, 1, 0)])
def test_a_record_that_is_there_twice_is_noticed(numbers):
    (finding,) = counted(*numbers)
    assert (finding.outcome, finding.check) == ("broken", "counters")
    assert "more than once" in finding.words


def test_an_answer_counts_for_the_records_that_it_covers():
    check = CounterCheck()
    check.take(block(Entry(kind="answered", time_us=0, writer=1, counter=2, covers=(0, 1))))
    (finding,) = check.findings()
    assert finding.words.startswith("3 records")


def test_records_that_a_writer_tells_it_lost_are_not_missing():
    check = CounterCheck()
    told = Entry(kind="lost", time_us=0, writer=1, counter=3, body={"counters": [[0, 2]]})
    check.take(block(told))
    lost, finding = check.findings()
    assert (lost.outcome, lost.words[:9]) == ("open", "3 records")
    assert finding.outcome == "holds"


def test_after_a_hole_a_writer_may_begin_anywhere():
    check = CounterCheck()
    check.take(Block(0, 256, []))
    entries = [Entry(kind="heartbeat", time_us=0, writer=1, counter=n) for n in (17, 16, 18, 19)]
    check.take(Block(256, 260, [(256 + s, encode(e)) for s, e in enumerate(entries)]))
    assert [finding.outcome for finding in check.findings()] == ["holds"]


def timed(*seconds, now, interval=60):
    check = TimeCheck(now * 1_000_000)
    begun = Entry(kind="configured", time_us=0, body={"audit": {"interval": interval}})
    beats = [Entry(kind="heartbeat", time_us=s * 1_000_000) for s in seconds]
    check.take(block(begun, *beats))
    return list(check.findings())


def test_heartbeats_cover_the_time_in_which_nothing_came():
    (finding,) = timed(60, 120, 60, 190, now=200)
    assert finding.outcome == "holds"


def test_a_time_of_which_nothing_is_on_record_is_told():
    (finding,) = timed(60, 400, now=410)
    assert finding.outcome == "open"
    assert "between 1970-01-01T00:01:00+00:00 and 1970-01-01T00:06:40+00:00" in finding.words


def test_a_heartbeat_tells_its_interval_where_what_configured_it_was_pruned():
    check = TimeCheck(1_000_000_000)
    beats = [(0, 60.0), (300, 60.0), (310, 60.0)]
    check.take(
        block(
            *(
                Entry(kind="heartbeat", time_us=second * 1_000_000, body={"interval": interval})
                for second, interval in beats
            )
        )
    )
    hole, end = check.findings()
    assert "between 1970-01-01T00:00:00+00:00 and 1970-01-01T00:05:00+00:00" in hole.words
    assert end.outcome == "open"


def test_a_log_that_stopped_is_told():
    (finding,) = timed(60, now=5000)
    assert "and 1970-01-01T01:23:20+00:00" in finding.words


def test_a_clock_that_was_set_back_is_told_and_hides_no_later_hole():
    findings = timed(90_000, 100, 160, 1000, now=1000)
    assert [each.outcome for each in findings] == ["open"] * 3
    assert "go back by more than an hour at 1 place(s)" in findings[-1].words


# Blocks and the tree, without a file.


class Stored:
    """A store of made-up bytes, some of them pruned."""

    def __init__(self, size, *, pruned=range(0), leaves_kept=()):
        self.all = [encode(Entry(kind="heartbeat", time_us=n)) for n in range(size)]
        self.pruned, self.leaves_kept = pruned, leaves_kept
        self.tree = Frontier()
        self.known = self.tree.append_all(map(leaf_hash, self.all))
        self.said = []

    def bodies(self, start, end):
        return ((n, self.all[n]) for n in range(start, end) if n not in self.pruned)

    def frontier(self):
        return self.tree

    def tiles(self, level, first, last):
        if not level:
            return [leaf_hash(self.all[n]) for n in range(first, last) if n in self.leaves_kept]
        return [t.hash for t in self.known if t.level == level and first <= t.number < last]

    def events(self, kind, after=-1):
        return iter(self.said)

    def say_pruned(self, end):
        frontier = Frontier()
        frontier.append_all(map(leaf_hash, self.all[:end]))
        body = {"first": 0, "end": end, "root": frontier.root().hex()}
        self.said = [(len(self.all), encode(Entry(kind="pruned", time_us=0, body=body)))]

    def checkpoint(self, size):
        frontier = Frontier()
        frontier.append_all(map(leaf_hash, self.all[:size]))
        return Checkpoint("log", size, frontier.root())

    def verify(self, *sizes):
        check = TreeCheck(self, map(self.checkpoint, sizes))
        for each in blocks(self, 0, len(self.all)):
            check.take(each)
        assert check.frontier.size == len(self.all)
        return check, {(each.check, each.outcome) for each in check.findings()}


def test_checkpoints_of_any_size_are_compared_on_the_way():
    check, found = Stored(1000).verify(0, 1, 255, 256, 257, 257, 999, 1000)
    assert found == {("checkpoints", "holds")}
    assert next(iter(check.findings())).words.startswith("the tree of the entries is that of 8")


def test_pruned_entries_are_stood_for_by_tiles_and_what_follows_is_compared():
    stored = Stored(1000, pruned=range(10, 500))
    stored.say_pruned(512)
    check, found = stored.verify(300, 512, 700, 1000)
    assert found == {("entries", "open"), ("checkpoints", "open"), ("checkpoints", "holds")}
    assert check.frontier == stored.tree
    assert "490 of the first 512 entries were pruned, as entry #1000 says" in " ".join(
        each.words for each in check.findings()
    )


def test_entries_that_stayed_among_pruned_ones_are_held_against_their_hashes():
    stored = Stored(600, pruned=range(10, 200), leaves_kept=range(256))
    stored.say_pruned(256)
    _, found = stored.verify(100, 600)
    assert found == {("entries", "open"), ("checkpoints", "holds")}
    stored.tiles = lambda level, first, last, tiles=stored.tiles: tiles(level, first, last)
    hashes = list(stored.tiles(0, 0, 256))
    stored.all[5] = encode(Entry(kind="heartbeat", time_us=7))
    stored.tiles = lambda level, first, last, tiles=stored.tiles: (
        hashes[first:last] if not level and last <= 256 else tiles(level, first, last)
    )
    _, found = stored.verify()
    assert ("entries", "broken") in found


def test_entries_that_are_missing_where_nothing_was_pruned_are_lost():
    _, found = Stored(1000, pruned=range(300, 310)).verify(1000)
    assert ("entries", "broken") in found


def test_what_is_left_after_pruning_must_be_what_was_there():
    stored = Stored(600, pruned=range(256))
    stored.say_pruned(256)
    seq, body = stored.said[0]
    stored.said = [(seq, body.replace(b'"root":"', b'"root":"00'))]
    _, found = stored.verify()
    assert ("entries", "broken") in found


@given(st.integers(0, 700), st.integers(0, 700), st.sets(st.integers(0, 699)))
def test_blocks_have_every_entry_of_a_range_once_and_end_where_tiles_do(start, end, pruned):
    stored = Stored(700, pruned=pruned)
    found = list(blocks(stored, start, end))
    seqs = [seq for each in found for seq, _ in each.entries]
    assert seqs == [n for n in range(start, end) if n not in pruned]
    assert [each.start for each in found] == [start, *(e.end for e in found[:-1])][: len(found)]
    assert all(each.end % 256 == 0 for each in found[:-1])
    assert not found or found[-1].end == end


# The committed index of segments.


@given(st.sets(st.integers(0, 300)), st.integers(0, 301))
def test_an_index_shows_of_any_document_whether_it_is_mentioned(documents, asked):
    postings = Postings()
    for document in documents:
        postings.add(document + 1000, {document: 2})
    index = postings.index()
    assert index.count == len(documents)
    proof = index.find(asked)
    assert isinstance(proof, Presence) == (asked in documents)
    assert proof.holds(index.count, index.root)


def test_an_empty_index_has_the_root_of_nothing():
    index = SegmentIndex({})
    assert (index.count, index.root) == (0, EMPTY_ROOT)
    assert index.find(5).holds(0, EMPTY_ROOT)


def test_a_document_that_is_there_cannot_be_shown_to_be_absent():
    postings = Postings()
    postings.add(1, {3: 0, 5: 0, 9: 0})
    index = postings.index()
    before, at, after = (index.find(document) for document in (3, 5, 9))
    for absence in (
        Absence(5, before, after),
        Absence(5, before, at),
        Absence(5, at, after),
        Absence(5, None, before),
        Absence(5, after, None),
        Absence(5, None, None),
        Absence(5, before, None),
        Absence(5, None, after),
    ):
        assert not absence.holds(index.count, index.root)


def test_a_presence_holds_for_its_own_digest_place_and_root_alone():
    postings = Postings()
    postings.add(1, {3: 0, 5: 0, 9: 0})
    index = postings.index()
    proof = index.find(5)
    assert not replace(proof, digest=bytes(32)).holds(3, index.root)
    assert not replace(proof, document=4).holds(3, index.root)
    assert not replace(proof, place=0).holds(3, index.root)
    assert not proof.holds(3, bytes(32))


def test_full_segments_get_an_index_that_follows_from_their_entries(narrow, log):
    begin(log.home, log.folder.ledger)
    log.answer(560)
    log.checkpoint()
    with log.open() as opened:
        indexes = committed(opened)
        assert list(indexes) == list(range(len(indexes)))
        assert len(indexes) >= 2
        assert log.audit.sealed == len(indexes)
        document = opened.document("doc_3")[0]
        expected = [
            (entry.seq, 1)
            for entry in opened.entries(WIDTH, 2 * WIDTH)
            if document in opened.store.documents_of({use.chunk for use in entry.chunks}).values()
        ]
        assert postings_of(opened, 1).mentions(document) == expected
    report = log.verify()
    assert said(report, "index", "holds")
    assert report.is_sound


def test_no_segment_is_indexed_twice(narrow, log):
    begin(log.home, log.folder.ledger)
    log.answer(560)
    log.checkpoint()
    (log.audit.path / "sealed").unlink()
    log.checkpoint()
    log.folder.flush(10)
    with log.open() as opened:
        assert len(list(opened.events("index"))) == len(committed(opened))


def test_an_index_that_does_not_follow_from_the_entries_is_noticed(narrow, log):
    begin(log.home, log.folder.ledger)
    log.answer(270)
    log.folder.flush(10)
    made = {"start": 0, "end": WIDTH, "documents": 3, "root": "00" * 32}
    log.folder.ledger.note("index", made)
    log.folder.ledger.note("index", made | {"end": WIDTH + 1})
    report = log.verify()
    told = " ".join(said(report, "index", "broken"))
    assert "committed for segment 0 is not what follows from its entries" in told
    assert "no full segment" in told


def test_a_segment_without_an_index_is_left_open(narrow, log):
    log.answer(270)
    assert "no index was committed for segment(s) 0" in said(log.verify(), "index", "open")[0]


def test_mentions_tell_the_strongest_grade_and_what_binds():
    used = Entry(kind="answered", time_us=0, chunks=(ChunkUse(7, 1), ChunkUse(8, 3)), seq=20)
    assert segments.mentions_of(used, {7: 2, 8: 2}) == {2: 3}
    for kind, body in (("document", {}), ("chunk", {"document": 20})):
        assert segments.mentions_of(Entry(kind=kind, time_us=0, body=body, seq=20), {}) == {20: 16}
    derived = Entry(kind="derived", time_us=0, body={"document": 4, "from": [2, 3]}, seq=20)
    assert segments.mentions_of(derived, {}) == {4: 16, 2: 16, 3: 16}


# What is signed, and kept.


def test_what_was_signed_is_kept_and_not_signed_again(signed_log):
    assert [checkpoint.size for checkpoint, _ in signed_log.audit.checkpoints()] == sorted(
        {checkpoint.size for checkpoint, _ in signed_log.audit.checkpoints()}
    )
    before = signed_log.audit.latest()
    assert signed_log.checkpoint() == before
    assert len(list(signed_log.audit.notes())) == 3


def test_the_key_and_the_rest_are_for_their_owner_alone(signed_log):
    assert signed_log.audit.path.stat().st_mode & 0o777 == 0o700
    for path in signed_log.audit.path.rglob("*"):
        assert not path.stat().st_mode & 0o077


def test_a_log_gets_one_key(signed_log):
    with pytest.raises(FileExistsError):
        begin(signed_log.home, signed_log.folder.ledger, "another")


def test_a_log_that_lost_entries_is_not_signed(signed_log):
    class Shorter:
        def size(self):
            return 3

    with pytest.raises(RewrittenError, match="entries are missing"):
        sign_checkpoint(signed_log.audit, Shorter())


def test_a_log_that_was_changed_is_not_signed(signed_log):
    class Other:
        def size(self):
            return 1000

        def root(self, size):
            return bytes(32)

    with pytest.raises(RewrittenError, match="changed since"):
        sign_checkpoint(signed_log.audit, Other())
    assert len(list(signed_log.audit.notes())) == 3


def test_a_cosigned_copy_is_kept_beside(signed_log):
    checkpoint, note = signed_log.audit.latest()
    witness = SigningKey.generate("witness.example", COSIGNATURE)
    signed_log.audit.keep(note.with_signatures(witness.sign(note.text, time=5)))
    again, cosigned = signed_log.audit.latest()
    assert again == checkpoint
    assert cosigned.signed_by(witness.verifier)
    assert signed_log.verify().is_sound


def test_half_a_note_at_the_end_of_the_file_spoils_nothing(signed_log):
    (path,) = (signed_log.audit.path / "checkpoints").iterdir()
    whole = path.read_text()
    for cut in range(1, 120, 7):
        path.write_text(whole[:-cut])
        checkpoint, _ = signed_log.audit.latest() or (None, None)
        assert checkpoint is not None
        signed_log.checkpoint()
        sizes = {each.size for each, _ in signed_log.audit.checkpoints()}
        assert len(sizes) == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"origin": "a", "key": "b", "interval": 1}'])
def test_a_damaged_configuration_is_told(signed_log, text):
    (signed_log.audit.path / "config.json").write_text(text)
    with pytest.raises(StoreError, match=r"config\.json is damaged"):
        signed_log.audit.config()


def test_a_configuration_is_read_as_it_was_written(signed_log):
    config = signed_log.audit.config()
    assert AuditConfig.from_json(config.to_json()) == config


def test_another_key_in_the_folder_does_not_sign(signed_log):
    other = SigningKey.generate("log.example/rag")
    (signed_log.audit.path / "key").write_text(other.reveal())
    with pytest.raises(StoreError, match="is not the key"):
        signed_log.audit.signing_key()


def test_without_a_key_nothing_is_signed(signed_log):
    (signed_log.audit.path / "key").unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        signed_log.checkpoint()


def test_without_init_it_is_said_what_to_do(log):
    log.answer()
    with pytest.raises(StoreError, match="doctrail audit init"):
        log.audit.config()


def test_one_process_signs_at_a_time(signed_log):
    other = AuditFolder(signed_log.home)
    assert other.lease.take()
    with pytest.raises(BusyError):
        signed_log.checkpoint()
    other.lease.release()
    signed_log.checkpoint()


def test_a_heartbeat_is_noted_only_where_nothing_else_came(signed_log):
    signed_log.checkpoint(heartbeat=True)
    signed_log.answer()
    signed_log.checkpoint(heartbeat=True)
    with signed_log.open() as opened:
        beats = list(opened.events("heartbeat"))
        assert len(beats) == 1
        assert beats[0].body == {"interval": 60.0}


# While an application runs.


@pytest.fixture
def watched(log, faults):
    begin(log.home, log.folder.ledger, interval=0.2)
    watch = Watch(log.home, log.folder.ledger, faults)
    log.folder.watched_by(watch)
    yield log, watch
    watch.close()


def test_checkpoints_and_heartbeats_come_by_themselves(watched, eventually):
    log, _ = watched
    log.answer()
    eventually(lambda: len(list(log.audit.notes())) >= 4)
    with log.open() as opened:
        assert len(list(opened.events("heartbeat"))) >= 2
    assert log.verify().is_sound


def test_what_came_last_is_signed_when_a_process_ends(watched):
    log, _ = watched
    log.answer()
    log.folder.close()
    checkpoint, _ = log.audit.latest()
    with open_ledger(log.home) as opened:
        assert checkpoint.size == opened.size()


def test_a_process_that_recorded_nothing_signs_nothing(log, faults):
    begin(log.home, log.folder.ledger)
    before = log.audit.latest()
    log.answer()
    Watch(log.home, log.folder.ledger, faults).close()
    assert log.audit.latest() == before


def test_without_init_no_thread_is_started(log, faults):
    watch = Watch(log.home, log.folder.ledger, faults)
    log.folder.watched_by(watch)
    log.answer()
    assert watch._thread is None
    watch.close()
    assert faults.summary() == {}


def test_trouble_with_signing_is_counted_and_costs_no_answer(watched, faults, eventually):
    log, _ = watched
    (log.audit.path / "key").write_text("nonsense")
    log.answer()
    eventually(lambda: "signing a checkpoint: StoreError" in faults.summary())
    log.answer()
    with log.open() as opened:
        assert sum(entry.kind == "answered" for entry in opened.entries()) == 2


def test_a_note_that_is_no_checkpoint_is_passed_over_in_the_folder(signed_log):
    signed_log.audit.keep(Note("what\n", (signed_log.audit.signing_key().sign("what\n"),)))
    report = signed_log.verify()
    assert "a checkpoint in the audit folder" in said(report, "signatures", "broken")[0]


def test_a_forked_child_does_not_keep_the_right_to_sign(signed_log):
    """Which it got as it was, if its parent was signing in that moment."""
    program = f"""
import os, sys
from pathlib import Path
from doctrail_core.audit.folder import AuditFolder
from doctrail_core.durable.home import Home
home = Home(Path({str(signed_log.home.path)!r}))
folder = AuditFolder(home)
assert folder.lease.take()
begun, parent = os.pipe(), os.pipe()
child = os.fork()
if not child:
    os.write(begun[1], b"x")
    os.close(parent[1])
    os.read(parent[0], 1)  # until the parent is done
    os._exit(0)
os.read(begun[0], 1)
folder.lease.release()
free = AuditFolder(home).lease.take()
os.close(parent[1])
os.waitpid(child, 0)
sys.exit(0 if free else 1)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_workers_that_are_forked_sign_as_their_parent_does(home):
    """As under gunicorn with preload: the watch is there before the fork, and records come on both sides."""
    program = f"""
import os, sys, time
from pathlib import Path
from doctrail_core.audit.watch import Watch, begin
from doctrail_core.folder import Folder
folder = Folder(Path({str(home.path)!r}))
begin(folder.home, folder.ledger, "log.example/rag", 0.2)
folder.watched_by(Watch(folder.home, folder.ledger, folder.faults))
folder.ledger.note("configured", {{"what": "parent"}})
children = []
for worker in range(3):
    child = os.fork()
    if not child:
        folder.ledger.note("configured", {{"what": "worker"}})
        time.sleep(1)
        folder.close()
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
folder.close()
sys.exit(max(codes))
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    folder = AuditFolder(home)
    with open_ledger(home) as opened:
        report = verify(opened, Known(folder.config().key, folder.notes()))
        heartbeats = len(list(opened.events("heartbeat")))
    assert report.is_sound
    checkpoint, _ = folder.latest()
    assert checkpoint.size == report.size
    assert heartbeats >= 1


def test_no_byte_of_any_entry_can_be_changed_unnoticed(signed_log, make_assessment, make_trail):
    """Nor is there one that verification breaks down over."""
    trail = make_trail("00000000-0000-4000-8000-000000000003", minute=3)
    ledger = signed_log.folder.ledger
    ledger.append("assessed", replace(trail, assessments=(make_assessment(trail),)))
    ledger.note("flagged", {"because": -1}, response_id=trail.response_id)
    ledger.note("reviewed", {"flag": 3}, response_id=trail.response_id)
    ledger.note("derived", {"document": "sum", "from": ["doc_1", "doc_2"]})
    ledger.note("reused", {"of": trail.response_id}, response_id="again")
    ledger.note("lost", {"counters": [[900, 901]], "number": 2})
    ledger.note("erased", {"at": [3], "scope": "document"})
    signed_log.checkpoint()
    with signed_log.open() as opened:
        bodies = dict(opened.bodies())
    draw = random.Random(20261123)  # noqa: S311  # repeatable
    with closing(sqlite3.connect(signed_log.home.database("ledger"))) as database:
        put = "UPDATE entry SET body = ? WHERE seq = ?"
        for seq, body in bodies.items():
            at = draw.randrange(len(body))
            changed = body[:at] + bytes([body[at] ^ (1 << draw.randrange(8))]) + body[at + 1 :]
            with database:
                database.execute(put, (changed, seq))
            assert said(signed_log.verify(), "checkpoints", "broken"), (seq, at)
            with database:
                database.execute(put, (body, seq))
    assert said(signed_log.verify(), "checkpoints", "broken") == []
