"""What a span is written of: a stage of a trail, and the attributes that each family makes of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from opentelemetry.util.types import AttributeValue
from pydantic_core import to_json

from doctrail_core.model import (
    Arrival,
    Context,
    Generation,
    RankedChunk,
    Rerank,
    Retrieval,
    SpanStart,
    Step,
    ToolCall,
    Trail,
)
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import Evaluation

__all__ = [
    "MOST_DOCUMENTS",
    "MOST_MESSAGES",
    "Assembly",
    "Attributes",
    "Family",
    "Stage",
    "Written",
    "as_json",
    "latest",
    "present",
]

MOST_DOCUMENTS = 16
MOST_MESSAGES = 16
"""So many have attributes of their own, which backends show; all of them are in one JSON attribute. A span
has 128 attributes at most, and drops the oldest."""

Attributes = dict[str, AttributeValue]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Assembly:
    """How one prompt was put together.

    Attributes:
        offered: The chunks that were found, each with the score it was found with, in that order.
        arrived: Those that the model read, in the order of the prompt.
    """

    response_id: str
    context: Context
    offered: tuple[RankedChunk, ...]
    arrived: tuple[RankedChunk, ...]

    @classmethod
    def of(cls, context: Context, trail: Trail) -> "Assembly":
        """The assembly of one of a trail's prompts."""
        scores: dict[str, float | None] = {
            hit.chunk.chunk_id: hit.score for r in trail.retrievals for hit in r.hits
        }
        read = sorted((a for a in context.arrivals if a.state != "absent"), key=_place)
        return cls(
            trail.response_id,
            context,
            tuple(RankedChunk(a.chunk_id, scores.get(a.chunk_id)) for a in context.arrivals),
            tuple(RankedChunk(a.chunk_id) for a in read),
        )


def _place(arrival: Arrival) -> tuple[bool, int]:
    return arrival.order is None, arrival.order or 0


Stage = Trail | Step | Retrieval | Rerank | Assembly | Generation | ToolCall | Evaluation


@dataclass(slots=True)
class Written:
    """The attributes of a span while they are gathered.

    `core` is written after `bulk`, so that a limit on attributes never costs it.
    """

    bulk: dict[str, Any] = field(default_factory=dict[str, Any])
    core: dict[str, Any] = field(default_factory=dict[str, Any])

    def attributes(self) -> Attributes:
        """All that have a value."""
        return present(self.bulk) | present(self.core)


class Family(Protocol):
    """Whose attributes they are."""

    def __call__(self, stage: Stage, start: SpanStart, shown: Shown, into: Written) -> None:
        """Write the stage's attributes.

        Args:
            stage: What the span is of.
            start: As what it was begun.
            shown: Which texts may be written.
            into: Where to.
        """
        ...


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is there; absent values are never written as something else."""
    return {name: value for name, value in values.items() if value is not None}


def as_json(value: object) -> str | None:
    """The value as JSON text."""
    return None if value is None else to_json(value).decode()


def latest(messages: Sequence[_Item]) -> Iterable[_Item]:
    """The first message, which instructs, and the last ones; all of them where they are few."""
    if len(messages) <= MOST_MESSAGES:
        return messages
    return [messages[0], *messages[1 - MOST_MESSAGES :]]
