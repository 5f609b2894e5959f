"""The installation that a command is about."""

from argparse import Namespace
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from doctrail.errors import UsageError
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from doctrail_core import Lineage, Settings
    from doctrail_core.erasure.remarks import Remarks
    from doctrail_core.ledger.journal import LedgerJournal
    from doctrail_core.ledger.reader import LedgerReader
    from doctrail_core.trails.store import TrailReading

__all__ = [
    "PATIENCE",
    "home_of",
    "journal_of",
    "ledger_of",
    "lineage_of",
    "remarks_of",
    "settings_of",
    "trails_of",
]

PATIENCE = 5.0
"""Seconds to wait for another process that is to move records into the stores."""


class _Reader(Protocol):
    @property
    def warning(self) -> str | None: ...

    def close(self) -> None: ...


_R = TypeVar("_R", bound=_Reader)


def home_of(options: Namespace) -> "Path":
    """The folder that holds the records: what was typed, else the environment, else the default.

    Raises:
        SettingsError: A setting of the environment means nothing.
        UsageError: What is named is no folder.
    """
    from doctrail_core.capture.settings import Settings

    home = Settings.load(home=options.home).home
    if home.exists() and not home.is_dir():
        raise UsageError(f"{home} is no folder; name another with --home or DOCTRAIL_HOME")
    return home


def settings_of(options: Namespace) -> "Settings":
    """Those of the environment, for the home that was typed, if one was."""
    from dataclasses import replace

    from doctrail_core import Settings

    return replace(Settings.load(), home=home_of(options))


@contextmanager
def ledger_of(options: Namespace, terminal: Terminal) -> "Generator[LedgerReader]":
    """The installation's ledger, with all that was recorded so far."""
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger import open_ledger

    with _reading(open_ledger(Home(home_of(options)), timeout=PATIENCE), terminal) as ledger:
        yield ledger


@contextmanager
def trails_of(options: Namespace, terminal: Terminal) -> "Generator[TrailReading]":
    """The installation's trail store, with all that was recorded so far."""
    from doctrail_core.durable.home import Home
    from doctrail_core.trails import open_trails

    with _reading(open_trails(Home(home_of(options)), timeout=PATIENCE), terminal) as trails:
        yield trails


@contextmanager
def journal_of(options: Namespace) -> "Generator[LedgerJournal]":
    """The writing end of the installation's ledger."""
    from doctrail_core.durable.faults import Faults
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger.journal import LedgerJournal

    home = Home(home_of(options).absolute())
    with closing(LedgerJournal(home, Faults(home))) as journal:
        yield journal


def remarks_of(options: Namespace) -> "Remarks":
    """What people wrote about the installation's entries."""
    from doctrail_core.durable.home import Home
    from doctrail_core.erasure.remarks import Remarks

    return Remarks(Home(home_of(options).absolute()))


@contextmanager
def lineage_of(options: Namespace) -> "Generator[Lineage]":
    """The installation to add to: what is found about answers that are on record."""
    from dataclasses import replace

    from doctrail_core import Lineage

    with closing(Lineage(replace(settings_of(options), spans="none"))) as lineage:
        yield lineage
        lineage.flush(PATIENCE)


@contextmanager
def _reading(reader: _R, terminal: Terminal) -> Generator[_R]:
    with closing(reader):
        if reader.warning:
            terminal.complain(f"some of it may be missing: {reader.warning}")
        yield reader
