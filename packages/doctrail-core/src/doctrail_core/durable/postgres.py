"""A PostgreSQL database, opened safely, brought to the schema of now, and with errors that say what to do.

Each home has a log of its own there, which only the holder of the home's lease writes. What was committed is as
durable as the server can make it, standbys included, because the spool forgets what was committed.
"""

from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from doctrail_core.durable.errors import NothingRecordedError, StaleStoreError, StoreError
from doctrail_core.durable.served import Served, host_of, without_password

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "ServerFacts",
    "ServerSchema",
    "ServerSession",
    "ServerWriter",
    "connect",
    "explained",
    "peek_cursors",
    "server_facts",
]

_MIGRATIONS = Path(__file__).with_name("migrations")
_UPGRADING = 0x64747567
_FETCHED = 2_000
_CONNECTION = {
    "application_name": "doctrail",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # A server that vanished must be noticed, or its standby waits for us for ever.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_PLANNING = "SET cursor_tuple_fraction TO 1; SET random_page_cost TO 1.1"
"""Answers are read to their end, and found by indexes: else a large one is joined by reading all entries there are."""
_DURABLE: LiteralString = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local')
"""


@dataclass(frozen=True, slots=True)
class ServerSchema:
    """The tables of a store on a server.

    Attributes:
        name: What users call it.
        namespace: The PostgreSQL schema that it has for itself.
        lock: The class of its advisory locks, one for each log.
        revisions: Of the migrations, in order.
        versions: The folder of their scripts.
    """

    name: str
    namespace: LiteralString
    lock: int
    revisions: tuple[str, ...]
    versions: Path


def connect(
    address: str, namespace: LiteralString = "pg_catalog"
) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection on which every statement is a transaction, unless one is begun.

    Args:
        address: Of the server and its database.
        namespace: The PostgreSQL schema in which tables are looked for.

    Raises:
        StoreError: There is none to be had.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise StoreError(
            "a ledger in PostgreSQL needs `pip install 'doctrail-core[postgres]'`"
        ) from error
    without_password(address)  # refuses what is no address
    try:
        given = conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        raise _unusable() from None  # whose message would repeat a password
    with explained(address):
        settings: dict[str, Any] = _CONNECTION | given
        connection = psycopg.connect(**settings, autocommit=True)
        try:
            connection.execute(f"SET search_path TO {namespace}")
            connection.execute(_PLANNING)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def explained(address: str) -> Generator[None]:
    """Turn what the server says into a `StoreError` that says what to do."""
    import psycopg

    try:
        yield
    except (psycopg.IntegrityError, psycopg.DataError):
        raise
    except psycopg.Error as error:
        raise StoreError(f"{host_of(address)}: {_advice(error)}") from None


def _unusable() -> StoreError:
    return StoreError(
        "the address of the database server cannot be read: a part of it is not as PostgreSQL has it."
        " Set DOCTRAIL_DATABASE to one such as postgresql://user@host:5432/database."
    )


_BY_STATE = {
    "28": "the server lets nobody in with this user and password",
    "42501": (
        "the user may not do that. Let the database's owner run `GRANT CREATE ON DATABASE ... TO ...`,"
        " or make the schemas doctrail_ledger and doctrail_trails for this user"
    ),
    "53100": "the server's disk is full. Make room there",
    "53300": "the server has no connection left. Raise its max_connections, or use fewer processes",
    "25006": (
        "the server cannot be written to: it is a standby, or was set read-only. Name all hosts of the"
        " cluster in DOCTRAIL_DATABASE, with target_session_attrs=read-write"
    ),
    "57P": "the server is going down or starting",
    "40": "another transaction was in the way",
    "XX": "the server found its data damaged. Restore it from a backup",
}
_BY_WORDS = {
    "read-only": _BY_STATE["25006"],
    "in hot standby": _BY_STATE["25006"],
    "authentication failed": (
        "the server does not let this user in. Put the password into ~/.pgpass, PGPASSWORD or"
        " DOCTRAIL_DATABASE"
    ),
    "no password supplied": (
        "the server wants a password. Put it into ~/.pgpass, PGPASSWORD or DOCTRAIL_DATABASE"
    ),
    "does not exist": "there is no such database or user. Make them, or correct DOCTRAIL_DATABASE",
    "no pg_hba.conf entry": "the server's pg_hba.conf does not let this user or machine in",
}


def _advice(error: "psycopg.Error") -> str:
    said = str(error).strip()
    state = error.sqlstate or ""
    by_state = next((what for code, what in _BY_STATE.items() if state.startswith(code)), None)
    by_words = next((what for words, what in _BY_WORDS.items() if words in said), None)
    what = by_state if state and by_state else by_words
    if what is None:
        what = "it does not work" if state else "it cannot be reached, or the connection was lost"
    detail = " ".join(said.split())
    return f"{what} ({detail}). What was recorded waits in the spool meanwhile."


class ServerSession:
    """A reading connection to a store on a server."""

    def __init__(self, place: Served, schema: ServerSchema) -> None:
        self.place = place
        self._schema = schema
        self._streams = 0
        self._names = count()
        self._connection = connect(place.address, schema.namespace)
        try:
            found = _revision(self._connection, place, schema)
        except BaseException:
            self._connection.close()
            raise
        if found is None:
            self._connection.close()
            raise self.nothing()

    def close(self) -> None:
        self._connection.close()

    def nothing(self) -> NothingRecordedError:
        """What to say where the home has no log yet."""
        return NothingRecordedError(
            f"nothing is recorded yet by this home at {host_of(self.place.address)}. Run the"
            " application first, or set DOCTRAIL_HOME to the folder in which it records."
        )

    def rows(self, query: LiteralString, *given: object, **named: object) -> list[Any]:
        """All rows of an answer that is small."""
        with explained(self.place.address):
            cursor = self._connection.cursor(binary=True)
            return cursor.execute(query, named or given).fetchall()

    def stream(self, query: LiteralString, *given: object, **named: object) -> Generator[Any]:
        """The rows of an answer that may be large, fetched as they are asked for."""
        with explained(self.place.address), self._transaction():
            name = f"answer_{next(self._names)}"
            with self._connection.cursor(name) as cursor:
                cursor.itersize = _FETCHED
                cursor.execute(query, named or given, binary=True)
                yield from cursor

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """One for all streams that are open: they end in any order."""
        if not self._streams:
            self._connection.execute("BEGIN READ ONLY")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1
            if not self._streams and not self._connection.closed:
                self._connection.execute("COMMIT")


class ServerWriter:
    """The writing connection of a log, with the spool's cursors in the same database.

    See `doctrail_core.durable.intake.Store`.
    """

    def __init__(self, place: Served, schema: ServerSchema) -> None:
        self._place = place
        self._schema = schema
        self._warnings: list[str] = []
        self._connection = connect(place.address, schema.namespace)
        try:
            self._connection.add_notice_handler(self._heard)
            if _revision(self._connection, place, schema) != schema.revisions[-1]:
                self._check_encoding()
                _upgrade(place, schema)
            self._run(_DURABLE)
            self.log = self._enter()
            self._await_standby()
        except BaseException:
            self._connection.close()
            raise

    def cursors(self) -> dict[str, int]:
        query = "SELECT file, position FROM cursor WHERE log = %s"
        return dict(self._run(query, self.log))

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(
        self, cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> Generator[None]:
        """Commit what is done inside together with the cursors, or nothing of it."""
        with explained(self._place.address):
            self._warnings.clear()
            with self._connection.transaction():
                yield
                self._run(_MOVE, self.log, list(cursors), list(cursors.values()))
                gone = "DELETE FROM cursor WHERE log = %s AND file = ANY(%s::text[])"
                self._run(gone, self.log, list(forgotten))
        if self._warnings:
            # Such as that the wait for a standby was cut short: it is not safe yet, whatever else it says.
            raise StaleStoreError(f"{host_of(self._place.address)}: {self._warnings[0]}")

    def _vacuum(self, tables: Iterable[LiteralString], *, whole: bool) -> None:
        """Have room that was freed used again; if `whole`, make the tables anew without it."""
        for table in tables:
            self._run(f"VACUUM (FULL, ANALYZE) {table}" if whole else f"VACUUM {table}")

    def _run(self, query: LiteralString, *parameters: object) -> list[Any]:
        with explained(self._place.address):
            cursor = self._connection.cursor(binary=True)
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def _enter(self) -> int:
        """The number of the home's log; nobody else writes it while this connection lives."""
        query = "SELECT id FROM log WHERE name = %s"
        if not (found := self._run(query, self._place.log)):
            add = "INSERT INTO log (name) VALUES (%s) ON CONFLICT DO NOTHING"
            self._run(add, self._place.log)
            found = self._run(query, self._place.log)
        ((log,),) = found
        ((ours,),) = self._run("SELECT pg_try_advisory_lock(%s, %s)", self._schema.lock, log)
        if not ours:
            raise StoreError(
                f"{host_of(self._place.address)}: another process writes to the same log. If the home"
                f" folder was copied to another machine, remove server.json, keys.db and spool from the copy: each"
                " machine has a log of its own."
            )
        return log

    def _check_encoding(self) -> None:
        ((encoding,),) = self._run("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise StoreError(
                f"{host_of(self._place.address)}: the database's encoding is {encoding}, which does not have all"
                " characters. Make one with `createdb --encoding=UTF8 --template=template0`."
            )

    def _await_standby(self) -> None:
        """Let what the cursors say be on the standby before anybody relies on it: a wait may have been cut short."""
        ((standbys,),) = self._run("SELECT current_setting('synchronous_standby_names')")
        if standbys:
            with self._transaction({}, ()):
                self._run("UPDATE log SET name = name WHERE id = %s", self.log)

    def _heard(self, diagnostic: "psycopg.errors.Diagnostic") -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self._warnings.append(diagnostic.message_primary or "the server has a warning")


_MOVE: LiteralString = """
    INSERT INTO cursor (log, file, position)
    SELECT %s, moved.* FROM unnest(%s::text[], %s::bigint[]) AS moved
    ON CONFLICT (log, file) DO UPDATE SET position = excluded.position
"""


def peek_cursors(place: Served, schema: ServerSchema) -> dict[str, int]:
    """A log's cursors, as any process may read them."""
    query = "SELECT file, position FROM cursor JOIN log ON id = log WHERE name = %s"
    connection = connect(place.address, schema.namespace)
    try:
        if _revision(connection, place, schema) is None:
            return {}
        with explained(place.address):
            return dict(connection.execute(query, (place.log,)))
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """How a store on a server is doing.

    Attributes:
        bytes: What its tables and indexes take, those of all homes.
        version: Of its schema.
        records: How many rows a table has, of all homes.
        read: How many bytes of the home's spool files are in it.
    """

    bytes: int
    version: int
    records: int
    read: int


def server_facts(place: Served, schema: ServerSchema, table: LiteralString) -> ServerFacts | None:
    """Look at a store; None where there is none yet.

    Raises:
        StoreError: The server cannot be read.
    """
    connection = connect(place.address, schema.namespace)
    try:
        found = _revision(connection, place, schema)
        if found is None:
            return None
        with explained(place.address):
            given = {"namespace": schema.namespace, "log": place.log}
            query = _FACTS.format(table=table)
            ((size, rows, read),) = connection.execute(query, given).fetchall()
        return ServerFacts(int(size), schema.revisions.index(found) + 1, int(rows), int(read))
    finally:
        connection.close()


_FACTS: LiteralString = """
    SELECT
        (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
            WHERE relnamespace = %(namespace)s::regnamespace AND relkind IN ('r', 'm')),
        (SELECT count(*) FROM {table}),
        (SELECT coalesce(sum(position), 0) FROM cursor JOIN log ON id = log WHERE name = %(log)s)
"""


def _revision(
    connection: "psycopg.Connection[tuple[Any, ...]]", place: Served, schema: ServerSchema
) -> str | None:
    """The schema's version there, if it is one that we understand; None where there is none yet."""
    with explained(place.address):
        table = f"{schema.namespace}.alembic_version"
        ((there,),) = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))
        if not there:
            return None
        query = "SELECT version_num FROM alembic_version"
        found = connection.execute(query).fetchone()
    if found is not None and found[0] not in schema.revisions:
        raise StoreError(
            f"{host_of(place.address)}: the {schema.name} was written by a newer doctrail (its schema is"
            f" {found[0]}). Upgrade doctrail-core; nothing was changed."
        )
    return found[0] if found else None


def _upgrade(place: Served, schema: ServerSchema) -> None:
    """Run the migrations that are missing; of several processes, one does."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    def raw() -> Any:
        connection = connect(place.address)
        connection.autocommit = False
        return connection

    engine = create_engine("postgresql+psycopg://", creator=raw, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(schema.versions).replace("%", "%%"))
    for option in ("path_separator", "version_path_separator"):  # the latter before Alembic 1.16
        config.set_main_option(option, "os")
    with explained(place.address):
        try:
            with engine.begin() as connection:
                lock = text("SELECT pg_advisory_xact_lock(:lock)")
                connection.execute(lock, {"lock": _UPGRADING})
                config.attributes["connection"] = connection
                config.attributes["namespace"] = schema.namespace
                command.upgrade(config, "head")
        except DBAPIError as error:
            if error.orig is None:
                raise
            raise error.orig from None
