"""What the sequencer remembers of the store, so that it asks once for many and not again for the same."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from doctrail_core.ledger.rows import Tables

__all__ = ["Known"]

_REMEMBERED = 50_000

_K = TypeVar("_K")
_V = TypeVar("_V")


class Known:
    """Places of names by their tags, as far as they were asked for or bound since."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.documents: dict[bytes, int] = {}
        self.chunks: dict[bytes, tuple[int, int]] = {}
        self.names: dict[bytes, int] = {}
        self.writers: dict[str, int] = {}
        self.document_of: dict[int, int] = {}
        self.derived: dict[int, set[int]] = {}

    def learn(
        self,
        documents: Collection[bytes],
        chunks: Collection[bytes],
        names: Collection[bytes],
        writers: Collection[str],
    ) -> None:
        """Ask the store for all that a batch names."""
        for memory in (self.documents, self.chunks, self.names, self.writers, self.document_of):
            if len(memory) > _REMEMBERED:
                memory.clear()
        _learn(self.documents, documents, self._tables.documents)
        _learn(self.chunks, chunks, self._tables.chunks)
        _learn(self.names, names, self._tables.names)
        _learn(self.writers, writers, self._tables.writers)
        self.document_of.update(self.chunks.values())

    def learn_documents_of(self, chunks: Collection[int]) -> None:
        """Ask for the documents of these chunks."""
        _learn(self.document_of, chunks, self._tables.documents_of)

    def derivations_of(self, document: int) -> set[int]:
        """The documents that one was made from."""
        if document not in self.derived:
            if len(self.derived) > _REMEMBERED:
                self.derived.clear()
            self.derived[document] = {source for _, source in self._tables.derived([document])}
        return self.derived[document]


def _learn(
    memory: dict[_K, _V], wanted: Collection[_K], ask: Callable[[Collection[_K]], Mapping[_K, _V]]
) -> None:
    missing = [key for key in dict.fromkeys(wanted) if key not in memory]
    if missing:
        memory.update(ask(missing))
