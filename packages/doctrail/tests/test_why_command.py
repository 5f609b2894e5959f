"""`doctrail why`."""

from doctrail_core.capture.events import (
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunStarted,
)
from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.model import Message


def test_an_answer_is_explained_by_its_id(app, doctrail):
    app.answer()
    said = doctrail("why", "response-0001")
    assert said.code == 0
    assert said.err == ""
    trail = Lineage(Settings(home=app.home, spans="none")).get("response-0001")
    assert said.out == trail.why()
    assert "in the prompt  doc_42" in said.out


def test_an_answer_is_found_by_whatever_the_asker_has_in_hand(app, doctrail):
    app.answer("response-0001-aaaa")
    app.answer("other-000002", question="Who signs?", answer="The legal department.")
    for reference in (
        "response-0001-aaaa",
        "response",
        "message-response-0001-aaaa",
        "renewal dead",
        "FEBRUARY",
    ):
        said = doctrail("why", reference)
        assert (said.code, said.lines[0]) == (0, "Response response-0001-aaaa"), reference


def test_several_matches_are_listed_with_what_to_type(app, doctrail):
    app.answer("response-0001", at="2026-11-22T12:00:00")
    app.answer("response-0002", at="2026-11-22T13:00:00")
    said = doctrail("why", "renewal")
    assert said.code == 1
    assert "response-0001" in said.out
    assert "response-0002" in said.out
    assert said.err == (
        "doctrail: 2 answers match 'renewal'. Name one by its id: doctrail why response-0002\n"
    )


def test_where_more_match_than_are_listed_that_is_said(app, doctrail):
    for number in range(22):
        app.answer(f"response-{number:04}", flush=number == 21)
    said = doctrail("why", "renewal")
    assert len(said.lines) == 1 + 20
    assert said.err.startswith("doctrail: more than 20 answers match 'renewal'. Name one")


def test_a_reference_that_is_empty_is_no_question(app, doctrail):
    app.answer()
    for reference in ("", " "):
        said = doctrail("why", reference)
        assert (said.code, said.out) == (2, "")
        assert "RESPONSE is empty" in said.err


def test_several_matches_are_json_lines_for_programs(app, doctrail):
    app.answer("response-0001")
    app.answer("response-0002")
    said = doctrail("why", "renewal", "--json")
    assert said.code == 1
    assert {line["response_id"] for line in said.json_lines} == {"response-0001", "response-0002"}


def test_an_unknown_answer_is_one_clear_line_and_exit_code_1(app, doctrail):
    app.answer()
    said = doctrail("why", "nowhere-to-be-found")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "doctrail: no answer on record matches 'nowhere-to-be-found', as an id or as words of a question"
        " or answer. `doctrail responses` lists what there is; one whose trail is not kept is found by"
        " its whole id alone.\n"
    )


def test_full_shows_what_the_excerpt_leaves_out(app, doctrail):
    long = "The renewal deadline " + "really " * 60 + "is February 28th."
    app.answer(texts=(long,))
    short, full = (
        doctrail("why", "response-0001").out,
        doctrail("why", "response-0001", "--full").out,
    )
    assert "…" in short
    assert "is February 28th." not in " ".join(short.split())
    assert "sha256:" in full
    assert "is February 28th." in " ".join(full.split())


def test_json_is_the_whole_trail(app, doctrail):
    app.answer(session="s-1", user="anna")
    trail = doctrail("why", "response-0001", "--json").json
    assert trail["question"] == "When is the renewal deadline?"
    assert trail["started_at"] == "2026-11-22T12:00:00+00:00"
    assert (trail["session_id"], trail["user_id"], trail["models"]) == ("s-1", "anna", ["m-1"])
    assert trail["documents"] == [
        {
            "document_id": "doc_42",
            "grade": "in_prompt",
            "involvement": "direct",
            "chunk_ids": ["doc_42/0"],
        }
    ]
    assert trail["involvements"] == {"doc_42/0": "direct"}
    assert trail["contexts"][0]["arrivals"][0]["state"] == "full"


def test_a_chunk_that_did_not_arrive_is_told_from_one_that_did(app, doctrail):
    app.answer(
        texts=("The notice period is thirty days.", "The fee is due in March."),
        prompt="The fee is due in March.",
    )
    said = doctrail("why", "response-0001").out
    assert "1 reached the model in full, 1 did not reach it" in said
    assert "chunk 1 (not 0)" in said


def ask_without_answer(app, response_id):
    """As far as the call of the model, in which the process then dies."""
    lineage = Lineage(Settings(home=app.home, spans="none"))
    search, call = f"{response_id}-search", f"{response_id}-call"
    lineage.record(RunStarted(response_id, None, "chain", "langchain"))
    lineage.record(RetrievalStarted(search, response_id, "Retriever", "a question", "langchain"))
    lineage.record(RetrievalEnded(search, [RetrievedChunk("a text", document_id="doc_42")]))
    lineage.record(PromptSent(call, response_id, [Message("user", "a text")], "langchain"))
    assert lineage.flush()
    return lineage


def test_an_answer_of_which_only_the_ledger_knows_is_told_as_such(app, doctrail):
    lineage = ask_without_answer(app, "killed-0001")
    said = doctrail("why", "killed-0001")
    assert (said.code, said.out) == (1, "")
    assert "response killed-0001 has no trail" in said.err
    assert "it still runs, or its process died" in said.err
    assert "doc_42" in said.err
    app.answer()
    assert doctrail("why", "killed-0001").err == said.err
    lineage.close()


def test_an_answer_whose_trail_was_lost_is_still_known_to_the_ledger(app, doctrail):
    app.answer()
    (app.home / "trails.db").unlink()
    said = doctrail("why", "response-0001")
    assert (said.code, said.out) == (1, "")
    assert "was complete at 2026-11-22 12:00:00 UTC (ok), but its trail is not kept" in said.err
    assert "doc_42" in said.err
