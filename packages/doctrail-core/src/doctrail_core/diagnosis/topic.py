"""Which sentence of which chunk is about what was asked: by the question's words, the rarest most telling.

Names count for the whole document: a clause seldom repeats the party that the contract is with.
"""

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from math import log

from doctrail_core.diagnosis.sayings import Sentence, read
from doctrail_core.grounding.embedded.words import Word, words
from doctrail_core.model import Chunk

__all__ = ["ABOUT", "ANSWERS", "Topic"]

ABOUT = 0.35
"""A sentence with less of the question than this is about something else."""
ANSWERS = 0.7
"""A sentence with so much of the question, but for names, is taken for one that answers it."""
_NAMED = 0.5
"""A document with less of the question's names than this is about somebody else."""
_ELSEWHERE = 0.3
"""What a word counts that stands in the document, yet not near the sentence."""
_FEWEST = 4
"""Fewer words are a heading."""
_VALUE = re.compile(
    r"\b(?:when|how (?:long|many|much|often|old|far|large|big|high)|(?:what|which) (?:\w{1,20} )?"
    r"(?:date|day|month|year|time|period|amount|price|fee|rate|percentage|number|deadline))\b",
    re.IGNORECASE,
)
_ID_WORDS = re.compile(r"[^\W\d_]{1,40}|[0-9]{1,12}")


class Topic:
    """What was asked, over the chunks that it is looked for in."""

    def __init__(self, question: str | None, chunks: Iterable[Chunk]) -> None:
        """Read the chunks once; how rare a word is, is counted over their sentences and documents."""
        asked = [word for word in words(question or "") if word.kind != "function"]
        self._documents: dict[str, set[str]] = defaultdict(set)
        seen = Counter[str]()
        number = 0
        for chunk in chunks:
            told = self._documents[chunk.document_id]
            told.update(_named(chunk))
            for sentence in read(chunk.text or ""):
                told |= sentence.stems
                seen.update(sentence.stems)
                number += 1
        self._wants_value = _VALUE.search(question or "") is not None
        self._weights = {word.stem: _rarity(seen[word.stem], number) for word in asked}
        holding = Counter(stem for told in self._documents.values() for stem in told)
        self._names = {
            word.stem: _rarity(holding[word.stem], len(self._documents))
            for word in asked
            if word.capitalised and word.start > 0 and len(word.text) > 1
        }

    def relevance(self, chunk: Chunk, text: str, sentence: Sentence) -> float:
        """How much of what was asked a sentence is about, from 0 to 1; `text` is the chunk's, as it is read."""
        told = self._documents.get(chunk.document_id, set())
        if not self._weights:
            return 1.0
        if self._share(self._names, told) < _NAMED:
            return 0.0
        near = _near(text, sentence) | (self._names.keys() & told)
        found = sum(
            weight * (1.0 if stem in near else _ELSEWHERE)
            for stem, weight in self._weights.items()
            if stem in near or stem in told
        )
        return found / sum(self._weights.values())

    def answers(self, chunk: Chunk, text: str, sentence: Sentence) -> float:
        """How likely a sentence answers the question, from 0 to 1, as far as words and values tell.

        Stricter than `relevance`: the names count for nothing, and who asks for a value wants one.
        """
        told = self._documents.get(chunk.document_id, set())
        if self._share(self._names, told) < _NAMED or len(sentence.stems) < _FEWEST:
            return 0.0
        if self._wants_value and not sentence.values:
            return 0.0
        named = self._names.keys() & told
        asked = {stem: weight for stem, weight in self._weights.items() if stem not in named}
        return self._share(asked, _near(text, sentence))

    @staticmethod
    def _share(weights: Mapping[str, float], held: AbstractSet[str]) -> float:
        total = sum(weights.values())
        return sum(w for stem, w in weights.items() if stem in held) / total if total else 1.0


def _rarity(holding: int, of: int) -> float:
    return log(1 + (of + 0.5) / (holding + 0.5))


def _near(text: str, sentence: Sentence) -> set[str]:
    """The words of the sentence, and of those right before and after it."""
    found = read(text)
    at = bisect_left(found, sentence.start, key=lambda one: one.start)
    return {stem for one in found[max(0, at - 1) : at + 2] for stem in one.stems}


def _named(chunk: Chunk) -> set[str]:
    """The words of the document's id, source and title."""
    title = chunk.metadata.get("title")
    names = " ".join(
        " ".join(_ID_WORDS.findall(name[:512]))
        for name in (chunk.document_id, chunk.source or "", title if isinstance(title, str) else "")
    )
    return {word.stem for word in _telling(names)}


def _telling(text: str) -> list[Word]:
    return [word for word in words(text) if word.kind != "function"]
