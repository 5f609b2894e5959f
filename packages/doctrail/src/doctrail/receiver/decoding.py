"""What a request of OTLP/HTTP holds: spans, and those that are none.

One bad span costs the others nothing. Nothing is believed: ids must be ids, numbers numbers; values nest
only so deep; a body that is not what it says it is raises `MalformedRequestError`, and nothing else does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from doctrail.receiver.span import ReceivedSpan

__all__ = [
    "KINDS",
    "OF_A_REQUEST",
    "STATUSES",
    "UNBOUNDED",
    "Bounds",
    "Decoded",
    "Form",
    "MalformedRequestError",
    "MalformedSpanError",
    "decode",
    "is_remote",
    "span_id",
    "trace_id",
]

Form = Literal["protobuf", "json"]

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
"""By their numbers in the protocol."""

_PARENT_IS_REMOTE = 0x300
"""Two of a span's flags: that it is known where the parent is, and that it is in another process."""


class MalformedRequestError(ValueError):
    """A body is not what it says it is."""


class MalformedSpanError(ValueError):
    """A span among others makes no sense."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may become of a few bytes, which can be made to say much.

    Attributes:
        spans: So many there may be.
        parts: So many groups, attributes, events, links and lists, all in all; two bytes can be one.
        repeated: So many bytes of what is said once for a group and kept with each of its spans.
    """

    spans: float = math.inf
    parts: float = math.inf
    repeated: float = math.inf


UNBOUNDED = Bounds()
OF_A_REQUEST = Bounds(spans=100_000, parts=1_000_000, repeated=64 << 20)


@dataclass(slots=True)
class Decoded:
    """What a request held.

    Attributes:
        rejected: How many spans were none.
        reason: What was wrong with the first of those.
    """

    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])
    rejected: int = 0
    reason: str = ""
    bounds: Bounds = UNBOUNDED
    _parts: int = 0
    _repeated: int = 0

    def count(self, parts: int) -> None:
        """Take note that there are so many more, before anything is made of them.

        Raises:
            MalformedRequestError: There are more than there may be.
        """
        self._parts += parts
        if self._parts > self.bounds.parts:
            raise MalformedRequestError(
                f"a request may have at most {self.bounds.parts:,} attributes and events"
            )

    def add(self, make: Callable[[], ReceivedSpan], repeated: int = 0) -> None:
        """Take a span, or count it if it is none.

        Args:
            make: What reads it.
            repeated: The size of what it has in common with others, and is kept with each.

        Raises:
            MalformedRequestError: It is one too many.
        """
        if len(self.spans) + self.rejected >= self.bounds.spans:
            raise MalformedRequestError(f"a request may have at most {self.bounds.spans:,} spans")
        self._repeated += repeated
        if self._repeated > self.bounds.repeated:
            raise MalformedRequestError(
                "the attributes of a resource are too large for the number of its spans"
            )
        try:
            self.spans.append(make())
        except MalformedSpanError as error:
            self.join(Decoded(rejected=1, reason=str(error)))

    def join(self, other: "Decoded") -> None:
        """Take what another one held, too."""
        self.spans += other.spans
        self.rejected += other.rejected
        self.reason = self.reason or other.reason


def decode(body: bytes, form: Form) -> Decoded:
    """The spans of a request.

    Raises:
        MalformedRequestError: It is none.
        ModuleNotFoundError: What reads protobuf is not installed.
    """
    if form == "json":
        from doctrail.receiver.otlp_json import decode_json

        return decode_json(body)
    from doctrail.receiver.otlp_protobuf import decode_protobuf

    return decode_protobuf(body)


def trace_id(digits: str) -> str:
    """The id, if it is that of a trace.

    Raises:
        MalformedSpanError: It is not.
    """
    return _id(digits, 32, "trace")


def span_id(digits: str) -> str:
    """The id, if it is that of a span.

    Raises:
        MalformedSpanError: It is not.
    """
    return _id(digits, 16, "span")


def is_remote(flags: int) -> bool:
    """Whether a span's parent is known to be in another process."""
    return flags & _PARENT_IS_REMOTE == _PARENT_IS_REMOTE


def _id(digits: str, length: int, of: str) -> str:
    if len(digits) != length or not digits.strip("0"):
        raise MalformedSpanError(f"a {of} id must be {length // 2} bytes that are not all zero")
    return digits
