"""Policies: how long is kept, in words, with a floor and a ceiling."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.erasure.policy import Bounds, Period, Policy, PolicyError

NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "told", "moment"),
    [
        ("30 days", "30 days", NOW - timedelta(days=30)),
        ("1 day", "1 day", NOW - timedelta(days=1)),
        ("0 days", "0 days", NOW),
        ("2 Weeks", "14 days", NOW - timedelta(days=14)),
        ("6 months", "6 months", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("10 years", "10 years", datetime(2016, 8, 31, 12, tzinfo=UTC)),
        ("18months", "18 months", datetime(2025, 2, 28, 12, tzinfo=UTC)),
        ("99999 years", "99999 years", datetime(1970, 1, 1, tzinfo=UTC)),
        ("99999 days", "99999 days", datetime(1970, 1, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_period_is_that_of_the_calendar(words, told, moment):
    period = Period.parse(words)
    assert (str(period), period.before(NOW)) == (told, moment)
    assert Period.parse(str(period)) == period


@pytest.mark.parametrize(
    "words", ["", "6", "six months", "-6 months", "6 months!", "P6M", "1.5 years"]
)
def test_what_is_no_period_is_refused_with_the_form_that_is(words):
    with pytest.raises(PolicyError, match="write it as 30 days, 6 months or 10 years"):
        Period.parse(words)


def test_a_ceiling_below_the_floor_is_refused():
    with pytest.raises(PolicyError, match="at least 6 months and at most 30 days"):
        Bounds(Period(months=6), Period(days=30))


def test_a_policy_is_read_from_a_file():
    policy = Policy.from_toml(
        '[ledger]\nat_least = "6 months"\nat_most = "10 years"\n[trails]\nat_most = "30 days"\n'
    )
    assert policy == Policy(
        ledger=Bounds(Period(months=6), Period(months=120)),
        trails=Bounds(Period(), Period(days=30)),
    )
    assert Policy.from_json(policy.to_json()) == policy


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[ledgers]", "not 'ledgers'"),
        ('[ledger]\nat_leats = "1 day"', "not 'at_leats'"),
        ("[ledger]\nat_least = 6", "written as words"),
        ("ledger = 6", "ledger needs at_least or at_most"),
        ("[ledger", "no TOML"),
    ],
)
def test_what_a_file_says_that_means_nothing_is_named(text, complaint):
    with pytest.raises(PolicyError, match=complaint):
        Policy.from_toml(text)


moments = st.integers(0, 5 * 10**9).map(lambda each: datetime.fromtimestamp(each, UTC))
periods = st.builds(Period, st.integers(0, 240), st.just(0)) | st.builds(
    Period, st.just(0), st.integers(0, 9000)
)


@given(
    periods,
    periods,
    moments,
)
def test_a_policy_is_itself_again_and_its_digest_is_its_own(one, other, now):
    low, high = sorted((one, other), key=lambda each: each.length)
    policy = Policy(ledger=Bounds(low, high))
    again = Policy.from_json(policy.to_json())
    assert (again, again.digest) == (policy, policy.digest)
    assert (Policy(trails=Bounds(low, high)).digest == policy.digest) is (
        policy == Policy(trails=Bounds(low, high))
    )
    assert one.before(now) <= now
