"""The committed index of documents: which entries of a segment mention a document, and that no others do.

For each full segment of the log, a tree of its documents in the order of their places, each with the digest of the
list of its mentions; the root of that tree is an entry of the log itself. So "these and only these" can be shown of a
segment without the segment, and so can "none". That the tree was made honestly, whoever has the entries can tell:
it follows from them alone.
"""

import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from doctrail_core.ledger.entry import Entry
from doctrail_core.ledger.rows import said_by
from doctrail_core.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    inclusion,
    leaf_hash,
    verify_inclusion,
)

__all__ = [
    "BINDS",
    "SEGMENT",
    "Absence",
    "Postings",
    "Presence",
    "SegmentIndex",
    "bounds",
    "mentions_of",
]

SEGMENT = 65_536
"""So many entries have one index."""
BINDS = 16
"""The flag of a mention by an entry that says what the document, or a chunk of it, is; else a link's flags."""

_LEAF = struct.Struct(">Q32s")
_MENTION = struct.Struct(">QB")


def mentions_of(entry: Entry, documents: Mapping[int, int]) -> Mapping[int, int]:
    """The documents that an entry mentions, and how.

    Args:
        entry: One that is read.
        documents: The document of each chunk that it has.
    """
    if entry.chunks:
        return said_by(entry, documents)
    if entry.kind == "document":
        return {entry.seq: BINDS}
    if entry.kind == "chunk":
        return {entry.body["document"]: BINDS}
    if entry.kind == "derived":
        return dict.fromkeys((entry.body["document"], *entry.body["from"]), BINDS)
    return {}


def bounds(segment: int) -> tuple[int, int]:
    """Where a segment begins and ends."""
    return segment * SEGMENT, (segment + 1) * SEGMENT


@dataclass(frozen=True, slots=True)
class Presence:
    """That the index has a document, at this place, with the digest of its list."""

    place: int
    document: int
    digest: bytes
    hashes: tuple[bytes, ...]

    def holds(self, count: int, root: bytes) -> bool:
        """Whether an index of this root, and so many documents, has it."""
        leaf = leaf_hash(_LEAF.pack(self.document, self.digest))
        return verify_inclusion(self.place, count, leaf, self.hashes, root)

    def to_json(self) -> dict[str, Any]:
        return {
            "place": self.place,
            "document": self.document,
            "digest": self.digest.hex(),
            "hashes": [each.hex() for each in self.hashes],
        }


@dataclass(frozen=True, slots=True)
class Absence:
    """That the index does not have a document: those beside where it would be stand next to each other."""

    document: int
    before: Presence | None
    after: Presence | None

    def holds(self, count: int, root: bytes) -> bool:
        """Whether an index of this root, and so many documents, cannot have it."""
        if not count:
            return root == EMPTY_ROOT
        beside = [each for each in (self.before, self.after) if each is not None]
        first = self.before.place + 1 if self.before else 0
        last = self.after.place if self.after else count
        return (
            first == last
            and all(each.holds(count, root) for each in beside)
            and (self.before is None or self.before.document < self.document)
            and (self.after is None or self.after.document > self.document)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "document": self.document,
            "before": self.before.to_json() if self.before else None,
            "after": self.after.to_json() if self.after else None,
        }


class SegmentIndex:
    """The index of one segment."""

    def __init__(self, postings: Mapping[int, bytes]) -> None:
        self._documents: Sequence[int] = sorted(postings)
        self._digests = [sha256(postings[each]).digest() for each in self._documents]
        self._leaves = [
            leaf_hash(_LEAF.pack(*pair))
            for pair in zip(self._documents, self._digests, strict=True)
        ]
        frontier = Frontier()
        frontier.append_all(self._leaves)
        self.root = frontier.root()

    @property
    def count(self) -> int:
        """How many documents it has."""
        return len(self._documents)

    def find(self, document: int) -> Presence | Absence:
        """The proof that the segment mentions a document, or that it does not."""
        place = bisect_left(self._documents, document)
        at = self._presence(place)
        if at is not None and at.document == document:
            return at
        return Absence(document, self._presence(place - 1), at)

    def _presence(self, place: int) -> Presence | None:
        if not 0 <= place < self.count:
            return None
        hashes = inclusion(place, self.count, self._subtree)
        return Presence(place, self._documents[place], self._digests[place], tuple(hashes))

    @property
    def _subtree(self) -> Callable[[int, int], bytes]:
        def subtree(start: int, end: int) -> bytes:
            frontier = Frontier()
            frontier.append_all(self._leaves[start:end])
            return frontier.root()

        return subtree


class Postings:
    """Gathers who mentions which document, entry by entry."""

    def __init__(self) -> None:
        self._lists: dict[int, bytearray] = {}

    def add(self, seq: int, mentions: Mapping[int, int]) -> None:
        for document, flags in mentions.items():
            self._lists.setdefault(document, bytearray()).extend(_MENTION.pack(seq, flags))

    def mentions(self, document: int) -> list[tuple[int, int]]:
        """The places of the entries that mention it, with how."""
        found = _MENTION.iter_unpack(self._lists.get(document, b""))
        return [(seq, flags) for seq, flags in found]

    def index(self) -> SegmentIndex:
        return SegmentIndex({key: bytes(each) for key, each in self._lists.items()})
