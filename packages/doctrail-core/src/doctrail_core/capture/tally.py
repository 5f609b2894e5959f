"""How many runs began, and what became of them.

Invariant: whatever began is still open, is in exactly one trail, or was dropped for one reason. To be
dropped is no fault: most applications run things that concern nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

__all__ = ["Counts", "Dropped", "Tally"]

Dropped = Literal[
    "suppressed", "told twice", "no search and no model call", "could not be recorded"
]
"""`told twice`: another handler told of the same run. `no search and no model call`: in the whole
response, so that there is nothing to say of it. `could not be recorded`: by an error of ours, which
is among the faults."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The runs of this process so far: how many began, are in a trail, or were dropped and why."""

    started: int
    recorded: int
    dropped: Mapping[Dropped, int]

    @property
    def open(self) -> int:
        """How many are part of a response that has not ended."""
        return self.started - self.recorded - sum(self.dropped.values())


def _none() -> dict[Dropped, int]:
    return dict.fromkeys(get_args(Dropped), 0)


@dataclass(slots=True, eq=False)
class Counts:
    """A tally while it is kept; whoever changes it holds the recorder's lock."""

    started: int = 0
    recorded: int = 0
    dropped: dict[Dropped, int] = field(default_factory=_none)

    def tally(self) -> Tally:
        """What it comes to now; needs no lock."""
        known = self.dropped.copy()
        return Tally(self.started, self.recorded, {why: n for why, n in known.items() if n})
