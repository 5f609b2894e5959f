"""A stream that is checked when it ended: what may pass at once, and what comes after it.

Pieces are handed on as they come. Kept back is only what cannot be taken back or added to: a stream whose
answer may be refused, and messages that come whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, cast

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables.utils import AddableDict

from langchain_doctrail.answers import AnswerIn, Mark, answer_within

__all__ = ["CheckedStream", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an answer: it is marked, and followed by a note or replaced by a refusal."""

    answer: AnswerIn
    mark: Mark
    note: str = ""
    refusal: str | None = None

    def whole(self) -> Any:
        """The output that is handed on."""
        if self.refusal is None:
            return self.answer.marked(self.mark, self.note)
        return self.answer.replaced(self.refusal, self.mark)


@dataclass(slots=True)
class CheckedStream:
    """Takes the pieces of one stream."""

    holds_back: bool
    _taken: list[Any] = field(default_factory=list[Any])
    _kept: list[Any] = field(default_factory=list[Any])

    @property
    def whole(self) -> Any:
        """All that has come. Of pieces that cannot be added each is a whole, and the last one counts."""
        if self._taken and all(isinstance(piece, AIMessageChunk) for piece in self._taken):
            return add_ai_message_chunks(
                *self._taken
            )  # at once: one by one costs more than the check
        return reduce(_added, self._taken, None)

    def passes(self, piece: Any) -> bool:
        """Take a piece; whether it is to be handed on now."""
        self._taken.append(piece)
        answer = answer_within(piece)
        if self.holds_back or (answer is not None and not answer.is_piece):
            self._kept.append(piece)
            return False
        return True

    def rest(self, outcome: Outcome | None) -> Iterator[Any]:
        """What is still to be handed on, now that the stream has ended and the answer was checked."""
        if outcome is None:
            yield from self._kept
        elif outcome.refusal is not None or not outcome.answer.is_piece:
            yield outcome.whole()
        else:
            yield from self._kept
            after = outcome.answer.following(outcome.mark, outcome.note)
            if after is not None:
                yield after


def _added(whole: Any, piece: Any) -> Any:
    if isinstance(piece, dict) and not isinstance(piece, AddableDict):
        piece = AddableDict(cast("dict[Any, Any]", piece))
    try:
        return piece if whole is None else whole + piece
    except TypeError:
        return piece
