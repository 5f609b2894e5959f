"""What can be asked, after the fact, whether the corpus has what an answer should have said."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, cast

from doctrail_core.capture.events import RetrievedChunk

__all__ = ["Probe", "searchers"]

_T = TypeVar("_T")
_DEEPEST = 8
"""So many retrievers may be wrapped around each other."""


class Probe(Protocol):
    """A live retriever or store. The adapters make one of a retriever: `probing.retriever_probe`."""

    def search(self, query: str, k: int, *, filtered: bool) -> Sequence[RetrievedChunk]:
        """Search anew, leaving no lineage.

        Args:
            query: What to ask.
            k: How many chunks to return, where that can be chosen.
            filtered: With the retriever's own filters; else without them, where they can be lifted.

        Returns:
            Chunks, best first.
        """
        ...


def searchers(retriever: _T, kind: type[_T], *, depth: int = _DEEPEST) -> Iterator[_T]:
    """The retrievers that search something themselves, where others are wrapped around them, fuse or rerank.

    Args:
        retriever: The outermost one.
        kind: The class of its framework's retrievers.
        depth: So many may be wrapped around each other.
    """
    within = [each for each in _held(retriever) if isinstance(each, kind)] if depth else []
    if not within:
        yield retriever
    for one in within:
        yield from searchers(one, kind, depth=depth - 1)


def _held(retriever: object) -> Iterator[Any]:
    for value in list(vars(retriever).values()):
        if isinstance(value, dict):
            yield from cast("dict[Any, Any]", value).values()
        else:
            yield from cast("Iterable[Any]", value) if isinstance(value, list | tuple) else (value,)
