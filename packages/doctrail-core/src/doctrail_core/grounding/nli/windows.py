"""What of the passages a claim is held against: the few places that share most of its words."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from doctrail_core.grounding.embedded.alignment import align
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import stems, words
from doctrail_core.model import Evidence

__all__ = ["Fits", "Window", "halves", "windows"]

Fits = Callable[[str], bool]
"""Whether a model can read a premise at once, with the claim and all that it is asked with."""
_BLANKS = re.compile(r" {2,}")
_WORD = 40


@dataclass(frozen=True, slots=True)
class Window:
    """What is shown of a passage, and the sentences of it for which it is shown."""

    text: str
    evidence: Evidence


def windows(claim: str, index: Index, count: int, around: int, fits: Fits) -> list[Window]:
    """The best places for a claim, none the same as another, each with what `around` characters hold.

    Where too few share a word with the claim, passages from their beginning make up the number: what
    says the same in other words is only found so. A place too long to be read at once is shown in the
    pieces of it that share most with the claim.
    """
    chosen: list[Window] = []
    shown: list[range] = []
    for lines in _places(claim, index):
        if len(chosen) == count:
            break
        if any(_overlap(lines, other) for other in shown):
            continue
        wider = _widest(lines, index, around, fits)
        shown.append(wider or lines)
        texts = [_text(wider, index)] if wider else _pieces(_text(lines, index), claim, fits)
        evidence = _evidence(lines, index)
        chosen.extend(Window(text, evidence) for text in texts[: count - len(chosen)])
    return chosen


def halves(text: str) -> tuple[str, str]:
    """The text in two, between words where there are any."""
    middle = len(text) // 2
    space = text.find(" ", middle, middle + _WORD)
    at = space if space >= 0 else middle
    return text[:at], text[at:]


def _places(claim: str, index: Index) -> Iterator[range]:
    said = words(claim)
    numbers = {word.stem for word in said if word.kind == "number"}
    yield from (window.lines for window in align(stems(said), numbers, index).windows)
    first: dict[int, int] = {}
    for at, line in enumerate(index.lines):
        first.setdefault(line.passage, at)
    yield from (range(at, at + 1) for at in first.values())


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _widest(lines: range, index: Index, around: int, fits: Fits) -> range | None:
    """The sentences with as much before and after them as can be read; None if they cannot be."""
    wider = _widened(lines, index, around)
    while not fits(_text(wider, index)):
        if wider == lines:
            return None
        around //= 2
        wider = _widened(lines, index, around)
    return wider


def _widened(lines: range, index: Index, around: int) -> range:
    """More sentences of the passage on both sides, in turn, as many as fit into so many characters."""
    first, last = lines.start, lines.stop - 1
    passage = index.lines[first].passage
    grown = True
    while grown:
        grown = False
        for step in (last + 1, first - 1):
            if not 0 <= step < len(index.lines) or index.lines[step].passage != passage:
                continue
            start, end = min(first, step), max(last, step)
            if index.lines[end].end - index.lines[start].start <= around:
                first, last, grown = start, end, True
    return range(first, last + 1)


def _text(lines: range, index: Index) -> str:
    passage = index.passages[index.lines[lines.start].passage]
    shown = passage.text[index.lines[lines.start].start : index.lines[lines.stop - 1].end]
    return _BLANKS.sub(" ", shown)


def _evidence(lines: range, index: Index) -> Evidence:
    passage = index.passages[index.lines[lines.start].passage]
    return Evidence(
        passage.chunk_id, index.lines[lines.start].start, index.lines[lines.stop - 1].end
    )


def _pieces(text: str, claim: str, fits: Fits) -> list[str]:
    """What can be read of a text, those pieces first that share most with the claim."""
    found: list[str] = []
    todo = [text]
    while todo:
        piece = todo.pop()
        if fits(piece):
            found.append(piece)
        elif len(piece) > 1:
            todo.extend(reversed(halves(piece)))
    asked = stems(words(claim))
    return sorted(found, key=lambda piece: -len(asked & stems(words(piece))))
