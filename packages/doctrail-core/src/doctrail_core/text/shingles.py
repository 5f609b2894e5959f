"""Find the pieces of a text in another one by the rows of words that both have."""

from collections.abc import Iterable
from typing import NamedTuple

from doctrail_core.text.reading import Reading
from doctrail_core.text.spans import Span

__all__ = ["SHINGLE", "Shingles"]

SHINGLE = 5
"""So many words in a row make a find."""
_INDEXED = 50_000


class _Run(NamedTuple):
    """Words `[start, end)` of a text that stand from word `place` on in the page."""

    start: int
    end: int
    place: int


class Shingles:
    """An index of the places, within the free stretches of a page, where rows of words begin.

    On a page of many words only every second, third, ... place is in it, so that its size is
    bounded; what is found is as long as before, but rows of less than twice `SHINGLE` or so may be
    missed.
    """

    def __init__(self, page: Reading, free: Iterable[Span]) -> None:
        line, at = page.line, page.at
        stride = 1 + len(page.words) // _INDEXED
        self._words = [""] * (len(page.words) + 1)  # "" is no word: a run ends where it meets one
        self._first: dict[str, int] = {}
        for start, end in reversed(list(free)):
            self._words[start:end] = page.words[start:end]
            last = end - SHINGLE - (end - SHINGLE - start) % stride
            self._first |= {
                line[at[i] : at[i + SHINGLE]]: i for i in range(last, start - 1, -stride)
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
        end = start + _alike(words, start, 1, self._words, place, len(words) - start)
        reach = min(start - before.start, place)
        back = _alike(words, start - 1, -1, self._words, place - 1, reach)
        if runs and start - back == before.start:
            runs.pop()
        else:
            back = min(back, start - before.end)
        runs.append(_Run(start - back, end, place - back))
        return end


def _alike(words: list[str], at: int, step: int, page: list[str], place: int, most: int) -> int:
    """Count the words that are the same in both, going one way, up to `most`."""
    count = 0
    while count < most and words[at] == page[place]:
        count, at, place = count + 1, at + step, place + step
    return count
