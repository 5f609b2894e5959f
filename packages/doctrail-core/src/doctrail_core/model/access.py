"""Who may read which chunk: what a policy is asked, what it rules, and the record of it.

A record names chunks and labels and never holds a text: of what was denied, nothing else is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

__all__ = [
    "AccessDecision",
    "AccessPolicy",
    "ChunkAccess",
    "LabelledChunk",
    "PolicyConfiguration",
    "Principal",
    "Ruling",
]


@dataclass(frozen=True, slots=True)
class Principal:
    """For whom something is retrieved, in the application's own words.

    Raises:
        TypeError: The roles are one text, whose letters would be taken for roles, or the id is none.
    """

    id: str
    roles: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        given = cast("object", self.id)  # what was typed is not all that comes
        if not isinstance(given, str):
            raise TypeError(f"the id of a principal is a text, not {type(given).__name__}")
        if isinstance(self.roles, str):
            raise TypeError("the roles of a principal are several, as in ('staff',), not one text")


@dataclass(frozen=True, slots=True)
class LabelledChunk:
    """What a policy is shown of a chunk.

    `label` says how the chunk is classified, `label_version` since which revision of that; None where
    the metadata does not say it.
    """

    chunk_id: str
    document_id: str
    label: str | None = None
    label_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Ruling:
    """A policy's word on one chunk.

    Attributes:
        decision_id: By which the engine's own log knows the decision; chunks that were decided together share it.
        policy: Revision or hash of the policy that decided.
    """

    allowed: bool
    decision_id: str
    policy: str


@runtime_checkable
class AccessPolicy(Protocol):
    """Decides which chunks a principal may read.

    One that waits for another service may have a coroutine `adecide` of the same form, which
    asynchronous searches call instead; else they call `decide` in a thread.
    """

    @property
    def engine(self) -> str:
        """What decides, such as `opa`."""
        ...

    def decide(self, principal: Principal, chunks: Sequence[LabelledChunk]) -> Sequence[Ruling]:
        """One ruling for each chunk, in their order. An exception releases nothing."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyConfiguration:
    """A policy as it is in effect: put on record when a process first decides by it.

    `labels` are in order, the least confidential first, where the policy has them in an order.
    """

    engine: str
    policy: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkAccess:
    """Whether a chunk was released, and the label that it had then."""

    chunk_id: str
    document_id: str
    allowed: bool
    label: str | None = None
    label_version: str | None = None


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """One decision on chunks that a search had found.

    Attributes:
        principal: The id of whom it was made for; None where nobody was named.
        point: Where it was enforced: the retriever that was wrapped.
        decision_id: None where nothing was asked, since nothing was found, or nobody answered.
        policy: Revision or hash of the policy that decided; likewise.
        error: Why there was no ruling; then nothing was released.
    """

    engine: str
    principal: str | None
    point: str
    chunks: tuple[ChunkAccess, ...] = ()
    decision_id: str | None = None
    policy: str | None = None
    error: str | None = None

    @property
    def denied(self) -> tuple[ChunkAccess, ...]:
        """The chunks that were not released."""
        return tuple(chunk for chunk in self.chunks if not chunk.allowed)
