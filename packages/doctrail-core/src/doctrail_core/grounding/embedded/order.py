"""Whether the words of a claim stand in the evidence as they stand in the claim.

Two sentences of the same words may still differ in who did what to whom. What is only moved as a whole
(`in May, sales rose` and `sales rose in May`) is in order; what changed places around something is not.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from doctrail_core.grounding.embedded.words import Word

__all__ = ["exchanged", "ordered", "severed"]

_PLACES = 8
_EXCHANGE = 3
"""`A owns B` and `B owns A`: so many words in reverse are no move of one part."""
_AND = re.compile(r"\b(?:and|but|or|while|whereas)\b|;", re.IGNORECASE)
_PARTS = (",", ";")


def ordered(claim: Sequence[str], evidence: Sequence[str]) -> float:
    """The share of the words that both have that stand in the same order in both."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, stem in enumerate(evidence):
        if len(places[stem]) < _PLACES:
            places[stem].append(at)
    shared = [stem for stem in claim if stem in places]
    ends: list[int] = []  # the last places of the rows of one, two, three ... words
    for stem in shared:
        for at in reversed(places[stem]):
            row = bisect_left(ends, at)
            ends[row : row + 1] = [at]
    return len(ends) / len(shared) if shared else 1.0


def exchanged(text: str, claim: Sequence[Word], evidence: str, words: Sequence[Word]) -> bool:
    """Whether two words change places around another one, or around one of grammar: `from A to B`."""
    places, mine = _once(words), _once(claim)
    shared = [word for word in claim if word.stem in places and word.stem in mine]
    ends: list[int] = []  # as in `ordered`, of rows that run backwards
    for word in shared:
        ends[(row := bisect_left(ends, -places[word.stem])) : row + 1] = [-places[word.stem]]
    return len(ends) >= _EXCHANGE or any(
        places[other.stem] + 1 == places[one.stem]
        and _linked(text[one.end : other.start])
        and _linked(evidence[words[places[other.stem]].end : words[places[one.stem]].start])
        for one, other in pairwise(shared)
    )


def _linked(between: str) -> bool:
    """Whether words are tied by others, in which their order counts."""
    return any(map(str.isalpha, between)) and not _AND.search(between)


def severed(text: str, claim: Sequence[Word], evidence: str, words: Sequence[Word]) -> bool:
    """Whether words side by side in a claim belong to different clauses of the evidence.

    `The film was directed by Lee and produced by Ray` does not say that it was directed by Ray.
    """
    places = _once(words)
    known = {word.stem for word in claim}
    sides = pairwise(word for word in claim if word.stem in places)
    return any(
        not _AND.search(text, one.end, other.start)
        and _parted(places[one.stem], places[other.stem], evidence, words, known)
        for one, other in sides
    )


def _parted(at: int, to: int, evidence: str, words: Sequence[Word], known: set[str]) -> bool:
    """Whether a clause ends between two words and the next one turns on something else than the claim."""
    first, last = words[min(at, to)], words[max(at, to)]
    ends = [found.span() for found in _AND.finditer(evidence, first.end, last.start)]
    if not ends or to < at:
        return bool(ends)
    start, end = ends[-1]
    clause = evidence[:start].rstrip().endswith(_PARTS)
    skipped = (word for word in words[at + 1 : to] if word.start >= end)
    return any(word.stem not in known and (clause or not word.capitalised) for word in skipped)


def _once(found: Sequence[Word]) -> Mapping[str, int]:
    """The places of words that are there just once."""
    counted = Counter(word.stem for word in found)
    return {word.stem: at for at, word in enumerate(found) if counted[word.stem] == 1}
