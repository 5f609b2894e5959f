"""What an erasure says of itself: receipts, holds, what is told to users and of responses."""

import json
from dataclasses import replace

import pytest

from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.watch import begin
from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.erasure.erasing import HeldError, erase_document, erase_user
from doctrail_core.erasure.holds import lift_hold, set_hold
from doctrail_core.erasure.receipts import Receipts, read_receipt
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.review import flag_answer
from doctrail_core.erasure.subject_report import subject_report
from doctrail_core.erasure.telling import erased_of
from doctrail_core.erasure.verifying import check_receipt
from doctrail_core.ledger import open_ledger

TEXT = "The renewal deadline for all enterprise accounts is February 28th."
REASON = "Ms Peabody, 12 Elm Street, asked us to"


@pytest.fixture
def checked(home):
    """What does not hold of a receipt."""

    def failing(receipt, name=None):
        return [check.what for check in check_receipt(home, receipt, name) if check.holds is False]

    return failing


def test_a_receipt_is_kept_and_read_again(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    receipt = erase_document(home, "doc_4", reason=REASON, legal_basis="contract 4.2", by="Ada")
    kept = Receipts(home).file_of(receipt)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert read_receipt(kept.read_text("utf-8")) == receipt
    assert list(Receipts(home).all()) == [receipt]
    assert (receipt.reason, receipt.by, receipt.legal_basis) == (REASON, "Ada", "contract 4.2")
    assert (receipt.impact.responses, receipt.impact.by) == (1, {"in_prompt": 1})
    report = Receipts(home).report_of(receipt).read_text("utf-8").splitlines()
    assert [json.loads(line)["how"] for line in report] == ["in_prompt"]


def test_the_ledger_knows_neither_the_reason_nor_who_asked(home, recorded, make_trail, files_with):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    receipt = erase_document(home, "doc_4", reason=REASON, by="Adalbert")
    names = {Receipts(home).file_of(receipt).name}
    assert {name.rpartition("/")[2] for name in files_with(b"Elm Street", b"Adalbert")} == names
    with open_ledger(home) as ledger:
        body = ledger.entry(receipt.entry).body
        assert body["reason"].startswith("hmac-sha256:")
        assert ledger.name_of(body["by"]) == "Adalbert"
        assert (body["affected"], body["digest"]) == (1, receipt.impact.digest)


def test_a_receipt_names_neither_document_nor_user(home, recorded, make_trail, files_with):
    recorded.put(make_trail("r1", texts={"doc_4711": TEXT}, user_id="user-4711"))
    erase_document(home, "doc_4711", reason="-")
    erase_user(home, "user-4711", reason="-")
    assert files_with(b"doc_4711", b"user-4711") == []


def test_a_receipt_is_signed_by_the_key_of_the_log(home, recorded, make_trail, checked):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    AuditFolder(home).make("example.com/log")
    receipt = erase_document(home, "doc_4", reason="-")
    assert receipt.is_signed
    assert checked(receipt, "doc_4") == []
    assert checked(receipt, "doc_5") == ["it is about the document that was named"]
    other = replace(receipt, note=replace(receipt.note, text=receipt.note.text.replace("0", "1")))
    assert checked(other) == ["it is signed by the key of this log"]


def test_a_receipt_whose_signature_was_taken_off_does_not_hold(home, recorded, make_trail, checked):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    recorded.put(make_trail("r2", texts={"doc_9": TEXT[::-1]}))
    early = erase_document(home, "doc_9", reason="-")
    begin(home, recorded.ledger, "example.com/log")
    receipt = erase_document(home, "doc_4", reason="-")
    (failed,) = checked(replace(receipt, note=None, reason="another"))
    assert failed.startswith("it is signed by the key of this log")
    assert checked(early) == []


def test_a_receipt_that_was_made_up_does_not_hold(home, recorded, make_trail, checked):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    recorded.put(make_trail("r2", texts={"doc_9": TEXT[::-1]}))
    receipt = erase_document(home, "doc_4", reason="-")
    assert checked(receipt) == []
    with open_ledger(home) as ledger:
        (alive,) = ledger.document("doc_9")
    says = f"entry {receipt.entry} of the ledger says the same"
    assert checked(replace(receipt, places=[alive])) == [
        *(says, "the name is not here any more", "nor is the key that sealed it")
    ]
    assert checked(replace(receipt, entry=1)) == ["entry 1 of the ledger says the same"]
    less = replace(receipt, impact=replace(receipt.impact, digest="0"))
    assert checked(less) == [says, "the report of the 1 responses that had it is as it was"]
    Receipts(home).report_of(receipt).write_text("")
    assert checked(receipt) == ["the report of the 1 responses that had it is as it was"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "x\n\n— a b\n", '{"form":"x"}', "null"])
def test_what_is_no_receipt_is_not_read_as_one(text):
    with pytest.raises(ValueError, match="receipt"):
        read_receipt(text)


def test_a_dry_run_changes_nothing(home, recorded, make_trail, files_with):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    recorded.flush()
    with open_ledger(home) as ledger:
        size = ledger.size()
    before = files_with(TEXT.encode())
    receipt = erase_document(home, "doc_4", reason="-", dry_run=True)
    assert (receipt.dry_run, receipt.entry, receipt.found["texts"]) == (True, None, 1)
    assert files_with(TEXT.encode()) == before
    assert not Receipts(home).path.exists()
    with open_ledger(home) as ledger:
        assert ledger.size() == size
    real = erase_document(home, "doc_4", reason="-")
    assert real.impact == receipt.impact
    assert real.not_covered == receipt.not_covered


def test_what_is_not_on_record_is_told(home, recorded, make_trail):
    with pytest.raises(NothingRecordedError):
        erase_document(home, "doc_4", reason="-")
    recorded.put(make_trail("r1"))
    with pytest.raises(NothingRecordedError, match="no user 'nobody' is on record"):
        erase_user(home, "nobody", reason="-")


def test_without_the_key_of_names_nothing_is_erased(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    recorded.flush()
    key = home.keys.read_bytes()
    home.keys.unlink()
    with pytest.raises(StoreError, match="keys is missing"):
        erase_document(home, "doc_4", reason="-")
    home.keys.write_bytes(key)


def test_what_is_held_is_not_erased(home, recorded, make_trail, files_with):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    recorded.flush()
    remarks = Remarks(home)
    with open_ledger(home) as ledger:
        hold = set_hold(ledger, recorded.ledger, remarks, "document", "doc_4", reason="a lawsuit")
    for dry_run in (True, False):
        with pytest.raises(HeldError, match=f"hold {hold} on document 'doc_4': a lawsuit"):
            erase_document(home, "doc_4", reason="-", dry_run=dry_run)
    with pytest.raises(HeldError, match=hold):
        erase_user(home, "user-1", reason="-")
    assert files_with(TEXT.encode())
    with open_ledger(home) as ledger:
        lift_hold(ledger, recorded.ledger, remarks, hold, reason="settled")
    assert erase_document(home, "doc_4", reason="-").found["texts"] == 1


def test_what_was_made_from_it_and_what_is_still_open_is_told(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}))
    recorded.put(make_trail("r2", texts={"summary": "It is due in February, they say."}))
    recorded.ledger.note("derived", {"document": "summary", "from": ["doc_4"]})
    recorded.ledger.append("retrieved", make_trail("r3", texts={"doc_4": TEXT}))
    receipt = erase_document(home, "doc_4", reason="-")
    told = " ".join(receipt.not_covered)
    assert "1 documents that were made from it" in told
    assert "1 responses that were not on record as complete" in told
    assert receipt.impact.responses == 3
    assert receipt.impact.unfinished == 1


def test_of_a_response_it_is_told_what_was_erased_by_which_entry(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}, user_id="ada"))
    recorded.put(make_trail("r2", texts={"doc_9": TEXT[::-1]}, user_id="bob", session_id="s-2"))
    document = erase_document(home, "doc_4", reason="-")
    user = erase_user(home, "ada", reason="-")
    with open_ledger(home) as ledger:
        assert [(each.scope, each.entry) for each in erased_of(ledger, "r1")] == [
            ("document", document.entry),
            ("user", user.entry),
        ]
        assert erased_of(ledger, "r2") == []
        assert erased_of(ledger, "r3") == []


# --- what is kept about a user


def test_a_user_is_told_all_that_is_kept(home, recorded, make_trail):
    first = recorded.put(make_trail("r1", texts={"doc_4": TEXT}, user_id="ada"))
    recorded.put(make_trail("r2", user_id="bob", session_id="s-2"))
    recorded.ledger.append("answered", make_trail("r3", texts={"doc_9": "x"}, user_id="ada"))
    report = subject_report(home, "ada")
    assert [response.response_id for response in report.responses] == ["r1", "r3"]
    kept, untold = report.responses
    assert (kept.question, kept.answer) == (first.question, first.answer)
    assert kept.documents == (("doc_4", "in_prompt"),)
    assert (untold.question, untold.text_kept, untold.documents) == (
        None,
        False,
        (("doc_9", "in_prompt"),),
    )
    assert untold.models == ("model-1",)
    assert [each.number for each in report.kept] == [1, 1, 1, 2, 1]
    assert (report.retention, report.holds, report.erased) == (None, [], [])


def test_a_user_who_was_erased_is_told_that(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}, user_id="ada"))
    receipt = erase_user(home, "ada", reason="-")
    report = subject_report(home, "ada")
    assert report.erased == [receipt.entry]
    assert [(r.question, r.session_id, r.text_kept) for r in report.responses] == [
        (None, None, False)
    ]
    assert subject_report(home, "carol").responses == []


def test_sessions_of_several_users_stay_with_the_others(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}, user_id="ada", session_id="shared"))
    bobs = recorded.put(make_trail("r2", user_id="bob", session_id="shared", minute=1))
    recorded.flush()
    erase_user(home, "ada", reason="-")
    report = subject_report(home, "bob")
    assert [response.question for response in report.responses] == [bobs.question]


def test_what_reviewers_wrote_about_answers_to_a_user_goes_with_them(
    home, recorded, make_trail, files_with
):
    recorded.put(make_trail("r1", texts={"doc_4": TEXT}, user_id="ada", session_id="s-1"))
    recorded.put(make_trail("r2", texts={"doc_9": "x"}, user_id="bob", session_id="s-2"))
    recorded.flush()
    remarks = Remarks(home)
    with open_ledger(home) as ledger:
        for response_id, why in (("r1", "She lives in Elm Street"), ("r2", "He cannot spell")):
            flag_answer(ledger, recorded.ledger, remarks, response_id, reason=why)
    assert files_with(b"Elm Street") == ["remarks.jsonl"]
    erase_user(home, "ada", reason="-")
    assert files_with(b"Elm Street") == []
    assert files_with(b"He cannot spell") == ["remarks.jsonl"]
