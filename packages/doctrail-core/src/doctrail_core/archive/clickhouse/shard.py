"""One server of an index, or one group of replicas: what it has, and how it comes to have more."""

import logging
import os
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.clickhouse.schema import PROGRESS, statements
from doctrail_core.archive.libraries import clickhouse
from doctrail_core.archive.manifest import Part

__all__ = ["Shard"]

_ROWS_AT_ONCE = 250_000
"""ClickHouse keeps as many together as one insert, which is there as a whole or not at all."""
_INSERT = {"async_insert": 0, "insert_deduplicate": 1, "max_partitions_per_insert_block": 0}


class Progress(NamedTuple):
    """How often a part of a segment was sent anew, and whether all of it has arrived."""

    attempt: int = 0
    done: bool = False
    rows: int = 0

    def is_met_by(self, rows: int) -> bool:
        """Whether so many rows are all."""
        return self.done and rows == self.rows


class Shard:
    """A connection to one shard.

    Args:
        url: As in `clickhouse://user:password@host:8123/database`; with `?cluster=NAME` its tables are
            made on all servers of the cluster, as replicated ones.
        number: Which shard it is.
        shards: Of how many.
    """

    def __init__(self, url: str, number: int = 0, shards: int = 1) -> None:
        try:
            parts = urlsplit(url)
            self.name = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path}"
        except ValueError:  # whose message would repeat a part of a password
            raise ArchiveError(
                f"the address of shard {number} is none that can be used: it has to be such as"
                " clickhouse://user:password@host:8123/database, with @ as %40, / as %2F and % as %25 in"
                " the password, or better with CLICKHOUSE_USER and CLICKHOUSE_PASSWORD"
            ) from None
        options = dict(parse_qsl(parts.query))
        self.number = number
        self.shards = shards
        self._cluster = options.pop("cluster", None)
        library = clickhouse()
        # It also logs what it raises; where nobody listens, that would go to the terminal a second time.
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
        self._errors = (library.driver.exceptions.Error, OSError)
        told = _from_environment() if parts.username is None else dict[str, str]()
        with self._told():
            dsn = urlunsplit(parts._replace(query=urlencode(options)))
            self._client = library.get_client(dsn=dsn, autogenerate_session_id=False, **told)

    def close(self) -> None:
        with self._told():
            self._client.close()

    def prepare(self) -> None:
        """Make the tables where they are missing.

        Raises:
            ArchiveError: That cannot be done, or the tables were filled as another number of shards.
        """
        with self._told():
            for statement in statements(self._cluster):
                self._client.command(statement)
        known = self.ask(f"SELECT DISTINCT shard, shards FROM {PROGRESS}")  # noqa: S608  # our name
        for shard, shards in known:
            if (shard, shards) != (self.number, self.shards):
                raise ArchiveError(
                    f"{self.name} was filled as shard {shard + 1} of {shards}, not as {self.number + 1} of"
                    f" {self.shards}: name the same servers in the same order, or drop the tables and push anew"
                )

    def is_prepared(self) -> bool:
        """Whether anything was pushed to it ever."""
        return bool(
            self.ask(
                "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = {t:String}",
                t=PROGRESS,
            )
        )

    def ask(self, query: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        """The rows of an answer; of strings, those of a fixed length are bytes."""
        return self._asked(query, parameters, {"FixedString": "bytes"})

    def ask_bytes(self, query: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        """The rows of an answer, of which all strings are bytes."""
        return self._asked(query, parameters, {"*String": "bytes"})

    def arrived(self, log: str, part: Part) -> Collection[int]:
        """The segments of a log of which a part was pushed here as a whole, and still has all of its rows."""
        query = f"SELECT segment, count() FROM {part} WHERE log = {{log:String}} GROUP BY segment"  # noqa: S608  # our name
        counts: dict[int, int] = dict(self.ask(query, log=log))  # pyright: ignore[reportArgumentType, reportAssignmentType]  # of two columns
        known = self._progress(log, part)
        return {number for number, each in known.items() if each.is_met_by(counts.get(number, 0))}

    def put(self, log: str, segment: int, part: Part, content: str, table: Any) -> None:
        """Have a part of a segment, once: what is there already is known again, what is damaged is replaced.

        `content` is the hash of the file that the rows are from.
        """
        known = self._progress(log, part).get(segment, Progress())
        there = self._count(log, segment, part)
        if known.is_met_by(there):
            return
        attempt = known.attempt
        if known.done or attempt:
            # It was complete and is not any more, or a repair has failed. Inserts of before would be known again.
            attempt += 1
            self._note(log, segment, part, Progress(attempt, done=False, rows=table.num_rows))
            self._remove(log, segment, part)
        self._insert(
            part, table, f"{log}:{segment}:{content}:{self.number}/{self.shards}:{attempt}"
        )
        if (there := self._count(log, segment, part)) != table.num_rows:
            self._note(log, segment, part, Progress(attempt + 1, done=False, rows=table.num_rows))
            raise ArchiveError(
                f"{self.name} has {there:,} {part} of segment {segment} instead of {table.num_rows:,}; push again"
                " to have them replaced"
            )
        self._note(log, segment, part, Progress(attempt, done=True, rows=table.num_rows))

    def _insert(self, part: Part, table: Any, token: str) -> None:
        for piece, start in enumerate(range(0, table.num_rows, _ROWS_AT_ONCE)):
            rows = table.slice(start, _ROWS_AT_ONCE).combine_chunks()
            told = _INSERT | {"insert_deduplication_token": f"{token}:{piece}"}
            with self._told():
                self._client.insert_arrow(part, rows, settings=told)

    def _asked(
        self, query: str, parameters: Mapping[str, object], formats: Mapping[str, str]
    ) -> Sequence[tuple[Any, ...]]:
        with self._told():
            found = self._client.query(query, parameters=parameters, query_formats=formats)
            return found.result_rows

    def _progress(self, log: str, part: Part) -> Mapping[int, Progress]:
        query = (
            f"SELECT segment, max((attempt, done, rows)) FROM {PROGRESS}"  # noqa: S608  # our name
            " WHERE log = {log:String} AND part = {part:String} GROUP BY segment"
        )
        return {number: Progress(*known) for number, known in self.ask(query, log=log, part=part)}

    def _note(self, log: str, segment: int, part: Part, progress: Progress) -> None:
        known = {
            "log": log,
            "segment": segment,
            "part": part,
            "shard": self.number,
            "shards": self.shards,
            "attempt": progress.attempt,
            "rows": progress.rows,
            "done": int(progress.done),
        }
        values = ", ".join(
            f"{{{name}:{'String' if name in {'log', 'part'} else 'UInt64'}}}" for name in known
        )
        with self._told():
            statement = f"INSERT INTO {PROGRESS} ({', '.join(known)}) SELECT {values}"
            self._client.command(statement, parameters=known)

    def _count(self, log: str, segment: int, part: Part) -> int:
        query = f"SELECT count() FROM {part} WHERE log = {{log:String}} AND segment = {{segment:UInt32}}"  # noqa: S608  # our name
        return self.ask(query, log=log, segment=segment)[0][0]

    def _remove(self, log: str, segment: int, part: Part) -> None:
        statement = (
            f"ALTER TABLE {part} DELETE WHERE log = {{log:String}} AND segment = {{segment:UInt32}}"
            " SETTINGS mutations_sync = 2"
        )
        with self._told():
            self._client.command(statement, parameters={"log": log, "segment": segment})

    @contextmanager
    def _told(self) -> Generator[None]:
        """Say in words what the server refused, without the password."""
        try:
            yield
        except self._errors as error:
            raise ArchiveError(f"{self.name}: {error}") from error


def _from_environment() -> Mapping[str, str]:
    """Whoever connects, as ClickHouse's own programs are told."""
    known = {"username": "CLICKHOUSE_USER", "password": "CLICKHOUSE_PASSWORD"}
    return {
        name: os.environ[variable] for name, variable in known.items() if variable in os.environ
    }
