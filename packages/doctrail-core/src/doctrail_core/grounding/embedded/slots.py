"""Whether a value of the evidence stands where a value of the claim stands: beside the same words.

Of all values of a kind, the one in the best place decides what the evidence says.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import Word
from doctrail_core.text.spans import Span

__all__ = ["Slot"]

_REACH = 12
"""Words farther from a value say nothing about it."""
_NEAR = 2.5
_SLACK = 2
_FADES = 0.8
_WAYS = frozenset(["from", "to", "by"])
_TURNED = 0.5
"""What is left of a place that a value comes from where the claim has the value that it goes to."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The words around a value of a claim: each with its distance and with what it weighs.

    And the way that leads to it, if one does: `from 5 % to 6 %`.
    """

    words: Mapping[str, tuple[int, float]]
    way: str | None

    @classmethod
    def around(cls, value: Span, found: Sequence[Word], index: Index) -> "Slot":
        distances = _distances(value, found)
        return cls(
            {
                stem: (away, index.weight(stem) / (1 + away / _NEAR))
                for stem, away in distances.items()
            },
            _way(value, found),
        )

    def fit(self, value: Span, found: Sequence[Word], index: Index) -> float:
        """How well a value stands in the place, from 0 to 1."""
        total = sum(weight for _, weight in self.words.values())
        if not total:
            return 0.0
        distances = _distances(value, found)
        fit = sum(self._share(stem, distances, index) for stem in self.words) / total
        way = _way(value, found)
        return fit * _TURNED if self.way and way and way != self.way else fit

    def _share(self, stem: str, distances: Mapping[str, int], index: Index) -> float:
        away, weight = self.words[stem]
        held = [
            surely * _FADES ** max(0, distances[variant] - away - _SLACK)
            for variant, surely in index.variants(stem).items()
            if variant in distances
        ]
        return weight * max(held, default=0.0)


def _distances(value: Span, found: Sequence[Word]) -> dict[str, int]:
    """How many telling words each word is away from the value."""
    telling = [word for word in found if word.kind != "function"]
    before = [word for word in telling if word.end <= value[0]][-_REACH:]
    after = [word for word in telling if word.start >= value[1]][:_REACH]
    away: dict[str, int] = {}
    for side in (reversed(before), after):
        for distance, word in enumerate(side):
            away[word.stem] = min(distance, away.get(word.stem, distance))
    return away


def _way(value: Span, found: Sequence[Word]) -> str | None:
    before = bisect_right(found, value[0], key=lambda word: word.end)
    said = found[before - 1].stem if before else None
    return said if said in _WAYS else None
