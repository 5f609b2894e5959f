"""Receipts: what they name, which are kept, and that they survive the way to their holder and back."""

import pickle
from datetime import UTC, datetime

import pytest

from doctrail_core import Lineage, NotRecordedError, Settings
from doctrail_core.ledger import open_ledger
from doctrail_core.manual import retrieval
from doctrail_core.model.receipt import Receipt
from doctrail_core.text.identity import content_hash

RECEIPT = Receipt(
    origin="example.com/answers",
    writer="0f" * 16,
    counter=7,
    response_id="réponse-1",
    answer_hash="sha256:00",
    time=datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC),
)


def test_a_receipt_read_back_is_the_same():
    assert Receipt.from_json(RECEIPT.to_json()) == RECEIPT


def test_a_receipt_is_one_line_that_anybody_can_read():
    assert RECEIPT.to_json() == (
        '{"answer_hash":"sha256:00","counter":7,"origin":"example.com/answers",'
        '"response_id":"r\\u00e9ponse-1","time":"2026-03-01T12:00:00.000005+00:00",'
        f'"writer":"{"0f" * 16}"}}'
    )


@pytest.mark.parametrize("words", ["", "[]", "{}", "7", '{"time": 7}', '{"time": "noon"}'])
def test_what_is_no_receipt_is_said_to_be_none(words):
    with pytest.raises(ValueError, match=r".+"):
        Receipt.from_json(words)


# --- those of a lineage


def ask(lineage: Lineage, number: int = 0) -> str:
    with lineage.scope(question=f"Who is number {number}?") as opened:
        with retrieval("Who?") as search:
            search.found(["Nobody."])
        opened.answer = f"Nobody, {number} times."
    return opened.response_id


@pytest.fixture
def recording(home):
    lineage = Lineage(Settings(home=home.path))
    yield lineage
    lineage.close()


def test_an_answer_on_record_has_a_receipt_that_names_its_entry(home, recording):
    response_id = ask(recording)
    receipt = recording.receipt(response_id)
    assert receipt is not None
    assert (receipt.response_id, receipt.origin) == (response_id, None)
    assert receipt.answer_hash == content_hash("Nobody, 0 times.")
    with open_ledger(home) as ledger:
        entry = ledger.entries_of(response_id)[-1]
        names = {e.body["number"]: e.body["name"] for e in ledger.entries() if "number" in e.body}
    assert (names[entry.writer], entry.counter) == (receipt.writer, receipt.counter)


def test_a_receipt_names_the_log_once_it_has_a_name(home, recording):
    response_id = ask(recording)
    audit = home.path / "audit"
    audit.mkdir()
    (audit / "config.json").write_text('{"origin": "example.com/answers"}')
    assert recording.receipt(response_id).origin == "example.com/answers"


@pytest.mark.parametrize("content", ["full", "hash", "off"])
def test_a_receipt_holds_no_more_than_is_kept(content, home):
    lineage = Lineage(Settings(home=home.path, content=content))
    receipt = lineage.receipt(ask(lineage))
    lineage.close()
    assert (receipt.answer_hash is None) == (content == "off")


def test_receipts_are_kept_for_a_while_and_of_the_latest(recording):
    asked = [ask(recording, number) for number in range(140)]
    kept = [recording.receipt(response_id) is not None for response_id in asked]
    assert kept == [False] * 12 + [True] * 128
    assert recording.receipt("nobody's") is None


def test_an_answer_that_is_still_open_has_no_receipt(recording):
    with recording.scope(question="Who?") as opened:
        with retrieval("Who?") as search:
            search.found(["Nobody."])
        assert opened.receipt is None
    assert opened.receipt is not None
    assert opened.receipt == recording.receipt(opened.response_id)


def test_a_refusal_travels_between_processes():
    error = pickle.loads(pickle.dumps(NotRecordedError("r1", "the disk is full")))  # noqa: S301
    assert (error.response_id, error.reason) == ("r1", "the disk is full")
    assert str(error) == (
        "response r1 is not given, because it could not be put on record: the disk is full"
    )
