"""The state of an installation: what is configured, what its stores are like, what went wrong in it.

Looking changes nothing but that records waiting in the spools are moved into the databases, as every
reader does. What is wrong with one part does not keep the others from being looked at.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, LiteralString, cast
from urllib.parse import quote, urlsplit

from doctrail_core.audit.anchors import AnchorError, failing
from doctrail_core.capture.settings import Settings, SettingsError
from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.faults import Fault, read_faults
from doctrail_core.durable.filesystem import NotLocalError, check_is_local
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.intake import sizes
from doctrail_core.durable.lease import Lease
from doctrail_core.durable.served import Served, check_server, host_of, served, without_password
from doctrail_core.erasure.receipts import Receipts
from doctrail_core.erasure.retention import is_unfinished
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.trails import open_trails

__all__ = ["Choice", "Health", "StoreHealth", "choices", "examine"]

_SOURCES = {
    "home": ("DOCTRAIL_HOME",),
    "content": ("DOCTRAIL_CONTENT",),
    "span_content": (
        "DOCTRAIL_SPAN_CONTENT",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    ),
    "spans": ("DOCTRAIL_SPANS",),
    "span_families": ("DOCTRAIL_SPAN_FAMILIES",),
    "service": ("DOCTRAIL_SERVICE", "OTEL_SERVICE_NAME"),
    "durability": ("DOCTRAIL_DURABILITY",),
    "when_unrecorded": ("DOCTRAIL_WHEN_UNRECORDED",),
    "database": ("DOCTRAIL_DATABASE",),
}
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting, and where its value comes from: an option, an environment variable, or the default."""

    name: str
    value: str | bool | None
    origin: str


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """One store. What is not known, because there is no file or it cannot be read, is None.

    Attributes:
        records: How many entries or trails it holds.
        integrity: `ok`, or what SQLite found; not known of a server.
        waiting_bytes: What lies in the spool and is not in the database yet.
        lease_holder: The process that moves records into it at the moment.
        set_aside: Files with records that could not be moved.
        trouble: What is wrong, if anything.
    """

    name: Literal["ledger", "trails"]
    path: str
    bytes: int | None
    schema_version: int | None
    records: int | None
    integrity: str | None
    waiting_bytes: int
    lease_holder: int | None
    set_aside: tuple[str, ...]
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """All that `doctrail doctor` knows. It is healthy when there are no remarks."""

    settings: tuple[Choice, ...]
    home: str
    recorded: bool
    stores: tuple[StoreHealth, ...]
    faults: tuple[Fault, ...]
    remarks: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        return not self.remarks


def examine(home: str | None, environment: Mapping[str, str]) -> Health:
    """Look at everything; `home` is what was typed, if anything was."""
    remarks: list[str] = []
    try:
        settings = Settings.load(environment, home=home)
    except SettingsError as error:
        remarks.append(str(error))
        settings = Settings.load({"DOCTRAIL_HOME": environment.get("DOCTRAIL_HOME", "")}, home=home)
    place = Home(settings.home, settings.database)
    stores = (_ledger(place), _trails(place)) if place.path.is_dir() else ()
    faults = tuple(read_faults(place))
    remarks += [*_on_folder(place), *_on_server(place), *_on_stores(stores), *_on_erasures(place)]
    remarks += [*_on_anchors(place), *_on_faults(faults)]
    return Health(
        settings=tuple(choices(settings, home, environment)),
        home=str(place.path.absolute()),
        recorded=any(store.records for store in stores),
        stores=stores,
        faults=faults,
        remarks=tuple(remarks),
    )


def choices(
    settings: Settings, home: str | None, environment: Mapping[str, str]
) -> Iterator[Choice]:
    """Every setting with its origin. What an application sets in code is not seen from here."""
    for name, variables in _SOURCES.items():
        value = _shown(name, getattr(settings, name))
        origin = next((v for v in variables if environment.get(v)), "default")
        if name == "home" and home is not None:
            origin = "--home"
        yield Choice(name, value, origin)


def _shown(name: str, value: Any) -> str | bool | None:
    if name == "database" and value is not None:
        try:
            address = urlsplit(without_password(str(value)))
        except StoreError:
            return "(not an address that can be used)"  # and which may hold a password anywhere
        host = address.netloc.rpartition("@")[2]
        return f"{address.scheme}://{host}{address.path}"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, cast("frozenset[object]", value))))
    return str(value) if isinstance(value, Path) else value


def _ledger(home: Home) -> StoreHealth:
    return _store("ledger", home, lambda: _open_ledger(home), "entry")


def _trails(home: Home) -> StoreHealth:
    return _store("trails", home, lambda: open_trails(home, timeout=_PATIENCE), "trail")


def _store(
    name: Literal["ledger", "trails"],
    home: Home,
    open_reader: Callable[[], Any],
    table: LiteralString,
) -> StoreHealth:
    path = home.database(name)
    trouble = _trouble(open_reader)
    try:
        place = served(home)
    except StoreError:
        place = None
    facts = _facts(path, table) if place is None else _server_facts(place, name, table)
    spool = home.spool(name)
    set_aside = sorted(str(p) for kind in ("damaged", "refused") for p in spool.glob(f"*.{kind}"))
    return StoreHealth(
        name=name,
        path=str(path) if place is None else host_of(place.address),
        bytes=facts.get("bytes", path.stat().st_size if path.is_file() else None),
        schema_version=facts.get("user_version"),
        records=facts.get("records"),
        integrity=facts.get("integrity"),
        waiting_bytes=max(0, sum(sizes(spool).values()) - facts.get("read", 0)),
        lease_holder=Lease(home.lease(name)).holder(),
        set_aside=tuple(set_aside),
        trouble=trouble or facts.get("trouble"),
    )


def _open_ledger(home: Home) -> LedgerReader:
    """The ledger, if its names can be found."""
    ledger = open_ledger(home, timeout=_PATIENCE)
    try:
        ledger.tag("log")
    except BaseException:
        ledger.close()
        raise
    return ledger


def _trouble(open_reader: Callable[[], Any]) -> str | None:
    try:
        with closing(open_reader()) as reader:
            return reader.warning
    except NothingRecordedError:
        return None
    except StoreError as error:
        return str(error)
    except (
        OSError
    ) as error:  # such as of a store that has to be brought up to date, on a disk that is read-only
        return f"{error.filename or 'a store'} cannot be used: {error.strerror}."


def _facts(path: Path, table: str) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            return dict(_asked(connection, table))
    except sqlite3.Error as error:
        return {"trouble": f"{path}: {error}"}


def _server_facts(place: Served, name: Stream, table: LiteralString) -> dict[str, Any]:
    from doctrail_core.durable.postgres import server_facts
    from doctrail_core.ledger.postgres.schema import SCHEMA as LEDGER
    from doctrail_core.trails.postgres.schema import SCHEMA as TRAILS

    try:
        facts = server_facts(place, {"ledger": LEDGER, "trails": TRAILS}[name], table)
    except StoreError as error:
        return {"trouble": str(error)}
    if facts is None:
        return {}
    found = {"bytes": facts.bytes, "records": facts.records, "read": facts.read}
    return found | {"user_version": facts.version}


def _asked(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, Any]]:
    questions = {
        "user_version": "PRAGMA user_version",
        "integrity": "PRAGMA quick_check(1)",
        "records": f"SELECT count(*) FROM {table}",  # noqa: S608 - a name of ours
        "read": "SELECT coalesce(sum(position), 0) FROM cursor",
    }
    for name, question in questions.items():
        yield name, connection.execute(question).fetchone()[0]


def _on_server(home: Home) -> Iterator[str]:
    try:
        check_server(home)
    except StoreError as error:
        yield str(error)


def _on_folder(home: Home) -> Iterator[str]:
    if not home.path.exists():
        return
    if not home.path.is_dir():
        yield f"{home.path} is no folder. Move it away, or set DOCTRAIL_HOME to a folder."
        return
    try:
        check_is_local(home.path)
    except NotLocalError as error:
        yield f"{error.strerror}."
    if not os.access(home.path, os.W_OK | os.X_OK):
        yield f"{home.path} cannot be written to by this user: nothing can be recorded from here."
    if stat.S_IMODE(home.path.stat().st_mode) & 0o077:
        yield f"{home.path} can be opened by other users. It holds texts and a key: chmod 700 it."


def _on_stores(stores: tuple[StoreHealth, ...]) -> Iterator[str]:
    for store in stores:
        if store.trouble:
            yield store.trouble
        if store.integrity not in (None, "ok"):
            yield f"{store.path} is damaged: {store.integrity}. Put a backup in its place."
        if store.set_aside:
            yield (
                f"{len(store.set_aside)} files hold records that could not be moved into {store.path};"
                f" the first is {store.set_aside[0]}"
            )


def _on_erasures(home: Home) -> Iterator[str]:
    try:
        for draft in Receipts(home).drafts():
            yield (
                f"an erasure of a {draft.scope} was begun at {draft.attempts[-1].started} and not completed: texts or"
                " names of it may still be here. Run the same `doctrail erase` again."
            )
    except StoreError as error:
        yield str(error)
    if is_unfinished(home):
        yield (
            "a retention run died while it removed trails: texts of them may still be here. Run"
            " `doctrail retention run` again."
        )


def _on_anchors(home: Home) -> Iterator[str]:
    try:
        for failure in failing(home):
            what = "contradicts this ledger" if failure.contradiction else "takes no checkpoints"
            yield f"anchor {failure.anchor} {what} since {failure.since}: {failure.error}"
    except (AnchorError, OSError) as error:
        yield str(error)


def _on_faults(faults: tuple[Fault, ...]) -> Iterator[str]:
    if faults:
        last = {(fault.pid, fault.where, fault.kind): fault.count for fault in faults}
        number = sum(last.values())
        yield (
            f"at least {number:,} {'fault was' if number == 1 else 'faults were'} kept from the application, the last in {faults[-1].where} at"
            f" {faults[-1].time}. Delete faults.jsonl when they are dealt with."
        )
