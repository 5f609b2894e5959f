"""Erasing a document or a user: what must be gone is gone from every file, and nothing else is."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.erasure.erasing import erase_document, erase_user
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.impact import Query
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.model import Diagnosis, Evidence, Finding, Generation, Message, Step, ToolCall
from doctrail_core.trails import open_trails
from doctrail_core.trails.journal import TrailJournal

SECRET = 'Jürgen Müller\'s salary rose to "91,000 €" on the 3rd of May,\nas agreed with Ms Peabody.'
OTHER = "The canteen serves lunch from eleven thirty until a quarter past two each day."


class Recorded:
    """An installation that records."""

    def __init__(self, home, faults):
        self.home = home
        self.ledger = LedgerJournal(home, faults)
        self.trails = TrailJournal(home, faults)

    def put(self, trail):
        self.ledger.append("answered", trail)
        self.trails.append(trail)
        return trail

    def flush(self):
        self.ledger.flush()
        self.trails.flush()

    def close(self):
        self.ledger.close()
        self.trails.close()


@pytest.fixture
def recorded(home, faults):
    recorded = Recorded(home, faults)
    yield recorded
    recorded.close()


def bytes_below(home):
    """The content of every file, by name."""
    paths = (path for path in home.path.rglob("*") if path.is_file())
    return {str(path.relative_to(home.path)): path.read_bytes() for path in paths}


def written(text):
    """A text in the forms in which files may hold it."""
    ascii_only = json.dumps(text)[1:-1]
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    twice = json.dumps(plain, ensure_ascii=False)[1:-1]
    forms = {text, ascii_only, plain, twice, text.replace("\n", "\\n")}
    return {form.encode() for form in forms} | {text.encode("utf-16-le")}


def pieces(text, size=5):
    """Every few words in a row, in those forms."""
    words = text.split(" ")
    rows = [" ".join(words[at : at + size]) for at in range(len(words) - size + 1)]
    return {form for row in rows for form in written(row)}


def files_with(home, texts):
    found = bytes_below(home)
    return sorted({name for name, data in found.items() for text in texts if text in data})


def test_nothing_of_the_document_is_left_in_any_file(home, recorded, make_trail):
    trail = recorded.put(make_trail("r1", texts={"doc_4": SECRET, "doc_9": OTHER}))
    recorded.flush()
    assert files_with(home, pieces(SECRET)) == ["trails.db", "trails.db-wal"] or files_with(
        home, pieces(SECRET)
    )

    receipt = erase_document(home, "doc_4", reason="it should never have been indexed")

    assert files_with(home, pieces(SECRET)) == []
    assert files_with(home, [b"doc_4"]) == []
    assert files_with(home, pieces(OTHER)) == ["trails.db"]
    assert receipt.found == {"chunks": 1, "keys": 1, "names": 1, "texts": 1, "trails": 1}
    assert receipt.removed == receipt.found
    with open_trails(home) as trails:
        left = trails.get("r1")
    assert (left.question, left.answer) == (trail.question, trail.answer)
    kept = next(h.chunk for h in left.retrievals[0].hits if h.chunk.document_id == "doc_9")
    assert kept == trail.retrievals[0].hits[1].chunk
    assert OTHER in left.generations[0].messages[0].text


def test_who_presents_the_id_is_still_answered(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": SECRET}))
    recorded.put(make_trail("r2", texts={"doc_9": OTHER}))
    with open_ledger(home) as ledger:
        before = list(ledger.bodies())
    receipt = erase_document(home, "doc_4", reason="-")
    with open_ledger(home) as ledger:
        (hit,) = ledger.affected(Query(document_id="doc_4"))
        assert (hit.response_id, hit.document_id) == ("r1", f"erased:{receipt.places[0]}")
        after = list(ledger.bodies())
        assert after[: len(before)] == before
        kinds = [entry.kind for entry in ledger.entries(len(before))]
        assert kinds == ["erased", "flagged"]
        assert ledger.entry(receipt.entry).body["at"] == list(receipt.places)


def test_what_was_erased_cannot_be_erased_again(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": SECRET}))
    receipt = erase_document(home, "doc_4", reason="-")
    with pytest.raises(NothingRecordedError, match=f"by entry {receipt.entry} "):
        erase_document(home, "doc_4", reason="-")
    with pytest.raises(NothingRecordedError, match="no document 'doc_5' is on record"):
        erase_document(home, "doc_5", reason="-")


def test_a_user_is_gone_and_others_are_not(home, recorded, make_trail):
    recorded.put(make_trail("answer-of-ada", question=SECRET, user_id="ada-77", session_id="s-of-ada", texts={"doc_4": "x y"}))
    kept = recorded.put(
        make_trail("r2", question=OTHER, user_id="bob", session_id="s-bob", texts={"doc_9": OTHER})
    )
    recorded.flush()
    receipt = erase_user(home, "ada-77", reason="asked for it", legal_basis="GDPR 17(1)(b)")
    assert files_with(home, pieces(SECRET)) == []
    assert files_with(home, [b"ada-77", b"of-ada"]) == []
    assert receipt.found == {"keys": 1, "names": 3, "trails": 1}
    with open_trails(home) as trails:
        assert trails.get("answer-of-ada") is None
        assert trails.get("r2") == kept
