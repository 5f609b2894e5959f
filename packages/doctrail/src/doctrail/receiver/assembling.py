"""Tells when all of a trace has arrived, as far as that can be known.

A sender writes a span when it has ended, so children come before their parents, and nothing says which
span is the last. A trace is taken for complete when every parent that its spans name has come, and then
nothing more for a while. One that lacks a parent waits longer: its answer may still be on its way. Only the
door's own clock counts; what senders' clocks say plays no part.
"""

import heapq
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import count

__all__ = ["Assembling", "Waits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """For how long more of a trace is waited for, in seconds.

    Attributes:
        quiet: After the last span of one that lacks nothing.
        remote: Where only parents in other processes are missing, which may send their spans elsewhere.
        patience: Where a parent is missing that the same process has to send.
        longest: After the first span, whatever comes.
    """

    quiet: float = 10.0
    remote: float = 60.0
    patience: float = 600.0
    longest: float = 3600.0

    def wait(self, missing: Collection[bool]) -> float:
        """After the last span of a trace, given of which kinds its missing parents are."""
        if not missing:
            return self.quiet
        return max(self.quiet, self.patience if False in missing else self.remote)


@dataclass(slots=True)
class _Open:
    """When the first and the last of a trace came, and when it is looked at next.

    `number` says how many came before it: turns of a conversation that come together follow each other.
    """

    number: int
    first: float
    last: float
    look: float


@dataclass(slots=True)
class Assembling:
    """The traces that are not complete, and when to look at each again.

    Attributes:
        missing: Of which kinds a trace's missing parents are; True stands for those of other processes.
    """

    waits: Waits
    missing: Callable[[str], Collection[bool]]
    _open: dict[str, _Open] = field(default_factory=dict[str, _Open])
    _looks: list[tuple[float, int, str]] = field(default_factory=list[tuple[float, int, str]])
    _numbers: Iterator[int] = field(default_factory=count)

    def __len__(self) -> int:
        return len(self._open)

    def arrived(self, trace_id: str, now: float) -> None:
        """Take note that something of a trace came."""
        trace = self._open.setdefault(trace_id, _Open(next(self._numbers), now, now, math.inf))
        trace.last = now
        if now + self.waits.quiet < trace.look:
            self._look(trace_id, trace, now + self.waits.quiet)

    def complete(self, now: float) -> Iterator[str]:
        """The traces for which no more is waited, each once."""
        while self._looks and self._looks[0][0] <= now:
            look, _, trace_id = heapq.heappop(self._looks)
            trace = self._open.get(trace_id)
            if trace is None or trace.look != look:
                continue
            due = self._due(trace_id, trace, now)
            if due > now:
                self._look(trace_id, trace, due)
            else:
                del self._open[trace_id]
                yield trace_id

    def _look(self, trace_id: str, trace: _Open, at: float) -> None:
        trace.look = at
        heapq.heappush(self._looks, (at, trace.number, trace_id))

    def _due(self, trace_id: str, trace: _Open, now: float) -> float:
        """When it is over, as far as that is known now."""
        due = trace.last + self.waits.quiet
        if due <= now:
            due = trace.last + self.waits.wait(self.missing(trace_id))
        return min(due, trace.first + self.waits.longest)
