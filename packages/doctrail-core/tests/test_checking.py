"""Checking one answer: what it is checked against, and what becomes of a check that fails."""

from dataclasses import replace

import pytest

from doctrail_core import check
from doctrail_core.grounding.checking import aassess, assess, chunks_of
from doctrail_core.grounding.verifier import Findings, Passage
from doctrail_core.model import Message, PromptSpan
from doctrail_core.testing import capture_trails
from doctrail_core.text.identity import content_hash

TEXT = "The renewal deadline for enterprise accounts is February 28th."
WRONG = "The renewal deadline for enterprise accounts is March 15th."


def test_an_answer_is_checked_without_any_framework_or_file():
    found = check(WRONG, [{"chunk_id": "c-1", "document_id": "doc_4", "text": TEXT}])
    (verdict,) = found.verdicts
    assert (verdict.verdict, verdict.conflicting_value) == ("contradicted", "February 28th")
    (evidence, *_) = verdict.evidence
    assert (evidence.chunk_id, TEXT[evidence.start : evidence.end]) == ("c-1", "February 28th")
    assert (found.status, found.verifier) == ("checked", "embedded")
    assert found.risk == verdict.score
    assert found.answer_hash == content_hash(WRONG)


def test_chunks_may_be_bare_texts(scripted):
    verifier = scripted()
    check("Yes.", [TEXT, "Another."], "Is it?", verifier=verifier)
    (asked,) = verifier.asked
    assert [passage.text for passage in asked.passages] == [TEXT, "Another."]
    assert len({passage.chunk_id for passage in asked.passages}) == 2
    assert asked.question == "Is it?"


def test_chunks_with_one_id_are_told_apart_by_their_document():
    given = [{"chunk_id": "0", "document_id": d, "text": f"of {d}"} for d in ("a", "b")]
    assert {name: chunk.text for name, chunk in chunks_of(given).items()} == {
        "0": "of a",
        "b#0": "of b",
    }


def test_no_chunk_is_lost_because_others_have_all_its_ids():
    given = [{"chunk_id": "0", "document_id": "a", "text": text} for text in ("x", "y", "z")]
    assert [chunk.text for chunk in chunks_of(given).values()] == ["x", "y", "z"]


def test_chunks_may_be_drawn_as_they_come(scripted):
    verifier = scripted()
    check("Yes.", (text for text in (TEXT, "Another.")), verifier=verifier)
    assert [passage.text for passage in verifier.asked[0].passages] == [TEXT, "Another."]


@pytest.mark.parametrize("one", [TEXT, {"text": TEXT}])
def test_one_chunk_is_not_taken_for_many(one):
    with pytest.raises(ValueError, match="must be a list of chunks"):
        check("Yes.", one)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "chunk 1 is none"),
        ({"text": "t", "metadata": "m"}, "metadata of chunk 1"),
        ({"chunk_id": "c"}, "chunk 1 has no text"),
        ({"text": 3}, "chunk 1 has no text"),
        ({"text": "t", "document_id": []}, "document_id of chunk 1"),
    ],
)
def test_what_is_no_chunk_is_named(given, why):
    with pytest.raises(ValueError, match=why):
        check("Yes.", [TEXT, given])


def test_a_trail_is_checked_against_what_arrived_and_not_against_the_rest(make_trail, scripted):
    trail = make_trail(texts={"doc_4": TEXT, "doc_5": "Never read."})
    (context,) = trail.contexts
    unread = replace(context.arrivals[1], state="absent", spans=())
    verifier = scripted()
    assess(
        replace(trail, contexts=(replace(context, arrivals=(context.arrivals[0], unread)),)),
        verifier,
    )
    assert verifier.asked[0].passages == (Passage("doc_4#0", "doc_4", TEXT),)


def test_an_assessment_says_which_model_call_it_checked(make_trail, scripted):
    trail = make_trail()
    assert assess(trail, scripted()).generation_id == trail.generations[0].generation_id


def test_a_verifier_that_raises_has_failed_and_says_how(make_trail, scripted):
    found = assess(make_trail(), scripted(fails=1))
    assert (found.status, found.risk, found.verdicts) == ("failed", None, ())
    assert found.error == "ConnectionError: the judge is down"
    assert (found.verifier, found.version) == ("scripted", "1")


@pytest.mark.parametrize("fails", [0, 1])
async def test_async_finds_the_same(make_trail, scripted, fails):
    trail = make_trail()
    now = await aassess(trail, scripted(fails=fails))
    then = assess(trail, scripted(fails=fails))
    assert replace(now, started_at=then.started_at, ended_at=then.ended_at) == then


def test_without_an_answer_there_is_nothing_to_check(make_trail, scripted):
    verifier = scripted()
    found = assess(make_trail(answer=None), verifier)
    assert (found.status, found.error) == ("skipped", "no answer is on record")
    assert verifier.asked == []


def test_texts_that_were_not_kept_cannot_be_checked_by(make_trail, scripted):
    trail = make_trail()
    (retrieval,) = trail.retrievals
    bare = tuple(replace(hit, chunk=replace(hit.chunk, text=None)) for hit in retrieval.hits)
    found = assess(replace(trail, retrievals=(replace(retrieval, hits=bare),)), scripted())
    assert (found.status, found.error) == ("skipped", "the texts of the chunks were not kept")


def told_by_the_system(make_trail, answer):
    """A response whose system prompt says what no chunk does."""
    system = "The harbour office of Visby is open from nine to five on every weekday of the year."
    trail = make_trail(texts={"doc_4": TEXT}, answer=answer)
    (generation,), (context,) = trail.generations, trail.contexts
    return replace(
        trail,
        generations=(
            replace(generation, messages=(*generation.messages, Message("system", system))),
        ),
        contexts=(replace(context, unexplained=(PromptSpan(1, 0, len(system)),)),),
    )


def test_a_claim_that_another_part_of_the_prompt_makes_is_not_called_unsupported(make_trail):
    answer = "The harbour office of Visby is open from nine to five on every weekday of the year."
    found = assess(told_by_the_system(make_trail, answer))
    (verdict,) = found.verdicts
    assert (verdict.verdict, verdict.reason, verdict.evidence) == (
        "not_checked",
        "other_prompt_text",
        (),
    )
    assert found.risk < 0.5


def test_a_claim_that_no_part_of_the_prompt_makes_is_unsupported(make_trail):
    answer = "The harbour master Ragnhild Torvaldsen was appointed by the crown in 1987."
    assert [v.verdict for v in assess(told_by_the_system(make_trail, answer)).verdicts] == [
        "unsupported"
    ]


def test_citations_are_resolved_when_a_response_closes_and_checked_with_its_claims(story):
    told = story("When?")
    told.search("s", None, "When?", {"doc_4#0": TEXT, "doc_5#0": "Fees are due in May."})
    told.call("g", None, f"{TEXT}\nFees are due in May.", says="x")
    trail = told.answered(f"{TEXT} [doc_5] Fees are due in May [doc_9].")
    assert [(c.cited, c.state) for c in trail.citations] == [
        ("doc_5", "ok"),
        ("doc_9", "unknown_id"),
    ]
    assert trail.chunk_grades == {"doc_4#0": "in_prompt", "doc_5#0": "cited"}
    assert [c.state for c in assess(trail).citations] == ["misattributed", "unknown_id"]


def test_what_is_known_of_an_open_response_can_be_asked_for():
    from doctrail_core.capture.events import (
        GenerationEnded,
        PromptSent,
        RetrievalEnded,
        RetrievalStarted,
        RetrievedChunk,
        RunEnded,
        RunStarted,
    )

    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "When?", session_id="s"))
        lineage.record(RunStarted("step", "r", "answer", "test"))
        lineage.record(RetrievalStarted("s", "step", "Retriever", "When?", "test"))
        lineage.record(RetrievalEnded("s", [RetrievedChunk(TEXT, "doc_4#0", "doc_4")]))
        lineage.record(PromptSent("g", "step", [Message("user", TEXT)], "test", "m-1"))
        lineage.record(GenerationEnded("g", TEXT))
        for run_id in ("r", "step"):
            known = lineage.so_far(run_id)
            assert (known.response_id, known.status, known.answer) == ("r", "interrupted", TEXT)
            assert [a.state for c in known.contexts for a in c.arrivals] == ["full"]
        assert lineage.so_far("g") is None
        assert lineage.so_far("nobody's") is None
        lineage.record(RunEnded("step", TEXT))
        lineage.record(RunEnded("r", TEXT))
        assert lineage.so_far("r") is None
        assert lineage.trails[0].turn == 1
        assert lineage.errors == []


def test_an_id_that_is_cited_is_no_part_of_what_is_claimed():
    chunk = {"chunk_id": "c-1", "document_id": "doc_4821", "text": TEXT}
    for mark in ("[doc_4821]", "[DOC-ID: doc_4821]", "[1]", "(source: doc_4821)"):
        for said, kind in ((WRONG, "contradicted"), (TEXT, "supported")):
            found = check(f"{said[:-1]} {mark}.", [chunk])
            (verdict,) = found.verdicts
            assert (mark, verdict.verdict) == (mark, kind)
            assert mark in verdict.claim.text
            assert [c.state for c in found.citations] == ["ok"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "AttributeError"),
        ({"score": float("nan")}, "the score of a verdict is nan"),
        ({"score": 1.5}, "the score of a verdict is 1.5"),
        ({"verdict": "perhaps"}, "'perhaps' is no verdict"),
    ],
)
async def test_what_makes_no_sense_is_a_check_that_failed(make_trail, scripted, found, why):
    class Broken(scripted):
        def verify(self, answer):
            (verdict,) = super().verify(answer).verdicts
            return found and Findings(verdicts=(replace(verdict, **found),), cost=0.5)

    for failed in (assess(make_trail(), Broken()), await aassess(make_trail(), Broken())):
        assert (failed.status, failed.risk, failed.verdicts) == ("failed", None, ())
        assert why in failed.error
        assert failed.cost == (0.5 if found else None)
