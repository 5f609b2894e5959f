"""Which way scores run, read off hits that a store returned best first.

A rank says what the store held for better; a score that contradicts it is not what it is called.
"""

from collections.abc import Sequence
from itertools import pairwise

from doctrail_core.model import ScoreKind

__all__ = ["settled_kind"]


def settled_kind(told: ScoreKind | None, scores: Sequence[object]) -> ScoreKind:
    """What these scores mean: what the store's settings tell, unless they run the other way.

    `told` None is for a store that returns its best hits first and does not tell what its scores
    are: falling ones are similarities, rising ones distances.
    """
    seen = _direction(scores)
    if told is None:
        return seen
    contradicted = seen != "unknown" and (seen == "distance") != (told == "distance")
    return "unknown" if contradicted else told


def _direction(scores: Sequence[object]) -> ScoreKind:
    numbers = [score for score in scores if isinstance(score, int | float)]
    if len(numbers) < len(scores) or not numbers or numbers[0] == numbers[-1]:
        return "unknown"
    if all(better >= worse for better, worse in pairwise(numbers)):
        return "similarity"
    return "distance" if all(better <= worse for better, worse in pairwise(numbers)) else "unknown"
