"""Without the installation's key, or under another one, nothing is said not to be there."""

import pytest

from doctrail_core.durable.errors import StoreError
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.sqlite import LedgerWriter

QUESTIONS = {
    "document": lambda ledger: ledger.document("doc_4"),
    "affected": lambda ledger: list(ledger.affected(Query(document_id="doc_4"))),
    "chunk": lambda ledger: list(ledger.affected(Query(chunk_id="doc_4#0"))),
    "user": lambda ledger: ledger.names("user", "ada"),
    "response": lambda ledger: ledger.entries_of("r1"),
}


@pytest.fixture
def home_of_log(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": "text"}))
    recorded.flush()
    return home


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_missing_key_is_told_instead_of_nothing_found(home_of_log, question):
    home_of_log.keys.unlink()
    with open_ledger(home_of_log) as ledger, pytest.raises(StoreError, match="keys is missing"):
        QUESTIONS[question](ledger)


@pytest.mark.parametrize("question", QUESTIONS)
def test_another_key_is_told_instead_of_nothing_found(home_of_log, question):
    home_of_log.keys.write_bytes(bytes(32))
    with open_ledger(home_of_log) as ledger, pytest.raises(StoreError, match="is not the one"):
        QUESTIONS[question](ledger)


def test_nothing_is_bound_under_another_key(home_of_log, recorded):
    recorded.close()
    home_of_log.keys.write_bytes(bytes(32))
    with pytest.raises(StoreError, match="is not the one"):
        LedgerWriter(home_of_log)


def test_what_needs_no_name_is_read_without_the_key(home_of_log):
    home_of_log.keys.unlink()
    with open_ledger(home_of_log) as ledger:
        assert ledger.size() == len(list(ledger.entries())) > 0
        assert ledger.head() is not None


def test_records_that_could_not_be_stored_are_told_to_who_asks(home_of_log):
    (home_of_log.spool("ledger") / "w.1.spool.9.refused").write_bytes(b"{}")
    with open_ledger(home_of_log) as ledger:
        assert "could not be stored" in (ledger.warning or "")
