"""What becomes of an answer is decided by the settings and the assessment, and by nothing else."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doctrail_core.grounding.enforcement import REFUSAL, Enforcement, UngroundedAnswerError
from doctrail_core.model import NOT_A_CLAIM, Assessment, Citation, Claim, Evidence, Verdict

ANSWER = "The renewal deadline was March 15th. It is strict."
AT = datetime(2026, 1, 1, tzinfo=UTC)

CONTRADICTED = Verdict(
    claim=Claim(0, 36, ANSWER[:36]),
    verdict="contradicted",
    score=0.95,
    reason="value_conflict",
    evidence=(Evidence("doc_4821#3", 40, 53),),
    missing=("March 15th",),
    conflicting_value="February 28th",
)
UNSUPPORTED = Verdict(
    claim=Claim(37, 50, ANSWER[37:]),
    verdict="unsupported",
    score=0.6,
    reason="little_overlap",
    missing=("strict",),
)
GREETING = Verdict(
    claim=Claim(0, 6, "Hello!"), verdict="not_checked", score=None, reason=NOT_A_CLAIM
)


def assessed(*verdicts, status="checked"):
    return Assessment(
        response_id="r1",
        verifier="embedded",
        version="1",
        status=status,
        started_at=AT,
        ended_at=AT,
        verdicts=verdicts,
    )


def test_an_answer_without_objections_is_the_very_same_text():
    for action in ("pass", "annotate", "refuse", "raise"):
        assert Enforcement(action=action).enforce(ANSWER, assessed(UNSUPPORTED)) is ANSWER


def test_a_refusal_takes_the_place_of_the_answer():
    assert Enforcement().enforce(ANSWER, assessed(CONTRADICTED)) == REFUSAL
    own = Enforcement(refusal="Ask a person.")
    assert own.enforce(ANSWER, assessed(CONTRADICTED)) == "Ask a person."


def test_a_note_cites_nothing_that_would_be_read_as_a_citation_of_the_answer():
    claim = Claim(7, 46, "It ended on March 15th [doc_1] (doc_2).")
    cited = (Citation(30, 37, "doc_1", "ok"), Citation(38, 45, "doc_2", "ok"))
    found = replace(assessed(replace(CONTRADICTED, claim=claim)), citations=cited)
    note = Enforcement(action="annotate").note(found)
    assert "doc_" not in note
    assert '"It ended on March 15th.", the source says "February 28th"' in note


def test_only_verdicts_that_were_named_count():
    strict = Enforcement(on=("contradicted", "unsupported"))
    assert strict.decide(assessed(UNSUPPORTED)) == "refuse"
    assert Enforcement(on=("unsupported",)).decide(assessed(CONTRADICTED)) == "pass"


def test_what_is_no_claim_is_never_objected_to():
    assert Enforcement(on=("not_checked",)).decide(assessed(GREETING)) == "pass"


def test_an_annotation_names_each_claim_worst_first():
    annotating = Enforcement(action="annotate", on=("unsupported", "contradicted"))
    assert annotating.enforce(ANSWER, assessed(UNSUPPORTED, CONTRADICTED)) == (
        f"{ANSWER}\n\nChecked against the sources:\n"
        '- contradicted: "The renewal deadline was March 15th.", the source says "February 28th"\n'
        '- not supported: "It is strict.", not in the sources: "strict"'
    )


def test_an_annotation_without_texts_names_places():
    bare = Verdict(claim=Claim(37, 50), verdict="unsupported", score=0.6, reason="little_overlap")
    noted = Enforcement(action="annotate", on=("unsupported",)).note(assessed(bare))
    assert noted.endswith("- not supported: characters 37-50")


def test_hostile_texts_stay_on_their_line_short_and_printable():
    hostile = Verdict(
        claim=Claim(0, 9, "a\n- supported: \x1b[2J" + "b" * 60_000),
        verdict="contradicted",
        score=1.0,
        reason="value_conflict",
        conflicting_value="1\n\n2\u202e" + "c" * 60_000,
    )
    noted = Enforcement(action="annotate").note(assessed(hostile))
    assert len(noted.splitlines()) == 4
    assert len(noted) < 500
    assert noted.replace("\n", "").isprintable()


def test_an_answer_that_passes_gets_no_note():
    assert Enforcement(action="annotate").note(assessed(UNSUPPORTED)) == ""
    assert Enforcement(action="refuse").note(assessed(CONTRADICTED)) == ""


def test_an_error_says_what_is_wrong_and_holds_the_assessment():
    with pytest.raises(UngroundedAnswerError, match='contradicted: "The renewal') as caught:
        Enforcement(action="raise").enforce(ANSWER, assessed(CONTRADICTED))
    assert caught.value.assessment.verdicts == (CONTRADICTED,)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own
    assert again.assessment == caught.value.assessment


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_what_could_not_be_checked_passes_unless_it_was_asked_for(status):
    unchecked = assessed(status=status)
    assert Enforcement().enforce(ANSWER, unchecked) is ANSWER
    assert Enforcement(if_unchecked="refuse").enforce(ANSWER, unchecked) == REFUSAL
    with pytest.raises(UngroundedAnswerError, match="could not be checked"):
        Enforcement(if_unchecked="raise").enforce(ANSWER, unchecked)
    noted = Enforcement(if_unchecked="annotate").enforce(ANSWER, unchecked)
    assert noted == f"{ANSWER}\n\nChecked against the sources: not possible."


def test_only_what_may_take_an_answer_away_holds_a_stream_back():
    assert Enforcement().holds_back
    assert Enforcement(action="annotate", if_unchecked="raise").holds_back
    assert not Enforcement(action="annotate").holds_back


@pytest.mark.parametrize(
    "wrong", [{"action": "block"}, {"if_unchecked": "no"}, {"on": "contradicted"}, {"on": ("bad",)}]
)
def test_a_setting_that_means_nothing_is_refused_with_its_choices(wrong):
    with pytest.raises(ValueError, match="it must be"):
        Enforcement(**wrong)
