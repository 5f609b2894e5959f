"""A span as somebody else wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ReceivedEvent", "ReceivedLink", "ReceivedSpan"]


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """Something that happened within a span. `time` is in nanoseconds since the epoch."""

    name: str
    time: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ReceivedLink:
    """Another span that a span names. The ids are 32 and 16 lower-case hex digits."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span.

    Attributes:
        trace_id: 32 lower-case hex digits.
        span_id: 16 lower-case hex digits.
        parent_id: 16 lower-case hex digits; None for the first span of its trace.
        kind: `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
        start: Nanoseconds since the epoch, by the sender's clock.
        end: Likewise.
        attributes: JSON values; nothing about them can be relied on.
        status: `unset`, `ok` or `error`.
        scope: The name of the instrumentation.
        resource: Attributes of whoever sent it, such as `service.name`.
        parent_is_remote: Whether the parent is known to be in another process, which may send its
            spans elsewhere.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start: int
    end: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    events: tuple[ReceivedEvent, ...] = ()
    links: tuple[ReceivedLink, ...] = ()
    status: str = "unset"
    status_message: str = ""
    scope: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict[str, Any])
    parent_is_remote: bool = False
