"""The ledger in an SQLite file.

`entry` holds the exact bytes in a gap-free order, and nothing in `body` ever changes. Links lie in a table for each
month, so that adding one costs the same however long the past is, and a month can be dropped as a whole.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctrail_core.durable.bulk import found, insert
from doctrail_core.durable.database import Reader, Schema, Writer, peek_cursors
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.lease import Lease
from doctrail_core.durable.opening import open_reader
from doctrail_core.ledger.batch import BLOCK
from doctrail_core.ledger.entry import CODES
from doctrail_core.ledger.forgotten import Forgotten
from doctrail_core.ledger.gone import Gone
from doctrail_core.ledger.keyring import Keyring
from doctrail_core.ledger.rows import EntryRow, LogState, Rows, month_of
from doctrail_core.ledger.sequencing import Sequencing, open_sequencing
from doctrail_core.ledger.store import LATEST, ChunkKey, Found, NameFound
from doctrail_core.ledger.tree import TILE_WIDTH, Frontier

if TYPE_CHECKING:
    import sqlite3

    from doctrail_core.durable.home import Home

__all__ = ["SCHEMA", "LedgerDatabase", "LedgerWriter", "SqliteLedger"]

SCHEMA = Schema(
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
        # The third has another form of entries: `record` keeps what is to be made into them.
        """
        ALTER TABLE entry RENAME TO record;
        DROP INDEX entry_response; DROP TABLE response; DROP TABLE document; DROP TABLE link;
        CREATE TABLE entry (
            seq INTEGER PRIMARY KEY, about INTEGER, state INTEGER, body BLOB NOT NULL
        );
        CREATE INDEX entry_about ON entry (about) WHERE about IS NOT NULL;
        CREATE TABLE response (reference BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE document (seq INTEGER PRIMARY KEY, tag BLOB NOT NULL, sealed BLOB);
        CREATE INDEX document_tag ON document (tag);
        CREATE TABLE chunk (
            seq INTEGER PRIMARY KEY, document INTEGER NOT NULL, tag BLOB NOT NULL, id_tag BLOB NOT NULL,
            content_tag BLOB, source INTEGER, version INTEGER, sealed BLOB
        );
        CREATE INDEX chunk_document ON chunk (document);
        CREATE INDEX chunk_tag ON chunk (tag);
        CREATE INDEX chunk_id_tag ON chunk (id_tag);
        CREATE INDEX chunk_content_tag ON chunk (content_tag) WHERE content_tag IS NOT NULL;
        CREATE INDEX chunk_source ON chunk (source) WHERE source IS NOT NULL;
        CREATE INDEX chunk_version ON chunk (version) WHERE version IS NOT NULL;
        CREATE TABLE name (
            seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, tag BLOB NOT NULL, owner INTEGER, sealed BLOB
        );
        CREATE INDEX name_tag ON name (tag);
        CREATE TABLE writer (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE mention (
            name INTEGER NOT NULL, response INTEGER NOT NULL, PRIMARY KEY (name, response)
        ) WITHOUT ROWID;
        CREATE TABLE derivation (
            source INTEGER NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (source, document)
        ) WITHOUT ROWID;
        CREATE INDEX derivation_document ON derivation (document);
        CREATE TABLE reuse (
            earlier INTEGER NOT NULL, response INTEGER NOT NULL, PRIMARY KEY (earlier, response)
        ) WITHOUT ROWID;
        CREATE TABLE flag (
            seq INTEGER PRIMARY KEY, response INTEGER NOT NULL, because INTEGER NOT NULL, decided INTEGER
        );
        CREATE TABLE tick (block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL);
        CREATE TABLE tile (
            level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
            PRIMARY KEY (level, number)
        ) WITHOUT ROWID;
        CREATE TABLE frontier (only_one INTEGER PRIMARY KEY CHECK (only_one = 0), state BLOB NOT NULL);
        CREATE TABLE minimum (only_one INTEGER PRIMARY KEY CHECK (only_one = 0), seq INTEGER NOT NULL);
        CREATE INDEX entry_event ON entry (substr(body, 2, 1)) WHERE substr(body, 2, 1) >= x'20';
        """,
    ),
)

_NAMELESS = 3
"""The first version whose entries hold no names."""

_TIME = slice(18, 26)
"""Where an entry's time is in its bytes; they sort as it does."""

_LINKS = """
    CREATE TABLE IF NOT EXISTS link_{month} (
        document INTEGER NOT NULL, seq INTEGER NOT NULL, flags INTEGER NOT NULL,
        PRIMARY KEY (document, seq)
    ) WITHOUT ROWID
"""
_WITH_DOCUMENT = """
    SELECT link.seq, link.flags, entry.state, entry.body
    FROM link_{month} AS link CROSS JOIN entry ON entry.seq = link.seq
    WHERE document = ? AND link.seq >= ? AND link.seq < ? AND (flags & 3) >= ?
    ORDER BY link.seq
"""
_HISTORY = """
    SELECT seq, body FROM entry WHERE seq = ?1 UNION ALL SELECT seq, body FROM entry WHERE about = ?1
    ORDER BY seq
"""
_TICK = "ON CONFLICT DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)"
_NAME = """
    SELECT 'document', seq, sealed FROM document WHERE seq = ?1
    UNION ALL SELECT 'chunk', document, sealed FROM chunk WHERE seq = ?1
    UNION ALL SELECT kind, owner, sealed FROM name WHERE seq = ?1
"""
_FORGET_CHUNKS = """
    UPDATE chunk SET sealed = NULL, content_tag = NULL, tag = randomblob(16) WHERE document = ?
"""
_FORGET_CHUNK_ID = "UPDATE chunk SET id_tag = randomblob(16) WHERE seq = ?"
_EVENTS = """
    SELECT seq, body FROM entry
    WHERE substr(body, 2, 1) = ? AND substr(body, 2, 1) >= x'20' AND seq > ? ORDER BY seq
"""
_LINK_TABLE = re.compile(r"link_(\d{6})")


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """Where the ledger's stream ends up."""

    home: "Home"

    @property
    def path(self) -> Path:
        return self.home.database("ledger")

    def open(self) -> "LedgerWriter":
        return LedgerWriter(self.home)

    def cursors(self) -> Mapping[str, int]:
        return peek_cursors(self.path, SCHEMA)

    def bring_up_to_date(self) -> None:
        """Make entries of the records of an earlier version, unless another process is at it.

        Raises:
            NothingRecordedError: There is no file.
            StoreError: It cannot be read or written.
        """
        with closing(open_reader(self.path, SCHEMA)) as reader:
            (version,) = reader.execute("PRAGMA user_version").fetchone()
        if version >= _NAMELESS:
            return
        self.home.ensure("ledger")
        lease = Lease(self.home.lease("ledger"))
        if lease.take():
            try:
                self.open().close()
            finally:
                lease.release()


class LedgerWriter(Writer):
    """Adds entries and what finds them."""

    def __init__(self, home: "Home") -> None:
        self._home = home
        self._sequencing: Sequencing | None = None
        super().__init__(home.database("ledger"), SCHEMA)
        try:
            self._take_over_records()
        except BaseException:
            self.close()
            raise

    @property
    def keyring(self) -> Keyring:
        """The keys of names, written here alone."""
        return self._sequences.keyring

    def recall(self) -> None:
        """Forget what may not be in the file."""
        if self._sequencing is None:
            self._sequencing = open_sequencing(self._home, _SqliteTables(self._connection))
        else:
            self._sequencing.recall()

    def take_out(self, gone: Gone, payloads: Sequence[bytes] = ()) -> None:
        """Take out what was pruned, and make entries of records that say so, all or nothing."""
        try:
            with self._transaction({}, ()):
                self._remove(gone)
                self._put(self._sequenced(payloads))
        finally:
            # Names that are gone must not be taken for bound.
            self.recall()

    def forget(self, forgotten: Forgotten) -> None:
        """Forget names; see `doctrail_core.ledger.forgotten.LedgerEditor`."""
        try:
            with self._transaction({}, ()):
                run = self._connection.executemany
                run("UPDATE document SET sealed = NULL WHERE seq = ?", _each(forgotten.documents))
                run(_FORGET_CHUNKS, _each(forgotten.documents))
                run(_FORGET_CHUNK_ID, _each(forgotten.derived_chunks))
                run("UPDATE name SET sealed = NULL WHERE seq = ?", _each(forgotten.names))
        finally:
            self.recall()

    def add(self, payloads: Sequence[bytes]) -> None:
        """Make entries of records."""
        self._put(self._sequenced(payloads))

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._sequences.close()

    @property
    def _sequences(self) -> Sequencing:
        if self._sequencing is None:
            raise AssertionError("recall makes it")
        return self._sequencing

    def _sequenced(self, payloads: Sequence[bytes]) -> Rows:
        return self._sequences.take(payloads) if payloads else Rows()

    def _take_over_records(self) -> None:
        """Make entries of what a file of an earlier version holds."""
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'record'"
        if self._connection.execute(query).fetchone()[0]:
            with self._transaction({}, ()):
                bodies = self._connection.execute("SELECT body FROM record ORDER BY seq").fetchall()
                self._put(self._sequenced([body for (body,) in bodies]))
                self._connection.execute("DROP TABLE record")

    def _put(self, rows: Rows) -> None:
        if not rows.entries:
            return
        put = partial(insert, self._connection)
        put("INSERT INTO entry", map(_values, rows.entries))
        put("INSERT INTO document", map(_values, rows.documents))
        put("INSERT INTO chunk", map(_values, rows.chunks))
        put("INSERT INTO name", map(_values, rows.names))
        put("INSERT INTO writer", rows.writers)
        put("INSERT INTO response", rows.responses)
        put("INSERT OR IGNORE INTO mention", rows.mentions)
        derivations = ((source, document) for document, source in rows.derivations)
        put("INSERT OR IGNORE INTO derivation", derivations)
        reuses = ((earlier, response) for response, earlier in rows.reuses)
        put("INSERT OR IGNORE INTO reuse", reuses)
        put("INSERT INTO flag", ((*flag, None) for flag in rows.flags))
        ticks = ((block, *times) for block, times in rows.ticks.items())
        put("INSERT INTO tick", ticks, then=_TICK)
        put("INSERT INTO tile", rows.tiles)
        put("INSERT OR REPLACE INTO frontier", [(0, bytes(rows.frontier))])
        run = self._connection.executemany
        run("UPDATE entry SET state = ?2 WHERE seq = ?1", rows.states.items())
        run("UPDATE flag SET decided = ?1 WHERE seq = ?2", rows.reviews)
        self._put_links(rows)

    def _put_links(self, rows: Rows) -> None:
        by_month: dict[int, list[tuple[int, int, int]]] = {}
        for link in rows.links:
            by_month.setdefault(link.month, []).append((link.document, link.seq, link.flags))
        for month, links in by_month.items():
            self._connection.execute(_LINKS.format(month=f"{month:06}"))
            insert(self._connection, f"INSERT OR REPLACE INTO link_{month:06}", sorted(links))

    def _remove(self, gone: Gone) -> None:
        run = self._connection.executemany
        if gone.minimum is not None:
            run("INSERT OR REPLACE INTO minimum VALUES (0, ?)", [(gone.minimum,)])
        run("INSERT OR REPLACE INTO tile VALUES (?, ?, ?)", gone.leaves)
        groups = ((group * TILE_WIDTH, (group + 1) * TILE_WIDTH) for group in gone.groups)
        run("DELETE FROM tile WHERE level = 0 AND number >= ? AND number < ?", groups)
        run("DELETE FROM entry WHERE seq = ?", _each(gone.entries))
        run("DELETE FROM flag WHERE seq = ?", _each(gone.entries))
        run("DELETE FROM response WHERE reference = ?", _each(gone.responses))
        run("DELETE FROM mention WHERE name = ? AND response = ?", gone.mentions)
        run("DELETE FROM reuse WHERE earlier = ? AND response = ?", gone.reuses)
        for table in ("document", "chunk", "name"):
            run(f"DELETE FROM {table} WHERE seq = ?", _each(gone.bindings))  # noqa: S608  # our names
        for column in ("source", "document"):
            run(f"DELETE FROM derivation WHERE {column} = ?", _each(gone.bindings))  # noqa: S608  # likewise
        run("DELETE FROM writer WHERE number = ?", _each(gone.writers))
        self._remove_links(gone)

    def _remove_links(self, gone: Gone) -> None:
        for month, links in gone.links_by_month():
            table = f"link_{month:06}"
            take = f"DELETE FROM {table} WHERE document = ? AND seq = ?"  # noqa: S608  # a number
            self._connection.executemany(take, links)
            left = self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608  # likewise
            if left.fetchone() is None:
                self._connection.execute(f"DROP TABLE {table}")


class _SqliteTables:
    """What sequencing asks of the file; see `doctrail_core.ledger.rows.Tables`."""

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection

    def log_state(self) -> LogState:
        run = self._connection.execute
        row = run("SELECT state FROM frontier").fetchone()
        (writers,) = run("SELECT coalesce(max(number), 0) FROM writer").fetchone()
        first = run("SELECT body FROM entry WHERE seq = 0").fetchone()
        frontier = Frontier.from_bytes(row[0]) if row else Frontier()
        return LogState(frontier, writers, first=first[0] if first else None)

    def documents(self, tags: Collection[bytes]) -> Mapping[bytes, int]:
        query = "SELECT tag, seq FROM document WHERE tag IN ({keys}) AND sealed IS NOT NULL"
        return self._first(query, tags)

    def chunks(self, tags: Collection[bytes]) -> Mapping[bytes, tuple[int, int]]:
        query = "SELECT tag, seq, document FROM chunk WHERE tag IN ({keys}) AND sealed IS NOT NULL"
        known: dict[bytes, tuple[int, int]] = {}
        for tag, *found_at in self._found(query, tags):
            place = (found_at[0], found_at[1])
            known[tag] = min(place, known.get(tag, place))
        return known

    def names(self, tags: Collection[bytes]) -> Mapping[bytes, int]:
        # A name without an owner stands in its entry; with one, but not sealed any more, it was erased.
        live = "(owner IS NULL OR sealed IS NOT NULL)"
        return self._first(f"SELECT tag, seq FROM name WHERE tag IN ({{keys}}) AND {live}", tags)  # noqa: S608  # our words

    def writers(self, names: Collection[str]) -> Mapping[str, int]:
        return self._first("SELECT name, number FROM writer WHERE name IN ({keys})", names)

    def responses(self, references: Collection[bytes]) -> Mapping[bytes, int]:
        query = "SELECT reference, seq FROM response WHERE reference IN ({keys})"
        return self._first(query, references)

    def histories(self, seqs: Collection[int]) -> Mapping[int, Sequence[tuple[int, bytes]]]:
        return {seq: self._connection.execute(_HISTORY, (seq,)).fetchall() for seq in seqs}

    def documents_of(self, chunks: Collection[int]) -> Mapping[int, int]:
        return self._first("SELECT seq, document FROM chunk WHERE seq IN ({keys})", chunks)

    def derived(self, documents: Collection[int]) -> Collection[tuple[int, int]]:
        query = "SELECT document, source FROM derivation WHERE document IN ({keys})"
        return list(self._found(query, documents))  # pyright: ignore[reportReturnType]  # of these two columns

    def _first(self, query: str, keys: Iterable[Any]) -> dict[Any, int]:
        """Per key the place that was taken first, where a name has several."""
        known: dict[Any, int] = {}
        for key, place in self._found(query, keys):
            known[key] = min(place, known.get(key, place))
        return known

    def _found(self, query: str, keys: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        return found(self._connection, query, keys)


class SqliteLedger(Reader):
    """Answers from the file; see `doctrail_core.ledger.store.LedgerStore`."""

    def __init__(self, path: Path, *, warning: str | None = None) -> None:
        super().__init__(path, SCHEMA, warning=warning)
        if self._version() < _NAMELESS:
            self.close()
            raise StoreError(
                f"{path} was written by an earlier doctrail and is not brought up to date yet. Let a process"
                " that may write to it open it once: `doctrail doctor` does."
            )

    def size(self) -> int:
        return self.frontier().size

    def frontier(self) -> Frontier:
        for (state,) in self._rows("SELECT state FROM frontier"):
            return Frontier.from_bytes(state)
        return Frontier()

    def minimum(self) -> int:
        return next((seq for (seq,) in self._rows("SELECT seq FROM minimum")), 0)

    def bodies(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        query = "SELECT seq, body FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
        return self._rows(query, (start, LATEST if end is None else end))

    def entry_rows(self, start: int, end: int) -> Iterator[EntryRow]:
        query = "SELECT seq, about, state, body FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
        return (EntryRow(*row) for row in self._rows(query, (start, end)))

    def events(self, kind: str, after: int = -1) -> Iterator[tuple[int, bytes]]:
        return self._rows(_EVENTS, (bytes([CODES[kind]]), after))  # pyright: ignore[reportReturnType]  # of these columns

    def tiles(self, level: int, first: int, last: int) -> Sequence[bytes]:
        query = (
            "SELECT hash FROM tile WHERE level = ? AND number >= ? AND number < ? ORDER BY number"
        )
        return [row[0] for row in self._rows(query, (level, first, last))]

    def response(self, reference: bytes) -> int | None:
        return self._one("SELECT seq FROM response WHERE reference = ?", reference)

    def history(self, first: int) -> Sequence[tuple[int, bytes]]:
        return list(self._rows(_HISTORY, (first,)))

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int = -1
    ) -> Iterator[Found]:
        """The responses of a document: months one after the other, but where a clock went back."""
        blocks = "SELECT min(block), max(block) FROM tick WHERE high >= ? AND low < ?"
        ((first, last),) = self._rows(blocks, (begin_us, end_us))
        if first is None:
            return
        places = (document, max(first * BLOCK, after + 1), (last + 1) * BLOCK, rank)
        earliest, latest = _time_bytes(begin_us), _time_bytes(end_us)
        months = [
            self._rows(_WITH_DOCUMENT.format(month=f"{month:06}"), places)
            for month in self._months(begin_us, end_us)
        ]
        for row in merge(*months) if len(months) > 1 else chain(*months):
            if earliest <= row[3][_TIME] < latest:
                yield Found(*row)

    def documents(self, tag: bytes) -> Sequence[int]:
        return self._all("SELECT seq FROM document WHERE tag = ? ORDER BY seq", tag)

    def document_tags(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        query = "SELECT seq, tag FROM document WHERE seq >= ? AND seq < ? ORDER BY seq"
        return self._rows(query, (start, end))

    def chunks(self, *, by: ChunkKey, key: bytes | int) -> Sequence[tuple[int, int]]:
        query = f"SELECT seq, document FROM chunk WHERE {by} = ? ORDER BY seq"  # noqa: S608  # one of our names
        return [(seq, document) for seq, document in self._rows(query, (key,))]

    def content_tags(self, document: int, only: Collection[int] | None) -> Collection[bytes]:
        query = "SELECT seq, content_tag FROM chunk WHERE document = ? AND content_tag IS NOT NULL"
        rows = self._rows(query, (document,))
        return {tag for seq, tag in rows if only is None or seq in only}

    def documents_of(self, chunks: Collection[int]) -> Mapping[int, int]:
        query = "SELECT seq, document FROM chunk WHERE seq IN (SELECT value FROM json_each(?))"
        return dict(self._rows(query, (json.dumps(list(chunks)),)))

    def name(self, seq: int) -> NameFound | None:
        for kind, owner, sealed in self._rows(_NAME, (seq,)):
            return NameFound(kind, owner, sealed)
        return None

    def names(self, tag: bytes) -> Sequence[int]:
        return self._all("SELECT seq FROM name WHERE tag = ? ORDER BY seq", tag)

    def derived_from(self, document: int) -> Sequence[int]:
        return self._all("SELECT document FROM derivation WHERE source = ?", document)

    def has_reuses(self) -> bool:
        return bool(self._all("SELECT 1 FROM reuse WHERE earlier >= ? LIMIT 1", 0))

    def reused_from(self, response: int) -> Sequence[int]:
        return self._all("SELECT response FROM reuse WHERE earlier = ?", response)

    def mentioning(self, name: int) -> Iterator[int]:
        query = "SELECT response FROM mention WHERE name = ? ORDER BY response"
        return (row[0] for row in self._rows(query, (name,)))

    def flags(self, *, decided: bool | None = None) -> Iterator[tuple[int, int, int, int | None]]:
        which = {None: "TRUE", True: "decided IS NOT NULL", False: "decided IS NULL"}[decided]
        query = f"SELECT seq, response, because, decided FROM flag WHERE {which} ORDER BY seq"  # noqa: S608  # our words
        return self._rows(query)  # pyright: ignore[reportReturnType]  # of these four columns

    def state(self, first: int) -> int | None:
        return self._one("SELECT state FROM entry WHERE seq = ?", first)

    def _months(self, begin_us: int, end_us: int) -> list[int]:
        """The months of which there are links, as far as they touch the time."""
        tables = self._rows("SELECT name FROM sqlite_master WHERE name GLOB 'link_[0-9]*'")
        months = sorted(int(found[1]) for (name,) in tables if (found := _LINK_TABLE.match(name)))
        first, last = month_of(begin_us), month_of(end_us)
        return [month for month in months if first <= month <= last]

    def _one(self, query: str, key: object) -> Any:
        return next((row[0] for row in self._rows(query, (key,))), None)

    def _all(self, query: str, key: object) -> list[Any]:
        return [row[0] for row in self._rows(query, (key,))]


def _each(values: Iterable[Any]) -> Iterator[tuple[Any]]:
    return ((value,) for value in values)


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in row.__slots__)


def _time_bytes(time_us: int) -> bytes:
    return max(0, time_us).to_bytes(8)
