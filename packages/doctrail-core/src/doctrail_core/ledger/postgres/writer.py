"""Adds entries to a log on a server, and what finds them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString, cast

from doctrail_core.durable.columns import microseconds
from doctrail_core.durable.errors import StaleStoreError
from doctrail_core.durable.postgres import ServerWriter
from doctrail_core.durable.served import Served, host_of
from doctrail_core.ledger.entry import header
from doctrail_core.ledger.forgotten import Forgotten
from doctrail_core.ledger.gone import Gone
from doctrail_core.ledger.keyring import Keyring
from doctrail_core.ledger.postgres.schema import SCHEMA, everywhere
from doctrail_core.ledger.postgres.tables import ServerTables
from doctrail_core.ledger.rows import Rows, month_of
from doctrail_core.ledger.sequencing import open_sequencing
from doctrail_core.ledger.tree import TILE_WIDTH

if TYPE_CHECKING:
    from doctrail_core.durable.home import Home

__all__ = ["PostgresLedgerWriter"]

_MONTHS_OF_THEIR_OWN = range(202001, 210001)
"""A clock that is years off must not make a table with each of its months."""

_INDEX_AGAIN = """
    UPDATE response SET state = coalesce(new.state, response.state), places = new.places,
        flags = new.flags
    FROM (VALUES (%s::bigint, %s::smallint, %s::bigint[], %s::bytea)) AS new (seq, state, places, flags)
    WHERE log = %s AND response.seq = new.seq
"""
_REUSES = """
    INSERT INTO reuse (log, response, earlier)
    SELECT %s, pair.* FROM unnest(%s::bigint[], %s::bigint[]) AS pair ON CONFLICT DO NOTHING
"""
_DERIVATIONS = """
    INSERT INTO derivation (log, document, source)
    SELECT %s, pair.* FROM unnest(%s::bigint[], %s::bigint[]) AS pair ON CONFLICT DO NOTHING
"""
_REVIEWS = """
    UPDATE flag SET decided = pair.review
    FROM (SELECT * FROM unnest(%s::bigint[], %s::bigint[])) AS pair (review, flag)
    WHERE log = %s AND seq = pair.flag
"""
_FORGET_DOCUMENTS: LiteralString = """
    UPDATE document SET sealed = NULL WHERE log = %s AND seq = ANY(%s::bigint[])
"""
_FORGET_CHUNKS: LiteralString = """
    UPDATE chunk SET sealed = NULL, content_tag = NULL, tag = uuid_send(gen_random_uuid())
    WHERE log = %s AND document = ANY(%s::bigint[])
"""
_FORGET_CHUNK_IDS: LiteralString = """
    UPDATE chunk SET id_tag = uuid_send(gen_random_uuid())
    WHERE log = %s AND seq = ANY(%s::bigint[])
"""
_FORGET_NAMES: LiteralString = (
    "UPDATE name SET sealed = NULL WHERE log = %s AND seq = ANY(%s::bigint[])"
)
_LEAF: LiteralString = """
    INSERT INTO tile (log, level, number, hash) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_ENTRIES: LiteralString = "entry (log, seq, about, body)"
_RESPONSES: LiteralString = "response (log, seq, time_us, state, places, flags)"
_DOCUMENTS: LiteralString = "document (log, seq, tag, sealed)"
_CHUNKS: LiteralString = (
    "chunk (log, seq, document, tag, id_tag, content_tag, source, version, sealed)"
)
_NAMES: LiteralString = "name (log, seq, kind, tag, owner, sealed)"
_WRITERS: LiteralString = "writer (log, number, name)"
_FLAGS: LiteralString = "flag (log, seq, response, because)"
_TILES: LiteralString = "tile (log, level, number, hash)"
_TYPES: Mapping[str, Sequence[str]] = {
    _ENTRIES: ("int4", "int8", "int8", "bytea"),
    _RESPONSES: ("int4", "int8", "int8", "int2", "int8[]", "bytea"),
    _DOCUMENTS: ("int4", "int8", "bytea", "bytea"),
    _CHUNKS: ("int4", "int8", "int8", "bytea", "bytea", "bytea", "int8", "int8", "bytea"),
    _NAMES: ("int4", "int8", "text", "bytea", "int8", "bytea"),
    _WRITERS: ("int4", "int8", "text"),
    _FLAGS: ("int4", "int8", "int8", "int8"),
    _TILES: ("int4", "int2", "int8", "bytea"),
}


class PostgresLedgerWriter(ServerWriter):
    """The one writer of a home's log; the keys of its names stay in the home."""

    def __init__(self, home: "Home", place: Served) -> None:
        super().__init__(place, SCHEMA)
        try:
            self._months = self._months_there()
            self._sequencing = open_sequencing(home, ServerTables(self._run, self.log))
        except BaseException:
            super().close()
            raise

    @property
    def keyring(self) -> Keyring:
        """The keys of names, written here alone."""
        return self._sequencing.keyring

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        """Make entries of the records and move the cursors, all or nothing."""
        try:
            with self._transaction(cursors, forgotten):
                self._check_nobody_else_wrote()
                if payloads:
                    self._put(self._sequencing.take(payloads))
        except BaseException:
            self._recall()
            raise

    def take_out(self, gone: Gone, payloads: Sequence[bytes] = ()) -> None:
        """Take out what was pruned, and make entries of records that say so, all or nothing."""
        try:
            with self._transaction({}, ()):
                self._check_nobody_else_wrote()
                self._remove(gone)
                if payloads:
                    self._put(self._sequencing.take(payloads))
        finally:
            # Names that are gone must not be taken for bound.
            self._recall()

    def forget(self, forgotten: Forgotten) -> None:
        """Forget names; see `doctrail_core.ledger.forgotten.LedgerEditor`."""
        try:
            with self._transaction({}, ()):
                self._run(_FORGET_DOCUMENTS, self.log, list(forgotten.documents))
                self._run(_FORGET_CHUNKS, self.log, list(forgotten.documents))
                self._run(_FORGET_CHUNK_IDS, self.log, list(forgotten.derived_chunks))
                self._run(_FORGET_NAMES, self.log, list(forgotten.names))
        finally:
            self._recall()

    def scrub(self, *, whole: bool = True) -> None:
        """Leave nothing of what was forgotten in the tables; the server's own log and its copies are not reached."""
        self._vacuum(("document", "chunk", "name"), whole=whole)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._sequencing.close()

    def _recall(self) -> None:
        """Forget what may not be there; a connection that was lost is opened anew by whoever comes next."""
        if not self._connection.closed:
            self._months = self._months_there()
            self._sequencing.recall()

    def _check_nobody_else_wrote(self) -> None:
        # Not with the lease and the lock; but a server may give both away while a connection hangs.
        query = "SELECT frontier FROM log WHERE id = %s FOR UPDATE"
        ((there,),) = self._run(query, self.log)
        if there != (bytes(self._sequencing.frontier) if self._sequencing.frontier.size else None):
            raise StaleStoreError(
                f"{host_of(self._place.address)}: another process wrote to the same log"
            )

    def _put(self, rows: Rows) -> None:
        if not rows.entries:
            return
        self._make_months(rows)
        self._copy(_ENTRIES, ((row.seq, row.about, row.body) for row in rows.entries))
        self._copy(_DOCUMENTS, ((row.seq, row.tag, row.sealed) for row in rows.documents))
        self._copy(_CHUNKS, map(_values, rows.chunks))
        self._copy(_NAMES, map(_values, rows.names))
        self._copy(_WRITERS, rows.writers)
        self._copy(_FLAGS, rows.flags)
        self._copy(_TILES, rows.tiles)
        self._run(_DERIVATIONS, self.log, *_columns(rows.derivations))
        self._run(_REUSES, self.log, *_columns(rows.reuses))
        self._run(_REVIEWS, *_columns(rows.reviews), self.log)
        self._put_responses(rows)
        frontier = "UPDATE log SET frontier = %s WHERE id = %s"
        self._run(frontier, bytes(rows.frontier), self.log)

    def _put_responses(self, rows: Rows) -> None:
        """The places of each response in one array, so that one index has all: documents, then who asked."""
        links: dict[int, dict[int, int]] = {}
        for link in rows.links:
            links.setdefault(link.seq, {})[link.document] = link.flags
        named: dict[int, list[int]] = {}
        for name, first in rows.mentions:
            named.setdefault(first, []).append(name)

        def indexed(first: int) -> tuple[list[int], bytes]:
            own = links.get(first, {})
            places = [*own, *named.get(first, ())]
            return [everywhere(self.log, place) for place in places], bytes(own.values())

        new = [
            (row.seq, header(row.body).time_us, row.state)
            for row in rows.entries
            if row.state is not None
        ]
        self._copy(_RESPONSES, ((*row, *indexed(row[0])) for row in new))
        for first, state in rows.states.items():
            self._run(_INDEX_AGAIN, first, state, *indexed(first), self.log)

    def _copy(self, into: LiteralString, rows: Iterable[Sequence[object]]) -> None:
        """Add rows, all at once; the log goes before the other columns."""
        listed = list(rows)
        if not listed:
            return
        statement = "COPY " + into + " FROM STDIN (FORMAT BINARY)"
        with self._connection.cursor().copy(statement) as copy:
            copy.set_types(_TYPES[into])
            for row in listed:
                copy.write_row((self.log, *row))

    def _months_there(self) -> set[int]:
        query = """
            SELECT right(relname, 6)::int FROM pg_class
            JOIN pg_inherits ON inhrelid = pg_class.oid
            WHERE inhparent = 'response'::regclass AND relname ~ '^response_[0-9]{6}$'
        """
        return {month for (month,) in self._run(query)}

    def _make_months(self, rows: Rows) -> None:
        """Tables for the months of new responses."""
        times = (header(row.body).time_us for row in rows.entries if row.state is not None)
        missing = {month_of(time) for time in times} - self._months
        for month in sorted(missing & set(_MONTHS_OF_THEIR_OWN)):
            # Hosts that begin a month at the same time take turns.
            self._run("SELECT pg_advisory_xact_lock(%s, 0)", self._schema.lock)
            begin, end = _bounds(month)
            make = (
                f"CREATE TABLE IF NOT EXISTS response_{month:06} PARTITION OF response"
                f" FOR VALUES FROM ({begin}) TO ({end})"
            )
            self._run(cast("LiteralString", make))  # of our numbers
            self._months.add(month)

    def _remove(self, gone: Gone) -> None:
        entries = list(gone.entries)
        if gone.minimum is not None:
            self._run("UPDATE log SET minimum = %s WHERE id = %s", gone.minimum, self.log)
        for leaf in gone.leaves:
            self._run(_LEAF, self.log, *leaf)
        for group in gone.groups:
            leaves = (group * TILE_WIDTH, (group + 1) * TILE_WIDTH)
            query = "DELETE FROM tile WHERE log = %s AND level = 0 AND number >= %s AND number < %s"
            self._run(query, self.log, *leaves)
        for table, column, keys in (
            ("entry", "seq", entries),
            ("response", "seq", entries),
            ("flag", "seq", entries),
            ("document", "seq", gone.bindings),
            ("chunk", "seq", gone.bindings),
            ("name", "seq", gone.bindings),
            ("derivation", "source", gone.bindings),
            ("derivation", "document", gone.bindings),
            ("writer", "number", gone.writers),
        ):
            query = f"DELETE FROM {table} WHERE log = %s AND {column} = ANY(%s::bigint[])"  # noqa: S608  # our names
            self._run(cast("LiteralString", query), self.log, list(keys))
        reuses = (
            "DELETE FROM reuse USING unnest(%s::bigint[], %s::bigint[]) AS pair (earlier, response)"
            " WHERE log = %s AND reuse.earlier = pair.earlier AND reuse.response = pair.response"
        )
        self._run(reuses, *_columns(gone.reuses), self.log)


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in row.__slots__)


def _columns(rows: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [row[0] for row in rows], [row[1] for row in rows]


def _bounds(month: int) -> tuple[int, int]:
    """The first moment of a month, and of the next one."""
    year, number = divmod(month, 100)
    begin = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return microseconds(begin), microseconds(end)
