"""What each application answered in each hour, counted from the ledger alone.

A response belongs to the hour in which it was first on record, whenever it was complete, so that an hour that
is over changes only when somebody checks an answer of it, or a process was late.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from doctrail_core.durable.columns import grade_of_rank, microseconds, moment
from doctrail_core.ledger.entry import Entry, decode, header
from doctrail_core.model import Grade, Status

if TYPE_CHECKING:
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["HOUR", "Hour", "full_hours", "hours"]

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Hour:
    """One hour of one application.

    Attributes:
        service: The application's name, where it has one.
        begin: When the hour begins, UTC.
        statuses: How many responses ended how.
        documents: Per document, by the place that binds it: how many responses had it, by the grade it reached.
    """

    service: str | None
    begin: datetime
    statuses: Counter[Status] = field(default_factory=Counter[Status])
    documents: dict[int, Counter[Grade]] = field(default_factory=dict[int, Counter[Grade]])

    @property
    def responses(self) -> int:
        return self.statuses.total()


def full_hours(since: datetime | None, until: datetime) -> tuple[int, int]:
    """The hours that lie wholly in a time, as microseconds from and to; an hour that still runs does not."""
    length = HOUR // timedelta(microseconds=1)
    begin = 0 if since is None else -(-microseconds(since) // length) * length
    return begin, microseconds(until) // length * length


def hours(ledger: "LedgerReader", begin_us: int, end_us: int) -> list[Hour]:
    """The hours of each application in which it answered anything, in the order of time."""
    found: dict[tuple[int | None, int], Hour] = {}
    length = HOUR // timedelta(microseconds=1)
    for entry in _answered(ledger, begin_us, end_us):
        key = (entry.service, entry.time_us // length)
        if key not in found:
            begin = moment(key[1] * length)
            found[key] = Hour(ledger.name_of(entry.service), begin)
        found[key].statuses[entry.status] += 1
        _count(found[key], entry, ledger)
    return sorted(found.values(), key=lambda hour: (hour.begin, hour.service or ""))


def _answered(ledger: "LedgerReader", begin_us: int, end_us: int) -> Iterable[Entry]:
    for seq, body in ledger.bodies():
        known = header(body)
        if known.kind == "answered" and begin_us <= known.time_us < end_us:
            yield decode(body, seq)


def _count(hour: Hour, entry: Entry, ledger: "LedgerReader") -> None:
    documents = ledger.store.documents_of({use.chunk for use in entry.chunks})
    ranks: dict[int, int] = {}
    for use in entry.chunks:
        document = documents[use.chunk]
        ranks[document] = max(use.rank, ranks.get(document, 0))
    for document, rank in ranks.items():
        hour.documents.setdefault(document, Counter())[grade_of_rank(rank)] += 1
