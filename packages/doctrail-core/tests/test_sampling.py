"""Which answers are checked."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.grounding.sampling import nothing_retrieved, sampled, scores_below
from doctrail_core.grounding.settings import Grounding

RATES = st.floats(0, 1)


@given(st.text(), RATES, RATES)
def test_what_is_in_a_small_share_is_in_every_larger_one(response_id, one, other):
    small, large = sorted((one, other))
    assert sampled(response_id, small) <= sampled(response_id, large)


@given(st.text())
def test_a_share_of_nothing_has_nobody_and_one_of_all_has_everybody(response_id):
    assert not sampled(response_id, 0.0)
    assert sampled(response_id, 1.0)


def test_the_share_is_as_large_as_was_asked():
    chosen = sum(sampled(f"response-{number}", 0.05) for number in range(10_000))
    assert 400 < chosen < 600  # five standard deviations


def test_the_rule_for_empty_searches_needs_a_search(make_trail):
    found = make_trail()
    (retrieval,) = found.retrievals
    empty = replace(found, retrievals=(replace(retrieval, hits=()),))
    assert not nothing_retrieved(found)
    assert nothing_retrieved(empty)
    assert not nothing_retrieved(replace(found, retrievals=()))


def with_score(trail, score, kind):
    (retrieval,) = trail.retrievals
    hits = tuple(replace(hit, score=score, score_kind=kind) for hit in retrieval.hits)
    return replace(trail, retrievals=(replace(retrieval, hits=hits),))


@pytest.mark.parametrize(
    ("score", "kind", "low"),
    [
        (0.2, "similarity", True),
        (0.4, "similarity", False),
        (0.2, "distance", False),
        (None, "unknown", False),
    ],
)
def test_the_rule_for_low_scores_knows_what_a_score_means(make_trail, score, kind, low):
    assert scores_below(0.3)(with_score(make_trail(), score, kind)) is low


def test_equal_settings_can_be_told_by_their_hash_or_are_refused(scripted):
    assert Grounding(always=[nothing_retrieved]) == Grounding()
    assert len({Grounding(sample_rate=0.1), Grounding(sample_rate=0.1)}) == 1

    class Unhashable(scripted):
        __hash__ = None

    with pytest.raises(TypeError, match="unhashable"):
        Grounding(verifier=Unhashable())


def test_a_model_is_no_verifier_and_the_user_is_told_how_it_judges():
    with pytest.raises(
        TypeError, match=r"dict is no verifier; a chat model judges as JudgeVerifier"
    ):
        Grounding(verifier={})


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample_rate": 1.5},
        {"raised_rate": -0.1},
        {"queue_size": 0},
        {"attempts": 0},
        {"backoff": -1},
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        Grounding(**wrong)
