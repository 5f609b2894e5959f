"""Which answers are checked, by whom, and how much work that may be."""

from collections.abc import Callable
from dataclasses import dataclass

from doctrail_core.grounding.sampling import Rule, nothing_retrieved
from doctrail_core.grounding.verifier import Verifier, refuse_others
from doctrail_core.model import Assessment

__all__ = ["Grounding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """How answers are checked once they were given, in the background.

    Attributes:
        verifier: Who checks; None means the embedded one, which needs no model.
        sample_rate: The share of all answers that is checked, from 0 to 1.
        always: Rules by which an answer is checked in any case.
        raised_rate: The share while something is wrong: after an answer that was flagged.
        raised_for: How many answers that lasts, from the latest one that was flagged.
        queue_size: So many answers may wait; the next ones are counted, and not checked.
        workers: So many threads check. More than one pays where the verifier waits for a server.
        attempts: How often a check is tried before it has failed.
        backoff: Seconds before the second attempt; twice as many before each further one.
        on_assessment: Called in the worker's thread with every result.
    """

    verifier: Verifier | None = None
    sample_rate: float = 0.05
    always: tuple[Rule, ...] = (nothing_retrieved,)
    raised_rate: float = 0.5
    raised_for: int = 20
    queue_size: int = 1000
    workers: int = 1
    attempts: int = 3
    backoff: float = 1.0
    on_assessment: Callable[[Assessment], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            ValueError: A number is out of its range; the message says which.
            TypeError: The verifier is none; or it, a rule or the callback cannot be hashed: equal settings
                share a queue.
        """
        refuse_others(self.verifier)
        object.__setattr__(self, "always", tuple(self.always))
        hash(self)
        for name in ("sample_rate", "raised_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be from 0 to 1")
        for name in ("queue_size", "workers", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be 1 or more")
        for name in ("raised_for", "backoff"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must not be negative")
