"""What of long passages a judge gets to read: the sentences that have most to do with the claims."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from doctrail_core.grounding.embedded.alignment import align
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import stems, words
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim
from doctrail_core.text.spans import Span, unexplained

__all__ = ["Shown", "blanked", "shown"]

_LEAST_GAP = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """The passages as a judge reads them, blank where they are left out; `whole` if nothing is."""

    passages: tuple[Passage, ...]
    whole: bool


def shown(answer: Answer, claims: Sequence[Claim], most: int) -> Shown:
    """The passages that say anything, in no more than so many characters."""
    told = [passage for passage in answer.passages if passage.text.strip()]
    if sum(len(passage.text) for passage in told) <= most:
        return Shown(tuple(told), whole=True)
    index = Index(told, answer.question)
    kept: dict[int, list[Span]] = defaultdict(list)
    for at in dict.fromkeys(_telling(index, [answer.text[c.start : c.end] for c in claims])):
        line = index.lines[at]
        end = min(line.end, line.start + most)
        kept[line.passage].append((line.start, end))
        most -= end - line.start
        if not most:
            break
    return Shown(tuple(blanked(told[at], kept[at]) for at in sorted(kept)), whole=False)


def _telling(index: Index, claims: Sequence[str]) -> Iterator[int]:
    """The sentences in which the claims could stand: the best ones of each first."""
    aligned = [align(stems(words(claim)), index.asked, index).windows for claim in claims]
    for equally_good in zip_longest(*aligned):
        for window in equally_good:
            if window is not None:
                yield from window.lines


def blanked(passage: Passage, kept: Sequence[Span]) -> Passage:
    """The passage with everything else blank; what would leave no visible gap stays."""
    text = passage.text
    for start, end in unexplained(len(text), kept):
        if end - start >= _LEAST_GAP:
            text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
    return replace(passage, text=text)
