"""Segments of an archive, as they are listed."""

from collections.abc import Mapping
from dataclasses import dataclass

from doctrail_core.archive.verifying import SegmentState
from doctrail_core.durable.columns import moment

__all__ = ["Segment", "listed"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is listed."""

    segment: int
    state: str
    begins: str | None = None
    ends: str | None = None
    entries: int = 0
    links: int = 0
    bytes: int = 0
    arrived: bool | None = None
    damage: str | None = None


def listed(state: SegmentState, arrived: Mapping[int, bool] | None) -> Segment:
    """A segment as a list has it, and whether it has arrived, where that was asked."""
    manifest = state.manifest
    if manifest is None:
        return Segment(state.segment, state.state, damage=state.damage)
    return Segment(
        segment=state.segment,
        state=state.state,
        begins=moment(manifest.since_us).isoformat(),
        ends=moment(manifest.until_us).isoformat(),
        entries=manifest.parts["entries"].rows,
        links=manifest.parts["links"].rows,
        bytes=sum(part.size for part in manifest.parts.values()),
        arrived=None if arrived is None else arrived[state.segment],
        damage=state.damage,
    )
