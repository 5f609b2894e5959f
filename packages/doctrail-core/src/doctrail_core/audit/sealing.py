"""Commits the index of each segment that is full: its root becomes an entry of the log."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from doctrail_core.audit import segments
from doctrail_core.audit.segments import Postings, mentions_of
from doctrail_core.ledger.entry import EntryError, decode

if TYPE_CHECKING:
    from doctrail_core.audit.folder import AuditFolder
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["committed", "postings_of", "seal"]

_AT_ONCE = 4096


def seal(
    folder: "AuditFolder", log: "LedgerReader", note: Callable[[str, dict[str, Any]], object]
) -> int:
    """Note the index of each full segment that has none; returns how many segments have been dealt with.

    Of a segment with pruned entries none can be made any more. Whoever calls has the folder's lease, and has what was
    noted moved into the log before the next time.
    """
    full = log.size() // segments.SEGMENT
    done = folder.sealed
    if done is None:
        done = 1 + max(committed(log), default=-1)
    for segment in range(done, full):
        postings = postings_of(log, segment)
        if postings is not None:
            index = postings.index()
            start, end = segments.bounds(segment)
            said = {"start": start, "end": end, "documents": index.count, "root": index.root.hex()}
            note("index", said)
    return max(done, full)


def committed(log: "LedgerReader") -> dict[int, int]:
    """The segments that have an index, with the entry that commits it."""
    found: dict[int, int] = {}
    for entry in log.events("index"):
        found.setdefault(entry.body["start"] // segments.SEGMENT, entry.seq)
    return found


def postings_of(log: "LedgerReader", segment: int) -> Postings | None:
    """Who mentions which document in a segment; None where entries of it were pruned, or cannot be read."""
    postings, read = Postings(), 0
    bodies = log.bodies(*segments.bounds(segment))
    try:
        for batch in _batches(bodies):
            entries = [decode(body, seq) for seq, body in batch]
            chunks = {use.chunk for entry in entries for use in entry.chunks}
            documents = log.store.documents_of(chunks)
            for entry in entries:
                postings.add(entry.seq, mentions_of(entry, documents))
            read += len(entries)
    except (EntryError, LookupError):
        return None
    return postings if read == segments.SEGMENT else None


def _batches(bodies: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    while batch := list(islice(bodies, _AT_ONCE)):
        yield batch
