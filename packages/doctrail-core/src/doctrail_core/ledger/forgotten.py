"""Names that a store is to forget, in one transaction.

Tags of documents, chunks and other names stay, so that whoever presents an id is still answered. What could be
used to try texts, without the name, goes: the tag of a text, that of a version of a chunk, which has the text's
hash in it, and that of an id that was made from the text.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from doctrail_core.ledger.keyring import Keyring

__all__ = ["Forgotten", "LedgerEditor"]


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


@runtime_checkable
class LedgerEditor(Protocol):
    """A ledger as the holder of its lease sees it, who erases."""

    @property
    def keyring(self) -> Keyring: ...

    def cursors(self) -> Mapping[str, int]:
        """Up to where each spool file was read."""
        ...

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        """Make entries of records; see `doctrail_core.durable.intake.Store`."""
        ...

    def forget(self, forgotten: Forgotten) -> None:
        """Forget names; entries stay as they are. What was forgotten is bound anew when it comes again."""
        ...

    def scrub(self, *, whole: bool = True) -> None:
        """Leave no copy of what was forgotten in logs beside the store, and if `whole`, in the store's own pages."""
        ...
