"""What a request of OTLP/HTTP holds: spans, and those that are none.

One bad span costs the others nothing. Nothing is believed: ids must be ids, numbers numbers; values nest
only so deep; a body that is not what it says it is raises `MalformedRequestError`, and nothing else does.
"""

import math
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from doctrail.receiver.span import ReceivedSpan

__all__ = [
    "KINDS",
    "MOST",
    "STATUSES",
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

MOST = 100_000
"""So many spans a request may have."""
_Parts = TypeVar("_Parts", bound=Sized)

_PARENT_IS_REMOTE = 0x300
"""Two of a span's flags: that it is known where the parent is, and that it is in another process."""


class MalformedRequestError(ValueError):
    """A body is not what it says it is."""


class MalformedSpanError(ValueError):
    """A span among others makes no sense."""


@dataclass(slots=True)
class Decoded:
    """What a request held.

    Attributes:
        rejected: How many spans were none.
        reason: What was wrong with the first of those.
        most: So many there may be, and so many other parts of each kind.
    """

    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])
    rejected: int = 0
    reason: str = ""
    most: float = math.inf

    def bounded(self, parts: _Parts) -> _Parts:
        """The parts of a request, if a request may have so many; a few bytes can be one.

        Raises:
            MalformedRequestError: There are more.
        """
        if len(parts) > self.most:
            raise MalformedRequestError(f"a request may have at most {self.most:,} spans")
        return parts

    def add(self, make: Callable[[], ReceivedSpan]) -> None:
        """Take a span, or count it if it is none."""
        self.bounded(range(len(self.spans) + self.rejected + 1))
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
