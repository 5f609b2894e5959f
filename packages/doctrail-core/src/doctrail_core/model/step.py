"""A run that encloses others."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Step:
    """An agent, a node of a graph, or an engine that another one uses; the response itself is none.

    `parent_id` names the run right around it, of whatever kind; None means the response itself.
    `input_hash` is keyed like a query's.
    """

    step_id: str
    name: str
    started_at: datetime
    ended_at: datetime
    parent_id: str | None = None
    input: str | None = None
    input_hash: str | None = None
    output: str | None = None
    error: str | None = None
