"""Decisions on access, derived documents and reused answers on the ledger."""

from uuid import uuid4

import pytest

from doctrail_core import Lineage, Settings
from doctrail_core.access.gate import Gate
from doctrail_core.access.policies import LabelPolicy
from doctrail_core.audit.content import Reading, TableCheck
from doctrail_core.audit.stream import blocks
from doctrail_core.capture.events import (
    AnswerReused,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
)
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.access import access_fact
from doctrail_core.ledger.entry import Entry, encode, whose
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.journal import LedgerJournal

POLICY = LabelPolicy(("internal", "secret"), principals={"ada.l": "internal"})
PUBLIC = RetrievedChunk(
    "The deadline is in March.",
    chunk_id="handbook-1",
    document_id="handbook",
    metadata={"label": "internal", "label_version": "v3", "source": "wiki/handbook"},
)
SECRET = RetrievedChunk(
    "The merger closes in May.",
    chunk_id="merger-1",
    document_id="merger",
    metadata={"label": "secret"},
)


@pytest.fixture
def lineage(tmp_path):
    made = Lineage(Settings(home=tmp_path, spans="none"))
    yield made
    made.close()


@pytest.fixture
def ledger(lineage):
    """Open the ledger of what was recorded so far."""
    opened = []

    def read():
        lineage.flush()
        opened.append(open_ledger(lineage._storage.home))
        return opened[-1]

    yield read
    for each in opened:
        each.close()


def search(lineage, run_id, chunks, *, user_id="ada.l", parent_id=None):
    """A guarded search."""
    lineage.record(RetrievalStarted(run_id, parent_id, "store", "when?", "python"))
    gate = Gate(POLICY, "store")
    passing = gate.admits(chunks, run_id, lineage.record, user_id=user_id)
    released = [chunk for chunk, passes in zip(chunks, passing, strict=True) if passes]
    lineage.record(RetrievalEnded(run_id, released))
    return released


def of_kind(ledger, kind):
    return [entry for entry in ledger.entries() if entry.kind == kind]


def test_a_decision_is_an_entry_that_names_nobody(lineage, ledger):
    with lineage.scope(user_id="ada.l") as opened:
        assert search(lineage, "s1", [PUBLIC, SECRET]) == [PUBLIC]
    log = ledger()
    (entry,) = of_kind(log, "access")
    fact = access_fact(entry.body)
    assert entry.response == log.reference_of(opened.response_id)
    assert (fact.engine, fact.point, fact.search) == ("doctrail.labels", "store", 1)
    assert fact.policy == POLICY.policy
    assert log.name_of(fact.principal) == "ada.l"
    ((allowed,), (denied,)) = fact.allowed, fact.denied
    assert (allowed.label, allowed.version) == ("internal", "v3")
    assert (denied.label, denied.version) == ("secret", None)
    assert [log.name_of(place.chunk) for place in (allowed, denied)] == ["handbook-1", "merger-1"]
    bodies = b"".join(body for _, body in log.bodies())
    for name in (b"ada.l", b"handbook", b"merger"):
        assert name not in bodies


def test_an_allowed_chunk_is_the_one_that_the_answer_has(lineage, ledger):
    with lineage.scope():
        search(lineage, "s1", [PUBLIC, SECRET])
    log = ledger()
    (decided,) = of_kind(log, "access")
    (answered,) = of_kind(log, "answered")
    assert [use.chunk for use in answered.chunks] == [
        place.chunk for place in access_fact(decided.body).allowed
    ]


def test_a_response_of_which_a_decision_is_the_first_entry_is_nobodys_yet():
    entry = Entry(kind="access", time_us=7, response=bytes([1] * 16), body={"engine": "e"})
    assert whose(encode(entry)) == (entry.response, 7, None, None, None, True)


def test_what_was_denied_affects_no_answer(lineage, ledger):
    with lineage.scope(session_id="s", user_id="ada.l") as opened:
        search(lineage, "s1", [PUBLIC, SECRET])
    log = ledger()
    (hit,) = log.affected(Query(document_id="handbook"))
    assert hit.response_id == opened.response_id
    assert (hit.session_id, hit.user_id, hit.trace_id) == ("s", "ada.l", None)
    assert list(log.affected(Query(document_id="merger", grade="retrieved"))) == []
    assert list(log.affected(Query(chunk_id="merger-1"))) == []


def test_a_principal_is_mentioned_by_the_response(lineage, ledger):
    with lineage.scope() as opened:  # nobody is its user
        search(lineage, "s1", [PUBLIC])
    log = ledger()
    (first,) = log.responses_of("user", "ada.l")
    assert first == log.first_of(opened.response_id)


def test_the_tables_follow_from_the_entries(lineage, ledger):
    lineage.derived("handbook", from_=["memo"])
    for number in range(3):
        with lineage.scope() as opened:
            search(lineage, f"s{number}", [PUBLIC, SECRET])
        ledger()  # the next one comes in a batch of its own
    with lineage.scope() as again:
        again.reused(opened.response_id)
    log = ledger()
    reading = Reading()
    check = TableCheck(log, reading)
    for block in blocks(log.store, 0, log.size()):
        reading.take(block)
        check.take(block)
    assert {finding.outcome for finding in check.findings()} == {"holds"}


def test_a_policy_is_on_record_once_for_each_process(lineage, ledger):
    for number in range(3):
        with lineage.scope():
            search(lineage, f"s{number}", [PUBLIC])
    configured = [e.body for e in of_kind(ledger(), "configured") if "log" not in e.body]
    assert configured == [
        {
            "what": "access policy",
            "engine": "doctrail.labels",
            "policy": POLICY.policy,
            "labels": ["internal", "secret"],
        }
    ]


def test_documents_that_are_known_already_are_bound_once(lineage, ledger):
    with lineage.scope():
        search(lineage, "s1", [PUBLIC])
    ledger()
    lineage.close()
    again = Lineage(lineage.settings)
    try:
        again.derived("summary", from_=["handbook"])
        again.flush()  # what follows comes in a batch of its own
        with again.scope():
            search(again, "s2", [PUBLIC, SECRET])
        again.flush()
        with open_ledger(again._storage.home) as log:
            assert len(of_kind(log, "document")) == len({"handbook", "summary", "merger"})
            assert len(of_kind(log, "chunk")) == 2
    finally:
        again.close()


def test_an_answer_from_a_derived_document_is_affected_by_its_sources(lineage, ledger):
    summary = RetrievedChunk("In short: March.", document_id="summary", chunk_id="s")
    lineage.derived("summary", from_=["handbook", "memo"])
    with lineage.scope() as opened:
        search(lineage, "s1", [RetrievedChunk(**_fields(summary), metadata={"label": "internal"})])
    (hit,) = ledger().affected(Query(document_id="memo"))
    assert (hit.response_id, hit.document_id, hit.derived_from) == (
        *(opened.response_id, "summary", "memo"),
    )


def _fields(chunk):
    return {"text": chunk.text, "chunk_id": chunk.chunk_id, "document_id": chunk.document_id}


def test_metadata_say_what_a_document_was_made_from(lineage, ledger):
    metadata = {"label": "internal", "derived_from": ["handbook", "memo"]}
    with lineage.scope() as opened:
        search(lineage, "s1", [RetrievedChunk("Short.", document_id="summary", metadata=metadata)])
    (hit,) = ledger().affected(Query(document_id="memo"))
    assert (hit.response_id, hit.derived_from) == (opened.response_id, "memo")
    (derivation,) = opened.trail.derivations
    assert (derivation.document_id, derivation.sources) == ("summary", ("handbook", "memo"))


def test_an_answer_that_was_given_again_is_affected_as_the_first_was(lineage, ledger):
    with lineage.scope() as first:
        search(lineage, "s1", [PUBLIC])
    with lineage.scope() as second:
        second.reused(first.response_id)
        second.answer = "In March."
    with lineage.scope() as third:
        lineage.record(AnswerReused(third.response_id, second.response_id))
    assert third.trail.reused == (second.response_id,)
    hits = list(ledger().affected(Query(document_id="handbook")))
    assert [(hit.response_id, hit.how) for hit in hits] == [
        (first.response_id, "retrieved_only"),
        (second.response_id, "via_cache"),
        (third.response_id, "via_cache"),
    ]


def test_an_answer_is_found_again_also_where_its_process_is_heard_later(home, faults, make_trail):
    """Spools are read one after the other, so what happened first may come last."""
    journals = [LedgerJournal(home, faults) for _ in range(2)]
    try:
        for first, second in (journals, journals[::-1]):  # whichever spool is read first
            earlier, later = (make_trail(str(uuid4())).response_id for _ in range(2))
            first.append("answered", make_trail(earlier))
            second.note("reused", {"of": earlier}, response_id=later)
            second.append("answered", make_trail(later, texts={"other": "text"}))
            first.flush(10)
            with open_ledger(home) as log:
                hits = [hit for hit in log.affected(Query(document_id="doc_4")) if hit.through]
            assert (hits[-1].response_id, hits[-1].through) == (later, earlier)
    finally:
        for journal in journals:
            journal.close()


def test_an_answer_is_not_made_from_itself(lineage):
    with lineage.scope() as opened:
        opened.reused(opened.response_id)
        search(lineage, "s1", [PUBLIC])
    assert opened.trail.reused == ()
