"""Where a recorder sends what it knows. It sees its sinks through these protocols alone."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from doctrail_core.model import (
    Assessment,
    Context,
    Diagnosis,
    EntryKind,
    Generation,
    Receipt,
    Retrieval,
    StageKind,
    ToolCall,
    Trail,
)


class LedgerSink(Protocol):
    """Takes the content-free facts of a response; returns once they are as safe as was asked for."""

    @property
    def origin(self) -> str | None:
        """The name of the log; None where its checkpoints are not signed."""
        ...

    def append(self, kind: EntryKind, trail: Trail) -> Receipt:
        """Put the response on record, as far as it is known, or what was said about it last.

        Raises:
            OSError: It could not be written.
        """
        ...

    def note(self, event: str, body: Mapping[str, Any], *, response_id: str | None = None) -> None:
        """Put an event on record, about a response or about none.

        Raises:
            OSError: It could not be written.
        """
        ...


class TrailSink(Protocol):
    """Takes finished trails, texts included."""

    def append(self, trail: Trail) -> None:
        """Keep the trail.

        Raises:
            OSError: It could not be written.
        """
        ...

    def append_assessment(self, assessment: Assessment) -> None:
        """Keep what a verifier found about a response.

        Raises:
            OSError: It could not be written.
        """
        ...

    def append_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Keep whose fault a response was.

        Raises:
            OSError: It could not be written.
        """
        ...


class Checks(Protocol):
    """Takes finished answers to check them, without delaying anybody."""

    def offer(self, trail: Trail, *, wanted: bool | None) -> None:
        """Take the trail, texts included, if it is to be checked. Never raises, never waits.

        Args:
            trail: The response.
            wanted: What the request itself says: check it, or do not; None leaves it to the sampling.
        """
        ...


class HistorySource(Protocol):
    """Knows the earlier turns of a session, of whichever process."""

    def session(
        self, session_id: str, *, limit: int, known: Collection[str], unmoved: bool
    ) -> Sequence[Trail]:
        """The latest trails of a session, oldest first, but for those that are known.

        Args:
            session_id: The session.
            limit: Of so many at most.
            known: The response ids of those to leave out.
            unmoved: Also those that were recorded moments ago and are not in the store yet.

        Raises:
            Exception: They cannot be read.
        """
        ...

    def heard_in(self, message_id: str) -> str | None:
        """The first response that a model gave this message in, of whichever process.

        Raises:
            Exception: It cannot be looked up.
        """
        ...


class StageSpan(Protocol):
    """One open span of a stage. Parents are explicit; nothing is attached to the ambient context."""

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, or None where no tracing is set up."""
        ...

    @property
    def span_id(self) -> str | None:
        """16 hex digits, or None where no tracing is set up."""
        ...

    def child(self, kind: StageKind, name: str, *, at: int) -> "StageSpan":
        """Open the span of a stage inside this one."""
        ...

    def context(self, context: Context, trail: Trail) -> None:
        """Write the span of a context assembly inside this one; it is known only afterwards."""
        ...

    def end(
        self,
        stage: Trail | Retrieval | Generation | ToolCall | None,
        *,
        at: int,
        error: BaseException | None = None,
    ) -> None:
        """Write the stage's attributes and end the span at `at` (ns since the epoch)."""
        ...


class SpanSink(Protocol):
    """Opens spans."""

    def root(self, kind: StageKind, name: str, *, at: int) -> StageSpan:
        """Open the first span of a response, under the ambient span, if any."""
        ...

    def assessed(self, trail: Trail, assessment: Assessment) -> None:
        """Write the span of a check, linked to the generation whose output was checked."""
        ...


class FaultSink(Protocol):
    """Counts what went wrong without the user noticing."""

    def note(self, where: str, error: BaseException) -> None:
        """Log the first of its kind, count all. Never raises."""
        ...

    def count(self, what: str, number: int = 1, /) -> None:
        """Count something dropped. Never raises."""
        ...
