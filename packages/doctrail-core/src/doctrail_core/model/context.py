"""What one LLM call read: which retrieved chunks arrived in its prompt, and where."""

from dataclasses import dataclass
from typing import Literal

ArrivalState = Literal["full", "partial", "absent", "ambiguous"]
"""`ambiguous`: the text is there, but it cannot be told which of several equal chunks it came from."""

AbsenceReason = Literal["deduplicated", "filtered", "truncated", "not observed"]
"""Why a chunk is missing, or partly missing. `not observed` is all that can be said by looking."""


@dataclass(frozen=True, slots=True)
class PromptSpan:
    """Characters `[start, end)` of message number `message` (from 0) of the prompt."""

    message: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """How one retrieved chunk arrived in one prompt.

    `coverage` is the share (0 to 1) of the chunk's text found; `share` the share of the prompt's
    characters that it takes; `order` its place (from 0) among the chunks that arrived.
    """

    chunk_id: str
    document_id: str
    state: ArrivalState
    coverage: float
    share: float = 0.0
    order: int | None = None
    spans: tuple[PromptSpan, ...] = ()
    reason: AbsenceReason | None = None
    reason_detail: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What one generation read. Lengths are in characters; assistant turns are not counted."""

    generation_id: str
    arrivals: tuple[Arrival, ...]
    prompt_length: int
    unexplained_length: int
    unexplained: tuple[PromptSpan, ...] = ()
