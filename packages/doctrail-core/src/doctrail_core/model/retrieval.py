"""One query to one retriever, and what it returned."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from doctrail_core.model.access import AccessDecision
from doctrail_core.model.chunk import Chunk

ScoreKind = Literal["similarity", "distance", "relevance", "rerank", "fused", "unknown"]
"""What a score means: for `distance` smaller is better, for all others larger is."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk at a rank (0 is best). An absent score stays None; it is never invented."""

    chunk: Chunk
    rank: int
    score: float | None = None
    score_kind: ScoreKind = "unknown"


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One query to one retriever.

    `enclosing_id` names the retrieval that this one ran inside of (a sub-query, an ensemble member);
    None means that the application itself got these hits. `parent_id` names the run right around it, of
    whatever kind; None means the response itself. `k`, `filters`, `search_type` and `store`
    are None where the host does not tell. `access` are the decisions on what was found; what they denied is
    in no hit.
    """

    retrieval_id: str
    retriever: str
    query: str | None
    query_hash: str
    hits: tuple[Hit, ...]
    started_at: datetime
    ended_at: datetime
    enclosing_id: str | None = None
    k: int | None = None
    filters: Any = None
    search_type: str | None = None
    store: str | None = None
    tool_call_id: str | None = None
    error: str | None = None
    parent_id: str | None = None
    access: tuple[AccessDecision, ...] = ()
