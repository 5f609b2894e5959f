"""A store's one writing connection, and a reading one."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from doctrail_core.durable.bulk import insert
from doctrail_core.durable.errors import NothingRecordedError, StaleStoreError, StoreError
from doctrail_core.durable.opening import Schema, explained, open_reader, open_writer

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Reader", "Schema", "Writer", "peek_cursors", "scrub"]

_PATIENCE = 10.0
"""Seconds in which readers may finish what they are reading."""
_PAUSE = 0.02


class Writer(ABC):
    """The one writing connection of a store, with the spool's cursors in the same file.

    See `doctrail_core.durable.intake.Store`.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._connection = open_writer(path, schema)
        self._path = path
        self._schema = schema
        self._file = path.stat()
        self._version = self._data_version()
        self.recall()

    @abstractmethod
    def add(self, payloads: Sequence[bytes]) -> None:
        """Put records in, as part of a transaction."""

    @abstractmethod
    def recall(self) -> None:
        """Forget what may not be in the file."""

    def cursors(self) -> dict[str, int]:
        with explained(self._path, self._schema):
            return read_cursors(self._connection)

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        """Add records and move the cursors, all or nothing."""
        try:
            with self._transaction(cursors, forgotten):
                self.add(payloads)
        except BaseException:
            self.recall()
            raise

    def scrub(self, *, whole: bool = True) -> None:
        """Leave nothing of what was deleted in the file or in the log beside it.

        Args:
            whole: Also make the file anew: a page may hold an older copy of what was moved to another one.

        Raises:
            StoreError: Somebody reads the file for too long, or there is no room for a second one.
        """
        scrub(self._connection, self._path, self._schema, whole=whole)

    def close(self) -> None:
        with explained(self._path, self._schema):
            self._connection.close()

    @contextmanager
    def _transaction(
        self, cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> Generator[None]:
        """Commit what is done inside together with the cursors, or nothing of it."""
        self._check_not_removed()
        with explained(self._path, self._schema):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_nobody_else_wrote()
                yield
                moved, gone = cursors.items(), [(name,) for name in forgotten]
                insert(self._connection, "INSERT OR REPLACE INTO cursor", moved)
                self._connection.executemany("DELETE FROM cursor WHERE file = ?", gone)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _data_version(self) -> int:
        """A number that changes when another connection writes."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def _check_nobody_else_wrote(self) -> None:
        # Not with the lease; but if its file is removed by hand, two may believe they have it.
        if self._data_version() != self._version:
            raise StaleStoreError(f"another process wrote to {self._path}, too")

    def _check_not_removed(self) -> None:
        # SQLite would go on writing to a file that nobody can open any more.
        if not self._path.exists() or not os.path.samestat(self._path.stat(), self._file):
            raise StaleStoreError(f"{self._path} was removed or replaced while it was open")


class Reader:
    """A reading connection to a store.

    Attributes:
        warning: What a user should know of what is missing, if anything is.
    """

    def __init__(self, path: Path, schema: Schema, *, warning: str | None = None) -> None:
        self._path = path
        self._schema = schema
        self._connection = open_reader(path, schema)
        self.warning = warning

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def _column(self, name: str, *, since: int, otherwise: str = "0") -> str:
        """A column, or what stands for it in a file that no writer has brought to version `since` yet."""
        return name if self._version() >= since else otherwise

    def _version(self) -> int:
        return next(self._rows("PRAGMA user_version"))[0]

    def _rows(self, query: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with explained(self._path, self._schema):
            yield from self._connection.execute(query, parameters)


def scrub(
    connection: "sqlite3.Connection", path: Path, schema: Schema, *, whole: bool = True
) -> None:
    """Leave nothing of what was deleted in a file; see `Writer.scrub`."""
    with explained(path, schema):
        if whole:
            connection.execute("VACUUM")
        deadline = time.monotonic() + _PATIENCE
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{path}: another program has been reading it all the while, so what was deleted may still be in"
                    f" {path.name}-wal. Run this again when it is done."
                )
            time.sleep(_PAUSE)


def read_cursors(connection: "sqlite3.Connection") -> dict[str, int]:
    return dict(connection.execute("SELECT file, position FROM cursor"))


def peek_cursors(path: Path, schema: Schema) -> dict[str, int]:
    """A store's cursors, as any process may read them."""
    try:
        with closing(open_reader(path, schema)) as connection, explained(path, schema):
            return read_cursors(connection)
    except NothingRecordedError:
        return {}
