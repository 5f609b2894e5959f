"""What a text says, as far as it can be found in other texts: by its values, and by its words.

Two texts say the same when the values of the one are those of the other, and most of the telling words
of the one stand in the other. Nobody understands either; time grows with the length of the texts alone.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

from doctrail_core.grounding.embedded.words import Word, words
from doctrail_core.text.sentences import sentences
from doctrail_core.text.spans import Span
from doctrail_core.text.values import Value, compare, values_in

__all__ = ["Saying", "Sentence", "forget", "read", "stated"]

_ALONE, _BESIDE_VALUES = 0.75, 0.5
"""So many of the words must stand in one sentence; beside the values, in it or in those around it."""
_MOST_VALUES = 20
"""More values are no one thing to look for, and every text is compared with each of them."""
_NEAR = 4
_LEADING = frozenset({"on", "in", "at", "by", "for", "the", "of", "a", "until", "before", "after"})
_DENIALS = frozenset({"not", "no", "never", "cannot", "neither"})


@dataclass(frozen=True)
class Sentence:
    """Characters `[start, end)` of a text, with its words and values."""

    start: int
    end: int
    words: tuple[Word, ...]
    values: tuple[Value, ...]

    @property
    def stems(self) -> frozenset[str]:
        return frozenset(word.stem for word in self.words if word.kind != "function")

    @property
    def denies(self) -> bool:
        return any(map(_is_denial, self.words))

    @property
    def stated(self) -> Iterator[Value]:
        """The values, but for those that it says are not it: `not on February 28th`."""
        return (value for value in self.values if not self._is_denied(value))

    def _is_denied(self, value: Value) -> bool:
        at = bisect_left(self.words, value.start, key=lambda word: word.start)
        near = reversed(self.words[max(0, at - _NEAR) : at])
        last = next((word for word in near if word.text.casefold() not in _LEADING), None)
        return last is not None and _is_denial(last)


def _is_denial(word: Word) -> bool:
    return word.text.casefold() in _DENIALS or word.text.replace("\u2019", "'").endswith("n't")


@lru_cache(maxsize=1024)
def read(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text, kept until a diagnosis is done: chunks are read again and again."""
    return tuple(_sentence(text, span) for span in sentences(text))


@lru_cache(maxsize=1024)
def stated(text: str) -> tuple[Value, ...]:
    """The values of a text, kept as long."""
    return tuple(map(_bare, values_in(text)))


def forget() -> None:
    """Let go of all texts that were read."""
    read.cache_clear()
    stated.cache_clear()


def _sentence(text: str, span: Span) -> Sentence:
    start, end = span
    said = text[start:end]
    return Sentence(start, end, tuple(words(said)), stated(said))


def _bare(value: Value) -> Value:
    """The value without `at least` or `about`: people leave them out when they say what they expected."""
    return replace(value, bound=None, approx=False)


@dataclass(frozen=True)
class Saying:
    """Values and words that are to be found together.

    A value of another kind than those of `values` is no part of it; `denied` tells of a negation.
    """

    values: tuple[Value, ...] = ()
    stems: frozenset[str] = frozenset()
    denied: bool = False

    @classmethod
    def of(cls, text: str, *, beside: Collection[str] = ()) -> Self:
        """What a text says; words that are in `beside` are no news."""
        values = stated(text)[:_MOST_VALUES]
        found = words(text)
        telling = frozenset(
            word.stem
            for word in found
            if word.kind == "content" and not _within(word, values) and word.stem not in beside
        )
        denied = any(sentence.denies for sentence in read(text))
        return cls(values, telling, denied and bool(telling))

    @property
    def empty(self) -> bool:
        return not self.values and not self.stems

    def places(self, text: str) -> Iterator[Sentence]:
        """The sentences of a text that say it."""
        found = read(text)
        for number, sentence in enumerate(found):
            if self._has_values(tuple(sentence.stated)) and self._has_words(found, number):
                yield sentence

    def is_in(self, text: str) -> bool:
        return next(self.places(text), None) is not None

    def _has_values(self, stated: Sequence[Value]) -> bool:
        return all(
            any(compare(value, other) == "equal" for other in stated) for value in self.values
        )

    def _has_words(self, found: Sequence[Sentence], number: int) -> bool:
        sentence = found[number]
        if self.values:
            near = found[max(0, number - 1) : number + 2]
            around = {stem for one in near for stem in one.stems}
            return self._share(around) >= _BESIDE_VALUES
        return sentence.denies == self.denied and self._share(sentence.stems) >= _ALONE

    def _share(self, held: AbstractSet[str]) -> float:
        return len(self.stems & held) / len(self.stems) if self.stems else 1.0


def _within(word: Word, stated: Sequence[Value]) -> bool:
    return any(value.start <= word.start < value.end for value in stated)
