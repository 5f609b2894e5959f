"""The ledger in an SQLite file.

`entry` holds the exact bytes in a gap-free order, and nothing in it ever changes. All else is an index
that could be made anew from it: what is known of a response now, under the time of its first entry,
and one `link` for each document that it had.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from doctrail_core.durable.columns import (
    grade_of_rank,
    involvement,
    microseconds,
    moment,
    rank_of_grade,
)
from doctrail_core.durable.database import Reader, Schema, Writer, peek_cursors
from doctrail_core.ledger.entry import LedgerEntry, decode
from doctrail_core.ledger.store import ImpactHit
from doctrail_core.model import EntryKind, Grade
from doctrail_core.text.identity import canonical_id

__all__ = ["LedgerDatabase", "LedgerReader", "LedgerWriter"]

_SCHEMA = Schema(
    "ledger",
    0x64746C31,
    (
        """
        CREATE TABLE entry (
            seq INTEGER PRIMARY KEY, response_ref INTEGER NOT NULL, body BLOB NOT NULL
        );
        CREATE INDEX entry_response ON entry (response_ref);
        CREATE TABLE response (
            ref INTEGER PRIMARY KEY, response_id TEXT NOT NULL UNIQUE, time_us INTEGER NOT NULL,
            complete INTEGER NOT NULL, status TEXT NOT NULL,
            session_id TEXT, user_id TEXT, trace_id TEXT
        );
        CREATE INDEX response_session ON response (session_id) WHERE session_id IS NOT NULL;
        CREATE INDEX response_user ON response (user_id) WHERE user_id IS NOT NULL;
        CREATE INDEX response_trace ON response (trace_id) WHERE trace_id IS NOT NULL;
        CREATE TABLE document (ref INTEGER PRIMARY KEY, document_id TEXT NOT NULL UNIQUE);
        CREATE TABLE link (
            document_ref INTEGER NOT NULL, time_us INTEGER NOT NULL, response_ref INTEGER NOT NULL,
            grade INTEGER NOT NULL, PRIMARY KEY (document_ref, time_us, response_ref)
        ) WITHOUT ROWID;
        """,
        "ALTER TABLE link ADD COLUMN indirect INTEGER NOT NULL DEFAULT 0;",
    ),
)

_REMEMBERED = 20_000
_LAST_TIME = (1 << 63) - 1

_IMPACT = """
    SELECT response_id, link.time_us, grade, {indirect}, status, complete,
        session_id, user_id, trace_id
    FROM link JOIN response ON response.ref = link.response_ref
    WHERE document_ref = (SELECT ref FROM document WHERE document_id = ?)
        AND link.time_us >= ? AND link.time_us < ? AND grade >= ?
    ORDER BY link.time_us, link.response_ref
"""
_ENTRIES = """
    SELECT body FROM entry JOIN response ON response.ref = response_ref
    WHERE response_id = ? ORDER BY seq
"""
_FOUND_LATER = "INSERT INTO link VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_FOUND_FINALLY = """
    INSERT INTO link VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET grade = excluded.grade, indirect = excluded.indirect
    WHERE grade <> excluded.grade OR indirect <> excluded.indirect
"""
_FOUND_SUPPORTING = """
    INSERT INTO link VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET grade = excluded.grade WHERE grade < excluded.grade
"""
_FOUND: dict[EntryKind, str] = {
    "retrieved": _FOUND_LATER,
    "answered": _FOUND_FINALLY,
    "assessed": _FOUND_SUPPORTING,
    "diagnosed": _FOUND_LATER,
}
_COMPLETED = """
    UPDATE response SET complete = 1, status = ?, session_id = coalesce(?, session_id),
        user_id = coalesce(?, user_id), trace_id = coalesce(?, trace_id)
    WHERE ref = ?
"""


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """Where the ledger's stream ends up."""

    path: Path

    def open(self) -> "LedgerWriter":
        return LedgerWriter(self.path)

    def cursors(self) -> Mapping[str, int]:
        return peek_cursors(self.path, _SCHEMA)


class LedgerWriter(Writer):
    """Adds entries and what finds them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def recall(self) -> None:
        """Forget what may not be in the file, and see how far it goes."""
        self._documents: dict[str, int] = {}
        self._responses: dict[str, tuple[int, int]] = {}
        run = self._connection.execute
        (self._next,) = run("SELECT coalesce(max(seq) + 1, 0) FROM entry").fetchone()

    def add(self, payload: bytes) -> None:
        """Add an entry."""
        entry = decode(payload)
        run = self._connection.execute
        time_us, response = self._response(entry)
        run("INSERT INTO entry VALUES (?, ?, ?)", (self._next, response, payload))
        self._next += 1
        if entry.kind == "answered":
            known = (entry.status, entry.session_id, entry.user_id, entry.trace_id, response)
            run(_COMPLETED, known)
        indirect = entry.indirect_documents
        links = [
            (self._document(name), time_us, response, rank_of_grade(grade), name in indirect)
            for name, grade in entry.document_grades.items()
        ]
        self._connection.executemany(_FOUND[entry.kind], links)

    def _response(self, entry: LedgerEntry) -> tuple[int, int]:
        """Under which time and number the response is filed: those of its first entry."""
        known = self._responses.get(entry.response_id)
        if known is None:
            known = self._find_response(entry.response_id) or self._add_response(entry)
            _remember(self._responses, entry.response_id, known)
        return known

    def _find_response(self, response_id: str) -> tuple[int, int] | None:
        query = "SELECT time_us, ref FROM response WHERE response_id = ?"
        return self._connection.execute(query, (response_id,)).fetchone()

    def _add_response(self, entry: LedgerEntry) -> tuple[int, int]:
        time_us = microseconds(datetime.fromisoformat(entry.timestamp))
        who = (entry.session_id, entry.user_id, entry.trace_id)
        row = (self._next, entry.response_id, time_us, 0, entry.status, *who)
        self._connection.execute("INSERT INTO response VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return time_us, self._next

    def _document(self, document_id: str) -> int:
        ref = self._documents.get(document_id)
        if ref is None:
            ref = self._find_or_add_document(document_id)
            _remember(self._documents, document_id, ref)
        return ref

    def _find_or_add_document(self, document_id: str) -> int:
        run = self._connection.execute
        found = run("SELECT ref FROM document WHERE document_id = ?", (document_id,)).fetchone()
        if found is not None:
            return found[0]
        return run("INSERT INTO document VALUES (NULL, ?)", (document_id,)).lastrowid or 0


class LedgerReader(Reader):
    """Answers from the file; see `doctrail_core.ledger.store.LedgerStore`."""

    def __init__(self, path: Path, *, warning: str | None = None) -> None:
        super().__init__(path, _SCHEMA, warning=warning)

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
        impact = _IMPACT.format(indirect=self._column("indirect", since=2))
        for row in self._rows(impact, (canonical_id(document_id), begin, end, rank)):
            response_id, time_us, reached, indirect, status, complete, *whose = row
            how = involvement(grade_of_rank(reached), indirect=bool(indirect))
            known = (moment(time_us), grade_of_rank(reached), how, status, bool(complete))
            yield ImpactHit(document_id, response_id, *known, *whose)

    def entries_of(self, response_id: str) -> Sequence[LedgerEntry]:
        return [decode(body) for (body,) in self._rows(_ENTRIES, (canonical_id(response_id),))]

    def count(self) -> int:
        return next(self._rows("SELECT count(*) FROM entry"))[0]

    def head(self) -> LedgerEntry | None:
        for (body,) in self._rows("SELECT body FROM entry ORDER BY seq DESC LIMIT 1"):
            return decode(body)
        return None


def _remember(memory: dict[str, Any], key: str, value: object) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value
