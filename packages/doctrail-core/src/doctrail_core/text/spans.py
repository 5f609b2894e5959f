"""Stretches `[start, end)` of a sequence: what they leave over, and to whom each place belongs."""

from collections.abc import Iterable, Iterator

__all__ = ["Ownership", "Span", "merged", "unexplained"]

Span = tuple[int, int]


def unexplained(length: int, spans: Iterable[Span]) -> list[Span]:
    """What of `[0, length)` the spans leave over."""
    gaps: list[Span] = []
    done = 0
    for start, end in sorted(spans):
        if done < start:
            gaps.append((done, start))
        done = max(done, end)
    return [*gaps, (done, length)] if done < length else gaps


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that touch made one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


class Ownership:
    """Which places of a sequence were given away; each is given once."""

    def __init__(self, length: int) -> None:
        self._taken = bytearray(length)
        self.spans: list[Span] = []

    def take(self, spans: Iterable[Span]) -> None:
        for start, end in spans:
            self._taken[start:end] = b"\1" * (end - start)
            self.spans.append((start, end))

    def free(self, spans: Iterable[Span]) -> list[Span]:
        """The parts of the spans that were not given away."""
        return [part for span in spans for part in self._free_within(*span)]

    def _free_within(self, start: int, end: int) -> Iterator[Span]:
        while (start := self._taken.find(0, start, end)) >= 0:
            stop = self._taken.find(1, start, end)
            yield start, stop if stop >= 0 else end
            if stop < 0:
                return
            start = stop
