"""What every store is filled with, and embeddings of which everybody can see that they are fakes."""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

SIZE = 64
QUESTION = "When is the renewal deadline of the enterprise contracts?"
ANSWER = "The deadline is February 28th."


@dataclass(frozen=True)
class Page:
    """One chunk. Its id is a UUID, since Qdrant takes no other words for a name."""

    chunk_id: str
    document_id: str
    topic: str
    text: str


def _page(number: int, document_id: str, topic: str, text: str) -> Page:
    return Page(f"00000000-0000-4000-8000-{number:012}", document_id, topic, text)


PAGES = (
    _page(1, "doc_travel", "travel", "Travel by train is booked through the portal a week ahead."),
    _page(2, "doc_terms", "contracts", "The renewal deadline of enterprise contracts is February."),
    _page(3, "doc_support", "support", "Support answers within four hours on working days."),
    _page(4, "doc_terms", "contracts", "Contracts end on written notice, ninety days in advance."),
    _page(5, "doc_refund", "contracts", "What was paid for the contracts is paid back in part."),
)
TOPIC = "contracts"


def embed(text: str) -> list[float]:
    """Count the words in 64 places; not normalised, so that every metric tells its own numbers."""
    counts = Counter(zlib.crc32(word.encode()) % SIZE for word in re.findall(r"\w+", text.lower()))
    return [float(counts[place]) for place in range(SIZE)]


Metric = Callable[[list[float], list[float]], float]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: list[float], b: list[float]) -> float:
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def squared_l2(a: list[float], b: list[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def l2(a: list[float], b: list[float]) -> float:
    return math.sqrt(squared_l2(a, b))


def l1(a: list[float], b: list[float]) -> float:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))


def one_minus_dot(a: list[float], b: list[float]) -> float:
    return 1 - dot(a, b)


def one_minus_cosine(a: list[float], b: list[float]) -> float:
    return 1 - cosine(a, b)


def nearness(distance: Metric) -> Metric:
    """What some of LlamaIndex's integrations make of a distance."""

    def near(a: list[float], b: list[float]) -> float:
        return math.exp(-distance(a, b))

    near.__name__ = f"exp(-({distance.__name__}))"
    return near


def written(metric: Metric) -> str:
    """The metric in words."""
    return metric.__name__.replace("one_minus_", "1 - ").replace("_", " ")


def page_of(text: str) -> Page:
    (page,) = [page for page in PAGES if page.text == text]
    return page


def measured(metric: Metric, text: str) -> float:
    """What the metric says between the question and the text, worked out here."""
    return metric(embed(QUESTION), embed(text))
