"""Pruning: what is beyond the ceiling goes, nothing else does, and every proof stays possible."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.audit.verifying import Known, verify
from doctrail_core.durable.columns import microseconds
from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.erasure.holds import HoldError, lift_hold, set_hold
from doctrail_core.erasure.policy import (
    Bounds,
    Period,
    Policy,
    policy_in_force,
)
from doctrail_core.erasure.pruning import Pruning, places_in
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.retention import run_retention
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import Entry
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.place import LedgerPlace
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.record import ChunkFact, EventRecord, LedgerRecord, encode
from doctrail_core.ledger.tree import leaf_hash, verify_consistency, verify_inclusion

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICY = Policy(ledger=Bounds(Period(months=6), Period(days=400)))
CEILING = NOW - timedelta(days=400)
OLD, YOUNG = 500, 100
"""Days: beyond the ceiling, and within it."""


@dataclass
class Log:
    """Writes records of any time into a ledger."""

    home: Home
    payloads: list[bytes] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    def answer(
        self,
        response: str,
        documents: Sequence[str],
        age: float,
        *,
        kind: str = "answered",
        user: str | None = None,
        session: str | None = None,
        writer: str = "w",
    ) -> None:
        chunks = tuple(
            ChunkFact(
                chunk_id=f"{each}#1",
                document_id=each,
                grade="in_prompt",
                source=f"s3://{each}",
                content_hash=f"sha256:{each}",
            )
            for each in documents
        )
        record = LedgerRecord(
            response_id=response,
            kind=kind,  # pyright: ignore[reportArgumentType]
            chunks=chunks,
            document_ids=tuple(documents),
            user_id=user,
            session_id=session,
            models=("model-1",),
            query_hash="hmac-sha256:00",
            status="ok",
            timestamp=_stamp(age),
            writer=writer,
            counter=self._count(writer),
        )
        self.payloads.append(encode(record))

    def event(self, kind: str, age: float, response: str | None = None, /, **body: Any) -> None:
        record = EventRecord(
            event=kind,
            body=body,
            response_id=response,
            timestamp=_stamp(age),
            writer="events",
            counter=self._count("events"),
        )
        self.payloads.append(encode(record))

    def fill(self, count: int, age: float) -> None:
        for _ in range(count):
            self.event("heartbeat", age)

    def write(self) -> None:
        self.home.ensure("ledger")
        with closing(LedgerPlace(self.home).open()) as writer:
            for start in range(0, len(self.payloads), 100):
                writer.commit(self.payloads[start : start + 100], {}, ())
        self.payloads.clear()

    def _count(self, writer: str) -> int:
        self.counters[writer] = self.counters.get(writer, -1) + 1
        return self.counters[writer]


def _stamp(age: float) -> str:
    return (NOW - timedelta(days=age)).isoformat(timespec="microseconds")


@pytest.fixture
def log_here(home) -> Log:
    return Log(home)


def hold(home, journal, scope, subject) -> str:
    with open_ledger(home) as ledger:
        return set_hold(ledger, journal, Remarks(home), scope, subject, reason="a claim")


@pytest.fixture(params=["sqlite", "postgres"])
def log(request, home) -> Log:
    if request.param == "sqlite":
        return Log(home)
    server = request.getfixturevalue("postgres")
    return Log(Home(home.path, server.new_database()))


def entries(home) -> dict[int, Entry]:
    with open_ledger(home) as ledger:
        return {entry.seq: entry for entry in ledger.entries()}


def found(home, document) -> list[str]:
    with open_ledger(home) as ledger:
        return [hit.response_id for hit in ledger.affected(Query(document_id=document))]


def stray_rows(home) -> list[tuple[str, int]]:
    """Rows of an SQLite ledger about entries that are not there."""
    with closing(sqlite3.connect(home.database("ledger"))) as connection:
        run = connection.execute
        tables = [
            name for (name,) in run("SELECT name FROM sqlite_master WHERE name GLOB 'link_2*'")
        ]
        columns = [
            *((table, column) for table in tables for column in ("seq", "document")),
            *(("mention", column) for column in ("name", "response")),
            *(("reuse", column) for column in ("earlier", "response")),
            *(("derivation", column) for column in ("source", "document")),
            *((table, "seq") for table in ("response", "document", "chunk", "name", "flag")),
        ]
        there = "SELECT seq FROM entry"
        strays: list[tuple[str, int]] = []
        for table, column in columns:
            query = f"SELECT count(*) FROM {table} WHERE {column} NOT IN ({there})"  # noqa: S608  # our names
            strays.append((f"{table}.{column}", run(query).fetchone()[0]))
        for table in tables:
            (rows,) = run(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  # likewise
            strays.append((f"{table} is empty", not rows))
        return [each for each in strays if each[1]]


def check(home) -> None:
    """All that a verifier looks at holds, and each entry that is there is still proven to be in the log."""
    assert home.address or stray_rows(home) == []
    with open_ledger(home) as ledger:
        report = verify(ledger, Known())
        assert not [f for f in report.findings if f.outcome == "broken"]
        size, root = ledger.size(), ledger.root()
        for seq, body in ledger.bodies():
            proof = ledger.inclusion(seq, size)
            assert verify_inclusion(seq, size, leaf_hash(body), proof, root)


def test_what_is_beyond_the_ceiling_goes_and_what_is_younger_stays(log):
    home = log.home
    log.event("configured", OLD, retention=POLICY.to_json())
    log.answer("old", ["doc_old", "doc_both"], OLD, user="ann", session="s1")
    log.fill(600, OLD)
    log.answer("young", ["doc_both"], YOUNG, user="ben")
    log.write()
    before = entries(home)
    run = run_retention(home, now=NOW)
    after = entries(home)
    assert run.ledger is not None
    assert run.ledger.minimum == 512
    assert run.ledger.answers == 1
    assert found(home, "doc_old") == []
    assert found(home, "doc_both") == ["young"]
    assert {e.kind for s, e in after.items() if s < 512} == {
        "configured",
        "document",
        "chunk",
        "name",
    }
    assert all(before[seq] == entry for seq, entry in after.items() if seq in before)
    assert all(seq < 512 for seq in before if seq not in after)
    with open_ledger(home) as ledger:
        assert ledger.minimum() == 512
        assert ledger.document("doc_old") == []
        assert ledger.names("user", "ann") == []
        assert ledger.names("user", "ben") != []
    check(home)


@pytest.mark.parametrize(
    ("scope", "subject"),
    [("document", "doc_held"), ("user", "ann"), ("session", "s1"), ("response", "held")],
)
def test_answers_under_a_hold_stay_with_all_that_they_refer_to(home, log_here, scope, subject):
    log = log_here
    log.event("configured", OLD, retention=POLICY.to_json())
    log.fill(20, OLD)
    log.answer("held", ["doc_held", "doc_other"], OLD, user="ann", session="s1")
    log.answer("gone", ["doc_other", "doc_gone"], OLD, user="ben", session="s2")
    log.fill(600, OLD)
    log.event("heartbeat", YOUNG)
    log.write()
    with closing(LedgerJournal(home, Faults(home))) as journal:
        hold_id = hold(home, journal, scope, subject)
        run = run_retention(home, now=NOW)
        assert run.ledger is not None
        assert (run.ledger.answers, run.ledger.held) == (1, 1)
        assert found(home, "doc_held") == ["held"]
        assert found(home, "doc_other") == ["held"]
        with open_ledger(home) as ledger:
            (hit,) = ledger.responses_with("doc_held")
            assert (hit.user_id, hit.session_id) == ("ann", "s1")
            assert ledger.document("doc_gone") == []
            assert ledger.names("user", "ben") == []
        check(home)
        with open_ledger(home) as ledger:
            lift_hold(ledger, journal, Remarks(home), hold_id, reason="settled")
    again = run_retention(home, now=NOW)
    assert again.ledger is not None
    assert (again.ledger.answers, again.ledger.held) == (1, 0)
    assert found(home, "doc_held") == []
    check(home)


def test_the_number_of_a_writer_is_never_given_again(home, log_here):
    log = log_here
    log.event("configured", OLD, retention=POLICY.to_json())
    log.answer("old", ["doc"], OLD, writer="last")
    log.fill(600, OLD)
    log.event("heartbeat", YOUNG)
    log.write()
    run_retention(home, now=NOW)
    log.answer("new", ["doc"], YOUNG, writer="next")
    log.write()
    numbers = [e.body["number"] for e in entries(home).values() if "number" in e.body]
    assert numbers == [1, 2, 3]
    check(home)


def test_what_is_recorded_while_a_run_goes_on_keeps_what_it_refers_to(
    home, log_here, monkeypatch, make_trail
):
    log = log_here
    log.event("configured", OLD, retention=POLICY.to_json())
    for number in range(20):
        log.answer(f"old-{number}", [f"doc_{number}"], OLD)
        log.fill(60, OLD)
    log.event("heartbeat", YOUNG)
    log.write()
    monkeypatch.setattr("doctrail_core.erasure.pruning._STEP", 256)
    recorded: list[str] = []
    with closing(LedgerJournal(home, Faults(home))) as journal:

        def recording(method):
            def wrapped(self, *args):
                # Whoever records now has to wait for the lease; those before did not.
                name = f"new-{len(recorded)}"
                texts = {f"doc_{len(recorded)}": f"the text of {name}"}
                journal.append("answered", make_trail(name, texts=texts))
                recorded.append(name)
                return method(self, *args)

            return wrapped

        for name in ("answers_and_events", "bindings"):
            monkeypatch.setattr(Pruning, name, recording(getattr(Pruning, name)))
        run_retention(home, now=NOW)
    assert len(recorded) >= 5
    for number, name in enumerate(recorded):
        assert found(home, f"doc_{number}") == [name]
    check(home)


def test_an_entry_that_a_wrong_clock_dated_later_than_now_is_as_old_as_the_next(home, log_here):
    log = log_here
    log.event("configured", OLD, retention=POLICY.to_json())
    log.fill(100, OLD)
    log.answer("misdated", ["doc_a"], -30_000)
    log.fill(500, OLD)
    log.answer("misdated too", ["doc_b"], -30_000)
    log.fill(300, YOUNG)
    log.write()
    run = run_retention(home, now=NOW)
    assert run.ledger is not None
    assert run.ledger.minimum == 512
    assert found(home, "doc_a") == []
    assert found(home, "doc_b") == ["misdated too"]
    check(home)


def test_entries_that_only_a_wrong_clock_dated_stay(home, log_here):
    log_here.event("configured", OLD, retention=POLICY.to_json())
    log_here.fill(600, -30_000)
    log_here.write()
    run = run_retention(home, now=NOW)
    assert run.ledger is not None
    assert (run.ledger.minimum, run.ledger.entries) == (0, 0)


# What a random log may hold: steps in order, each so many days old.

_steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["answered", "retrieved", "assessed", "flagged", "derived", "access", "reused", "fill"]
        ),
        st.integers(0, 4),  # which response
        st.sets(st.integers(0, 3), min_size=1, max_size=2),  # which documents
        st.integers(0, 2),  # which user, and session
        st.sampled_from([0, 0, 0, -300, 30]),  # how much older or younger than the others of now
        st.integers(0, 1),  # which writer
    ),
    min_size=6,
    max_size=24,
)
_holds = st.sets(
    st.tuples(st.sampled_from(["document", "user", "session", "response"]), st.integers(0, 4)),
    max_size=2,
)


def _put(log: Log, steps: Sequence[tuple[Any, ...]]) -> None:
    """Write the steps, the first of them 700 days ago, the last one today."""
    for number, (kind, response, documents, person, apart, writer) in enumerate(steps):
        age = max(0.5, 700 * (1 - number / len(steps)) - apart)
        name = f"r{response}" if response % 2 else f"00000000-0000-4000-8000-00000000000{response}"
        docs = [f"d{each}" for each in sorted(documents)]
        who = {"user": f"u{person}", "session": f"s{person}"} if person else {}
        if kind == "fill":
            log.fill(60, age)
        elif kind == "flagged":
            log.event("flagged", age, name, cause="hand")
        elif kind == "derived":
            log.event("derived", age, **{"document": docs[0], "from": ["d9"]})
        elif kind == "access":
            chunks = [{"chunk_id": f"{d}#1", "document_id": d, "allowed": True} for d in docs]
            said = {"engine": "e", "point": "p", "search": 1, "principal": f"u{person}"}
            log.event("access", age, name, **said, chunks=chunks)
        elif kind == "reused":
            log.event("reused", age, name, of=f"r{(response + 2) % 4}")
        else:
            log.answer(name, docs, age, kind=kind, writer=f"w{writer}", **who)
        log.fill(30, age)


def _subject(scope: str, number: int) -> str:
    if scope == "response" and not number % 2:
        return f"00000000-0000-4000-8000-00000000000{number}"
    return f"{scope[0]}{number}"


def _may_go(before: dict[int, Entry], minimum: int, held: dict[str, set[Any]]) -> set[int]:
    """By brute force, what of a log is not needed any more."""
    firsts: dict[bytes, list[Entry]] = {}
    for entry in before.values():
        if entry.response is not None:
            firsts.setdefault(entry.response, []).append(entry)
    gone: set[int] = set()
    for history in firsts.values():
        chunks = {use.chunk for entry in history for use in entry.chunks}
        documents = {before[chunk].body["document"] for chunk in chunks}
        people = {p for e in history for p in (e.user, e.session, e.body.get("principal"))}
        keep = (
            history[-1].seq >= minimum
            or history[0].response in held["responses"]
            or documents & held["documents"]
            or people & held["people"]
        )
        gone |= set() if keep else {entry.seq for entry in history}
    events = {"heartbeat", "configured", "held", "retained", "pruned"}
    for entry in before.values():
        if entry.kind in events and entry.seq not in held["entries"]:
            gone |= {entry.seq} if 0 < entry.seq < minimum else set()
    binds = {"document", "chunk", "name", "derived"}
    bound = {seq for seq, entry in before.items() if entry.kind in binds and seq < minimum}
    needed = {seq for seq in before if seq not in gone and seq not in bound}
    numbers = {before[seq].writer for seq in needed}
    last = max((e.body.get("number", 0) for e in before.values() if e.kind == "name"), default=0)
    for seq in bound:
        body = before[seq].body
        names_an_answer = body.get("kind") == "response" and seq + 1 in needed
        if names_an_answer or body.get("number", -1) in numbers | {last}:
            needed.add(seq)
    while True:
        said = {place for seq in needed for place in places_in(before[seq])}
        made = {
            seq
            for seq in bound
            if before[seq].kind == "derived" and before[seq].body["document"] in needed
        }
        more = ((said & bound) | made | held["owners"](needed)) - needed
        if not more:
            return gone | (bound - needed)
        needed |= more


@dataclass
class Snapshot:
    """All that a log says at a time."""

    entries: dict[int, Entry]
    bodies: dict[int, bytes]
    roots: dict[int, bytes]
    owners: dict[int, int | None]
    answers: dict[str, list[str]]
    ids: dict[bytes, str]
    size: int
    policy: int


def _snapshot(home) -> Snapshot:
    with open_ledger(home) as ledger:
        entries = {entry.seq: entry for entry in ledger.entries()}
        size, policy = ledger.size(), policy_in_force(ledger)
        assert policy is not None
        references = {entry.response for entry in entries.values() if entry.response}
        return Snapshot(
            entries=entries,
            bodies=dict(ledger.bodies()),
            roots={at: ledger.root(at) for at in (*range(1, size, 97), size)},
            owners={seq: name.owner for seq in entries if (name := ledger.store.name(seq))},
            answers={f"d{number}": _hits(ledger, f"d{number}") for number in range(4)},
            ids={each: ledger.response_id_of(each) for each in references},
            size=size,
            policy=policy.seq,
        )


def _hold(home, to_hold) -> dict[str, Any]:
    """Set these holds; returns what they hold, by places."""
    held: dict[str, Any] = {"responses": set(), "documents": set(), "people": set()}
    with closing(LedgerJournal(home, Faults(home))) as journal, open_ledger(home) as ledger:
        for scope, number in to_hold:
            subject = _subject(scope, number)
            with suppress(HoldError):
                set_hold(ledger, journal, Remarks(home), scope, subject, reason="a claim")
                if scope == "response":
                    held["responses"].add(ledger.reference_of(subject))
                elif scope == "document":
                    held["documents"].update(ledger.document(subject))
                else:
                    held["people"].update(ledger.names(scope, subject))
    return held


def _check_what_went(before: Snapshot, after: Snapshot, held, minimum: int, counted: int) -> None:
    gone = {seq for seq in before.entries if seq not in after.entries}
    known = before.entries
    assert all(seq < minimum for seq in gone)
    assert all(known[seq].time_us < microseconds(CEILING) for seq in gone)
    held["entries"] = {before.policy} | {s for s, e in known.items() if e.kind == "held"}
    held["owners"] = lambda needed: {before.owners.get(seq) for seq in needed} - {None}
    assert gone == _may_go(known, minimum, held)
    assert counted == len(gone)
    assert all(after.bodies[seq] == before.bodies[seq] for seq in before.bodies.keys() - gone)
    assert after.owners == {s: owner for s, owner in before.owners.items() if s not in gone}


def _check_what_is_told(home, before: Snapshot, after: Snapshot) -> None:
    stay = {before.ids[e.response] for s, e in after.entries.items() if e.response}
    for document, known in before.answers.items():
        assert after.answers[document] == [each for each in known if each in stay]
    with open_ledger(home) as ledger:
        size, root = ledger.size(), ledger.root()
        for old, old_root in before.roots.items():
            proof = ledger.consistency(old, size)
            assert verify_consistency(old, size, old_root, root, proof)
        keys = ledger._keyring
        assert keys is not None
        assert set(keys.owners()) == {0, *after.owners.values()} - {None}
    check(home)


@given(_steps, _holds, st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_nothing_but_what_is_beyond_the_ceiling_and_not_needed_goes(
    tmp_path_factory, steps, to_hold, cut
):
    home = Home(tmp_path_factory.mktemp("home"))
    log = Log(home)
    log.event("configured", 900, retention=POLICY.to_json())
    _put(log, steps[: len(steps) - cut])
    log.write()
    held = _hold(home, to_hold)
    _put(log, steps[len(steps) - cut :])
    log.write()
    before = _snapshot(home)

    dry = run_retention(home, now=NOW, dry=True)
    assert _snapshot(home) == before
    run = run_retention(home, now=NOW, provable=list(before.roots))
    assert replace(run, dry=True) == dry
    assert run.ledger is not None
    young = [s for s, e in before.entries.items() if e.time_us >= microseconds(CEILING)]
    assert run.ledger.minimum == min(young, default=before.size) // 256 * 256
    after = _snapshot(home)
    _check_what_went(before, after, held, run.ledger.minimum, run.ledger.entries)
    _check_what_is_told(home, before, after)

    # Life goes on: what is gone is bound anew, and another run finds nothing to do, but that the writer
    # that was the last one may be none of those that are there.
    log.answer("r1", ["d0", "d1"], 0.1, user="u1", session="s1")
    log.event("reused", 0.1, "r3", of="r1")
    log.write()
    assert "r1" in found(home, "d0")
    check(home)
    again = run_retention(home, now=NOW)
    assert again.ledger is not None
    assert (again.ledger.answers, again.ledger.entries <= 1) == (0, True)
    check(home)


def _hits(ledger: LedgerReader, document: str) -> list[str]:
    query = Query(document_id=document, closure=False)
    return [hit.response_id for hit in ledger.affected(query)]
