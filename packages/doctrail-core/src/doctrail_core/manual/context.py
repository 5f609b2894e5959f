"""A step between search and prompt, told by hand: what it kept, and so what it dropped."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from doctrail_core.capture.events import ContextSelected, Event
from doctrail_core.capture.scope import current_scope
from doctrail_core.manual.block import Block
from doctrail_core.manual.chunks import ChunkLike, chunk_id
from doctrail_core.model import AbsenceReason

if TYPE_CHECKING:
    from doctrail_core.composition import Lineage

__all__ = ["Selecting", "context"]


class Selecting(Block):
    """A choice while it is made: tell it what was `kept`."""

    encloses = False

    def __init__(self, by: str | None, reason: AbsenceReason, lineage: "Lineage | None") -> None:
        """See `context`."""
        super().__init__(lineage)
        self._by = by
        self._reason: AbsenceReason = reason
        self._kept: tuple[str, ...] | None = None

    def kept(self, chunks: Iterable[ChunkLike]) -> None:
        """Say which of the chunks found so far are meant to reach the model; said again, these as well.

        Args:
            chunks: The chunks as they were told when found, or their ids.
        """
        self._learn(self._keep, chunks)

    def _keep(self, chunks: Iterable[ChunkLike]) -> None:
        self._kept = (*(self._kept or ()), *map(chunk_id, chunks))

    def _called(self, name: str, arguments: Mapping[str, Any]) -> None:  # noqa: ARG002  # a hook
        self._by = self._by or name

    def _returned(self, result: Any) -> None:
        self._keep(result)

    def _yielded(self, piece: Any) -> None:
        self._keep([piece])

    def _started(self, run_id: str) -> Iterable[Event]:  # noqa: ARG002  # a choice is no run
        self._kept = None
        return ()

    def _ended(self, run_id: str) -> Iterable[Event]:  # noqa: ARG002  # likewise
        scope = current_scope()
        if scope is not None and self._kept is not None:
            by = self._by or "context assembly"
            yield ContextSelected(scope.run_id, self._kept, by, self._reason)

    def _failed(self, run_id: str, error: BaseException) -> Iterable[Event]:  # noqa: ARG002  # likewise
        return ()


def context(
    by: str | None = None,
    *,
    reason: AbsenceReason = "filtered",
    lineage: "Lineage | None" = None,
) -> Selecting:
    """Record which chunks a step keeps.

    As a block: `with context("dedup") as step: step.kept(chunks)`. Or decorate the function that does it.

    What reached the model is seen in its prompt, with or without this; this says who dropped the rest.
    Outside of any response it says nothing, because nothing was found before.

    Args:
        by: The step; default the name of the decorated function, which returns what it kept.
        reason: Why it drops: `filtered`, `deduplicated` or `truncated`.
        lineage: Where to record; default the enclosing scope's.
    """
    return Selecting(by, reason, lineage)
