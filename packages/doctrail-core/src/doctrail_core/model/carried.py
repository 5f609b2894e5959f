"""What a response owes to earlier turns of its session."""

from dataclasses import dataclass
from typing import Literal

from doctrail_core.model.chunk import Chunk

Involvement = Literal["direct", "indirect"]
"""`direct`: the text was before the model that answered. `indirect`: it reached the answer through a
sub-agent, a tool or an earlier turn."""

CarriedBy = Literal["artifact", "text", "answer", "tool"]
"""How it got here: as text of the prompt that the host kept the chunk with (`artifact`), as text that was
recognised, or only through what an earlier turn answered or a tool returned then."""


@dataclass(frozen=True, slots=True)
class CarriedChunk:
    """A chunk that an earlier turn retrieved and that this response still builds on.

    `response_id` and `turn` (from 1) name the response that retrieved it; both are None where the
    host carried it along and no earlier turn is on record. `through` names the response whose answer
    or tool brought it, where that is how it got here.
    """

    chunk: Chunk
    carried_by: CarriedBy
    response_id: str | None = None
    turn: int | None = None
    through: str | None = None
