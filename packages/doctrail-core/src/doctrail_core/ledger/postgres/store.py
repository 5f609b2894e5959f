"""Answers from a log on a server."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, LiteralString

from doctrail_core.durable.postgres import ServerSession
from doctrail_core.durable.served import Served
from doctrail_core.ledger.entry import CODES
from doctrail_core.ledger.postgres.schema import REFERENCE, SCHEMA, everywhere
from doctrail_core.ledger.rows import EntryRow
from doctrail_core.ledger.store import LATEST, ChunkKey, Found, NameFound
from doctrail_core.ledger.tree import Frontier

__all__ = ["PostgresLedger", "open_logs"]

_WITH_DOCUMENT = """
    SELECT response.seq, get_byte(flags, array_position(places, %(place)s::bigint) - 1), state, body
    FROM response JOIN entry ON entry.log = response.log AND entry.seq = response.seq
    WHERE places @> ARRAY[%(place)s::bigint] AND time_us >= %(begin)s AND time_us < %(end)s
        AND response.seq > %(after)s
        AND (%(rank)s = 0
            OR get_byte(flags, array_position(places, %(place)s::bigint) - 1) & 3 >= %(rank)s)
    ORDER BY response.seq
"""
_HISTORY = """
    SELECT seq, body FROM entry WHERE log = %s AND (seq = %s OR about = %s) ORDER BY seq
"""
_ENTRY_ROWS = """
    SELECT entry.seq, about, state, body
    FROM entry LEFT JOIN response ON response.log = entry.log AND response.seq = entry.seq
    WHERE entry.log = %s AND entry.seq >= %s AND entry.seq < %s ORDER BY entry.seq
"""
_EVENTS = """
    SELECT seq, body FROM entry
    WHERE log = %s AND get_byte(body, 1) = %s AND get_byte(body, 1) >= 32 AND seq > %s ORDER BY seq
"""
_NAME = """
    SELECT 'document', seq, sealed FROM document WHERE log = %(log)s AND seq = %(seq)s
    UNION ALL SELECT 'chunk', document, sealed FROM chunk WHERE log = %(log)s AND seq = %(seq)s
    UNION ALL SELECT kind, owner, sealed FROM name WHERE log = %(log)s AND seq = %(seq)s
"""
_CHUNKS: Mapping[ChunkKey, LiteralString] = {
    "id_tag": "SELECT seq, document FROM chunk WHERE log = %s AND id_tag = %s ORDER BY seq",
    "content_tag": "SELECT seq, document FROM chunk WHERE log = %s AND content_tag = %s ORDER BY seq",
    "document": "SELECT seq, document FROM chunk WHERE log = %s AND document = %s ORDER BY seq",
    "source": "SELECT seq, document FROM chunk WHERE log = %s AND source = %s ORDER BY seq",
    "version": "SELECT seq, document FROM chunk WHERE log = %s AND version = %s ORDER BY seq",
}
_FLAGS: Mapping[bool | None, LiteralString] = {
    None: "SELECT seq, response, because, decided FROM flag WHERE log = %s ORDER BY seq",
    True: (
        "SELECT seq, response, because, decided FROM flag"
        " WHERE log = %s AND decided IS NOT NULL ORDER BY seq"
    ),
    False: (
        "SELECT seq, response, because, decided FROM flag"
        " WHERE log = %s AND decided IS NULL ORDER BY seq"
    ),
}


class PostgresLedger:
    """See `doctrail_core.ledger.store.LedgerStore`.

    Attributes:
        log: The number of the log.
    """

    def __init__(self, session: ServerSession, log: int) -> None:
        self.log = log
        self._session = session

    def close(self) -> None:
        self._session.close()

    def size(self) -> int:
        return self.frontier().size

    def frontier(self) -> Frontier:
        state = self._one("SELECT frontier FROM log WHERE id = %s")
        return Frontier.from_bytes(state) if state else Frontier()

    def minimum(self) -> int:
        return self._one("SELECT minimum FROM log WHERE id = %s")

    def bodies(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        query = "SELECT seq, body FROM entry WHERE log = %s AND seq >= %s AND seq < %s ORDER BY seq"
        return self._session.stream(query, self.log, start, LATEST if end is None else end)

    def entry_rows(self, start: int, end: int) -> Iterator[EntryRow]:
        return (EntryRow(*row) for row in self._session.stream(_ENTRY_ROWS, self.log, start, end))

    def events(self, kind: str, after: int = -1) -> Iterator[tuple[int, bytes]]:
        return self._session.stream(_EVENTS, self.log, CODES[kind], after)

    def tiles(self, level: int, first: int, last: int) -> Sequence[bytes]:
        query = (
            "SELECT hash FROM tile"
            " WHERE log = %s AND level = %s AND number >= %s AND number < %s ORDER BY number"
        )
        return self._all(query, level, first, last)

    def response(self, reference: bytes) -> int | None:
        query = "SELECT seq FROM entry WHERE log = %s AND " + REFERENCE + " = %s"  # noqa: S608  # our own words
        return self._one(query, reference)

    def history(self, first: int) -> Sequence[tuple[int, bytes]]:
        return [(seq, body) for seq, body in self._session.rows(_HISTORY, self.log, first, first)]

    def with_document(
        self, document: int, begin_us: int, end_us: int, rank: int, after: int = -1
    ) -> Iterator[Found]:
        found = self._session.stream(
            _WITH_DOCUMENT,
            place=everywhere(self.log, document),
            begin=begin_us,
            end=end_us,
            after=after,
            rank=rank,
        )
        return (Found(*row) for row in found)

    def documents(self, tag: bytes) -> Sequence[int]:
        return self._all("SELECT seq FROM document WHERE log = %s AND tag = %s ORDER BY seq", tag)

    def document_tags(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        query = (
            "SELECT seq, tag FROM document WHERE log = %s AND seq >= %s AND seq < %s ORDER BY seq"
        )
        return self._session.stream(query, self.log, start, end)

    def chunks(self, *, by: ChunkKey, key: bytes | int) -> Sequence[tuple[int, int]]:
        return [(seq, document) for seq, document in self._session.rows(_CHUNKS[by], self.log, key)]

    def content_tags(self, document: int, only: Collection[int] | None) -> Collection[bytes]:
        query = (
            "SELECT seq, content_tag FROM chunk"
            " WHERE log = %s AND document = %s AND content_tag IS NOT NULL"
        )
        rows = self._session.rows(query, self.log, document)
        return {tag for seq, tag in rows if only is None or seq in only}

    def documents_of(self, chunks: Collection[int]) -> Mapping[int, int]:
        query = "SELECT seq, document FROM chunk WHERE log = %s AND seq = ANY(%s::bigint[])"
        return dict(self._session.rows(query, self.log, list(chunks)))

    def name(self, seq: int) -> NameFound | None:
        for kind, owner, sealed in self._session.rows(_NAME, log=self.log, seq=seq):
            return NameFound(kind, owner, sealed)
        return None

    def names(self, tag: bytes) -> Sequence[int]:
        return self._all("SELECT seq FROM name WHERE log = %s AND tag = %s ORDER BY seq", tag)

    def derived_from(self, document: int) -> Sequence[int]:
        query = "SELECT document FROM derivation WHERE log = %s AND source = %s ORDER BY document"
        return self._all(query, document)

    def has_reuses(self) -> bool:
        return self._one("SELECT EXISTS (SELECT FROM reuse WHERE log = %s)")

    def reused_from(self, response: int) -> Sequence[int]:
        query = "SELECT response FROM reuse WHERE log = %s AND earlier = %s ORDER BY response"
        return self._all(query, response)

    def mentioning(self, name: int) -> Iterator[int]:
        query = "SELECT seq FROM response WHERE places @> ARRAY[%s::bigint] ORDER BY seq"
        return (seq for (seq,) in self._session.stream(query, everywhere(self.log, name)))

    def state(self, first: int) -> int | None:
        return self._one("SELECT state FROM response WHERE log = %s AND seq = %s", first)

    def flags(self, *, decided: bool | None = None) -> Iterator[tuple[int, int, int, int | None]]:
        return self._session.stream(_FLAGS[decided], self.log)

    def _one(self, query: LiteralString, *key: object) -> Any:
        return next((row[0] for row in self._session.rows(query, self.log, *key)), None)

    def _all(self, query: LiteralString, *key: object) -> list[Any]:
        return [row[0] for row in self._session.rows(query, self.log, *key)]


def open_logs(place: Served) -> Sequence[PostgresLedger]:
    """The log of a home, and those of all other homes that the server has; all over one connection.

    Raises:
        NothingRecordedError: The home has none yet.
        StoreError: The server cannot be read.
    """
    session = ServerSession(place, SCHEMA)
    try:
        logs = session.rows("SELECT id, name FROM log ORDER BY name = %s DESC, id", place.log)
    except BaseException:
        session.close()
        raise
    if not logs or logs[0][1] != place.log:
        session.close()
        raise session.nothing()
    return [PostgresLedger(session, log) for log, _ in logs]
