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
from doctrail_core.model import (
    AccessDecision,
    ChunkAccess,
    Claim,
    Diagnosis,
    Evidence,
    Finding,
    Message,
    Step,
    ToolCall,
    ToolRequest,
    Verdict,
)
from doctrail_core.trails import open_trails

PAYROLL = (
    'Jürgen Müller\'s salary rose to "91,000 €" on the 3rd of May,\nas agreed with Ms Peabody.'
)
OTHER = "The canteen serves lunch from eleven thirty until a quarter past two each day."


def quoting(trail, text):
    """The trail, quoting a text wherever something can be said, but for what models wrote."""
    start = trail.started_at
    (retrieval,), (generation,) = trail.retrievals, trail.generations
    first = trail.finds[0]
    messages = (
        *generation.messages,
        Message("system", f"Context: {json.dumps(json.dumps(text))}"),
        Message("user", text.upper().replace(" ", "\n")),
        Message("tool", f"<hit>{text[3:]}</hit>"),
    )
    said = Diagnosis(
        response_id=trail.response_id,
        fault="generation",
        findings=(
            Finding(
                code="said_otherwise",
                text=f"It reads: {text}",
                evidence=Evidence(first.chunk_id, 0, 20),
                document_id=first.document_id,
                sentence=(first.text or "")[:20],
            ),
            Finding(code="other", text=f"Also: {text}"),
        ),
        fix=f"Do not say {text}",
        missing=(),
        expected=text,
        at=start,
    )
    return replace(
        trail,
        question=f"Is it true that {text}",
        error=f"ValueError: {text}",
        retrievals=(
            replace(
                retrieval,
                query=f"about {text}",
                filters={"text": [text], "id": first.document_id},
                error=text,
            ),
        ),
        generations=(
            replace(
                generation,
                messages=messages,
                parameters={"stop": [text]},
                error=f"too long: {text}",
                tool_requests=(ToolRequest("search", json.dumps({"q": text})),),
            ),
        ),
        tool_calls=(ToolCall("t1", "search", json.dumps([text]), text, start, start, error=text),),
        steps=(
            Step("st1", "agent", start, start, input=text, output=f"I found {text}", error=text),
        ),
        diagnoses=(said,),
    )


def test_nothing_of_the_document_is_left_in_any_file(
    home, recorded, make_trail, files_with, pieces
):
    trail = recorded.put(make_trail("r1", texts={"doc_4": PAYROLL, "doc_9": OTHER}))
    recorded.flush()
    assert "trails.db" in files_with(*pieces(PAYROLL))

    receipt = erase_document(home, "doc_4", reason="it should never have been indexed")

    assert files_with(*pieces(PAYROLL)) == []
    assert files_with(b"doc_4") == []
    assert files_with(*pieces(OTHER)) == ["trails.db"]
    assert receipt.found == {"chunks": 1, "keys": 1, "names": 1, "texts": 1, "trails": 1}
    assert receipt.removed == receipt.found
    with open_trails(home) as trails:
        left = trails.get("r1")
    assert (left.question, left.answer) == (trail.question, trail.answer)
    kept = next(h.chunk for h in left.retrievals[0].hits if h.chunk.document_id == "doc_9")
    assert kept == trail.retrievals[0].hits[1].chunk
    assert OTHER in left.generations[0].messages[0].text


def test_who_presents_the_id_is_still_answered(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
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
        assert set(ledger.entry(receipt.entry).body["at"]) >= set(receipt.places)


def test_what_was_erased_cannot_be_erased_again(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    receipt = erase_document(home, "doc_4", reason="-")
    with pytest.raises(NothingRecordedError, match=f"by entry {receipt.entry} "):
        erase_document(home, "doc_4", reason="-")
    with pytest.raises(NothingRecordedError, match="no document 'doc_5' is on record"):
        erase_document(home, "doc_5", reason="-")


def test_a_user_is_gone_and_others_are_not(home, recorded, make_trail, files_with, pieces):
    recorded.put(
        make_trail(
            "answer-of-ada",
            question=PAYROLL,
            user_id="ada-77",
            session_id="s-of-ada",
            texts={"doc_4": "x y"},
        )
    )
    kept = recorded.put(
        make_trail("r2", question=OTHER, user_id="bob", session_id="s-bob", texts={"doc_9": OTHER})
    )
    recorded.flush()
    receipt = erase_user(home, "ada-77", reason="asked for it", legal_basis="GDPR 17(1)(b)")
    assert files_with(*pieces(PAYROLL)) == []
    assert files_with(b"ada-77", b"of-ada") == []
    assert receipt.found == {"keys": 1, "names": 3, "trails": 1}
    with open_trails(home) as trails:
        assert trails.get("answer-of-ada") is None
        assert trails.get("r2") == kept


# --- wherever it stands


def test_quotations_of_it_are_gone_from_whatever_quotes_it(
    home, recorded, make_trail, make_assessment, make_verdict, files_with, pieces, written
):
    trail = quoting(make_trail("r1", texts={"doc_4": PAYROLL, "doc_9": OTHER}), PAYROLL)
    verdict = Verdict(
        claim=Claim(0, 5, "On Fe"),
        verdict="contradicted",
        score=0.9,
        reason="judged",
        evidence=(Evidence("doc_4#0", 0, 20),),
        conflicting_value="Jürgen Müller's salary",
    )
    assessment = make_assessment(trail, verdict, error=PAYROLL)
    recorded.put(replace(trail, assessments=(assessment,)))
    recorded.flush()
    for each in (PAYROLL, "salary rose to"):
        assert files_with(*written(each))

    erase_document(home, "doc_4", reason="-")

    assert files_with(*pieces(PAYROLL)) == []
    assert files_with(*pieces(PAYROLL.upper())) == []
    assert files_with(b"doc_4", "Jürgen".encode(), b"91,000", b"salary", b"SALARY") == []
    with open_trails(home) as trails:
        left = trails.get("r1")
    assert left.answer == trail.answer
    assert left.question.startswith("Is it true that [erased]")
    assert len(left.question) == len(trail.question)
    assert left.assessments[0].verdicts[0].verdict == "contradicted"
    assert left.assessments[0].verdicts[0].evidence[0].chunk_id == left.finds[0].chunk_id
    assert left.diagnoses[0].findings[0].text == "[erased]"


def test_what_arrived_of_others_stays_where_it_stood(home, recorded, make_trail):
    trail = make_trail("r1", texts={"doc_9": OTHER, "doc_4": PAYROLL, "doc_8": OTHER[::-1]})
    recorded.put(trail)
    erase_document(home, "doc_4", reason="-")
    with open_trails(home) as trails:
        left = trails.get("r1")
    (before,), (after,) = trail.contexts, left.contexts
    prompt, prompt_before = (
        left.generations[0].messages[0].text,
        trail.generations[0].messages[0].text,
    )
    assert len(prompt) == len(prompt_before)
    for arrival, old in zip(after.arrivals, before.arrivals, strict=True):
        (span,) = arrival.spans
        assert arrival.spans == old.spans
        text = prompt[span.start : span.end]
        if old.document_id == "doc_4":
            assert text == "[erased]".ljust(len(PAYROLL), "·")
        else:
            assert text == prompt_before[span.start : span.end]


def test_a_text_that_another_document_has_stays_with_that_one(home, recorded, make_trail):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    other = recorded.put(make_trail("r2", texts={"doc_9": PAYROLL}, session_id="s-2"))
    receipt = erase_document(home, "doc_4", reason="-")
    assert any("texts that 1 other documents have word for word" in w for w in receipt.not_covered)
    with open_trails(home) as trails:
        assert trails.get("r2") == other
        left = trails.get("r1")
    assert PAYROLL not in left.generations[0].messages[0].text
    assert [chunk.text for chunk in left.finds] == [None]


def test_documents_that_number_their_chunks_alike_are_still_two(home, recorded, make_trail):
    trail = make_trail("r1", texts={"doc_4": PAYROLL, "doc_9": OTHER})
    hits = trail.retrievals[0].hits
    alike = tuple(replace(hit, chunk=replace(hit.chunk, chunk_id="0")) for hit in hits)
    arrivals = tuple(replace(a, chunk_id="0") for a in trail.contexts[0].arrivals)
    trail = replace(
        trail,
        retrievals=(replace(trail.retrievals[0], hits=alike),),
        contexts=(replace(trail.contexts[0], arrivals=arrivals),),
    )
    recorded.put(trail)
    erase_document(home, "doc_4", reason="-")
    with open_trails(home) as trails:
        left = trails.get("r1")
    first, second = (hit.chunk for hit in left.retrievals[0].hits)
    assert second == alike[1].chunk
    assert (first.text, first.content_hash, first.metadata) == (None, None, {})
    assert [a.chunk_id for a in left.contexts[0].arrivals] == [first.chunk_id, "0"]


def test_later_turns_of_the_session_lose_it_too(home, recorded, make_trail, files_with, pieces):
    recorded.put(make_trail("r1", texts={"doc_4": PAYROLL}))
    later = make_trail("r2", texts={"doc_9": OTHER}, minute=1)
    heard = Message("tool", f"earlier result: {PAYROLL}")
    generation = replace(later.generations[0], messages=(*later.generations[0].messages, heard))
    recorded.put(replace(later, generations=(generation,)))
    unrelated = recorded.put(make_trail("r3", texts={"doc_9": OTHER}, session_id="other"))
    erase_document(home, "doc_4", reason="-")
    assert files_with(*pieces(PAYROLL)) == []
    with open_trails(home) as trails:
        assert trails.get("r3") == unrelated
        assert OTHER in trails.get("r2").generations[0].messages[0].text


def access_event(decision):
    told = [
        {"allowed": c.allowed, "chunk_id": c.chunk_id, "document_id": c.document_id}
        for c in decision.chunks
    ]
    principal = {"principal": decision.principal} if decision.principal else {}
    return {"chunks": told, "engine": "opa", "point": "store", "search": 0, **principal}


def test_whose_access_was_decided_on_is_gone_from_answers_to_others(
    home, recorded, make_trail, files_with
):
    decision = AccessDecision(engine="opa", principal="ada-77", point="store")
    trail = make_trail("r1", texts={"doc_9": OTHER}, user_id="robot", session_id="s-r")
    trail = replace(trail, retrievals=(replace(trail.retrievals[0], access=(decision,)),))
    recorded.put(trail)
    recorded.ledger.note("access", access_event(decision), response_id="r1")
    nobodys = make_trail("r2", user_id=None, session_id=None)
    recorded.put(nobodys)
    recorded.ledger.note("access", access_event(decision), response_id="r2")
    recorded.flush()
    receipt = erase_user(home, "ada-77", reason="-")
    assert receipt.found["trails"] == 2
    assert files_with(b"ada-77") == []
    with open_trails(home) as trails:
        left = trails.get("r1")
        assert trails.get("r2") is None
    assert left.retrievals[0].access[0].principal == "[erased]"
    assert left.generations == trail.generations


def test_decisions_on_access_name_it_no_more(home, recorded, make_trail, files_with):
    trail = make_trail("r1", texts={"doc_9": OTHER})
    denied = (
        ChunkAccess("doc_4#0", "doc_4", allowed=False),
        ChunkAccess("doc_9#0", "doc_9", allowed=True),
    )
    decision = AccessDecision(engine="opa", principal="ada", point="store", chunks=denied)
    retrieval = replace(trail.retrievals[0], access=(decision,))
    recorded.put(replace(trail, retrievals=(retrieval,), session_id="another"))
    recorded.ledger.note("access", access_event(decision), response_id="r1")
    recorded.put(make_trail("r2", texts={"doc_4": PAYROLL}))
    erase_document(home, "doc_4", reason="-")
    assert files_with(b"doc_4") == []
    with open_trails(home) as trails:
        first, second = trails.get("r1").retrievals[0].access[0].chunks
    assert (first.allowed, second) == (False, denied[1])


def test_phrases_of_it_cannot_be_found_and_their_pieces_are_gone(home, recorded, make_trail):
    text = "жщъ: a word that no language of this test has otherwise"
    recorded.put(make_trail("r1", question=f"Why {text}", texts={"doc_4": text}))
    recorded.put(make_trail("r2", question="When is lunch?", texts={"doc_9": OTHER}))
    recorded.flush()
    with open_trails(home) as trails:
        assert [found.response_id for found in trails.find("that no language")] == ["r1"]
    assert "жщъ".encode() in phrase_index(home)
    erase_document(home, "doc_4", reason="-")
    with open_trails(home) as trails:
        assert trails.find("that no language") == []
        assert [found.response_id for found in trails.find("When is lunch")] == ["r2"]
    assert "жщъ".encode() not in phrase_index(home)


def phrase_index(home):
    """All pages of the index; the first term of a script stands there as a whole."""
    with closing(sqlite3.connect(home.database("trails"))) as connection:
        return b"".join(block for (block,) in connection.execute("SELECT block FROM phrase_data"))


# --- answers


def test_answers_stay_and_are_flagged_unless_they_are_to_go(home, recorded, make_trail):
    answer = f"They say that {PAYROLL}"
    recorded.put(make_trail("r1", answer=answer, texts={"doc_4": PAYROLL, "doc_9": OTHER}))
    receipt = erase_document(home, "doc_4", reason="-")
    with open_trails(home) as trails:
        assert trails.get("r1").answer == answer
    with open_ledger(home) as ledger:
        first = ledger.first_of("r1")
        assert [(r, because) for _, r, because, _ in ledger.store.flags(decided=False)] == [
            (first, receipt.entry)
        ]
    assert receipt.flagged == 1


def test_answers_that_are_to_go_are_gone_from_later_prompts_too(
    home, recorded, make_trail, files_with, pieces
):
    answer = "The man who was named earns ninety-one thousand from the third of May onwards."
    recorded.put(make_trail("r1", answer=answer, texts={"doc_4": PAYROLL}))
    later = make_trail("r2", texts={"doc_9": OTHER}, minute=1)
    messages = (*later.generations[0].messages, Message("assistant", answer))
    generation = replace(later.generations[0], messages=messages)
    step = Step("st", "history", later.started_at, later.ended_at, input=f"AI: {answer}")
    recorded.put(replace(later, generations=(generation,), steps=(step,)))
    recorded.put(make_trail("r3", answer=answer, session_id="other", texts={"doc_9": OTHER}))
    recorded.ledger.note("reused", {"of": "r1"}, response_id="r3")
    recorded.flush()
    erase_document(home, "doc_4", reason="-", answers=True)
    assert files_with(*pieces(answer)) == []
    with open_trails(home) as trails:
        assert trails.get("r1").answer == "[erased]"
        assert trails.get("r2").answer == later.answer
        assert trails.get("r3").answer == "[erased]"


def test_only_answers_that_read_it_are_to_be_reviewed(home, recorded, make_trail):
    trail = make_trail("r1", texts={"doc_4": PAYROLL})
    unread = replace(trail.contexts[0].arrivals[0], state="absent", spans=())
    recorded.put(replace(trail, contexts=(replace(trail.contexts[0], arrivals=(unread,)),)))
    recorded.put(make_trail("r2", texts={"doc_4": PAYROLL}))
    receipt = erase_document(home, "doc_4", reason="-")
    with open_ledger(home) as ledger:
        flagged = [response for _, response, _, _ in ledger.store.flags()]
        assert flagged == [ledger.first_of("r2")]
    assert receipt.impact.by == {"in_prompt": 1, "retrieved_only": 1}


def test_a_response_that_never_ended_is_to_be_reviewed_whatever_is_on_record(
    home, recorded, make_trail
):
    trail = replace(make_trail("r1", texts={"doc_4": PAYROLL}), contexts=(), generations=())
    recorded.ledger.append("retrieved", trail)
    receipt = erase_document(home, "doc_4", reason="-")
    assert (receipt.impact.by, receipt.flagged) == ({"retrieved_only": 1}, 1)
