"""Which sentence of which chunk is about what was asked: by the question's words, the rarest most telling.

Names count for the whole document: a clause seldom repeats the party that the contract is with.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import log

from doctrail_core.diagnosis.sayings import Sentence, read
from doctrail_core.grounding.embedded.words import Word, words
from doctrail_core.model import Chunk

__all__ = ["ABOUT", "Topic"]

ABOUT = 0.35
"""A sentence with less of the question than this is about something else."""
_NAMED = 0.5
"""A document with less of the question's names than this is about somebody else."""
_ELSEWHERE = 0.3
"""What a word counts that stands in the document, yet not near the sentence."""
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
        near = {stem for one in read(text) if _touch(one, sentence) for stem in one.stems}
        total = sum(self._weights.values())
        found = sum(
            weight
            * (
                1.0
                if stem in near or (stem in self._names and stem in told)
                else _ELSEWHERE * (stem in told)
            )
            for stem, weight in self._weights.items()
        )
        return found / total

    @staticmethod
    def _share(weights: dict[str, float], held: set[str]) -> float:
        total = sum(weights.values())
        return sum(w for stem, w in weights.items() if stem in held) / total if total else 1.0


def _rarity(holding: int, of: int) -> float:
    return log(1 + (of + 0.5) / (holding + 0.5))


def _touch(one: Sentence, sentence: Sentence) -> bool:
    """Whether it is the sentence, or one of those right before and after it."""
    return one.start <= sentence.end + 3 and one.end >= sentence.start - 3


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
