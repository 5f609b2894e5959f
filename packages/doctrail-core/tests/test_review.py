"""The review queue: which answers somebody should look at, why, and what was decided."""

from contextlib import closing
from dataclasses import replace

import pytest

from doctrail_core.durable.faults import Faults
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.review import (
    ReviewError,
    decide,
    flag_answer,
    flag_failed_checks,
    flags,
)
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import Claim, Verdict
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal


@pytest.fixture
def journal(home, make_trail):
    with (
        closing(LedgerJournal(home, Faults(home))) as journal,
        closing(TrailJournal(home, Faults(home))) as trails,
    ):
        for name in ("r1", "r2", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"):
            journal.append("answered", make_trail(name))
            trails.append(make_trail(name))
        journal.flush()
        trails.flush()
        yield journal


@pytest.fixture
def remarks(home):
    return Remarks(home)


@pytest.fixture
def listed(home, remarks, journal):
    def listed(*, decided=False):
        with open_ledger(home) as ledger, open_trails(home) as trails:
            return list(flags(ledger, remarks, trails, decided=decided))

    return listed


@pytest.fixture
def flag(home, journal, remarks):
    def flag(response_id):
        with open_ledger(home) as ledger:
            flag_answer(
                ledger, journal, remarks, response_id, reason="Mr Miller complains", by="Ben Hill"
            )

    return flag


def test_flagged_answers_are_listed_the_longest_waiting_first(flag, listed, make_trail):
    flag("r2")
    flag("r1")
    first, second = listed()
    assert [first.response_id, second.response_id] == ["r2", "r1"]
    assert (first.cause, first.reason, first.because) == ("hand", "Mr Miller complains", None)
    assert (first.question, first.documents) == (make_trail().question, ("doc_4",))
    assert first.answered == make_trail().ended_at
    assert first.review is None


def test_what_people_wrote_and_their_names_are_not_on_the_ledger(
    home, flag, listed, journal, remarks
):
    flag("r1")
    (waiting,) = listed()
    with open_ledger(home) as ledger:
        decide(ledger, journal, remarks, waiting.flag, "keep", by="Ann Lee", note="Miller is wrong")
        said = b"".join(body for _, body in ledger.bodies())
    for word in (b"Miller", b"Ann", b"Ben"):
        assert word not in said


@pytest.mark.parametrize("decision", ["keep", "withdrawn", "corrected", "notified"])
def test_a_decision_takes_an_answer_off_the_queue_and_stays(
    home, flag, listed, journal, remarks, decision
):
    flag("r1")
    (waiting,) = listed()
    with open_ledger(home) as ledger:
        decide(ledger, journal, remarks, waiting.flag, decision, by="Ann Lee", note="looked at it")
    assert listed() == []
    (done,) = listed(decided=True)
    assert done.review is not None
    assert (done.review.decision, done.review.by, done.review.note) == (
        *(decision, "Ann Lee", "looked at it"),
    )
    with open_ledger(home) as ledger:
        assert [e.kind for e in ledger.entries_of("r1")] == ["answered", "flagged", "reviewed"]


def test_an_answer_is_decided_about_once_for_each_flag(home, flag, listed, journal, remarks):
    flag("r1")
    (waiting,) = listed()
    with open_ledger(home) as ledger:
        decide(ledger, journal, remarks, waiting.flag, "keep", by="Ann")
        with pytest.raises(ReviewError, match="decided about before"):
            decide(ledger, journal, remarks, waiting.flag, "withdrawn", by="Ben")
        with pytest.raises(ReviewError, match="there is no flag 99999"):
            decide(ledger, journal, remarks, 99999, "keep", by="Ben")
    flag("r1")
    assert len(listed()) == 1
    assert len(listed(decided=None)) == 2


def test_an_answer_that_is_not_on_record_cannot_be_flagged(flag):
    with pytest.raises(ReviewError, match="no answer 'r9' is on record"):
        flag("r9")


def test_answers_whose_latest_check_failed_are_flagged_once(
    home, journal, listed, make_trail, make_assessment
):
    other = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    for name, risks in {"r1": [0.2, 0.9, None], "r2": [0.9, 0.1], other: [0.5]}.items():
        trail = make_trail(name)
        for risk in risks:
            verdict = Verdict(claim=Claim(0, 2), verdict="supported", score=risk, reason="judged")
            trail = replace(trail, assessments=(make_assessment(trail, verdict),))
            journal.append("assessed", trail)
    journal.flush()
    with open_ledger(home) as ledger:
        assert flag_failed_checks(ledger, journal) == 2
    with open_ledger(home) as ledger:
        assert flag_failed_checks(ledger, journal) == 0
    assert [(f.response_id, f.cause) for f in listed()] == [("r1", "check"), (other, "check")]
