"""Where in the passages a claim could come from, and how much of it stands there."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest

from doctrail_core.grounding.embedded.index import Index, Line
from doctrail_core.grounding.embedded.words import Word

__all__ = ["Alignment", "Window", "align", "lacking"]

_CANDIDATES = 8
_TELLING = 48
"""So many words of a claim, the most telling ones, are looked up."""
_LENGTH_PRIOR = 0.02
_WIDER = 0.03
"""What a sentence more must add to the share of the claim that is found."""


@dataclass(frozen=True, slots=True)
class Window:
    """Sentences `[first, last]` of an index, all of one passage, and the share of the claim found there."""

    first: int
    last: int
    coverage: float

    @property
    def lines(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class Alignment:
    """The windows that have most of a claim, best first."""

    windows: Sequence[Window]
    weights: Mapping[str, float]
    index: Index

    @property
    def best(self) -> Window | None:
        return self.windows[0] if self.windows else None

    @cached_property
    def near(self) -> frozenset[int]:
        """The sentences of all windows."""
        return frozenset(at for window in self.windows for at in window.lines)

    def share(self, line: int) -> float:
        """How much of the claim one sentence has."""
        return _coverage(self.index.lines[line].stems, self.weights, self.index)


def align(stems: Iterable[str], hints: Iterable[str], index: Index) -> Alignment:
    """Find the words in windows of one to three sentences. Hints help to find them, and do not count."""
    weights, hinting = _telling(stems, index), _telling(hints, index)
    spans = {
        span
        for line in _candidates(weights | hinting, index)
        for span in _around(line, index.lines)
    }
    windows = [_window(span, weights, index) for span in sorted(spans)]
    windows.sort(
        key=lambda window: window.coverage - _WIDER * (window.last - window.first), reverse=True
    )
    return Alignment(windows, weights, index)


def _telling(stems: Iterable[str], index: Index) -> dict[str, float]:
    telling = nlargest(_TELLING, sorted(stems), key=index.weight)
    return {stem: index.weight(stem) for stem in telling}


def _candidates(weights: Mapping[str, float], index: Index) -> Sequence[int]:
    scores: dict[int, float] = defaultdict(float)
    for stem, weight in weights.items():
        for variant, surely in index.variants(stem).items():
            for at in index.having(variant):
                scores[at] += weight * surely
    rated = {
        at: score / (1 + _LENGTH_PRIOR * len(index.lines[at].stems)) for at, score in scores.items()
    }
    return nlargest(_CANDIDATES, sorted(rated), key=rated.__getitem__)


def _around(at: int, lines: Sequence[Line]) -> Iterable[tuple[int, int]]:
    before = at - 1 if at and lines[at - 1].passage == lines[at].passage else at
    after = at + 1 if at + 1 < len(lines) and lines[at + 1].passage == lines[at].passage else at
    return {(at, at), (before, at), (at, after), (before, after)}


def _window(span: tuple[int, int], weights: Mapping[str, float], index: Index) -> Window:
    first, last = span
    stems = {stem for at in range(first, last + 1) for stem in index.lines[at].stems}
    return Window(first, last, _coverage(stems, weights, index))


def _coverage(stems: Collection[str], weights: Mapping[str, float], index: Index) -> float:
    total = sum(weights.values())
    if not total:
        return 0.0
    return sum(weight * _held(stem, stems, index) for stem, weight in weights.items()) / total


def lacking(found: Iterable[Word], window: Window, index: Index) -> list[Word]:
    """The words that the window has in no form."""
    stems = {stem for at in window.lines for stem in index.lines[at].stems}
    return [word for word in found if not _held(word.stem, stems, index)]


def _held(stem: str, stems: Collection[str], index: Index) -> float:
    surely = (how for variant, how in index.variants(stem).items() if variant in stems)
    return max(surely, default=0.0)
