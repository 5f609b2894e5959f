"""The attack matrix: what an operator who has the files and the key can do, and which defence notices it.

Each attack is done to a real ledger, on its files; each defence is the one that users have. The table that results
must be the one in `data/attacks.md`, which docs/evidence.md shows, with the attacks that nothing notices.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from doctrail_core.audit import standalone
from doctrail_core.audit.anchors import AnchorError, ContradictionError, confirm, publish_all
from doctrail_core.audit.anchors.configured import KINDS, configured
from doctrail_core.audit.anchors.rfc3161 import Rfc3161Anchor
from doctrail_core.audit.anchors.witness import WitnessAnchor
from doctrail_core.audit.bundle import Bundle, Signed
from doctrail_core.audit.checkpoint import Checkpoint, checkpoint_of, signed
from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.note import Note
from doctrail_core.audit.signing import sign_checkpoint
from doctrail_core.audit.tiers import TIERS
from doctrail_core.audit.verifying import Known, verify
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.frame import frame, scan
from doctrail_core.durable.home import Home
from doctrail_core.durable.lease import Lease
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import decode, encode
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.rows import links_of, state_of
from doctrail_core.ledger.tree import Frontier, consistency, leaf_hash, root_of
from doctrail_core.model import Chunk, Hit, Receipt, Retrieval, Trail

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "data" / "attacks.md"

ANSWERS = 300
"""More than a tile has leaves."""
EVERY = 75
VICTIM = 170
LATE = 3
"""So many answers after the last checkpoint."""

DEFENCES = {
    "entries and tree, self-checked": "T0",
    "checkpoints kept beside the ledger": "T0",
    "numbers of each writer": "T0",
    "tables rebuilt from the entries": "T0",
    "checkpoint that an auditor holds": "T1",
    "time stamp, and nobody holds a checkpoint": "no tier",
    "witness asked to cosign the next one": "T2",
    "receipt of the answer, held by the caller": "any tier",
}


def answer_id(number):
    return str(UUID(int=(7 << 76) + number))


def answer(number):
    """An answer from two of five documents; the first one has them all."""
    named = range(5) if number == 0 else {number % 5, (number * 2 + 1) % 5}
    chunks = [Chunk(f"doc_{n}#0", f"doc_{n}", f"sha256:{n}", index=0) for n in named]
    at = NOON + timedelta(seconds=number)
    hits = tuple(Hit(chunk, rank) for rank, chunk in enumerate(chunks))
    return Trail(
        response_id=answer_id(number),
        status="ok",
        started_at=at,
        ended_at=at,
        query_hash="hmac-sha256:00",
        answer=f"answer {number}",
        retrievals=(Retrieval("r", "retriever", None, "hmac-sha256:00", hits, at, at),),
        user_id="ada",
        session_id="session-1",
    )


@dataclass
class Scene:
    """An installation at its worst: the operator has it all, but for what others took away in time."""

    home: Home
    notes: list[Note]
    receipts: list[Receipt]
    held: list[Receipt] = field(default_factory=list)
    """Those of the answers that the attack is about, as callers hold them."""

    @property
    def folder(self):
        return AuditFolder(self.home)

    def bodies(self):
        with open_ledger(self.home) as log:
            return [body for _, body in log.bodies()]

    def place_of(self, number):
        """The entry of an answer."""
        with open_ledger(self.home) as log:
            (entry,) = log.entries_of(answer_id(number))
        return entry.seq

    def run(self, statement, values=()):
        with closing(sqlite3.connect(self.home.database("ledger"))) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def rewrite(self, bodies):
        """Make the ledger one that always had these entries: tables, tree and all."""
        entries = [decode(body, seq) for seq, body in enumerate(bodies)]
        histories = {}
        for entry in entries:
            if entry.response is not None:
                histories.setdefault(entry.response, []).append(entry)
        documents = dict(self.run("SELECT seq, document FROM chunk"))
        links = [
            (document, own[0].seq, flags)
            for own in histories.values()
            for document, flags in links_of(own, documents).items()
        ]
        frontier = Frontier()
        tiles = frontier.append_all(map(leaf_hash, bodies))
        (month,) = {
            name for (name,) in self.run("SELECT name FROM sqlite_master WHERE name GLOB 'link_*'")
        }
        with closing(sqlite3.connect(self.home.database("ledger"))) as connection, connection:
            for table in ("entry", "response", month, "mention", "tile"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  # one of ours
            put = connection.executemany
            put(
                "INSERT INTO entry VALUES (?, ?, ?, ?)",
                self._entry_rows(entries, histories, bodies),
            )
            put(
                "INSERT INTO response VALUES (?, ?)",
                ((r, own[0].seq) for r, own in histories.items()),
            )
            put(f"INSERT INTO {month} VALUES (?, ?, ?)", links)  # noqa: S608  # likewise
            mentions = {
                (name, own[0].seq)
                for own in histories.values()
                for entry in own
                for name in (entry.user, entry.session)
                if name is not None
            }
            put("INSERT INTO mention VALUES (?, ?)", mentions)
            put("INSERT INTO tile VALUES (?, ?, ?)", tiles)
            connection.execute("UPDATE frontier SET state = ?", (bytes(frontier),))

    @staticmethod
    def _entry_rows(entries, histories, bodies):
        for entry, body in zip(entries, bodies, strict=True):
            own = histories.get(entry.response, [entry])
            first = entry.response is not None and own[0] is entry
            about = None if first or entry.response is None else own[0].seq
            yield entry.seq, about, state_of(own, named=False) if first else None, body

    def sign_again(self, most=None):
        """Put checkpoints of what the log is now where those of what it was are, signed with the same key."""
        key, (path,) = (
            self.folder.signing_key(),
            (self.home.path / "audit" / "checkpoints").iterdir(),
        )
        bodies = self.bodies()
        known = [checkpoint_of(note, key.verifier) for note in self.notes[:most]]
        path.unlink()
        for size in dict.fromkeys(min(each.size, len(bodies)) for each in known):
            self.folder.keep(signed(Checkpoint(key.name, size, root_at(bodies, size)), key))


def root_at(bodies, size):
    return root_of(size, lambda start, end: subtree(bodies, start, end))


def subtree(bodies, start, end):
    frontier = Frontier()
    frontier.append_all(map(leaf_hash, bodies[start:end]))
    return frontier.root()


# The attacks


def honest(scene):
    """Nothing is done."""


def edit_in_place(scene):
    """A. One entry is edited in place."""
    place = scene.place_of(VICTIM)
    scene.run("UPDATE entry SET body = ? WHERE seq = ?", (edited(scene), place))


def edit_and_sign(scene):
    """B. One entry is edited, all else recomputed and signed again."""
    bodies, place = scene.bodies(), scene.place_of(VICTIM)
    bodies[place] = edited(scene)
    scene.rewrite(bodies)
    scene.sign_again()


def edited(scene):
    """The entry of the victim, with another document in place of its first."""
    bodies = scene.bodies()
    entry, all_chunks = decode(bodies[scene.place_of(VICTIM)]), decode(bodies[scene.place_of(0)])
    first, *rest = entry.chunks
    other = min({u.chunk for u in all_chunks.chunks} - {use.chunk for use in entry.chunks})
    return encode(replace(entry, chunks=(replace(first, chunk=other), *rest)))


def delete_and_renumber(scene):
    """C. One entry is deleted, its writer's later ones renumbered, all else recomputed and signed again."""
    bodies, place = scene.bodies(), scene.place_of(VICTIM)
    gone = decode(bodies.pop(place))
    for seq in range(place, len(bodies)):
        entry = decode(bodies[seq])
        if entry.writer == gone.writer:
            bodies[seq] = encode(replace(entry, counter=entry.counter - 1))
    scene.rewrite(bodies)
    scene.sign_again()


def delete_only(scene):
    """C'. As C, but the numbers of the writer are left as they are."""
    bodies = scene.bodies()
    del bodies[scene.place_of(VICTIM)]
    scene.rewrite(bodies)
    scene.sign_again()


def truncate(scene):
    """D. The tail is cut off behind an earlier checkpoint, and later checkpoints removed."""
    size = Checkpoint.parse(scene.notes[1].text).size
    scene.rewrite(scene.bodies()[:size])
    scene.sign_again(2)


def drop_then_go_on(scene):
    """E. An entry newer than the last checkpoint is dropped; its writer has written since."""
    scene.held = [scene.receipts[ANSWERS]]
    bodies = scene.bodies()
    del bodies[scene.place_of(ANSWERS)]
    scene.rewrite(bodies)


def drop_at_the_end(scene):
    """E'. All entries newer than the last checkpoint are dropped; no writer of them writes again."""
    scene.held = [scene.receipts[ANSWERS]]
    scene.rewrite(scene.bodies()[: scene.place_of(ANSWERS)])


def lose_before_sequencing(scene):
    """F. A record is taken out of the spool before it becomes an entry."""
    lease = Lease(scene.home.spool("ledger") / "sequencer.lock")
    assert lease.take()
    journal = LedgerJournal(scene.home, Faults(scene.home))
    try:
        receipts = [journal.append("answered", answer(1000 + n)) for n in range(3)]
        (path,) = scene.home.spool("ledger").glob("*.spool")
        (first, _, third) = scan(path.read_bytes()).records
        path.write_bytes(frame(first[1]) + frame(third[1]))
    finally:
        lease.release()
        journal.close()
    scene.held = [receipts[1]]


def never_record(scene):
    """G. The application never records an answer."""
    scene.held = []


def hide_from_index(scene):
    """H. The index is made to forget that an answer had a document."""
    place = scene.place_of(VICTIM)
    ((month,),) = scene.run("SELECT name FROM sqlite_master WHERE name GLOB 'link_*'")
    scene.run(f"DELETE FROM {month} WHERE seq = ?", (place,))  # noqa: S608  # one of ours


def insert_backdated(scene):
    """I. An entry is made up and inserted far back, all else recomputed and signed again."""
    scene.held = []
    bodies, place = scene.bodies(), scene.place_of(VICTIM)
    model, last = decode(bodies[place]), decode(bodies[scene.place_of(2)])
    made_up = replace(
        model, response=UUID(answer_id(9999)).bytes, writer=last.writer, counter=last.counter + 1
    )
    bodies.insert(place, encode(made_up))
    scene.rewrite(bodies)
    scene.sign_again()


ATTACKS = (
    honest,
    edit_in_place,
    edit_and_sign,
    delete_and_renumber,
    delete_only,
    truncate,
    drop_then_go_on,
    drop_at_the_end,
    lose_before_sequencing,
    never_record,
    hide_from_index,
    insert_backdated,
)


# The defences


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """An honest ledger of four processes, with a checkpoint now and then, and some answers since."""
    home = Home(tmp_path_factory.mktemp("pristine") / "home")
    folder = AuditFolder(home)
    folder.make("ledger.example/rag")
    config = folder.path / "config.json"
    away = home.path.parent / "away"
    away.mkdir()
    anchor = {"kind": "directory", "path": str(away)}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"anchors": [anchor]}))
    scene = Scene(home, [], [])
    for first, end in pairwise((0, 1, 3, 100, ANSWERS + LATE)):
        journal = LedgerJournal(home, Faults(home))
        for number in range(first, end):
            scene.receipts.append(journal.append("answered", answer(number)))
            if number % EVERY == EVERY - 1:
                journal.flush(20)
                with open_ledger(home) as log:
                    scene.notes.append(sign_checkpoint(folder, log)[1])
                publish_all(home, str(scene.notes[-1]).encode())
        journal.close()
    return scene


class Defences:
    """What users have against an attack, each asked by itself."""

    def __init__(self, scene, witness_url, witness, tsa):
        self._scene = scene
        self._witness_url = witness_url
        self._witness = witness
        self._tsa = tsa
        self._key = scene.folder.config().key

    def noticed(self):
        found = {
            "entries and tree, self-checked": self._broken(Known(), "entries", "tree", "names"),
            "checkpoints kept beside the ledger": self._broken(
                Known(self._key, kept=list(self._scene.folder.notes())), "checkpoints", "signatures"
            ),
            "numbers of each writer": self._broken(Known(), "counters"),
            "tables rebuilt from the entries": self._broken(Known(), "tables", "index"),
            "checkpoint that an auditor holds": self._by_auditor(),
            "time stamp, and nobody holds a checkpoint": self._by_time_stamp(),
            "witness asked to cosign the next one": self._by_witness(),
            "receipt of the answer, held by the caller": self._broken(
                Known(self._key, receipts=self._scene.held), "receipts"
            ),
        }
        assert found.keys() == DEFENCES.keys()
        return found

    def _broken(self, known, *checks):
        with open_ledger(self._scene.home) as log:
            report = verify(log, known)
        return any(f.outcome == "broken" and f.check in checks for f in report.findings)

    def _by_auditor(self):
        """By what was taken away, whether the auditor brings it or a directory has it."""
        noticed = self._broken(Known(self._key, brought=self._scene.notes), "checkpoints")
        with open_ledger(self._scene.home) as log:
            (finding,) = confirm(self._scene.home, self._key, log.size(), log.root)
        assert finding.contradiction == noticed
        return noticed

    def _next(self):
        """The next checkpoint: the operator signs whatever the entries are now."""
        bodies = self._scene.bodies()
        size = len(bodies)
        key = self._scene.folder.signing_key()
        note = signed(Checkpoint(key.name, size, root_at(bodies, size)), key)
        return bodies, str(note).encode()

    def _by_witness(self):
        bodies, checkpoint = self._next()

        def prove(old, new):
            return consistency(old, new, lambda start, end: subtree(bodies, start, end))

        keys = [self._witness.key.verifier]
        try:
            WitnessAnchor("w1", self._witness_url, keys=keys, consistency=prove).publish(checkpoint)
        except ContradictionError:
            return True
        return False

    def _by_time_stamp(self):
        _, checkpoint = self._next()
        try:
            self._tsa.verify(self._tsa.publish(checkpoint))
        except AnchorError:
            return True
        return False


@pytest.fixture
def matrix(pristine, tmp_path, make_witness, served, stamping, authority):
    """Which defence notices which attack."""
    rows = []
    with stamping() as tsa_url:
        tsa = Rfc3161Anchor("tsa", tsa_url, roots=authority / "ca.pem")
        for attack in ATTACKS:
            home = Home(tmp_path / attack.__name__)
            shutil.copytree(pristine.home.path, home.path)
            scene = replace(pristine, home=home, held=[pristine.receipts[VICTIM]])
            attack(scene)
            witness = make_witness(scene.folder.config().key)
            witness.latest = Checkpoint.parse(pristine.notes[-1].text)
            with served(witness) as url:
                rows.append((attack.__doc__, Defences(scene, url, witness, tsa).noticed()))
    return rows


def table(matrix):
    heads = [f"{defence} ({tier})" for defence, tier in DEFENCES.items()]
    lines = [f"| attack | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for attack, noticed in matrix:
        marks = ("X" if noticed[defence] else "." for defence in DEFENCES)
        lines.append(f"| {attack} | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def test_each_attack_is_noticed_by_what_is_said_to_notice_it_and_by_nothing_else(matrix):
    assert table(matrix) == GOLDEN.read_text(encoding="utf-8")


def page():
    return (Path(__file__).parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_the_page_on_evidence_shows_this_table():
    assert GOLDEN.read_text(encoding="utf-8") in page()


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_the_page_on_evidence_says_what_each_tier_proves(tier):
    row = (tier.name, tier.called, tier.needs, tier.proves, tier.leaves)
    assert f"| {' | '.join(row)} |" in page()


def test_the_anchors_that_the_page_on_evidence_shows_can_be_configured(tmp_path):
    config = page().partition("```json\n")[2].partition("```")[0]
    home = Home(tmp_path)
    AuditFolder(home).path.mkdir()
    (AuditFolder(home).path / "config.json").write_text(config)
    assert {each.anchor.kind for each in configured(home)} == set(KINDS)


def test_an_index_that_was_made_to_forget_hides_nothing_from_a_bundle(pristine, tmp_path, capsys):
    home = Home(tmp_path / "home")
    shutil.copytree(pristine.home.path, home.path)
    scene = replace(pristine, home=home)
    hide_from_index(scene)
    key = scene.folder.config().key
    document = answer(VICTIM).retrievals[0].hits[0].chunk.document_id
    with open_ledger(home) as log:
        (checkpoint, note) = scene.folder.latest()
        responses = {hit.response_id for hit in log.responses_with(document)}
        Bundle(log, Signed(key, checkpoint, note), tmp_path / "bundle").of_document(document)
    assert answer_id(VICTIM) not in responses
    assert standalone.main([str(tmp_path / "bundle"), "--key", str(key)]) == 0
    reference = UUID(answer_id(VICTIM))
    said = capsys.readouterr().out
    assert str(reference) in said or reference.hex in said
