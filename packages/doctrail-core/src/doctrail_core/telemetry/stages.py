"""What a span is written of: a stage of a trail, and the attributes that each family makes of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol, TypeVar, cast

from opentelemetry.util.types import AttributeValue
from pydantic_core import PydanticSerializationError, to_json

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
from doctrail_core.text.identity import clean_text
from doctrail_core.text.snapshot import json_value

__all__ = [
    "MOST_DOCUMENTS",
    "MOST_MESSAGES",
    "Assembly",
    "Attributes",
    "Family",
    "Stage",
    "Written",
    "as_json",
    "error_type",
    "finite",
    "latest",
    "present",
    "was_stopped",
    "writable",
]

MOST_DOCUMENTS = 16
MOST_MESSAGES = 16
"""So many have attributes of their own, which backends show; all of them are in one JSON attribute. A span
has 128 attributes at most, and drops the oldest."""

_SEVERAL = 2
_LARGEST = 2**63 - 1  # what protobuf holds

Attributes = dict[str, AttributeValue]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Assembly:
    """How one prompt was put together.

    Attributes:
        offered: The chunks that were found, each with the score it was found with, in that order.
        arrived: Those that the model read, in the order of the prompt.
    """

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

    `bulk` is for flattened lists. `core` is written after it, so that a limit on attributes never costs it.
    """

    bulk: dict[str, Any] = field(default_factory=dict[str, Any])
    core: dict[str, Any] = field(default_factory=dict[str, Any])

    def attributes(self) -> Attributes:
        """All that have a value."""
        return writable(self.bulk | self.core)


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


def writable(values: Mapping[str, Any]) -> Attributes:
    """What is there, in a form that every exporter can encode: one that cannot loses a whole batch of spans."""
    fit: Attributes = {}
    for name, value in values.items():
        if type(value) is str and value.isascii():  # as most are
            fit[name] = value
        elif value is not None and (found := _fit(value)) is not None:
            fit[name] = found
    return fit


def _fit(value: object) -> AttributeValue | None:
    if isinstance(value, list | tuple):
        items = [
            fit for each in cast("Sequence[object]", value) if (fit := _scalar(each)) is not None
        ]
        alike = len(set(map(type, items))) < _SEVERAL
        return cast("AttributeValue", items if alike else list(map(str, items)))
    return _scalar(value)


def _scalar(value: object) -> str | float | None:
    if type(value) is str:
        return value if value.isascii() else clean_text(value)
    if type(value) is bool or (type(value) is int and -_LARGEST <= value <= _LARGEST):
        return value
    if type(value) is float:
        return finite(value)
    if isinstance(value, str):
        return clean_text(str.__str__(value))
    copied: Any = json_value(value)
    return copied if copied is None or isinstance(copied, str | float | int) else as_json(copied)


def finite(number: float | None) -> float | None:
    """The number, if it is one."""
    return number if number is not None and isfinite(number) else None


def as_json(value: object) -> str | None:
    """The value as JSON text."""
    if value is None:
        return None
    try:
        return to_json(value, inf_nan_mode="null").decode()
    except PydanticSerializationError:  # a lone surrogate
        return clean_text(
            json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr)
        )


def latest(messages: Sequence[_Item]) -> Iterable[_Item]:
    """The first message, which instructs, and the last ones; all of them where they are few."""
    if len(messages) <= MOST_MESSAGES:
        return messages
    return [messages[0], *messages[1 - MOST_MESSAGES :]]


_NEVER_ENDED = "never ended"
_STOPPED = (_NEVER_ENDED, "CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit")
_OTHER = "_OTHER"  # as the conventions have it


def error_type(error: str) -> str:
    """The kind of an error as a trail tells it, `ValueError: and why`; no text that it may be instead."""
    kind = error.partition(":")[0]
    named = kind == _NEVER_ENDED or all(part.isidentifier() for part in kind.split("."))
    return kind if named else _OTHER


def was_stopped(error: str) -> bool:
    """Whether nothing went wrong: the caller stopped it, or it was left open."""
    return error.partition(":")[0] in _STOPPED
