"""What was found about an answer stays with it: in the trail store, in the ledger, in its grades."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.ledger import open_ledger
from doctrail_core.model import Citation, Diagnosis, Evidence, Finding, Message
from doctrail_core.text.identity import content_hash
from doctrail_core.trails import findings, open_trails

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def lineage(home):
    lineage = Lineage(Settings(home=home.path, spans="none"))
    yield lineage
    lineage.close()


@pytest.fixture
def recorded(lineage, make_trail):
    """A response whose chunk is doc_4#0, as the application recorded it."""
    trail = make_trail(
        "r-1", texts={"doc_4": "The renewal deadline is February 28th.", "doc_5": "No."}
    )
    for kind in ("retrieved", "answered"):
        lineage._storage.ledger.append(kind, trail)
    lineage._storage.trails.append(trail)
    return trail


@pytest.fixture
def asked(recorded):
    chunk = recorded.chunks["doc_4#0"]
    return Answer(recorded.answer, (Passage(chunk.chunk_id, chunk.document_id, chunk.text),))


@pytest.mark.parametrize("kind", ["supported", "contradicted", "unsupported", "not_checked"])
def test_an_assessment_is_read_back_with_its_trail(
    lineage, recorded, asked, make_assessment, make_verdict, kind
):
    found = make_assessment(recorded, make_verdict(kind, asked))
    lineage.assessed(found)
    assert lineage.flush()
    assert lineage.get("r-1").assessments == (found,)


def test_assessments_stay_in_the_order_they_came(
    lineage, recorded, asked, make_assessment, make_verdict
):
    first = make_assessment(recorded, make_verdict("not_checked", asked))
    second = make_assessment(recorded, make_verdict("supported", asked), verifier="judge")
    lineage.assessed(first)
    lineage.assessed(second)
    assert lineage.get("r-1").assessments == (first, second)


def test_a_chunk_that_supports_a_claim_has_that_grade_from_then_on(
    lineage, recorded, asked, make_assessment, make_verdict, home
):
    assert recorded.chunk_grades == {"doc_4#0": "in_prompt", "doc_5#0": "in_prompt"}
    lineage.assessed(make_assessment(recorded, make_verdict("supported", asked)))
    lineage.flush()
    assert lineage.get("r-1").chunk_grades == {"doc_4#0": "supports", "doc_5#0": "in_prompt"}
    with open_ledger(home) as ledger:
        assert [h.grade for h in ledger.responses_with("doc_4", grade="supports")] == ["supports"]
        assert list(ledger.responses_with("doc_5", grade="supports")) == []
    with open_trails(home) as trails:
        assert [use.grade for use in trails.chunks_of("doc_4")] == ["supports"]
        assert [use.grade for use in trails.chunks_of("doc_5")] == ["in_prompt"]


def test_a_chunk_that_the_answer_names_is_cited_unless_it_could_not_be_read(
    lineage, recorded, make_assessment, home
):
    named = [
        Citation(0, 3, "doc_4", "misattributed", ("doc_4#0",)),
        Citation(4, 8, "doc_5", "not_in_context", ("doc_5#0",)),
    ]
    lineage.assessed(make_assessment(recorded, citations=tuple(named)))
    lineage.flush()
    with open_ledger(home) as ledger:
        assert [h.grade for h in ledger.responses_with("doc_4")] == ["cited"]
        assert [h.grade for h in ledger.responses_with("doc_5")] == ["in_prompt"]


def test_the_ledger_says_what_was_found_and_quotes_nothing(
    lineage, recorded, asked, make_assessment, make_verdict, home
):
    lineage.assessed(make_assessment(recorded, make_verdict("contradicted", asked)))
    lineage.flush()
    with open_ledger(home) as ledger:
        entry = ledger.entries_of("r-1")[-1]
    assert (entry.kind, entry.body["risk"], entry.body["verdicts"]) == (
        "assessed",
        0.95,
        {"contradicted": 1},
    )
    with closing(sqlite3.connect(home.database("ledger"))) as connection:
        (body,) = connection.execute("SELECT body FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
    assert b"deadline" not in body
    assert b"February" not in body


def test_a_finding_holds_no_text_that_the_trail_has(asked, recorded, make_assessment, make_verdict):
    encoded = findings.encode_assessment(
        make_assessment(recorded, make_verdict("contradicted", asked))
    )
    assert b"February" not in encoded
    assert b"renewal" not in encoded


def test_a_diagnosis_is_read_back_with_its_trail(lineage, recorded, home):
    sentence = recorded.chunks["doc_4#0"].text
    found = Diagnosis(
        response_id="r-1",
        fault="generation",
        findings=(
            Finding(
                code="contradiction",
                text="The answer says otherwise than what it read.",
                evidence=Evidence("doc_4#0", 0, len(sentence)),
                document_id="doc_4",
                sentence=sentence,
            ),
        ),
        fix="Lower the temperature.",
        at=NOW,
        expected="February 28th",
        by="alice",
    )
    assert sentence.encode() not in findings.encode_diagnosis(found)
    lineage.diagnosed(found)
    lineage.flush()
    assert lineage.get("r-1").diagnoses == (found,)
    with open_ledger(home) as ledger:
        entry = ledger.entries_of("r-1")[-1]
        by_whom = ledger.name_of(entry.body["by"])
        evidence = [ledger.name_of(use.chunk) for use in entry.chunks]
    assert (entry.kind, entry.body["fault"], by_whom) == ("diagnosed", "generation", "alice")
    assert evidence == ["doc_4#0"]


def test_a_finding_about_a_response_that_is_not_on_record_is_noted_and_lost(
    lineage, make_trail, make_assessment
):
    lineage.assessed(make_assessment(make_trail("nobody's")))
    assert lineage._storage.faults.summary() == {"recording an assessment: LookupError": 1}


def test_what_is_no_finding_is_an_error():
    with pytest.raises(ValueError, match="finding"):
        findings.filed(b'{"about":"r","kind":"assessment","more":1}\n{}')


def test_what_was_found_while_a_response_was_open_outlives_its_end(
    lineage, make_assessment, make_verdict, home
):
    text = "The renewal deadline is February 28th."
    lineage.record(RunStarted("r", None, "app", "test", "When?"))
    lineage.record(RetrievalStarted("s", "r", "Retriever", "When?", "test"))
    lineage.record(RetrievalEnded("s", [RetrievedChunk(text, "c#0", "c")]))
    lineage.record(PromptSent("g", "r", [Message("user", text)], "test", "m-1"))
    lineage.record(GenerationEnded("g", text))
    known = lineage.so_far("r")
    verdict = make_verdict("supported", Answer(text, (Passage("c#0", "c", text),)))
    found = make_assessment(known, verdict)
    lineage.assessed(found, known)
    lineage.record(RunEnded("r", text))
    assert lineage.last.assessments == (found,)
    assert lineage.flush()
    with open_ledger(home) as ledger:
        assert [hit.grade for hit in ledger.responses_with("c")] == ["supports"]
    with open_trails(home) as trails:
        assert [use.grade for use in trails.chunks_of("c")] == ["supports"]
        assert trails.get("r").assessments == (found,)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("The renewal deadline is March 15th.", "The renewal deadline is March 15th."),
        ("It was transformed before it was checked.", None),
    ],
)
def test_a_claim_of_an_answer_that_was_refused_is_not_told_in_the_words_of_the_refusal(
    lineage, make_assessment, make_verdict, home, output, told
):
    checked = "The renewal deadline is March 15th."
    lineage.record(RunStarted("r", None, "app", "test", "When?"))
    lineage.record(PromptSent("g", "r", [Message("user", "When?")], "test", "m-1"))
    lineage.record(GenerationEnded("g", output))
    known = lineage.so_far("r")
    verdict = make_verdict("unsupported", Answer(checked, ()))
    found = replace(make_assessment(known, verdict), answer_hash=content_hash(checked))
    lineage.assessed(found, known)
    lineage.record(RunEnded("r", "I cannot answer this from the sources that I have."))
    assert lineage.flush()
    with open_trails(home) as trails:
        (verdict,) = trails.get("r").assessments[0].verdicts
    assert verdict.claim.text == told
