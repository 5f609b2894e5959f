"""What a fitted model is told of each claim: a few numbers that mean the same on any text.

Few on purpose: long lists fit the texts that they were fitted on, and fail on others.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log1p

from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.novelty import novelty
from doctrail_core.grounding.embedded.words import Word, words
from doctrail_core.grounding.verifier import Answer
from doctrail_core.model import Claim, Verdict

__all__ = ["FEATURES", "features"]

FEATURES: tuple[str, ...] = (
    "risk",
    "supported",
    "novel_share",
    "novel_mass",
    "novel_names",
    "missing_values",
    "uncovered",
    "uncovered_anywhere",
    "new_pairs",
    "uncopied",
    "length",
)
"""The names of the numbers, in their order. All but `supported` grow with what speaks against a claim."""

Pairs = frozenset[tuple[str, str]]


def features(answer: Answer, verdicts: Sequence[Verdict]) -> list[tuple[float, ...]]:
    """The numbers of each claim of an answer, from its words and from what the rules said of it."""
    index = Index(answer.passages, answer.question)
    known = frozenset(_known_pairs(index, answer.question))
    return [_features(verdict, _text(answer, verdict.claim), index, known) for verdict in verdicts]


def _features(verdict: Verdict, text: str, index: Index, known: Pairs) -> tuple[float, ...]:
    found = words(text)
    new = novelty(found, index)
    pairs = list(_pairs(found))
    in_a_line, anywhere = _covered({word.stem for word in found if word.kind != "function"}, index)
    return (
        verdict.score or 0.0,
        float(verdict.verdict == "supported"),
        new.mass / new.total if new.total else 0.0,
        log1p(new.mass),
        log1p(len(new.names)),
        log1p(len(verdict.missing)),
        1 - in_a_line,
        1 - anywhere,
        1 - _share(pairs, known),
        1 - _longest_run(pairs, known) / max(len(pairs), 1),
        log1p(len(found)),
    )


def _covered(stems: set[str], index: Index) -> tuple[float, float]:
    """The share of the words, by weight, that one sentence has, and that all have together."""
    weights = {stem: index.weight(stem) for stem in sorted(stems)}
    lines: dict[int, float] = defaultdict(float)
    for stem, weight in weights.items():
        for at in index.having(stem):
            lines[at] += weight
    total = sum(weights.values()) or 1.0
    anywhere = sum(weight for stem, weight in weights.items() if index.having(stem))
    return max(lines.values(), default=0.0) / total, anywhere / total


def _text(answer: Answer, claim: Claim) -> str:
    return answer.text[claim.start : claim.end]


def _known_pairs(index: Index, question: str | None) -> Iterator[tuple[str, str]]:
    for line in index.lines:
        yield from _pairs(line.words)
    yield from _pairs(words(question or ""))


def _pairs(found: Sequence[Word]) -> Iterator[tuple[str, str]]:
    return pairwise(word.stem for word in found)


def _share(pairs: Sequence[tuple[str, str]], known: Pairs) -> float:
    return sum(pair in known for pair in pairs) / len(pairs) if pairs else 1.0


def _longest_run(pairs: Sequence[tuple[str, str]], known: Pairs) -> int:
    """So many pairs in a row stand in the passages: the claim was copied from there."""
    longest = run = 0
    for pair in pairs:
        run = run + 1 if pair in known else 0
        longest = max(longest, run)
    return longest
