"""What checks cost, and how much they may take within an hour."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.grounding.verifier import Findings
from doctrail_core.model import Usage

__all__ = ["Budget", "Hold", "Price", "charged", "together"]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Price:
    """Money per million tokens, in whatever currency."""

    input: float
    output: float

    def cost(self, usage: Usage | None) -> float | None:
        """What the tokens cost; None where the provider did not tell how many there were."""
        if usage is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        return (usage.input_tokens * self.input + usage.output_tokens * self.output) / 1e6


@dataclass(slots=True, eq=False)
class Hold:
    """A call that a budget allowed: when, and how many tokens it is taken to need."""

    at: float
    tokens: int


class Budget:
    """So many calls and tokens within any hour; None is no limit. Thread-safe; judges may share one.

    A call is let through if its prompt, by estimate, still fits; what it really took counts afterwards.
    """

    def __init__(
        self,
        *,
        calls_per_hour: int | None = None,
        tokens_per_hour: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the limits.

        Args:
            calls_per_hour: How many calls.
            tokens_per_hour: How many tokens, of prompts and replies together.
            clock: Tells seconds; for tests.
        """
        self._calls = calls_per_hour
        self._tokens = tokens_per_hour
        self._clock = clock
        self._spent: deque[Hold] = deque()
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Take a lock that nobody holds; what the parent spent still counts."""
        self._lock = Lock()

    def allow(self, tokens: int) -> Hold | None:
        """Count a call of about so many tokens; None if it has to wait."""
        with self._lock:
            now = self._clock()
            while self._spent and self._spent[0].at <= now - _HOUR:
                self._spent.popleft()
            if not self._fits(tokens):
                return None
            hold = Hold(now, tokens)
            self._spent.append(hold)
            return hold

    def settle(self, hold: Hold, usage: Usage | None) -> None:
        """Count what the call really took, where that is known."""
        taken = _total(usage)
        if taken is not None:
            with self._lock:
                hold.tokens = taken

    def _fits(self, tokens: int) -> bool:
        if self._calls is not None and len(self._spent) >= self._calls:
            return False
        if self._tokens is None:
            return True
        return sum(hold.tokens for hold in self._spent) + tokens <= self._tokens


def _total(usage: Usage | None) -> int | None:
    if usage is None:
        return None
    if usage.total_tokens is not None:
        return usage.total_tokens
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


def together(first: Usage | None, second: Usage | None) -> Usage | None:
    """The tokens of both; a count that one of them lacks is not known of both, either."""
    if first is None or second is None:
        return first or second
    return Usage(
        _sum(first.input_tokens, second.input_tokens),
        _sum(first.output_tokens, second.output_tokens),
        _sum(first.total_tokens, second.total_tokens),
    )


def charged(found: Findings, usage: Usage | None, cost: float | None) -> Findings:
    """The findings with what else they took."""
    both = found.cost if cost is None else cost + (found.cost or 0.0)
    return replace(found, usage=together(found.usage, usage), cost=both)


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second
