"""Whether sentences of the evidence say what a claim says, and not only have its words."""

from collections.abc import Iterable, Iterator, Sequence

from doctrail_core.grounding.embedded.alignment import Window, lacking
from doctrail_core.grounding.embedded.examination import Examination
from doctrail_core.grounding.embedded.facts import Place
from doctrail_core.grounding.embedded.index import Line
from doctrail_core.grounding.embedded.logic import bare, difference, relates
from doctrail_core.grounding.embedded.novelty import weigh
from doctrail_core.grounding.embedded.order import exchanged, ordered, severed
from doctrail_core.grounding.embedded.words import Word, words

__all__ = ["VERBATIM", "closest", "doubt", "supporting"]

_COVERED = 0.78
"""So much of a claim must stand in its evidence."""
_LEFT_OUT = 0.6
"""What may be missing there weighs less than this: no name, no rare word."""
VERBATIM = 0.15
"""A claim of more than one sentence is copied when no more of its pairs of words are new."""
_FITS = 0.55
_IN_ORDER, _NEARLY_ALL = 0.6, 0.9


def supporting(case: Examination) -> list[Window]:
    """The windows that say what the claim says: the smallest ones, at most one of each passage."""
    lines = case.index.lines
    found: dict[int, Window] = {}
    for window in _covering(case):
        passage = lines[window.first].passage
        if passage not in found and doubt(case, window) is None:
            found[passage] = window
    return list(found.values())


def closest(case: Examination) -> Window | None:
    """The window that comes closest to saying it."""
    return next(_covering(case), case.alignment.best)


def _covering(case: Examination) -> Iterator[Window]:
    enough = (window for window in case.alignment.windows if window.coverage >= _COVERED)
    yield from sorted(enough, key=lambda window: (window.last - window.first, -window.coverage))


def doubt(case: Examination, window: Window) -> str | None:
    """Why the sentences may not say what the claim says; None where they do."""
    lines = [case.index.lines[at] for at in window.lines]
    if window.coverage < _COVERED or _left_out(case, window) > _LEFT_OUT:
        return "partial_overlap"
    if any(line.cut or line.asks for line in lines):
        return "needs_context"
    if len(lines) > 1 and case.novelty.rearranged > VERBATIM:
        return "needs_context"
    if not all(line.prose for line in lines):
        return "table"
    if not all(_stands_in(fact.same, window) for fact in case.facts):
        return "weak_value"
    text = " ".join(bare(line.text, line.values) for line in lines)
    return difference(case.bare, f"{lines[0].lead} {text}") or _reordered(case, lines)


def _left_out(case: Examination, window: Window) -> float:
    """What the words weigh that the window does not have; a number is as telling as a name."""
    missing = lacking(case.words, window, case.index)
    first = case.words[0] if case.words else None
    weights = {word.stem: _weight(word, word is first) for word in missing}
    return sum(weights.values())


def _weight(word: Word, first: bool) -> float:  # noqa: FBT001
    if word.kind == "function":
        return 0.0
    return weigh(word.stem, name=word.kind == "number" or (word.capitalised and not first))


def _stands_in(places: Iterable[Place], window: Window) -> bool:
    return any(place.line in window.lines and place.fit >= _FITS for place in places)


def _reordered(case: Examination, lines: Sequence[Line]) -> str | None:
    """`A owns B` has the words of `B owns A`; and `A before B` those of `B before A`."""
    mine = _content(case.words)
    theirs = [_content(line.words) for line in lines]
    if len(lines) > 1:
        told = [word.stem for line in lines for word in line.words]
        return "partial_overlap" if ordered(_stems(words(case.text)), told) < 1 else None
    least = _NEARLY_ALL if relates(case.bare) else _IN_ORDER
    if (
        ordered(_stems(mine), _stems(theirs[0])) < least
        or exchanged(case.bare, mine, lines[0].text, theirs[0])
        or severed(case.bare, mine, lines[0].text, theirs[0])
    ):
        return "partial_overlap"
    return None


def _content(found: Iterable[Word]) -> list[Word]:
    return [word for word in found if word.kind == "content"]


def _stems(found: Iterable[Word]) -> list[str]:
    return [word.stem for word in found]
