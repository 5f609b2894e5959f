"""The arithmetic of an answer's risk: visible, and never a number where nothing was said."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.model import NOT_A_CLAIM, Claim, Verdict


def verdict(score, reason="judged"):
    kind = "not_checked" if score is None else "unsupported" if score >= 0.5 else "supported"
    return Verdict(claim=Claim(0, 3, "abc"), verdict=kind, score=score, reason=reason)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_risk_is_that_of_the_worst_claim_and_noisy_or_is_no_smaller(scores):
    from datetime import UTC, datetime

    from doctrail_core.model import Assessment

    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = Assessment(
        response_id="r",
        verifier="v",
        version="1",
        status="checked",
        started_at=now,
        ended_at=now,
        verdicts=tuple(map(verdict, scores)),
    )
    assert found.risk == max(scores)
    assert found.noisy_or >= found.risk - 1e-12
    assert 0 <= found.noisy_or <= 1


def test_noisy_or_is_the_risk_that_one_of_independent_claims_is_wrong(make_trail, make_assessment):
    found = make_assessment(make_trail(), verdict(0.5), verdict(0.2))
    assert found.noisy_or == pytest.approx(1 - 0.5 * 0.8)


def test_an_answer_that_claims_nothing_has_no_risk(make_trail, make_assessment):
    found = make_assessment(make_trail(), verdict(None, NOT_A_CLAIM))
    assert (found.risk, found.noisy_or, found.counts) == (0.0, 0.0, {})


def test_where_nothing_could_be_said_of_any_claim_there_is_no_risk_at_all(
    make_trail, make_assessment
):
    found = make_assessment(make_trail(), verdict(None), verdict(None, NOT_A_CLAIM))
    assert (found.risk, found.noisy_or) == (None, None)
    assert found.counts == {"not_checked": 1}


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_check_that_did_not_run_has_no_risk(make_trail, make_assessment, status):
    ran = make_assessment(make_trail(), verdict(0.9))
    assert (ran.risk, replace(ran, status=status).risk) == (0.9, None)
