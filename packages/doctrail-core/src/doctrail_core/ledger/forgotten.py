"""Names that a store is to forget, in one transaction.

Tags of documents, chunks and other names stay, so that whoever presents an id is still answered. What could be
used to try texts, without the name, goes: the tag of a text, that of a version of a chunk, which has the text's
hash in it, and that of an id that was made from the text.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Forgetting", "Forgotten"]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What to forget, by places.

    Attributes:
        documents: Their ids, and those of all their chunks.
        derived_chunks: Chunks of these whose ids were made from their texts.
        names: Of users, sessions, sources, responses.
    """

    documents: Collection[int] = ()
    derived_chunks: Collection[int] = ()
    names: Collection[int] = ()


class Forgetting(Protocol):
    """A ledger as the holder of its lease sees it, who erases."""

    def forget(self, forgotten: Forgotten) -> None:
        """Forget names; entries stay as they are. What was forgotten is bound anew when it comes again."""
        ...
