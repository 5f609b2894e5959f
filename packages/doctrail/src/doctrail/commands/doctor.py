"""`doctrail doctor`: is everything being recorded as it should?"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail.health import Health, StoreHealth

NAME = "doctor"
SUMMARY = "what is configured, how the stores are, what went wrong unseen"
DESCRIPTION = """\
What is configured and from where, the health of the stores, and what went wrong without the application
noticing: faults that were swallowed, records that were dropped. Exits with 1 when there is something to
look at."""
EXAMPLE = "doctrail doctor --home /var/lib/doctrail"

_PACKAGES = (
    "doctrail",
    "doctrail-core",
    "langchain-doctrail",
    "llama-index-observability-doctrail",
    "langchain-core",
    "llama-index-core",
    "opentelemetry-sdk",
)


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing: the doctor looks at everything."""
    del parser


def run(options: Namespace, terminal: Terminal) -> int:
    from dataclasses import asdict

    from doctrail.health import examine

    health = examine(options.home, os.environ)
    if options.json:
        terminal.data({**asdict(health), "healthy": health.healthy, "versions": _versions()})
    else:
        terminal.say("\n".join(_told(health)))
    return exit_codes.OK if health.healthy else exit_codes.NOTHING


def _told(health: "Health") -> Iterator[str]:
    from doctrail_core.model.printable import columns

    yield "Settings (what an application sets in code goes before these)"
    rows = [
        [c.name, "not set" if c.value is None else str(c.value), c.origin] for c in health.settings
    ]
    yield from (f"  {line}" for line in columns(rows))
    yield "Stores"
    yield f"  in {health.home}"
    if not health.recorded:
        yield "  nothing is recorded yet"
    for store in health.stores:
        yield f"  {store.name}: {', '.join(_facts(store))}"
    yield from _faults(health)
    yield "Versions"
    yield f"  {', '.join(f'{name} {version}' for name, version in _versions().items())}"
    yield "To look at" if health.remarks else "All is well."
    yield from (f"  - {remark}" for remark in health.remarks)


def _facts(store: "StoreHealth") -> Iterator[str]:
    if store.bytes is None:
        yield "no file yet"
        return
    yield f"{store.bytes:,} bytes"
    if store.schema_version is not None:
        yield f"schema {store.schema_version}"
    if store.records is not None:
        yield f"{store.records:,} records"
    yield f"integrity {store.integrity or 'not known'}"
    yield f"{store.waiting_bytes:,} bytes waiting in the spool"
    if store.lease_holder:
        yield f"process {store.lease_holder} is writing to it"


def _faults(health: "Health") -> Iterator[str]:
    if not health.faults:
        return
    yield "Faults kept from the application (times UTC; each is noted at its 1st, 10th, 100th ... time)"
    for fault in health.faults[-20:]:
        what = f" {fault.kind}" if fault.kind else ""
        yield f"  {fault.time[:19]}  process {fault.pid}  {fault.where}{what}, {fault.count} times"


def _sqlite() -> str:
    """The version that opens our files, which need not be Python's own."""
    import sqlite3

    from doctrail_core.durable.errors import StoreError
    from doctrail_core.durable.newer_sqlite import connect

    with suppress(StoreError), closing(connect(":memory:", timeout=0)) as connection:
        return str(connection.execute("SELECT sqlite_version()").fetchone()[0])
    return sqlite3.sqlite_version


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "sqlite": _sqlite()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
