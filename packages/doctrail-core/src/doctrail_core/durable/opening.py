"""SQLite files, opened safely, versioned, and with errors that say what to do.

Only the holder of a stream's lease opens one for writing. Readers open it read-only: SQLite before
3.51.3 can corrupt a database of which two writing connections reset the log at once.
"""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.home import FILE_MODE
from doctrail_core.durable.newer_sqlite import connect

__all__ = ["Schema", "explained", "open_reader", "open_writer"]

_CURSORS = """
CREATE TABLE cursor (file TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
"""
_PATIENCE = 2.0
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "cache_size = -16000",
    "wal_autocheckpoint = 4000",
)


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of a store. Each step leads to the next version; a released step never changes."""

    name: str
    application_id: int
    steps: tuple[str, ...]

    @property
    def version(self) -> int:
        return len(self.steps)


def open_writer(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open for writing, making or upgrading the file as needed.

    Raises:
        StoreError: It cannot be.
    """
    with explained(path, schema):
        _make_file(path)
        connection = connect(f"file:{quote(str(path))}?mode=rw", timeout=_PATIENCE)
        return _prepared(connection, lambda: _make_current(connection, path, schema))


def _make_file(path: Path) -> None:
    # Only if it is missing: to close a file takes away all locks that this process has on it, and
    # SQLite, which has them, would go on as if it still had.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))


def open_reader(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open for reading.

    Raises:
        NothingRecordedError: There is no such file, or nothing in it.
        StoreError: It cannot be read.
    """
    if not path.exists():
        raise _nothing(path)
    with explained(path, schema):
        try:
            return _opened_for_reading(path, schema, "mode=ro")
        except sqlite3.OperationalError as error:
            if (
                _code(error) != sqlite3.SQLITE_CANTOPEN
                or path.with_name(f"{path.name}-wal").exists()
            ):
                raise
            # A folder that cannot be written to has no room for the log, and needs none.
            return _opened_for_reading(path, schema, "immutable=1")


def _opened_for_reading(path: Path, schema: Schema, mode: str) -> sqlite3.Connection:
    connection = connect(f"file:{quote(str(path))}?{mode}", timeout=_PATIENCE)
    return _prepared(connection, lambda: _check_for_reading(connection, path, schema))


def _check_for_reading(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    # Without a version it is still empty: somebody is about to make it, or died before that.
    if _check(connection, path, schema) == 0:
        raise _nothing(path)


def _nothing(path: Path) -> NothingRecordedError:
    return NothingRecordedError(
        f"nothing is recorded yet at {path}. Run the application first, or set DOCTRAIL_HOME to the"
        " folder in which it records."
    )


def _prepared(connection: sqlite3.Connection, prepare: Callable[[], object]) -> sqlite3.Connection:
    try:
        prepare()
    except BaseException:
        connection.close()
        raise
    return connection


def _make_current(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    version = _check(connection, path, schema)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if version < schema.version:
        script = "".join(schema.steps[version:]) + (_CURSORS if version == 0 else "")
        connection.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {schema.application_id};"
            f" PRAGMA user_version = {schema.version}; COMMIT"
        )


def _check(connection: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """The file's schema version, if it is one of ours that we understand."""
    # In one transaction: another process may be making the file what it is to be.
    connection.execute("BEGIN")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.execute("COMMIT")
    if tables and application != schema.application_id:
        raise StoreError(
            f"{path} is a database, but not a doctrail {schema.name}. Move it away, or set DOCTRAIL_HOME"
            " to another folder."
        )
    if version > schema.version:
        raise StoreError(
            f"{path} was written by a newer doctrail (its schema is {version}, this one knows"
            f" {schema.version}). Upgrade doctrail-core; nothing was changed."
        )
    return version


def _code(error: sqlite3.DatabaseError) -> int:
    """The primary result code; 0 where the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def explained(path: Path, schema: Schema) -> Generator[None]:
    """Turn what SQLite and the file system say into a `StoreError` that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | sqlite3.ProgrammingError):
            raise
        raise StoreError(f"{path}: {_advice(error, schema)}") from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened: {error.strerror}. Make it readable and writable for this user,"
            " or set DOCTRAIL_HOME to another folder."
        ) from error


def _advice(error: sqlite3.DatabaseError, schema: Schema) -> str:
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                "it is locked by another program that writes to it. Close that program; doctrail's own"
                " processes take turns and do not lock each other out."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return (
                f"it is damaged or no database ({error}). Move it away to go on with a new {schema.name},"
                f" and put a backup in its place or try `sqlite3 FILE .recover` to save what is in it."
            )
        case sqlite3.SQLITE_FULL:
            return "the disk is full. Make room; what was recorded waits in the spool meanwhile."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return (
                f"it cannot be opened or written to ({error}). Make the folder readable and writable for"
                " this user, or set DOCTRAIL_HOME to another one."
            )
        case _:
            return f"it does not work ({error}). What was recorded waits in the spool meanwhile."
