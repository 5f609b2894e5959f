"""Other ways to write the same: in one word or two, by its initials."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from doctrail_core.grounding.embedded.words import Word

__all__ = ["acronyms", "compounds"]

_LONGEST = 6


def compounds(found: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """Each two words in a row as one, with the place of the first: `email` for `e-mail`."""
    for at, (one, other) in enumerate(pairwise(found)):
        if other.start - one.end == 1 and "function" not in {one.kind, other.kind}:
            yield at, f"{one.text}{other.text}".casefold()


def acronyms(found: Sequence[Word]) -> Iterator[str]:
    """The initials of capitalised words in a row, with and without the small words between them."""
    for first, word in enumerate(found):
        if word.capitalised:
            yield from _initials(found[first : first + _LONGEST])


def _initials(row: Sequence[Word]) -> Iterator[str]:
    short = long = ""
    for word in row:
        if not word.capitalised and word.kind != "function":
            return
        long += word.text[0].upper()
        if word.capitalised:
            short += word.text[0]
            yield from {short, long}
