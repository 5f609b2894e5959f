"""What of a claim is in no passage and not in the question, and how much news it is."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.lexicon import framing, plain
from doctrail_core.grounding.embedded.spelling import compounds
from doctrail_core.grounding.embedded.words import Word

__all__ = ["Novelty", "novelty", "weigh"]

_FRAMING, _PLAIN, _RARE, _NAME = 0.0, 0.25, 1.0, 1.5
_KNOWN = 0.7


@dataclass(frozen=True, slots=True)
class Novelty:
    """The news in a claim.

    Attributes:
        mass: What its new words weigh together.
        total: What all its words weigh together.
        names: Those of them that are names.
        rearranged: The share of its pairs of words in a row that are no such pairs in the passages.
    """

    mass: float
    total: float
    names: tuple[Word, ...]
    rearranged: float


def novelty(found: Sequence[Word], index: Index, breaks: Sequence[int] = ()) -> Novelty:
    """Weigh what is new in these words; at the breaks, words in a row are none."""
    new = list(_new(found, index))
    return Novelty(
        mass=sum(weight * (1 - known) for _, weight, known in new),
        total=sum(weight for _, weight, _ in new),
        names=tuple(word for word, weight, known in new if weight == _NAME and known < _KNOWN),
        rearranged=_rearranged(found, index, breaks),
    )


def _new(found: Sequence[Word], index: Index) -> Iterator[tuple[Word, float, float]]:
    """Each word that may be new, what it weighs, and how surely it is known."""
    spelt = {at + side for at, text in compounds(found) if index.spells(text) for side in (0, 1)}
    seen: set[str] = set()
    for at, word in enumerate(found):
        if word.kind == "content" and at not in spelt and word.stem not in seen:
            seen.add(word.stem)
            yield word, weigh(word.stem, name=word.capitalised and at > 0), index.knows(word)


def weigh(stem: str, *, name: bool) -> float:
    """How much news a word is if it is new."""
    if name:
        return _NAME
    if stem in framing():
        return _FRAMING
    return _PLAIN if stem in plain() else _RARE


def _rearranged(found: Sequence[Word], index: Index, breaks: Sequence[int]) -> float:
    telling = [word for word in found if word.kind != "function" and word.stem not in framing()]
    pairs = [
        (one.stem, other.stem)
        for one, other in pairwise(telling)
        if bisect(breaks, one.start) == bisect(breaks, other.start)
    ]
    return sum(pair not in index.pairs for pair in pairs) / len(pairs) if pairs else 0.0
