"""An id that an answer itself names as its source."""

from dataclasses import dataclass
from typing import Literal

CitationState = Literal["ok", "not_in_context", "unknown_id", "misattributed", "quote_not_verbatim"]
"""`not_in_context`: it was retrieved, and did not arrive in the prompt. `unknown_id`: nothing of that name
was retrieved. `misattributed`: another chunk supports what the cited one does not."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Characters `[start, end)` of the answer name a source.

    Attributes:
        cited: The name, as the answer has it.
        state: Whether it holds.
        chunk_ids: The chunks that it means; all of a document's where no chunk is named.
        claim_start, claim_end: The characters of the answer that it is given for.
        better: The chunk that supports what a misattributed citation is given for.
    """

    start: int
    end: int
    cited: str
    state: CitationState
    chunk_ids: tuple[str, ...] = ()
    claim_start: int | None = None
    claim_end: int | None = None
    better: str | None = None
