"""A text as the words that a reader sees, each with its place in the text as it stands.

Two texts that differ only in white space, case, punctuation, compatibility forms or escaping
(JSON, Python's repr, HTML, also several times over) have the same words. Scripts that put no space
between words give one word per character.
"""

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from functools import cached_property
from itertools import accumulate

__all__ = ["TOKENS", "WORDS", "Reading"]

_UNSPACED = (  # Thai, Lao, Tibetan, Myanmar, Khmer, kana, Chinese, Hangul
    r"\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    r"\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
# Marks belong to the letter before them, though Python does not count them as letters: accents,
# Hebrew points, Arabic vowels, the vowel signs of India.
_MARKS = (
    r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f"
    r"\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03"
    r"\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6"
    r"\u0d00-\u0d03\u0d3b-\u0d4d\u0d81-\u0ddf"
)
_WORD = rf"[{_UNSPACED}]|(?:[^\W_{_UNSPACED}]++[{_MARKS}]*+)++"

WORDS = re.compile(_WORD)
TOKENS = re.compile(rf"{_WORD}|[^\w\s]|_")
"""Words, and every punctuation mark by itself: for texts so short that a mark matters."""

_FASTER_ON_ASCII = {
    WORDS: re.compile(r"[A-Za-z0-9]+"),
    TOKENS: re.compile(r"[A-Za-z0-9]+|[^\w\s]|_"),
}

_ESCAPE = re.compile(
    r"(?P<units>(?:\\++u[0-9a-fA-F]{4})++)|\\++(?:x(?P<byte>[0-9a-fA-F]{2})|(?P<mark>[nrtbf\"'/]))?"
    r"|&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
_UNIT_MARK = re.compile(r"\\+u")
_AGAIN = re.compile(r"&(?:amp;)+(?=[^;]+;)")
_MEANT = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class Reading:
    """The words of a text, in order.

    `line` holds them all, each after a line feed; `at[i]` is where word `i` begins in it, so that
    any stretch of words is one slice of one string.
    """

    def __init__(self, text: str, pattern: re.Pattern[str] = WORDS) -> None:
        self._plain, self._escapes = _unescape(text)
        self._pattern = _FASTER_ON_ASCII[pattern] if self._plain.isascii() else pattern
        found = "\n".join(self._pattern.findall(self._plain))
        folded = unicodedata.normalize("NFKC", found).casefold()
        self.words = folded.split("\n") if folded else []
        self.line = f"\n{folded}\n" if folded else ""

    @cached_property
    def at(self) -> list[int]:
        return list(accumulate((len(word) + 1 for word in self.words), initial=0))

    @cached_property
    def _starts(self) -> list[int]:
        return [found.start() for found in self._pattern.finditer(self._plain)]

    def _end(self, word: int) -> int:
        found = self._pattern.match(self._plain, self._starts[word])
        return found.end() if found else self._starts[word]

    def weight(self, first: int, end: int) -> float:
        """How many words they are worth: a character that is a word by itself counts half."""
        return min(end - first, (self.at[end] - self.at[first]) / 4)

    def span(self, first: int, end: int) -> tuple[int, int]:
        """Where the words from `first` up to `end` stand in the original text."""
        return self._original(self._starts[first]), self._original(self._end(end - 1))

    def words_within(self, start: int, end: int) -> tuple[int, int]:
        """Which words stand, if only in part, between two offsets of the original text."""
        first = bisect_left(self._starts, self._read(start))
        if first > 0 and self._end(first - 1) > self._read(start):
            first -= 1
        return first, bisect_left(self._starts, self._read(end))

    def _original(self, offset: int) -> int:
        return _across(offset, *self._escapes) if self._escapes else offset

    def _read(self, offset: int) -> int:
        return _across(offset, *reversed(self._escapes)) if self._escapes else offset


def _unescape(text: str) -> tuple[str, tuple[list[int], list[int]] | None]:
    """Undo escapes, and note where each begins and ends in the plain text and in the original."""
    if "\\" not in text and "&" not in text:
        return text, None
    pieces: list[str] = []
    plain, original = [0], [0]
    for escape in _ESCAPE.finditer(text):
        verbatim, meant = text[original[-1] : escape.start()], _meant(escape)
        pieces += (verbatim, meant)
        plain += (plain[-1] + len(verbatim), plain[-1] + len(verbatim) + len(meant))
        original += escape.span()
    pieces.append(text[original[-1] :])
    plain.append(plain[-1] + len(pieces[-1]))
    original.append(len(text))
    return "".join(pieces), (plain, original)


def _meant(escape: re.Match[str]) -> str:
    if escape["units"]:
        units = bytes.fromhex(_UNIT_MARK.sub("", escape["units"]))
        return units.decode("utf-16-be", "replace")
    if escape["byte"]:
        return chr(int(escape["byte"], 16))
    if escape["mark"]:
        return _MEANT.get(escape["mark"], escape["mark"])
    if escape[0].startswith("&"):
        return html.unescape(_AGAIN.sub("&", escape[0]))
    return "\\"


def _across(offset: int, here: list[int], there: list[int]) -> int:
    """Translate an offset between two texts that meet at the points `here[i]` and `there[i]`."""
    k = bisect_right(here, offset) - 1
    if k + 1 == len(here):
        return there[k]
    return there[k] + (offset - here[k]) * (there[k + 1] - there[k]) // (here[k + 1] - here[k])
