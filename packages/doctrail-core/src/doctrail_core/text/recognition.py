"""Recognise texts in a prompt of which nobody says that they are there.

Other than where a search of the same response brought a text (see `arrival`), being wrong is worse than
missing one: a text counts if it is there as a whole, with its words at least, or nearly so; never one
so short that it stands anywhere, and never by what it has in common with a text that is accounted for.
"""

from collections.abc import Collection, Iterable
from functools import cached_property
from itertools import accumulate, islice

from doctrail_core.text.arrival import Match, match
from doctrail_core.text.reading import WORDS, Reading
from doctrail_core.text.spans import Span

__all__ = ["recognised", "telling"]

_JOINT = "\n\n"
_FEWEST_LETTERS = 20
_FEWEST_WORDS = 5
_NEARLY = 0.8
"""What of a text must be there at least, if not all of it: re-wrapped, numbered, mistyped, not quoted."""
_FEWEST_WORDS_OF_NEARLY = 25
"""Shorter texts that have four fifths in common are as likely two filled-in forms."""
_LOOSENED = 1.25
"""So many times longer than the prompt's stretches a text may be, since white space gets lost."""
_PROBES = 5
_WINDOW = 64
_ROW = 3
"""Words in a row that are looked for before a text is compared; half of the probes must be found."""


def telling(text: str, words: int = _FEWEST_WORDS, letters: int = _FEWEST_LETTERS) -> bool:
    """Whether a text is long enough to be taken for nothing else."""
    enough = next(islice(WORDS.finditer(text), words - 1, None), None) is not None
    return enough and sum(map(str.isalnum, text)) >= letters


def recognised(
    prompt: str, free: Iterable[Span], texts: Collection[str], expected: Collection[str] = ()
) -> dict[str, Match]:
    """Find texts within the free stretches of a prompt; what is not found is left out.

    Of those that are `expected`, because somebody does say that they are there, any piece counts that
    would count of a text that the response itself retrieved.
    """
    page = _Stretches(prompt, free)
    likely = [text for text in texts if text in expected or page.may_hold(text.strip())]
    if not likely or not page.text:
        return {}
    return {
        text: Match(found.state, found.coverage, page.places(found.spans))
        for text, found in match(page.text, {text: text for text in likely}).items()
        if (text in expected and found.state != "absent") or _is_surely(found, text)
    }


def _is_surely(found: Match, text: str) -> bool:
    return found.state == "full" or (
        found.state == "partial"
        and found.coverage >= _NEARLY
        and telling(text, words=_FEWEST_WORDS_OF_NEARLY)
    )


class _Stretches:
    """Parts of a prompt as one text, with the way back."""

    def __init__(self, prompt: str, free: Iterable[Span]) -> None:
        self._spans = [span for span in free if span[1] - span[0] >= _FEWEST_LETTERS]
        parts = [prompt[start:end] for start, end in self._spans]
        self.text = _JOINT.join(parts)
        self._starts = list(accumulate((len(part) + len(_JOINT) for part in parts), initial=0))

    def may_hold(self, text: str) -> bool:
        """Whether it is worth comparing; cheap, since hardly any text is."""
        if not text or len(text) * _NEARLY > len(self.text) * _LOOSENED:
            return False
        if text in self.text:
            return True
        missed = 0
        for place in range(0, len(text), 1 + len(text) // _PROBES):
            row = _row(text, place)
            missed += row is not None and row not in self._rows
            if missed * 2 > _PROBES:
                return False
        return True

    @cached_property
    def _rows(self) -> set[str]:
        page = Reading(self.text)
        ends = zip(page.at, page.at[_ROW:], strict=False)
        return {page.line[start + 1 : end] for start, end in ends}

    def places(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        """Where spans of the text stand in the prompt."""
        return tuple(part for span in spans for part in self._places(*span))

    def _places(self, start: int, end: int) -> Iterable[Span]:
        for (first, last), base in zip(self._spans, self._starts, strict=False):
            begin, stop = max(start, base), min(end, base + last - first)
            if begin < stop:
                yield begin - base + first, stop - base + first


def _row(text: str, place: int) -> str | None:
    """Some words from about a place on, as `Reading.line` has them; None where there are too few."""
    whole = Reading(text[place : place + _WINDOW]).words[1:-1]
    return "\n".join(whole[:_ROW]) if len(whole) >= _ROW else None
