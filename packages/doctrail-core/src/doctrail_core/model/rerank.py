"""A step between search and prompt that scored chunks anew."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """A chunk in an order. An absent score stays None."""

    chunk_id: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Rerank:
    """One call of a reranker: what it was given and what it kept, each best first.

    `by` names it; `model` and `top_k` are None where the host does not tell. `parent_id` names the run right
    around it, of whatever kind; None means the response itself.
    """

    by: str
    given: tuple[RankedChunk, ...]
    kept: tuple[RankedChunk, ...]
    started_at: datetime
    ended_at: datetime
    query: str | None = None
    model: str | None = None
    top_k: int | None = None
    parent_id: str | None = None
