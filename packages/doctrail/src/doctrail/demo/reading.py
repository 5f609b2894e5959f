"""What answers the demo's questions where no language model is configured.

The extractive reader picks the sentence of its prompt that shares most rare words with the question. It
understands nothing, invents nothing, and is called what it is wherever its name is shown.
"""

import math
import re
from collections import Counter

__all__ = ["EXTRACTIVE", "SCRIPTED", "extract"]

EXTRACTIVE = "extractive-reader (no language model)"
SCRIPTED = "scripted-reader (wrong on purpose)"

_PROMPT = re.compile(
    r"(?:Context:|-{10,})\n(?P<context>.*?)\n+(?:-{10,}.*?)?(?:Question|Query):\s*(?P<question>[^\n]*)",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"(?<=[a-z)][.;])\s+(?=[A-Z(])|\n+")
_SHORTEST = 25
_NOTHING = "The context does not say."


def extract(prompt: str) -> str:
    """The sentence of the prompt's context that shares most with its question."""
    found = _PROMPT.search(prompt)
    if found is None:
        return _NOTHING
    sentences = [
        s.strip() for s in _SENTENCE_END.split(found["context"]) if len(s.strip()) > _SHORTEST
    ]
    asked = _words(found["question"])
    rarity = _rarity(sentences)
    overlap = [sum(rarity[word] for word in asked & _words(s)) for s in sentences]
    best = max(overlap, default=0)
    return sentences[overlap.index(best)] if best else _NOTHING


def _words(text: str) -> set[str]:
    return {w.removesuffix("s") for w in re.findall(r"\w+", text.lower())}


def _rarity(sentences: list[str]) -> dict[str, float]:
    seen = Counter(word for s in sentences for word in _words(s))
    return {word: math.log((1 + len(sentences)) / count) for word, count in seen.items()}
