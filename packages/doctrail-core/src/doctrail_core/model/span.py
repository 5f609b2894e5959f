"""Where a span is, and what it is of."""

from dataclasses import dataclass
from typing import Any, Literal

StageKind = Literal["request", "step", "agent", "retrieval", "generation", "tool"]
"""The stages that a person would look for; each gets a span. An `agent` is a request or a step that chooses
by itself what to do next."""


@dataclass(frozen=True, slots=True)
class SpanReference:
    """A span, by 32 and 16 lower-case hex digits, and whether its trace is sampled."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def of(cls, context: Any) -> "SpanReference | None":
        """That of an OpenTelemetry span context, whoever made it; None where it is not valid."""
        if not context.is_valid:
            return None
        return cls(
            f"{context.trace_id:032x}", f"{context.span_id:016x}", bool(context.trace_flags & 1)
        )


@dataclass(frozen=True, slots=True)
class SpanStart:
    """What is known of a stage when it begins.

    Attributes:
        at: Nanoseconds since the epoch.
        elsewhere: The span that somebody else has written for it.
    """

    kind: StageKind
    name: str
    run_id: str
    at: int
    elsewhere: SpanReference | None = None
    session_id: str | None = None
    user_id: str | None = None
    response_id: str | None = None
