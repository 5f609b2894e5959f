"""Where in a response something was answered, and what is known of that part of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctrail_core import Lineage, Trail

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A run of a response.

    Attributes:
        is_answer: Whether what it answers is the answer of the response.
    """

    lineage: "Lineage"
    response_id: str
    run_id: str
    is_answer: bool

    def trail(self) -> "Trail | None":
        """What happened inside of the run, as far as it is known."""
        from doctrail_core.model.part import part

        lineage = self.lineage
        whole = (
            lineage.so_far(self.run_id)
            or lineage.so_far(self.response_id)
            or lineage.get(self.response_id)
        )
        return part(whole, self.run_id) if whole else None
