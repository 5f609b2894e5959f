"""A receipt survives the way to its holder and back."""

from datetime import UTC, datetime

import pytest

from doctrail_core.model.receipt import Receipt

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
