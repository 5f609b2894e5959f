"""What was checked of an answer, as `why` tells it."""

from dataclasses import replace

from inline_snapshot import snapshot

from doctrail_core.model import (
    NOT_A_CLAIM,
    Citation,
    Claim,
    Diagnosis,
    Evidence,
    Finding,
    Verdict,
)
from doctrail_core.model.checked import checked

TEXT = "The renewal deadline is February 28th."
ANSWER = "Hello. The deadline is March 15th. Fees are due in May [doc_9]."


def verdict(text, kind, score, reason, **more):
    start = ANSWER.index(text)
    claim = Claim(start, start + len(text), text)
    return Verdict(claim=claim, verdict=kind, score=score, reason=reason, **more)


VERDICTS = (
    verdict("Hello.", "not_checked", None, NOT_A_CLAIM),
    verdict("Fees are due in May", "unsupported", 0.8, "value_absent", missing=("May",)),
    verdict(
        "The deadline is March 15th.",
        "contradicted",
        0.98,
        "value_conflict",
        evidence=(Evidence("doc_4#0", 24, 37),),
        conflicting_value="February 28th",
    ),
)
CITED = (Citation(56, 61, "doc_9", "unknown_id"),)


def told(trail, *, full=False):
    return "\n".join(checked(trail, full=full, width=80))


def test_the_worst_claim_comes_first_with_what_the_chunk_has_instead(make_trail, make_assessment):
    trail = make_trail(answer=ANSWER)
    found = make_assessment(trail, *VERDICTS, citations=CITED)
    assert told(replace(trail, assessments=(found,))) == snapshot("""\

What of the answer is supported (risk 0.98, by scripted 1, 2026-03-01 12:00:03 UTC)
  contradicted  The deadline is March 15th.
                value conflict: February 28th
                read in doc_4#0, characters 24 to 37: "February 28th"
  unsupported   Fees are due in May
                value absent: May

What the answer cites
  unknown id         doc_9\
""")


def test_the_latest_assessment_is_told_and_the_others_named(make_trail, make_assessment):
    trail = make_trail(answer=ANSWER)
    first = make_assessment(trail, *VERDICTS)
    failed = make_assessment(
        trail, verifier="judge", status="failed", error="TimeoutError: after 60 s"
    )
    assert told(replace(trail, assessments=(first, failed))) == snapshot("""\

What of the answer is supported (no risk known, by judge 1, 2026-03-01 12:00:03 UTC)
  failed: TimeoutError: after 60 s
  Before that: risk 0.98, by scripted 1, 2026-03-01 12:00:03 UTC\
""")


def test_a_check_that_another_verifier_took_over_says_so(make_trail, make_assessment):
    trail = make_trail(answer=ANSWER)
    found = make_assessment(trail, degraded_from="judge", error="its budget is used up")
    assert "in place of judge, which did not run (its budget is used up)" in told(
        replace(trail, assessments=(found,))
    )


def test_whose_fault_it_was_is_told_with_its_place(make_trail):
    trail = make_trail(answer=ANSWER)
    finding = Finding(
        code="contradicted",
        text="This arrived, and the answer says otherwise.",
        evidence=Evidence("doc_4#0", 0, len(TEXT)),
    )
    found = Diagnosis(
        response_id=trail.response_id,
        fault="generation",
        findings=(finding,),
        fix="Have the model quote.",
        at=trail.ended_at,
        by="alice",
    )
    assert told(replace(trail, diagnoses=(found,))) == snapshot("""\

Whose fault it was (by alice, 2026-03-01 12:00:02 UTC)
  generation failure: it arrived, and the answer does not keep to it
  - This arrived, and the answer says otherwise.
    see doc_4#0, characters 0 to 38: "The renewal deadline is February 28th."
  What to do: Have the model quote.\
""")


def test_many_claims_are_cut_short_unless_all_are_wanted(make_trail, make_assessment):
    trail = make_trail(answer=ANSWER)
    found = make_assessment(trail, *[VERDICTS[1]] * 20)
    checked_trail = replace(trail, assessments=(found,))
    assert "... and 12 more, see the full text (--full)" in told(checked_trail)
    assert told(checked_trail, full=True).count("unsupported") == 20


def test_nothing_is_told_where_nothing_was_checked(make_trail):
    assert told(make_trail()) == ""


def test_what_was_not_kept_is_said_to_be_so(make_trail, make_assessment):
    bare = replace(VERDICTS[2], claim=Claim(7, 34), conflicting_value=None)
    trail = make_trail(answer=None, texts={})
    said = told(replace(trail, assessments=(make_assessment(trail, bare),)))
    assert "contradicted  (text not kept)" in said
    assert "read in doc_4#0, characters 24 to 37" in said


def test_hostile_text_is_spelled_out(make_trail, make_assessment):
    evil = "\x1b[2J\u202e"
    hostile = replace(
        VERDICTS[1], claim=Claim(0, 3, evil), reason=evil, missing=(evil,), conflicting_value=evil
    )
    cited = Citation(0, 1, evil, "ok", (evil,), better=evil)
    trail = make_trail(answer=ANSWER)
    found = make_assessment(trail, hostile, citations=(cited,), verifier=evil, version=evil)
    said = told(replace(trail, assessments=(found,)), full=True)
    assert "\x1b" not in said
    assert "\u202e" not in said
