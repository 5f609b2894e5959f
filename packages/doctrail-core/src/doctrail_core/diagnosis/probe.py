"""What can be asked, after the fact, whether the corpus has what an answer should have said."""

from collections.abc import Sequence
from typing import Protocol

from doctrail_core.capture.events import RetrievedChunk

__all__ = ["Probe"]


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
