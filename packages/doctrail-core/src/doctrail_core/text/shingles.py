"""Find the pieces of a text in another one by the rows of words that both have."""

from collections.abc import Iterable
from typing import NamedTuple

from doctrail_core.text.reading import Reading
from doctrail_core.text.spans import Span

__all__ = ["SHINGLE", "Shingles"]

SHINGLE = 5
"""So many words in a row make a find."""


class _Run(NamedTuple):
    """Words `[start, end)` of a text that stand from word `place` on in the page."""

    start: int
    end: int
    place: int


class Shingles:
    """An index of the places, within the free stretches of a page, where a row of words begins."""

    def __init__(self, page: Reading, free: Iterable[Span]) -> None:
        line, at = page.line, page.at
        self._words = [""] * (len(page.words) + 1)  # "" is no word: a run ends where it meets one
        self._first: dict[str, int] = {}
        for start, end in reversed(list(free)):
            self._words[start:end] = page.words[start:end]
            self._first |= {
                line[at[i] : at[i + SHINGLE]]: i for i in range(end - SHINGLE, start - 1, -1)
            }

    def find(self, text: Reading) -> tuple[Span, ...]:
        """The words of the page in which pieces of the text stand, in the order of the page."""
        runs: list[_Run] = []
        ends = zip(text.at, text.at[SHINGLE:], strict=False)
        places = [self._first.get(text.line[start:end]) for start, end in ends]
        done = 0
        for start, place in enumerate(places):
            if place is not None and start >= done:
                done = self._add(runs, text.words, start, place)
        return tuple(sorted((run.place, run.place + run.end - run.start) for run in runs))

    def _add(self, runs: list[_Run], words: list[str], start: int, place: int) -> int:
        """Add the longest run around a find; return where it ends.

        It may take back the words of the run before: those were found at the first place where they
        stand in the page, and this is the place where the text goes on.
        """
        before = runs[-1] if runs else _Run(0, 0, 0)
        end = start + SHINGLE
        while end < len(words) and words[end] == self._words[place + end - start]:
            end += 1
        back = 0
        while back < min(start - before.start, place) and (
            words[start - back - 1] == self._words[place - back - 1]
        ):
            back += 1
        if runs and start - back == before.start:
            runs.pop()
        else:
            back = min(back, start - before.end)
        runs.append(_Run(start - back, end, place - back))
        return end
