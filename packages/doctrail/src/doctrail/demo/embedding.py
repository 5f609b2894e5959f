"""An embedding that needs no download: words hashed into a fixed number of places, weighted TF-IDF.

It finds chunks that share rare words with the question, nothing more; it knows no synonyms.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from langchain_core.embeddings import Embeddings

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HashedTfidfEmbeddings", "words"]

_PLACES = 4096


def words(text: str) -> list[str]:
    """The words of a text, lower case, without a plural s."""
    return [w.removesuffix("s") for w in re.findall(r"\w+", text.lower())]


class HashedTfidfEmbeddings(Embeddings):
    """Unit vectors of hashed words, weighted by how rare a word is in the texts it was fitted to."""

    def __init__(self, corpus: Sequence[str]) -> None:
        seen = Counter(place for text in corpus for place in {_place(w) for w in words(text)})
        self._weights = np.full(_PLACES, math.log(1 + len(corpus)))
        for place, count in seen.items():
            self._weights[place] = math.log((1 + len(corpus)) / (1 + count))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector: NDArray[np.float64] = np.zeros(_PLACES)
        for place, count in Counter(map(_place, words(text))).items():
            vector[place] = (1 + math.log(count)) * self._weights[place]
        length = float(np.linalg.norm(vector))
        return (vector / length if length else vector).tolist()


def _place(word: str) -> int:
    return zlib.crc32(word.encode()) % _PLACES
