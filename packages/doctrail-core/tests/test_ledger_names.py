"""Names lie apart from the log, sealed; without the key store the log names nobody."""

from doctrail_core.ledger import open_ledger
from doctrail_core.testing.ledger_stores import answer, event, fact, keep


def test_no_name_from_outside_lies_open_in_the_ledger(home):
    keep(
        home,
        [
            answer(
                "planted-response",
                fact("planted-document", source="planted-source"),
                session_id="planted-session",
                user_id="planted-user",
            ),
            event("derived", {"document": "planted-summary", "from": ["planted-document"]}),
        ],
    )
    for file in home.path.glob("*.db*"):
        assert b"planted" not in file.read_bytes(), file
    with open_ledger(home, drain=False) as ledger:
        (hit,) = ledger.responses_with("planted-document")
    assert (hit.response_id, hit.session_id, hit.user_id) == (
        *("planted-response", "planted-session", "planted-user"),
    )


def test_without_the_key_store_the_log_can_be_read_and_names_nobody(home):
    response_id = "0198a6b2-93ac-7cc1-a0fc-3ad9f8ba8a7e"
    keep(home, [answer(response_id, fact("d"), user_id="anna")])
    for file in home.path.glob("keys.db*"):
        file.unlink()
    with open_ledger(home, drain=False) as ledger:
        (hit,) = ledger.responses_with("d")
        (entry,) = ledger.entries_of(response_id)
        assert ledger.documents_of(entry) == [hit.document_id]
    assert (hit.response_id, hit.user_id) == (response_id, None)
    assert hit.document_id.startswith("erased:")
