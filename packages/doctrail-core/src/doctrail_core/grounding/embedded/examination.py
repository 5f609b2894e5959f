"""All that is found out about a claim before anything is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from doctrail_core.grounding.embedded.alignment import Alignment, align
from doctrail_core.grounding.embedded.facts import Fact, Standing, facts
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.lexicon import connectives
from doctrail_core.grounding.embedded.logic import bare, unframed
from doctrail_core.grounding.embedded.novelty import Novelty, novelty
from doctrail_core.grounding.embedded.words import Word, stems
from doctrail_core.text.values import Value

__all__ = ["Examination", "examine"]

_ABSENT = 1.5
"""What a value weighs that is in no passage; new words weigh up to as much."""
_UNSURE: dict[Standing, float] = {"derived": 0.5, "weak": 0.2}
_REARRANGED, _UNCOVERED = 0.75, 0.4
"""What it weighs that no two words stand beside each other in the passages; that no sentence has any."""


@dataclass(frozen=True, slots=True)
class Examination:
    """A claim, read: its words without those of its values, and what the passages have for it."""

    text: str
    bare: str
    words: Sequence[Word]
    alignment: Alignment
    facts: Sequence[Fact]
    novelty: Novelty
    index: Index

    @property
    def news(self) -> float:
        """How much of the claim is news."""
        standings = {fact.standing for fact in self.facts}
        best = self.alignment.best
        return (
            self.novelty.mass
            + _REARRANGED * self.novelty.rearranged
            + _UNCOVERED * (1 - (best.coverage if best else 0.0))
            + _ABSENT * sum(fact.standing == "absent" for fact in self.facts)
            + sum(weight for standing, weight in _UNSURE.items() if standing in standings)
        )


def examine(text: str, found: Sequence[Word], stated: Sequence[Value], index: Index) -> Examination:
    """Look for the words and values of a claim in the passages."""
    valued = {word for word in found if _within(word, stated)}
    kept = unframed(text)
    told = [word for word in found if word not in valued and kept[word.start] != " "]
    hints = {word.stem for word in found if word.kind == "number" or word in valued}
    telling = {stem for stem in stems(told) if stem not in connectives() or index.variants(stem)}
    alignment = align(telling, hints, index)
    return Examination(
        text=text,
        bare=bare(text, stated),
        words=told,
        alignment=alignment,
        facts=facts(stated, found, alignment, index),
        novelty=novelty(told, index, [value.start for value in stated]),
        index=index,
    )


def _within(word: Word, stated: Sequence[Value]) -> bool:
    return any(value.start < word.end and word.start < value.end for value in stated)
