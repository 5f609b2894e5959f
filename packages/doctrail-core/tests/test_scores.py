"""What scores mean is what the store's settings tell, unless the order of its hits says otherwise."""

import math

import pytest

from doctrail_core.capture.scores import settled_kind


@pytest.mark.parametrize("told", ["similarity", "relevance", "fused", "distance", "unknown"])
@pytest.mark.parametrize("scores", [(), (0.5,), (0.5, 0.5), (0.1, 0.9, 0.1), (0.3, 0.9, 0.5)])
def test_what_is_told_holds_where_the_order_tells_nothing(told, scores):
    assert settled_kind(told, scores) == told


@pytest.mark.parametrize(
    ("told", "scores", "settled"),
    [
        ("similarity", (0.9, 0.5, 0.5), "similarity"),
        ("distance", (0.5, 0.5, 0.9), "distance"),
        ("distance", (-3.0, -1.0), "distance"),
        ("similarity", (0.5, 0.5, 0.9), "unknown"),
        ("relevance", (-7.0, -2.0), "unknown"),
        ("distance", (0.9, 0.5), "unknown"),
    ],
)
def test_a_score_that_runs_the_other_way_is_not_what_it_is_called(told, scores, settled):
    assert settled_kind(told, scores) == settled


@pytest.mark.parametrize(
    ("scores", "settled"),
    [
        ((0.9, 0.5), "similarity"),
        ((1.4, 3.3, 3.3), "distance"),
        ((0.9,), "unknown"),
        ((0.9, 0.9), "unknown"),
        ((0.9, 0.1, 0.5), "unknown"),
    ],
)
def test_where_nothing_is_told_the_order_of_the_hits_tells(scores, settled):
    assert settled_kind(None, scores) == settled


@pytest.mark.parametrize("odd", [None, "high", math.nan, object()])
def test_one_odd_score_leaves_the_order_untold(odd):
    assert settled_kind(None, (0.9, odd, 0.1)) == "unknown"
    assert settled_kind("distance", (0.9, odd, 0.1)) == "distance"
