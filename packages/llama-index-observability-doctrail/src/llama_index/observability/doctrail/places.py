"""Where in a response something was answered."""

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
        """The whole response, as far as it is known."""
        return (
            self.lineage.so_far(self.run_id)
            or self.lineage.so_far(self.response_id)
            or self.lineage.get(self.response_id)
        )
