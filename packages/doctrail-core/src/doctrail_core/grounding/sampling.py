"""Which answers are checked: a share of all, the same one wherever it is asked, and those that matter."""

from collections.abc import Callable
from hashlib import sha256

from doctrail_core.model import Trail

__all__ = ["Rule", "nothing_retrieved", "sampled", "scores_below"]

Rule = Callable[[Trail], bool]
"""Says of a response whether it is to be checked in any case."""

_HASH_RANGE = 1 << 64


def sampled(response_id: str, rate: float) -> bool:
    """Whether a response is in the share. What is in a small one is in every larger one, too.

    Args:
        response_id: The response.
        rate: The share, from 0 to 1.
    """
    digest = sha256(response_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < rate * _HASH_RANGE


def nothing_retrieved(trail: Trail) -> bool:
    """A rule: something was searched for, and nothing was found."""
    return bool(trail.retrievals) and not trail.chunks


def scores_below(threshold: float) -> Rule:
    """A rule: no hit of the application's own searches scored as much as this.

    Distances, of which the smaller is the better, and searches without scores tell nothing.
    """

    def rule(trail: Trail) -> bool:
        scores = [
            hit.score
            for retrieval in trail.retrievals
            if retrieval.enclosing_id is None
            for hit in retrieval.hits
            if hit.score is not None and hit.score_kind != "distance"
        ]
        return bool(scores) and max(scores) < threshold

    return rule
