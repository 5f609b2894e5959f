"""What can be asked of a ledger, whatever keeps it.

A store has few primitives (`LedgerStore`); what users ask is answered once, over these, in `ledger.reading` and
`ledger.impact`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from doctrail_core.durable.intake import Store
from doctrail_core.ledger.gone import Gone
from doctrail_core.ledger.keyring import Keyring
from doctrail_core.ledger.rows import EntryRow
from doctrail_core.ledger.tree import Frontier

__all__ = ["LATEST", "ChunkKey", "Found", "LedgerStore", "LedgerWriting", "NameFound"]

ChunkKey = Literal["id_tag", "content_tag", "document", "source", "version"]
"""By what a version of a chunk can be found."""

LATEST = 253_402_300_799_999_999
"""The last microsecond that a date can have."""


class Found(NamedTuple):
    """A response that had a document, as the index has it.

    Attributes:
        seq: The place of its first entry.
        flags: Of the link, see `doctrail_core.ledger.rows`.
        state: What is known of it now.
        body: The bytes of its first entry.
    """

    seq: int
    flags: int
    state: int
    body: bytes


@dataclass(frozen=True, slots=True)
class NameFound:
    """A name as a store has it: sealed, in the open, or erased, when it has nothing of either.

    Attributes:
        owner: Whose key seals it.
    """

    kind: str
    owner: int | None
    sealed: bytes | None


class LedgerStore(Protocol):
    """The primitives. Places (`seq`) count from 0; ranges have their beginning and not their end.

    Each raises `StoreError` where the store does not work.
    """

    def close(self) -> None: ...

    def size(self) -> int:
        """How many entries there are, those that were pruned included."""
        ...

    def frontier(self) -> Frontier:
        """Of the tree over all of them."""
        ...

    def minimum(self) -> int:
        """The place below which entries may have been pruned, a multiple of 256; 0 where none were.

        What is still needed stays below it too: names in use, and what is under a hold.
        """
        ...

    def bodies(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The exact bytes of entries, in order; what was pruned is missing."""
        ...

    def entry_rows(self, start: int, end: int) -> Iterator[EntryRow]:
        """The same, with the response that each is of, and what is known of that now."""
        ...

    def events(self, kind: str, after: int = -1) -> Iterator[tuple[int, bytes]]:
        """Entries that are neither about a response nor bind a name (codes from 32 on), of one kind, in order.

        Args:
            kind: As in `doctrail_core.ledger.entry.KINDS`.
            after: Only those whose place is beyond.
        """
        ...

    def tiles(self, level: int, first: int, last: int) -> Sequence[bytes]:
        """Hashes of full groups of 256**level entries, as far as they are there.

        Those of single entries (level 0) are there of groups of which some were pruned and some were not.
        """
        ...

    def response(self, reference: bytes) -> int | None:
        """The place of a response's first entry."""
        ...

    def history(self, first: int) -> Sequence[tuple[int, bytes]]:
        """All entries about a response, by the place of its first one."""
        ...

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int = -1
    ) -> Iterator[Found]:
        """The responses of a document, by first entries in order of their place, read as they are asked for.

        Args:
            document: The place that binds it.
            begin_us: Of which the first entry is from this time on; 0 at least.
            end_us: And before this time; `LATEST` at most.
            rank: Where it reached this grade or a stronger one.
            after: Only those whose place is beyond.
        """
        ...

    def documents(self, tag: bytes) -> Sequence[int]:
        """The places that a document's id was bound at; more than one where it was erased and came again."""
        ...

    def document_tags(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The documents that are bound at places in a range, each with the tag of its id."""
        ...

    def chunks(self, *, by: ChunkKey, key: bytes | int) -> Sequence[tuple[int, int]]:
        """Chunk versions, with their documents.

        Args:
            by: What the key is of.
            key: The tag, or the place.
        """
        ...

    def content_tags(self, document: int, only: Collection[int] | None) -> Collection[bytes]:
        """Of all versions of all chunks of a document, or only of some of them."""
        ...

    def documents_of(self, chunks: Collection[int]) -> Mapping[int, int]:
        """The documents of chunk versions."""
        ...

    def name(self, seq: int) -> NameFound | None:
        """The name bound at a place: a document's, a chunk's, or another."""
        ...

    def names(self, tag: bytes) -> Sequence[int]:
        """The places that a name was bound at."""
        ...

    def derived_from(self, document: int) -> Sequence[int]:
        """The documents that were made from one."""
        ...

    def has_reuses(self) -> bool:
        """Whether any answer was ever given again."""
        ...

    def reused_from(self, response: int) -> Sequence[int]:
        """The responses that gave the answer of one again."""
        ...

    def mentioning(self, name: int) -> Iterator[int]:
        """The responses of a user or session, by first entries in order of their place."""
        ...

    def state(self, first: int) -> int | None:
        """What is known of a response now, by the place of its first entry."""
        ...

    def flags(self, *, decided: bool | None = None) -> Iterator[tuple[int, int, int, int | None]]:
        """Flags for review: place, response, reason, and the place of the decision, if there is one."""
        ...


class LedgerWriting(Store, Protocol):
    """The writing end of a store. Only the holder of the lease has it open."""

    @property
    def keyring(self) -> Keyring:
        """The keys of names, written here alone."""
        ...

    def take_out(self, gone: Gone, payloads: Sequence[bytes] = ()) -> None:
        """Take out what was pruned, and make entries of records that say so, all or nothing."""
        ...
