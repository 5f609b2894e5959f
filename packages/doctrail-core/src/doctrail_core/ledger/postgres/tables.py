"""What sequencing asks of a log on a server: for many at once, because each question is a journey."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, LiteralString

from doctrail_core.ledger.postgres.schema import REFERENCE
from doctrail_core.ledger.rows import LogState
from doctrail_core.ledger.tree import Frontier

__all__ = ["ServerTables"]

Ask = Callable[..., list[Any]]
"""A statement and its parameters, of which the first is the log."""


class ServerTables:
    """See `doctrail_core.ledger.rows.Tables`."""

    def __init__(self, ask: Ask, log: int) -> None:
        self._ask = ask
        self._log = log

    def log_state(self) -> LogState:
        query = "SELECT frontier, name FROM log WHERE id = %s"
        ((state, name),) = self._ask(query, self._log)
        query = "SELECT coalesce(max(number), 0) FROM writer WHERE log = %s"
        ((writers,),) = self._ask(query, self._log)
        query = "SELECT body FROM entry WHERE log = %s AND seq = 0"
        first = next((bytes(body) for (body,) in self._ask(query, self._log)), None)
        frontier = Frontier.from_bytes(state) if state else Frontier()
        return LogState(frontier, writers, name, first)

    def documents(self, tags: Collection[bytes]) -> Mapping[bytes, int]:
        query = (
            "SELECT tag, seq FROM document"
            " WHERE log = %s AND tag = ANY(%s::bytea[]) AND sealed IS NOT NULL"
        )
        return self._pairs(query, tags)

    def chunks(self, tags: Collection[bytes]) -> Mapping[bytes, tuple[int, int]]:
        query = (
            "SELECT tag, seq, document FROM chunk"
            " WHERE log = %s AND tag = ANY(%s::bytea[]) AND sealed IS NOT NULL"
        )
        return {tag: (seq, document) for tag, seq, document in self._rows(query, tags)}

    def names(self, tags: Collection[bytes]) -> Mapping[bytes, int]:
        # A name without an owner stands in its entry; with one, but not sealed any more, it was erased.
        query = (
            "SELECT tag, seq FROM name WHERE log = %s AND tag = ANY(%s::bytea[])"
            " AND (owner IS NULL OR sealed IS NOT NULL)"
        )
        return self._pairs(query, tags)

    def writers(self, names: Collection[str]) -> Mapping[str, int]:
        query = "SELECT name, number FROM writer WHERE log = %s AND name = ANY(%s::text[])"
        return self._pairs(query, names)

    def responses(self, references: Collection[bytes]) -> Mapping[bytes, int]:
        query = (
            "SELECT substring(body FROM 3 FOR 16), seq FROM entry WHERE log = %s AND "  # noqa: S608  # ours
            + REFERENCE
            + " = ANY(%s::bytea[])"
        )
        return self._pairs(query, references)

    def histories(self, seqs: Collection[int]) -> Mapping[int, Sequence[tuple[int, bytes]]]:
        query = (
            "SELECT coalesce(about, seq), seq, body FROM entry"
            " WHERE log = %s AND (seq = ANY(%s::bigint[]) OR about = ANY(%s::bigint[])) ORDER BY seq"
        )
        found: dict[int, list[tuple[int, bytes]]] = {seq: [] for seq in seqs}
        if found:
            for first, seq, body in self._ask(query, self._log, list(seqs), list(seqs)):
                found[first].append((seq, body))
        return found

    def documents_of(self, chunks: Collection[int]) -> Mapping[int, int]:
        query = "SELECT seq, document FROM chunk WHERE log = %s AND seq = ANY(%s::bigint[])"
        return self._pairs(query, chunks)

    def derived(self, documents: Collection[int]) -> Collection[tuple[int, int]]:
        query = (
            "SELECT document, source FROM derivation"
            " WHERE log = %s AND document = ANY(%s::bigint[])"
        )
        return self._rows(query, documents)

    def _pairs(self, query: LiteralString, keys: Collection[Any]) -> dict[Any, int]:
        return dict(self._rows(query, keys))

    def _rows(self, query: LiteralString, keys: Collection[Any]) -> list[Any]:
        return self._ask(query, self._log, list(keys)) if keys else []
