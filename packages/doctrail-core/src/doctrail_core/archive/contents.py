"""What a segment holds: a run of entries, and what they make known of responses and their documents.

It follows from the entries up to the segment's end alone, so that to seal it again makes the same. Where a later
segment has more to say about a response, it has newer links for all of its documents; the newest ones count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from doctrail_core.archive import ArchiveError
from doctrail_core.ledger.entry import Entry, decode, header, kind_of
from doctrail_core.ledger.rows import (
    EntryRow,
    link_rank,
    links_of,
    month_of,
    state_complete,
    state_named,
    state_of,
    state_status,
)

if TYPE_CHECKING:
    from doctrail_core.ledger.store import LedgerStore

__all__ = ["Contents", "Link", "contents", "links_since"]

_ABOUT_DOCUMENTS = frozenset({"retrieved", "answered", "assessed"})
_AT_ONCE = 10_000


class Link(NamedTuple):
    """That a response had a document, as far as a segment and those before it know.

    Attributes:
        month: As in 202611, of the response's first entry.
        document: The place that binds it.
        seq: The place of the response's first entry.
        time_us: Of that entry.
        rank: Of the grade that it reached, 0 (retrieved) to 3 (cited).
        indirect: It reached the answer through a sub-agent, a tool or an earlier turn alone.
        carried: An earlier turn brought it.
        status: Of the response.
        complete: Its answer is on record.
        named: Its reference stands for a name, not for a UUID.
    """

    month: int
    document: int
    seq: int
    time_us: int
    rank: int
    indirect: bool
    carried: bool
    status: str
    complete: bool
    named: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """All of one segment.

    Attributes:
        rows: Its entries, in order.
        links: In the order of month, document, response.
        documents: Those that are bound in it, with the tags of their ids.
    """

    rows: Sequence[EntryRow]
    links: Sequence[Link]
    documents: Sequence[tuple[int, bytes]]


def contents(store: "LedgerStore", start: int, end: int) -> Contents:
    """What the segment from one place to another holds.

    Raises:
        ArchiveError: Entries in it were pruned.
        StoreError: The ledger does not work.
    """
    rows = list(store.entry_rows(start, end))
    if len(rows) != end - start:
        raise ArchiveError(
            f"{end - start - len(rows):,} of the entries {start:,} to {end - 1:,} were pruned before they were"
            " sealed: nothing can be made of the others. Seal before pruning."
        )
    links = sorted(links_since(store, rows))
    return Contents(rows, links, list(store.document_tags(start, end)))


def links_since(store: "LedgerStore", rows: Sequence[EntryRow]) -> Iterator[Link]:
    """The links of every response that these entries, which follow each other, say something of."""
    responses = _responses(store, rows)
    entries = (entry for response in responses.values() for entry in response.entries)
    documents = _documents(store, {use.chunk for entry in entries for use in entry.chunks})
    for first, response in responses.items():
        state = state_of(response.entries, named=response.named)
        known = (state_status(state), state_complete(state), response.named)
        month = month_of(response.time_us)
        for document, flags in links_of(response.entries, documents).items():
            how = link_rank(flags)
            yield Link(month, document, first, response.time_us, *how, *known)


@dataclass(frozen=True, slots=True)
class _Response:
    """A response, and all that was said of its documents."""

    time_us: int
    named: bool
    entries: list[Entry]


def _responses(store: "LedgerStore", rows: Sequence[EntryRow]) -> Mapping[int, _Response]:
    """By the place of the first entry, as known after these entries."""
    found: dict[int, _Response] = {}
    for row in rows:
        if kind_of(row.body) in _ABOUT_DOCUMENTS:
            first = row.seq if row.about is None else row.about
            if first not in found:
                found[first] = _before(store, rows, first)
            found[first].entries.append(decode(row.body, row.seq))
    return found


def _before(store: "LedgerStore", rows: Sequence[EntryRow], first: int) -> _Response:
    """A response as known before these entries."""
    start = rows[0].seq
    if first >= start:
        row = rows[first - start]
        return _Response(header(row.body).time_us, state_named(row.state or 0), [])
    history = store.history(first)
    if not history or history[0][0] != first:
        raise ArchiveError(
            f"entry {first:,}, with which a response begins, was pruned before what followed was sealed"
        )
    said = [(seq, body) for seq, body in history if seq < start]
    entries = [decode(body, seq) for seq, body in said if kind_of(body) in _ABOUT_DOCUMENTS]
    named = state_named(store.state(first) or 0)
    return _Response(header(history[0][1]).time_us, named, entries)


def _documents(store: "LedgerStore", chunks: set[int]) -> Mapping[int, int]:
    """The documents of chunks, asked for many at once."""
    waiting = sorted(chunks)
    found: dict[int, int] = {}
    for start in range(0, len(waiting), _AT_ONCE):
        found.update(store.documents_of(waiting[start : start + _AT_ONCE]))
    return found
