"""Pruning: what is beyond the ceiling goes, nothing else does, and every proof stays possible."""

from collections.abc import Iterator, Sequence
from contextlib import closing
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
from doctrail_core.erasure.holds import lift_hold, set_hold
from doctrail_core.erasure.policy import Bounds, Period, Policy, PolicyError, put_in_force
from doctrail_core.erasure.pruning import places_in
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.retention import run_retention
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import Entry
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.record import ChunkFact, EventRecord, LedgerRecord, encode
from doctrail_core.ledger.sqlite import LedgerWriter
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

    def event(
        self, kind: str, age: float, response: str | None = None, /, **body: Any
    ) -> None:
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
        with closing(LedgerWriter(self.home)) as writer:
            for start in range(0, len(self.payloads), 100):
                writer.commit(self.payloads[start : start + 100], {}, ())
        self.payloads.clear()

    def _count(self, writer: str) -> int:
        self.counters[writer] = self.counters.get(writer, -1) + 1
        return self.counters[writer]


def _stamp(age: float) -> str:
    return (NOW - timedelta(days=age)).isoformat(timespec="microseconds")


@pytest.fixture
def log(home) -> Log:
    return Log(home)


@pytest.fixture
def journal(home) -> Iterator[LedgerJournal]:
    with closing(LedgerJournal(home, Faults(home))) as journal:
        yield journal


def hold(home, journal, scope, subject, **more) -> str:
    with open_ledger(home) as ledger:
        return set_hold(ledger, journal, Remarks(home), scope, subject, reason="a claim", **more)


def entries(home) -> dict[int, Entry]:
    with open_ledger(home) as ledger:
        return {entry.seq: entry for entry in ledger.entries()}


def found(home, document) -> list[str]:
    with open_ledger(home) as ledger:
        return [hit.response_id for hit in ledger.affected(Query(document_id=document))]


def check(home) -> None:
    """All that a verifier looks at holds, and each entry that is there is still proven to be in the log."""
    with open_ledger(home) as ledger:
        report = verify(ledger, Known())
        assert not [f for f in report.findings if f.outcome == "broken"]
        size, root = ledger.size(), ledger.root()
        for seq, body in ledger.bodies():
            proof = ledger.inclusion(seq, size)
            assert verify_inclusion(seq, size, leaf_hash(body), proof, root)


def test_what_is_beyond_the_ceiling_goes_and_what_is_younger_stays(home, log, journal):
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
    assert {e.kind for s, e in after.items() if s < 512} == {"configured", "document", "chunk", "name"}
    assert all(before[seq] == entry for seq, entry in after.items() if seq in before)
    assert all(seq < 512 for seq in before if seq not in after)
    with open_ledger(home) as ledger:
        assert ledger.minimum() == 512
        assert ledger.document("doc_old") == []
        assert ledger.names("user", "ann") == []
        assert ledger.names("user", "ben") != []
    check(home)
