"""What a store puts into its tables in one transaction: entries, and all that finds them.

Only `entries` and what is sealed (`documents`, `chunks`, `names`) hold anything that could not be made anew from the
entries.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from doctrail_core.durable.columns import moment
from doctrail_core.ledger.entry import STATUSES, Entry
from doctrail_core.ledger.tree import Frontier, Tile
from doctrail_core.model import Status

__all__ = [
    "ChunkRow",
    "DocumentRow",
    "EntryRow",
    "LinkRow",
    "LogState",
    "NameRow",
    "Rows",
    "Tables",
    "link_flags",
    "link_rank",
    "links_of",
    "month_of",
    "packed_state",
    "people_of",
    "said_by",
    "state_complete",
    "state_named",
    "state_of",
    "state_status",
]

_RANK, _INDIRECT, _CARRIED = 3, 4, 8
_STATUS, _COMPLETE, _NAMED = 3, 4, 8


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry's bytes, and of which response it is.

    Attributes:
        about: The place of the response's first entry; None if this is it, or if it is about none.
        state: Of the first entry of a response, what is known of that now; see `state_of`.
    """

    seq: int
    about: int | None
    state: int | None
    body: bytes


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document's id: sealed under its own key, and the tag that finds it."""

    seq: int
    tag: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One version of a chunk.

    Attributes:
        tag: Of all that makes the version.
        id_tag: Of the chunk's id.
        content_tag: Of its text's hash: equal for equal texts, whatever document they are in.
        sealed: Its id, under the document's key.
    """

    seq: int
    document: int
    tag: bytes
    id_tag: bytes
    content_tag: bytes | None
    source: int | None
    version: int | None
    sealed: bytes


@dataclass(frozen=True, slots=True)
class NameRow:
    """Another name.

    Attributes:
        owner: Whose key seals it; None where the entry itself tells the name.
    """

    seq: int
    kind: str
    tag: bytes
    owner: int | None
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """That a response (by the place of its first entry) had a document, in the month of that entry."""

    month: int
    document: int
    seq: int
    flags: int


@dataclass(frozen=True, slots=True)
class LogState:
    """How far a log goes.

    Attributes:
        name: What it is called, where that is decided before its first entry.
        first: The bytes of its first entry; None of an empty one.
    """

    frontier: Frontier
    writers: int
    name: str | None = None
    first: bytes | None = None


@dataclass(slots=True)
class Rows:
    """What becomes of a batch of records."""

    entries: list[EntryRow] = field(default_factory=list[EntryRow])
    documents: list[DocumentRow] = field(default_factory=list[DocumentRow])
    chunks: list[ChunkRow] = field(default_factory=list[ChunkRow])
    names: list[NameRow] = field(default_factory=list[NameRow])
    writers: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Number and name."""
    responses: list[tuple[bytes, int]] = field(default_factory=list[tuple[bytes, int]])
    """Reference, and the place of the first entry."""
    states: dict[int, int] = field(default_factory=dict[int, int])
    """Of responses that were there before, by the place of the first entry."""
    links: list[LinkRow] = field(default_factory=list[LinkRow])
    """Added, or in the place of what was there."""
    mentions: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """A user's or session's name, and a response of it; may be there already."""
    derivations: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """A document, and one that it was made from."""
    reuses: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Responses: one, and the earlier one whose answer it gave again."""
    flags: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    """The place of a `flagged` entry, the response, and the place of the entry that is the reason (or -1)."""
    reviews: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """A `reviewed` entry, and the `flagged` entry that it decides."""
    ticks: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """Earliest and latest time of the entries in a block of 1,024."""
    tiles: list[Tile] = field(default_factory=list[Tile])
    frontier: Frontier = field(default_factory=Frontier)


class Tables(Protocol):
    """What sequencing has to know of what is in the store already. Each asks for many at once."""

    def log_state(self) -> LogState: ...

    def documents(self, tags: Collection[bytes]) -> Mapping[bytes, int]:
        """The places of documents whose name is there; one that was erased is not found."""
        ...

    def chunks(self, tags: Collection[bytes]) -> Mapping[bytes, tuple[int, int]]:
        """The places of chunk versions and of their documents; likewise."""
        ...

    def names(self, tags: Collection[bytes]) -> Mapping[bytes, int]:
        """The places of other names; likewise."""
        ...

    def writers(self, names: Collection[str]) -> Mapping[str, int]:
        """Their numbers."""
        ...

    def responses(self, references: Collection[bytes]) -> Mapping[bytes, int]:
        """The places of responses' first entries."""
        ...

    def histories(self, seqs: Collection[int]) -> Mapping[int, Sequence[tuple[int, bytes]]]:
        """Of each response (by its first entry) all entries, places and bytes, in order."""
        ...

    def documents_of(self, chunks: Collection[int]) -> Mapping[int, int]:
        """The places of the documents that chunks belong to."""
        ...

    def derived(self, documents: Collection[int]) -> Collection[tuple[int, int]]:
        """What is on record of which documents these were made from."""
        ...


def month_of(time_us: int) -> int:
    """The month of a time, UTC, as in 202611."""
    when = moment(time_us)
    return when.year * 100 + when.month


def link_flags(rank: int, *, indirect: bool, carried: bool) -> int:
    """A link's flags: the grade's rank, and how the document came into the response."""
    return rank | (_INDIRECT if indirect else 0) | (_CARRIED if carried else 0)


def link_rank(flags: int) -> tuple[int, bool, bool]:
    """Rank, indirect, carried; what `link_flags` was given."""
    return flags & _RANK, bool(flags & _INDIRECT), bool(flags & _CARRIED)


def links_of(history: Iterable[Entry], documents: Mapping[int, int]) -> dict[int, int]:
    """What a response's entries say of its documents: the flags of a link for each.

    Before the model is called nothing but the retrieval is known. What an answered entry says counts instead,
    and later checks may only raise a grade.

    Args:
        history: All entries of the response, in order.
        documents: The document of each chunk.
    """
    entries = [entry for entry in history if entry.kind in ("retrieved", "answered", "assessed")]
    found: dict[int, int] = {}
    for entry in entries:
        if entry.kind == "retrieved":
            for document in {documents[use.chunk]: None for use in entry.chunks}:
                found.setdefault(document, 0)
    for entry in entries:
        if entry.kind == "answered":
            found |= said_by(entry, documents)
    for entry in entries:
        if entry.kind == "assessed":
            for document, flags in said_by(entry, documents).items():
                known = found.get(document, flags)
                found[document] = known & ~_RANK | max(known & _RANK, flags & _RANK)
    return found


def said_by(entry: Entry, documents: Mapping[int, int]) -> dict[int, int]:
    """What one entry says of its documents, likewise."""
    by_document: dict[int, list[tuple[int, bool, bool]]] = {}
    for use in entry.chunks:
        how = (use.rank, use.indirect, use.carried)
        by_document.setdefault(documents[use.chunk], []).append(how)
    found: dict[int, int] = {}
    for document, uses in by_document.items():
        read_directly = any(rank and not indirect for rank, indirect, _ in uses)
        found[document] = link_flags(
            max(rank for rank, _, _ in uses),
            indirect=not read_directly and any(indirect for _, indirect, _ in uses),
            carried=all(carried for _, _, carried in uses),
        )
    return found


def people_of(history: Iterable[Entry]) -> set[int]:
    """The names of the users and sessions that a response's entries mention."""
    named: set[int | None] = set()
    for entry in history:
        named |= {entry.user, entry.session}
        if entry.kind == "access":
            named.add(entry.body.get("principal"))
    return {name for name in named if name}


def state_of(history: Iterable[Entry], *, named: bool) -> int:
    """What is known of a response now: how it ended, and whether it did.

    Args:
        history: All its entries, in order.
        named: Whether its reference stands for a name, not for the UUID that it is.
    """
    status: Status = "interrupted"
    complete = False
    for entry in history:
        if entry.kind == "answered" or (entry.kind == "retrieved" and not complete):
            status = entry.status
        complete = complete or entry.kind == "answered"
    return packed_state(status, complete=complete, named=named)


def packed_state(status: Status, *, complete: bool, named: bool) -> int:
    """How a response ended, whether it did, and whether its reference stands for a name, as one number."""
    return STATUSES.index(status) | (_COMPLETE if complete else 0) | (_NAMED if named else 0)


def state_status(state: int) -> Status:
    return STATUSES[state & _STATUS]


def state_complete(state: int) -> bool:
    return bool(state & _COMPLETE)


def state_named(state: int) -> bool:
    return bool(state & _NAMED)
