"""Where a recorder sends what it knows. It sees its sinks through these protocols alone."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from doctrail_core.model import (
    Assessment,
    Context,
    Diagnosis,
    EntryKind,
    Generation,
    Receipt,
    Rerank,
    Retrieval,
    SpanReference,
    SpanStart,
    Step,
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
    """One open span of a stage. Parents are explicit; nothing is attached across callbacks."""

    @property
    def suppressed(self) -> bool:
        """Whether nothing of it is to be seen."""
        ...

    @property
    def settled(self) -> bool:
        """Whether it is known who writes it; whoever asks for its reference has that decided."""
        ...

    @property
    def reference(self) -> SpanReference | None:
        """Which span it is, ours or that of another instrumentation; None where no tracing is set up."""
        ...

    def child(self, start: SpanStart) -> "StageSpan":
        """Open the span of a stage inside this one."""
        ...

    def current(self) -> AbstractContextManager[None]:
        """Be inside this span: those that the code of the block opens are its children."""
        ...

    def context(self, context: Context, trail: Trail) -> None:
        """Write the span of a context assembly inside this one; it is known only afterwards."""
        ...

    def rerank(self, rerank: Rerank, elsewhere: SpanReference | None) -> None:
        """Write the span of a reranker's call inside this one; it is known only afterwards."""
        ...

    def end(
        self,
        stage: Trail | Step | Retrieval | Generation | ToolCall | None,
        *,
        at: int,
        error: str | None = None,
    ) -> None:
        """Write the stage's attributes and end the span.

        Args:
            stage: What it was; None where it is nothing that a trail has.
            at: When it was over, in nanoseconds since the epoch.
            error: Why it failed, where `stage` does not say it.
        """
        ...


class SpanSink(Protocol):
    """Opens spans."""

    def root(self, start: SpanStart) -> StageSpan:
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
