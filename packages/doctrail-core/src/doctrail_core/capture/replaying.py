"""What is different while a recorded question runs again: documents left out, another number of chunks.

It lives in a context variable, which the wrapped retrievers of the adapters look at, so that no
application has to be changed for it.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Replay", "current_replay", "replaying"]

_T = TypeVar("_T")
_SPARE = 100
"""So many more chunks are searched, so that enough are left without those that are left out."""


@dataclass(slots=True)
class Replay:
    """How the searches of a replay differ.

    Attributes:
        without_documents: Documents as if they were not in the corpus.
        k: How many chunks each search returns; None: as many as ever.
        heeded: How many searches kept to it so far.
    """

    without_documents: frozenset[str] = frozenset()
    k: int | None = None
    heeded: int = 0

    def reach(self, k: int | None) -> int | None:
        """How many chunks to search for, where the application asks for `k`."""
        wanted = self.k or k
        return wanted + _SPARE if wanted and self.without_documents else wanted

    def kept(
        self, found: Sequence[_T], document_id: Callable[[_T], str | None], k: int | None
    ) -> list[_T]:
        """What of it the search returns."""
        self.heeded += 1
        left = [one for one in found if document_id(one) not in self.without_documents]
        return left[: self.k or k]


_REPLAY: ContextVar[Replay | None] = ContextVar("doctrail_replay", default=None)


def current_replay() -> Replay | None:
    """What the running code has to keep to, if it is a replay."""
    return _REPLAY.get()


@contextmanager
def replaying(replay: Replay) -> Generator[Replay]:
    """Have the searches in here keep to it."""
    token = _REPLAY.set(replay)
    try:
        yield replay
    finally:
        _REPLAY.reset(token)
