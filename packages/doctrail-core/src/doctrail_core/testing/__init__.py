"""For the tests of applications and adapters: lineage in memory, with a clock that ticks evenly."""

from doctrail_core.testing.capture import CapturedLineage, TickingClock, capture_trails

__all__ = ["CapturedLineage", "TickingClock", "capture_trails"]
