"""The ledger in an SQLite file.

`entry` holds the exact bytes in a gap-free order; all else is an index that could be made anew from
it. A response has one `link` row per document, filed under the time of the response's first entry.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from doctrail_core.durable.columns import grade_of_rank, microseconds, moment, rank_of_grade
from doctrail_core.durable.database import (
    Schema,
    Writer,
    explained,
    open_reader,
    peek_cursors,
)
from doctrail_core.ledger.entry import LedgerEntry, decode
from doctrail_core.ledger.store import ImpactHit
from doctrail_core.model import Grade
from doctrail_core.text.identity import canonical_id

__all__ = ["LedgerDatabase", "LedgerReader", "LedgerWriter"]

_SCHEMA = Schema(
    "ledger",
    0x64746C31,
    (
        """
        CREATE TABLE entry (
            seq INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, kind TEXT NOT NULL,
            response_id TEXT NOT NULL, status TEXT NOT NULL,
            session_id TEXT, user_id TEXT, trace_id TEXT, body BLOB NOT NULL
        );
        CREATE INDEX entry_response ON entry (response_id);
        CREATE INDEX entry_session ON entry (session_id) WHERE session_id IS NOT NULL;
        CREATE INDEX entry_user ON entry (user_id) WHERE user_id IS NOT NULL;
        CREATE INDEX entry_trace ON entry (trace_id) WHERE trace_id IS NOT NULL;
        CREATE TABLE document (ref INTEGER PRIMARY KEY, document_id TEXT NOT NULL UNIQUE);
        CREATE TABLE link (
            doc_ref INTEGER NOT NULL, time_us INTEGER NOT NULL, seq INTEGER NOT NULL,
            grade INTEGER NOT NULL, PRIMARY KEY (doc_ref, time_us, seq)
        ) WITHOUT ROWID;
        """,
    ),
)

_REMEMBERED = 20_000
_LAST_TIME = (1 << 63) - 1

_IMPACT = """
    SELECT link.time_us, link.grade, entry.response_id, entry.status, entry.kind = 'answered',
        entry.session_id, entry.user_id, entry.trace_id
    FROM link
    JOIN entry AS first ON first.seq = link.seq
    JOIN entry ON entry.seq = (
        SELECT seq FROM entry WHERE response_id = first.response_id
        ORDER BY kind = 'answered' DESC, seq DESC LIMIT 1
    )
    WHERE link.doc_ref = (SELECT ref FROM document WHERE document_id = ?)
        AND link.time_us >= ? AND link.time_us < ? AND link.grade >= ?
    ORDER BY link.time_us, link.seq
"""


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """Where the ledger's stream ends up."""

    path: Path

    def open(self) -> "LedgerWriter":
        return LedgerWriter(self.path)

    def cursors(self) -> Mapping[str, int]:
        return peek_cursors(self.path, _SCHEMA)


class LedgerWriter:
    """Adds entries and what finds them."""

    def __init__(self, path: Path) -> None:
        self._writer = Writer(path, _SCHEMA)
        self._connection = self._writer.connection
        self._recall()

    def cursors(self) -> Mapping[str, int]:
        return self._writer.cursors()

    def close(self) -> None:
        self._writer.close()

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        """Add entries, all or none; see `doctrail_core.durable.intake.Store`."""
        try:
            with self._writer.transaction(cursors, forgotten):
                self._add([(decode(payload), payload) for payload in payloads])
        except BaseException:
            self._recall()
            raise

    def _recall(self) -> None:
        """Forget what may not be in the file, and see how far it goes."""
        self._documents: dict[str, int] = {}
        self._first: dict[str, tuple[int, int]] = {}
        (self._next,) = self._connection.execute(
            "SELECT coalesce(max(seq) + 1, 0) FROM entry"
        ).fetchone()

    def _add(self, entries: Sequence[tuple[LedgerEntry, bytes]]) -> None:
        rows: list[tuple[object, ...]] = []
        links: list[tuple[int, int, int, int]] = []
        better: list[tuple[int, int, int, int]] = []
        for entry, body in entries:
            time_us = microseconds(datetime.fromisoformat(entry.timestamp))
            first = self._first_entry(entry.response_id, time_us)
            (better if entry.kind == "answered" else links).extend(
                (self._document(document_id), *first, rank_of_grade(grade))
                for document_id, grade in entry.document_grades.items()
            )
            rows.append(
                (
                    *(self._next, time_us, entry.kind, entry.response_id, entry.status),
                    *(entry.session_id, entry.user_id, entry.trace_id, body),
                )
            )
            self._next += 1
        run = self._connection.executemany
        run("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        run("INSERT INTO link VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", links)
        run(
            "INSERT INTO link VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET grade = excluded.grade",
            better,
        )

    def _first_entry(self, response_id: str, time_us: int) -> tuple[int, int]:
        """Time and number of the response's first entry, under which all its links are filed."""
        known = self._first.get(response_id)
        if known is None:
            known = self._connection.execute(
                "SELECT time_us, seq FROM entry WHERE response_id = ? ORDER BY seq LIMIT 1",
                (response_id,),
            ).fetchone() or (time_us, self._next)
            _remember(self._first, response_id, known)
        return known

    def _document(self, document_id: str) -> int:
        ref = self._documents.get(document_id)
        if ref is None:
            ref = self._find_or_add_document(document_id)
            _remember(self._documents, document_id, ref)
        return ref

    def _find_or_add_document(self, document_id: str) -> int:
        run = self._connection.execute
        row = run("SELECT ref FROM document WHERE document_id = ?", (document_id,)).fetchone()
        if row is None:
            add = "INSERT INTO document (document_id) VALUES (?) RETURNING ref"
            row = run(add, (document_id,)).fetchone()
        return row[0]


class LedgerReader:
    """Answers from the file; see `doctrail_core.ledger.store.LedgerStore`.

    Attributes:
        warning: What a user should know of what is missing, if anything is.
    """

    def __init__(self, path: Path, *, warning: str | None = None) -> None:
        self._path = path
        self._connection = open_reader(path, _SCHEMA)
        self.warning = warning

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def responses_with(
        self,
        document_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        grade: Grade | None = None,
    ) -> Iterator[ImpactHit]:
        """The responses that had a document; one search of an index, read as it is asked for."""
        begin = 0 if since is None else microseconds(since)
        end = _LAST_TIME if until is None else microseconds(until)
        rank = 0 if grade is None else rank_of_grade(grade)
        for row in self._rows(_IMPACT, (canonical_id(document_id), begin, end, rank)):
            time_us, rank_reached, response_id, status, complete, *whose = row
            yield ImpactHit(
                document_id,
                response_id,
                moment(time_us),
                grade_of_rank(rank_reached),
                status,
                bool(complete),
                *whose,
            )

    def entries_of(self, response_id: str) -> Sequence[LedgerEntry]:
        query = "SELECT body FROM entry WHERE response_id = ? ORDER BY seq"
        return [decode(body) for (body,) in self._rows(query, (canonical_id(response_id),))]

    def count(self) -> int:
        return next(self._rows("SELECT count(*) FROM entry"))[0]

    def head(self) -> LedgerEntry | None:
        for (body,) in self._rows("SELECT body FROM entry ORDER BY seq DESC LIMIT 1"):
            return decode(body)
        return None

    def _rows(self, query: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with explained(self._path, _SCHEMA):
            yield from self._connection.execute(query, parameters)


def _remember(memory: dict[str, Any], key: str, value: object) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value
