"""A newer SQLite than the one that Python was built with: that of `apsw`, where `DOCTRAIL_SQLITE=apsw` asks for it.

`apsw` speaks another dialect than the standard library; this translates, as far as our stores go. Errors come as those
of `sqlite3`, so that nobody above has to know which of the two it was.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from doctrail_core.durable.errors import StoreError

if TYPE_CHECKING:
    import apsw

__all__ = ["connect"]

_CHOICE = "DOCTRAIL_SQLITE"
_PROGRAMMING = ("ConnectionClosedError", "CursorClosedError", "BindingsError", "MisuseError")


def connect(database: str, *, timeout: float) -> sqlite3.Connection:
    """Open a file, which must exist, in autocommit mode, for use by any thread.

    Args:
        database: A `file:` URI.
        timeout: Seconds to wait for a lock.

    Raises:
        sqlite3.DatabaseError: It cannot be opened.
        StoreError: `DOCTRAIL_SQLITE` asks for what there is not, or for `apsw`, which is not installed.
    """
    match os.environ.get(_CHOICE, ""):
        case "" | "python":
            return sqlite3.connect(
                database, uri=True, isolation_level=None, check_same_thread=False, timeout=timeout
            )
        case "apsw":
            # What our stores use of a connection, this has.
            return cast("sqlite3.Connection", _Connection(database, timeout))
        case other:
            raise StoreError(f"{_CHOICE} is {other!r}; it must be apsw or python")


class _Connection:
    """What a store needs of `sqlite3.Connection`."""

    def __init__(self, database: str, timeout: float) -> None:
        try:
            import apsw
        except ModuleNotFoundError as error:
            raise StoreError(
                f"{_CHOICE} is apsw, which is not installed: pip install 'doctrail-core[apsw]'"
            ) from error

        flags = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE
        with _as_sqlite3():
            self._connection: Any = apsw.Connection(database, flags)  # its stubs know not all types
            self._connection.set_busy_timeout(int(timeout * 1000))

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, parameters: Iterable[Any] = ()) -> "_Cursor":
        with _as_sqlite3():
            return _Cursor(self._connection, self._connection.execute(statement, tuple(parameters)))

    def executemany(self, statement: str, rows: Iterable[Iterable[Any]]) -> "_Cursor":
        with _as_sqlite3():
            cursor = self._connection.executemany(statement, (tuple(row) for row in rows))
            return _Cursor(self._connection, cursor)

    def executescript(self, script: str) -> None:
        self.execute(script).fetchall()

    def create_function(
        self, name: str, arguments: int, function: Callable[..., Any], *, deterministic: bool
    ) -> None:
        with _as_sqlite3():
            self._connection.create_scalar_function(
                name, function, arguments, deterministic=deterministic
            )

    def close(self) -> None:
        with _as_sqlite3():
            self._connection.close()


class _Cursor:
    """What a store needs of `sqlite3.Cursor`."""

    def __init__(self, connection: Any, cursor: Any) -> None:
        self._cursor = cursor
        self.lastrowid = connection.last_insert_rowid()
        self.rowcount = connection.changes()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        with _as_sqlite3():
            yield from self._cursor

    def fetchone(self) -> tuple[Any, ...] | None:
        with _as_sqlite3():
            return self._cursor.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        with _as_sqlite3():
            return self._cursor.fetchall()


@contextmanager
def _as_sqlite3() -> Generator[None]:
    import apsw

    try:
        yield
    except apsw.Error as error:
        raise _translated(error) from error


def _translated(error: "apsw.Error") -> sqlite3.Error:
    code: int = getattr(error, "result", sqlite3.SQLITE_ERROR)
    kind = sqlite3.OperationalError
    if type(error).__name__ in _PROGRAMMING:
        kind = sqlite3.ProgrammingError
    elif code == sqlite3.SQLITE_CONSTRAINT:
        kind = sqlite3.IntegrityError
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        kind = sqlite3.DatabaseError
    translated = kind(str(error))
    if kind is not sqlite3.ProgrammingError:
        translated.sqlite_errorcode = getattr(error, "extendedresult", code)
    return translated
