"""Where received spans lie until their answer is on record.

Invariants: when `put` returns, the spans survive a kill and a power cut; a span that comes twice is one
span, the one that ended later (some senders tell of a span that is still under way), also when it comes again
after its trace was recorded; `forget` leaves no text behind.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from doctrail.receiver.span import ReceivedEvent, ReceivedLink, ReceivedSpan
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.opening import Schema, explained, open_writer

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ROOM", "Inbox", "InboxFullError", "Taken"]

_SCHEMA = Schema(
    name="inbox",
    application_id=0x44544942,
    steps=(
        """
        CREATE TABLE span (
            arrival INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
            parent_id TEXT, parent_is_remote INTEGER NOT NULL, ended INTEGER NOT NULL,
            size INTEGER NOT NULL, body TEXT NOT NULL,
            UNIQUE (trace_id, span_id)
        );
        CREATE TABLE recorded (
            trace_id TEXT PRIMARY KEY, at REAL NOT NULL, span_ids BLOB NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX recorded_at ON recorded (at);
        """,
    ),
)
_REMEMBERED = 24 * 3600.0
"""For so many seconds a span that comes again is known to be on record."""
ROOM = 1 << 30
"""So many bytes wait at most."""
_LARGEST_TRACE = 64 << 20
_LATEST = (1 << 63) - 1
"""What a column can hold."""
_ID = 8
_PLAIN = tuple(f.name for f in fields(ReceivedSpan) if f.name not in ("events", "links"))


class InboxFullError(Exception):
    """So much waits to be recorded that no more is taken."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What waits of a trace.

    Attributes:
        known: The spans of the trace that are on record already.
        is_all: Whether nothing else of it waits.
    """

    spans: tuple[ReceivedSpan, ...]
    known: frozenset[str]
    is_all: bool = True


class Inbox:
    """Spans in a file of their own; safe to use from several threads of one process.

    Args:
        path: The file; its folder exists.
        room: So many bytes may wait; None for any number.
    """

    def __init__(self, path: Path, *, room: int | None = ROOM) -> None:
        self._path = path
        self._room = room
        self._lock = threading.Lock()
        self._connection = open_writer(path, _SCHEMA)
        with self._at_work() as asked:
            (size,) = asked("SELECT coalesce(sum(size), 0) FROM span").fetchone()
            self._size: int = size
        if not size:
            # Else the file stays as large as the largest backlog was; on a full disk it does.
            with suppress(StoreError), self._at_work() as asked:
                asked("VACUUM")

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return self._size

    def check_room(self) -> None:
        """Refuse more while there is no room for it.

        Raises:
            InboxFullError: There is none.
        """
        if self._room is not None and self._size >= self._room:
            raise InboxFullError(f"{self._size:,} bytes wait to be recorded")

    def traces(self) -> list[str]:
        """The traces of which something waits, those that came first before the others."""
        with self._at_work() as asked:
            rows = asked("SELECT trace_id FROM span GROUP BY trace_id ORDER BY min(arrival)")
            return [trace_id for (trace_id,) in rows.fetchall()]

    def put(self, spans: Iterable[ReceivedSpan]) -> list[str]:
        """Keep the spans; they are safe when it returns.

        Returns:
            The traces that there is something new of, in the order in which they came.

        Raises:
            StoreError: They cannot be kept; then none of them is.
            InboxFullError: There is no room for more.
        """
        self.check_room()
        rows = [_row(span) for span in spans]
        grown = Counter[str]()
        with self._changing() as asked:
            known = self._recorded(asked, {row.trace_id for row in rows})
            for row in rows:
                if row.span_id in known.get(row.trace_id, ()):
                    continue
                if (by := _keep(asked, row)) is not None:
                    grown[row.trace_id] += by
        self._size += grown.total()
        return list(grown)

    def missing(self, trace_id: str) -> set[bool]:
        """Of which kinds are the parents that did not come: True stands for those of other processes."""
        with self._at_work() as asked:
            rows = asked(_PARENTS, (trace_id,)).fetchall()
            known = self._recorded(asked, {trace_id}).get(trace_id, frozenset())
        return {bool(remote) for parent_id, remote in rows if parent_id not in known}

    def take(self, trace_id: str) -> Taken:
        """What waits of a trace, or the first of it, where it is large beyond measure. It stays."""
        with self._at_work() as asked:
            rows = asked("SELECT body FROM span WHERE trace_id = ? ORDER BY arrival", (trace_id,))
            spans, is_all = _bounded(body for (body,) in rows)
            known = self._recorded(asked, {trace_id}).get(trace_id, frozenset())
        return Taken(spans, known, is_all)

    def forget(self, trace_id: str, span_ids: Sequence[str]) -> None:
        """Delete spans of a trace, which are on record; they are known when they come again."""
        at = time.time()
        with self._changing() as asked:
            before = self._waiting(asked, trace_id)
            keys = [(trace_id, span_id) for span_id in span_ids]
            for key in keys:
                asked("DELETE FROM span WHERE trace_id = ? AND span_id = ?", key)
            freed = before - self._waiting(asked, trace_id)
            known = self._recorded(asked, {trace_id}).get(trace_id, frozenset()) | {*span_ids}
            packed = b"".join(bytes.fromhex(span_id) for span_id in sorted(known))
            asked("INSERT OR REPLACE INTO recorded VALUES (?, ?, ?)", (trace_id, at, packed))
            asked("DELETE FROM recorded WHERE at < ?", (at - _REMEMBERED,))
        self._size -= freed

    def tidy(self) -> None:
        """Leave nothing of what was forgotten in the log beside the file."""
        with self._at_work() as asked:
            asked("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        with self._lock, explained(self._path, _SCHEMA):
            self._connection.close()

    def _waiting(self, asked: Any, trace_id: str) -> int:
        question = "SELECT coalesce(sum(size), 0) FROM span WHERE trace_id = ?"
        return asked(question, (trace_id,)).fetchone()[0]

    def _recorded(self, asked: Any, traces: set[str]) -> dict[str, frozenset[str]]:
        """The spans on record, by trace."""
        question = "SELECT span_ids FROM recorded WHERE trace_id = ?"
        found = {trace_id: asked(question, (trace_id,)).fetchone() for trace_id in traces}
        return {trace_id: frozenset(_ids(row[0])) for trace_id, row in found.items() if row}

    @contextmanager
    def _at_work(self) -> "Generator[Any]":
        with self._lock, explained(self._path, _SCHEMA):
            yield self._connection.execute

    @contextmanager
    def _changing(self) -> "Generator[Any]":
        with self._at_work() as asked:
            asked("BEGIN IMMEDIATE")
            try:
                yield asked
                asked("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    asked("ROLLBACK")
                raise


_PARENTS = """
    SELECT DISTINCT parent_id, parent_is_remote FROM span AS child
    WHERE trace_id = ?1 AND parent_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM span WHERE trace_id = ?1 AND span_id = child.parent_id
    )
"""


class _Row(NamedTuple):
    trace_id: str
    span_id: str
    parent_id: str | None
    parent_is_remote: bool
    ended: int
    size: int
    body: str


def _row(span: ReceivedSpan) -> _Row:
    body = _encoded(span)
    head = (span.trace_id, span.span_id, span.parent_id, span.parent_is_remote)
    return _Row(*head, min(span.end, _LATEST), len(body), body)


def _keep(asked: Any, row: _Row) -> int | None:
    """Keep a span, if it says more than what is kept of it; returns how much more there is to keep then."""
    question = "SELECT arrival, ended, size FROM span WHERE trace_id = ? AND span_id = ?"
    known = asked(question, row[:2]).fetchone()
    if known is None:
        asked("INSERT INTO span VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)
        return row.size
    arrival, ended, size = known
    if row.ended <= ended:
        return None
    asked("REPLACE INTO span VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (arrival, *row))
    return row.size - size


def _encoded(span: ReceivedSpan) -> str:
    form = {name: getattr(span, name) for name in _PLAIN}
    form["events"] = [[event.name, event.time, event.attributes] for event in span.events]
    form["links"] = [[link.trace_id, link.span_id] for link in span.links]
    return json.dumps(form)


def _decoded(body: str) -> ReceivedSpan:
    form = json.loads(body)
    form["events"] = tuple(ReceivedEvent(*event) for event in form["events"])
    form["links"] = tuple(ReceivedLink(*link) for link in form["links"])
    return ReceivedSpan(**form)


def _bounded(bodies: Iterable[str]) -> tuple[tuple[ReceivedSpan, ...], bool]:
    """The spans, as far as they are not too large together, and whether those are all."""
    spans: list[ReceivedSpan] = []
    size = 0
    for body in bodies:
        if size > _LARGEST_TRACE:
            return tuple(spans), False
        spans.append(_decoded(body))
        size += len(body)
    return tuple(spans), True


def _ids(packed: bytes) -> Iterator[str]:
    return (packed[start : start + _ID].hex() for start in range(0, len(packed), _ID))
