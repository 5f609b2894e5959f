"""The words of a text with their stems, so that `renewals` and `renewed` are one word.

Reading takes time in proportion to the text, whatever is in it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from threading import local
from typing import Literal, NamedTuple, Protocol, cast

from doctrail_core.grounding.embedded.lexicon import FUNCTION_WORDS, NUMERALS, regular

__all__ = ["Word", "WordKind", "derived", "stem", "stems", "words"]

WordKind = Literal["content", "function", "number"]

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|\d+(?:[.,:/]\d+)*[^\W_]{0,3}")
_LONGEST = 40
"""A longer run of letters is no word of a language; it is compared as it stands."""
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_BRITISH = (("isation", "ization"), ("ising", "izing"), ("yse", "yze"), ("ise", "ize"))
_ENDINGS = frozenset(
    [
        "",
        "a",
        "able",
        "ac",
        "al",
        "ally",
        "an",
        "ance",
        "ant",
        "ar",
        "ary",
        "at",
        "ate",
        "ation",
        "ative",
        "ator",
        "e",
        "ed",
        "en",
        "ence",
        "ency",
        "ent",
        "er",
        "eri",
        "ery",
        "es",
        "ess",
        "et",
        "ful",
        "i",
        "ial",
        "ian",
        "ibl",
        "ible",
        "ic",
        "ical",
        "icat",
        "ice",
        "if",
        "ifi",
        "ify",
        "in",
        "ing",
        "ion",
        "ish",
        "ism",
        "ist",
        "it",
        "ition",
        "iti",
        "itive",
        "ity",
        "ium",
        "iv",
        "ive",
        "iz",
        "ize",
        "izat",
        "less",
        "li",
        "ly",
        "ment",
        "ness",
        "or",
        "ori",
        "ot",
        "ous",
        "s",
        "t",
        "tic",
        "tion",
        "tiv",
        "u",
        "uous",
        "ur",
        "ure",
        "us",
        "y",
        "yz",
        "ys",
    ]
)
_BEFORE_OUR = 3
"""`colour` is `color`; `hour` and `course` are themselves."""
_SHORTEST_ROOT = 4
_own = local()


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 -- its name


class Word(NamedTuple):
    """Characters `[start, end)` of a text."""

    start: int
    end: int
    text: str
    stem: str
    kind: WordKind

    @property
    def capitalised(self) -> bool:
        return self.text[0].isupper()


def words(text: str) -> list[Word]:
    """The words of a text, in order."""
    return [_word(m.start(), m.end(), m.group()) for m in _WORD.finditer(text)]


def stems(found: Iterable[Word]) -> set[str]:
    return {word.stem for word in found if word.kind == "content"}


def _word(start: int, end: int, text: str) -> Word:
    if text[0].isdecimal():
        return Word(start, end, text, text.replace(",", "").casefold(), "number")
    plain, kind = _read(text)
    return Word(start, end, text, plain, kind)


@lru_cache(maxsize=65536)
def _read(text: str) -> tuple[str, WordKind]:
    plain = _POSSESSIVE.sub("", text.casefold().replace("\u2019", "'")) or text.casefold()
    if plain in FUNCTION_WORDS:
        return plain, "function"
    return stem(plain), "number" if plain in NUMERALS else "content"


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """What is left of a word in lower case without its endings; the same for British and American spelling."""
    if len(word) > _LONGEST or not word.isascii():
        return word
    return _stemmer().stemWord(_american(regular().get(word, word)))


def _stemmer() -> _Stemmer:
    """A stemmer works on what it keeps in itself, so each thread has its own."""
    if (found := getattr(_own, "stemmer", None)) is None:
        # not the package's factory, which gives another implementation where one is installed
        from snowballstemmer.english_stemmer import (  # type: ignore[import] -- has no types
            EnglishStemmer,
        )

        found = _own.stemmer = cast("_Stemmer", EnglishStemmer())
    return found


def _american(word: str) -> str:
    if (at := word.find("our")) >= _BEFORE_OUR:
        word = f"{word[:at]}or{word[at + 3 :]}"
    for british, american in _BRITISH:
        if british in word[4:]:
            return word[:4] + word[4:].replace(british, american)
    return word


@lru_cache(maxsize=65536)
def derived(one: str, other: str) -> bool:
    """Whether two stems are of one root, as `hydrat` and `hydrate` are: they differ in their endings alone."""
    at = _common(one, other)
    shorter = min(len(one), len(other))
    return at >= max(_SHORTEST_ROOT, shorter - 3) and {one[at:], other[at:]} <= _ENDINGS


def _common(one: str, other: str) -> int:
    for at, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return at
    return min(len(one), len(other))
