"""The open calls of models, and what their streams have brought so far.

A call is known by its id's number: LangChain lets go of the id of a run that can tell nothing any more,
and that is seen only while nobody else keeps it alive.
"""

from dataclasses import dataclass, field
from uuid import UUID

__all__ = ["Calls", "OpenCalls"]


@dataclass(frozen=True, slots=True)
class _Call:
    run_id: str
    among: "Calls"
    pieces: list[object] = field(default_factory=list[object])

    def text(self) -> str:
        """What was heard so far; a piece that is no text is a chunk that knows its text."""
        return "".join(p if isinstance(p, str) else getattr(p, "text", "") for p in self.pieces)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one response that are open, and what those that are over said."""

    open: dict[int | str, _Call] = field(default_factory=dict[int | str, _Call])
    said: list[str] = field(default_factory=list[str])

    def left_open(self) -> dict[str, str]:
        """What the open ones have said so far, by run; those that said nothing are not in it."""
        told = {call.run_id: call.text() for call in list(self.open.values())}
        return {run_id: text for run_id, text in told.items() if text}


class OpenCalls:
    """The calls that are open, in whatever response."""

    def __init__(self) -> None:
        self._calls: dict[int | str, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def started(self, run_id: UUID, among: Calls) -> None:
        """A model was called."""
        number = _number(run_id)
        self._calls[number] = among.open[number] = _Call(str(run_id), among)

    def heard(self, run_id: UUID, piece: object) -> None:
        """A stream brought a piece; called for every token, so nothing more happens here."""
        if call := self._calls.get(_number(run_id)):
            call.pieces.append(piece)

    def ended(self, run_id: UUID | str, said: str | None = None) -> str:
        """A call is over, having said this; returns what its stream had brought."""
        number = _number(run_id)
        call = self._calls.pop(number, None)
        if call is None:
            return ""
        call.among.open.pop(number, None)
        if said:
            call.among.said.append(said)
        return call.text()

    def forget(self, calls: Calls) -> None:
        """The response that has these calls is over."""
        for number in list(calls.open):
            self._calls.pop(number, None)


def _number(run_id: UUID | str) -> int | str:
    """The id without keeping it alive; users may choose a text for an id."""
    return run_id if isinstance(run_id, str) else run_id.int
