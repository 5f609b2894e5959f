"""Asking an index instead of the ledger's own links: the index answers for what it has, the ledger for the rest.

The answer is the ledger's own, to the last entry: an index knows of responses what sealed segments say, and where the
log has said more of them since, the ledger is asked.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from heapq import merge
from itertools import islice, takewhile
from operator import attrgetter
from typing import NamedTuple, Protocol, cast

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.contents import Link, links_since
from doctrail_core.archive.manifest import SEGMENT
from doctrail_core.ledger.rows import link_flags, packed_state
from doctrail_core.ledger.store import LATEST, Found, LedgerStore
from doctrail_core.model import Status

__all__ = ["PAGE", "Hit", "Index", "found_in", "indexed"]

PAGE = 10_000
"""So many hits are asked for at once."""


class Index(Protocol):
    """What is filled with segments and can be asked. Each method raises `ArchiveError` where it does not work."""

    def segments(self) -> Collection[int]:
        """The numbers of those that it has as a whole."""
        ...

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int, segments: range
    ) -> Iterator[Found]:
        """As `LedgerStore.with_document`, of responses that began in these segments, as known at their end."""
        ...

    def close(self) -> None: ...


class Hit(NamedTuple):
    """A link as an index tells it; see `doctrail_core.archive.contents.Link`."""

    seq: int
    rank: int
    indirect: bool
    carried: bool
    status: Status
    complete: bool
    named: bool


def found_in(
    hits: Iterable[Hit], bodies: Callable[[Sequence[int]], Mapping[int, bytes]]
) -> Iterator[Found]:
    """Hits with the entries that they begin with, which are asked for a page at a time."""
    waiting = iter(hits)
    while page := list(islice(waiting, PAGE)):
        found = bodies([hit.seq for hit in page])
        for hit in page:
            if hit.seq not in found:
                raise ArchiveError(f"the index has a link to entry {hit.seq:,}, and not the entry")
            yield _found(hit, found[hit.seq])


def indexed(store: LedgerStore, index: Index, width: int = SEGMENT) -> LedgerStore:
    """A store that asks an index for the responses of a document, and for all else the store itself."""
    return cast("LedgerStore", _IndexedStore(store, index, width))


class _IndexedStore:
    def __init__(self, store: LedgerStore, index: Index, width: int) -> None:
        self._store = store
        self._index = index
        self._segments = _run(index.segments())
        self._start = self._segments.start * width
        self._end = self._segments.stop * width

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def close(self) -> None:
        self._index.close()
        self._store.close()

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int = -1
    ) -> Iterator[Found]:
        asked = (document, begin_us, end_us, rank)
        if after < self._start - 1:
            before = self._store.with_document(*asked, after)
            yield from takewhile(lambda found: found.seq < self._start, before)
        sealed = self._index.with_document(*asked, max(after, self._start - 1), self._segments)
        as_sealed = (found for found in sealed if found.seq not in self._changed)
        changed = (f for f in self._changed_with(document, begin_us, end_us, rank) if f.seq > after)
        yield from merge(as_sealed, changed, key=attrgetter("seq"))
        yield from self._store.with_document(*asked, max(after, self._end - 1))

    def _changed_with(
        self, document: int, begin_us: int, end_us: int, rank: int
    ) -> Iterator[Found]:
        for first, links in self._changed.items():
            for link in links:
                meant = link.document == document and link.rank >= rank
                if meant and begin_us <= link.time_us < end_us:
                    hit = Hit(first, *link[4:7], cast("Status", link.status), *link[8:])
                    yield _found(hit, self._store.history(first)[0][1])

    @cached_property
    def _changed(self) -> Mapping[int, Sequence[Link]]:
        """The responses that the index has, and of which the log has said more since; in order."""
        rows = self._store.entry_rows(self._end, LATEST)
        later = [row for row in rows if row.about is not None and row.about < self._end]
        found: dict[int, list[Link]] = {}
        for link in links_since(self._store, later):
            if link.seq >= self._start:
                found.setdefault(link.seq, []).append(link)
        return dict(sorted(found.items()))


def _found(hit: Hit, body: bytes) -> Found:
    state = packed_state(hit.status, complete=hit.complete, named=hit.named)
    flags = link_flags(hit.rank, indirect=hit.indirect, carried=hit.carried)
    return Found(hit.seq, flags, state, body)


def _run(segments: Collection[int]) -> range:
    """The first of them, and those that follow it without a gap; later ones cannot be told from changed ones."""
    if not segments:
        return range(0)
    first = end = min(segments)
    while end in segments:
        end += 1
    return range(first, end)
