"""Legal holds: set, listed, lifted, over; and what they keep from being erased."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from doctrail_core.durable.faults import Faults
from doctrail_core.erasure.holds import HoldError, holding, holds, lift_hold, set_hold
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal

REASON = "case 4711, Miller against Acme"


@pytest.fixture
def journal(home, make_trail):
    with closing(LedgerJournal(home, Faults(home))) as journal:
        journal.append("answered", make_trail("r1", texts={"doc_4": "four", "doc_5": "five"}))
        journal.append(
            "answered",
            make_trail("r2", texts={"doc_6": "six"}, user_id="user-2", session_id="session-2"),
        )
        journal.flush()
        yield journal


@pytest.fixture
def remarks(home):
    return Remarks(home)


@pytest.fixture
def hold(home, journal, remarks):
    def hold(scope, subject, **more):
        with open_ledger(home) as ledger:
            return set_hold(ledger, journal, remarks, scope, subject, reason=REASON, **more)

    return hold


@pytest.mark.parametrize(
    ("scope", "subject"),
    [("document", "doc_4"), ("user", "user-1"), ("session", "session-1"), ("response", "r1")],
)
def test_a_hold_is_listed_with_what_it_is_on_and_why(home, hold, remarks, scope, subject):
    hold_id = hold(scope, subject, by="Ann Lee")
    with open_ledger(home) as ledger:
        (found,) = holds(ledger, remarks)
        entry = ledger.entry(found.seq)
    assert (found.hold_id, found.scope, found.subject) == (hold_id, scope, subject)
    assert (found.by, found.reason, found.until) == ("Ann Lee", REASON, None)
    assert entry is not None
    said = str(entry.body)
    assert "Ann" not in said
    assert "4711" not in said
    assert subject not in said


def test_what_is_not_on_record_cannot_be_held(hold):
    with pytest.raises(HoldError, match="no document 'doc_' is on record"):
        hold("document", "doc_")


def test_a_hold_that_would_be_over_is_refused(hold):
    with pytest.raises(HoldError, match="over already"):
        hold("document", "doc_4", until=datetime.now(UTC) - timedelta(seconds=1))


def test_a_hold_is_in_force_until_it_is_over(home, hold):
    until = datetime.now(UTC) + timedelta(days=30)
    hold("document", "doc_4", until=until)
    with open_ledger(home) as ledger:
        assert [each.until for each in holds(ledger)] == [until]
        assert holds(ledger, now=until) == []


def test_a_lifted_hold_is_not_in_force(home, hold, journal, remarks):
    one, other = hold("document", "doc_4"), hold("document", "doc_4")
    with open_ledger(home) as ledger:
        lift_hold(ledger, journal, remarks, one, reason="settled", by="Ann Lee")
        assert [each.hold_id for each in holds(ledger)] == [other]
        with pytest.raises(HoldError, match=r"no hold .* is in force"):
            lift_hold(ledger, journal, remarks, one, reason="settled")


@pytest.mark.parametrize(
    ("held", "erased", "refused"),
    [
        (("document", "doc_4"), ("document", "doc_4"), True),
        (("document", "doc_4"), ("user", "user-1"), True),
        (("document", "doc_4"), ("document", "doc_5"), True),
        (("document", "doc_4"), ("document", "doc_6"), False),
        (("document", "doc_4"), ("user", "user-2"), False),
        (("user", "user-1"), ("document", "doc_5"), True),
        (("user", "user-1"), ("session", "session-1"), True),
        (("user", "user-1"), ("user", "user-2"), False),
        (("response", "r1"), ("document", "doc_4"), True),
        (("response", "r1"), ("response", "r2"), False),
        (("session", "session-2"), ("document", "doc_6"), True),
    ],
    ids=str,
)
def test_what_an_answer_under_hold_had_to_do_with_is_held(home, hold, held, erased, refused):
    """An answer without the texts of its other documents would be evidence of nothing."""
    hold_id = hold(*held)
    with open_ledger(home) as ledger:
        found = [each.hold_id for each in holding(ledger, *erased)]
    assert found == ([hold_id] if refused else [])


def test_a_hold_names_itself_and_its_reason(home, hold, remarks):
    hold_id = hold("document", "doc_4")
    with open_ledger(home) as ledger:
        (found,) = holding(ledger, "document", "doc_4", remarks)
    assert str(found) == f"hold {hold_id} on document 'doc_4': {REASON}"


def test_remarks_survive_a_writer_that_died_in_the_middle(remarks):
    remarks.add("one", "first\nline \u2028")
    with remarks.path.open("ab") as file:
        file.write(b'["two", "half a rem')
    remarks.add("three", "third \udc00")
    assert remarks.texts() == {"one": "first\nline \u2028", "three": "third \ufffd"}
    assert remarks.path.stat().st_mode & 0o777 == 0o600


def test_remarks_that_are_not_kept_are_nowhere(home, remarks):
    for name in ("one", "two", "three"):
        remarks.add(name, f"the text of {name}")
    assert remarks.keep_only({"two", "four"}) == 2
    assert remarks.texts() == {"two": "the text of two"}
    assert not [p for p in home.path.iterdir() if b"the text of one" in p.read_bytes()]
    assert remarks.path.stat().st_mode & 0o777 == 0o600
