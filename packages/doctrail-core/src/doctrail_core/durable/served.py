"""Whether a server keeps a home's records, and which. A home begins with one or without, and stays so.

The home remembers the server's address, without a password, and the name of its log there: a server has the
logs of many homes, and each of them writes to its own alone.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.home import Home
from doctrail_core.durable.once import create_once

__all__ = ["Served", "check_server", "claim", "host_of", "served", "without_password"]

_SCHEMES = ("postgresql", "postgres")
_SECRETS = frozenset({"password", "sslpassword", "passfile"})
_WHO = re.compile(r"(?P<user>[^:@/]*)(?::[^@/]*)?@")
"""As libpq reads it: to the first @, if no / comes before."""
_HOST = re.compile(r"(?:[\w.%-]*|\[[\w.:%]*\])(?::\d*)?")
_NO_ADDRESS = ""
"""What a home remembers of an address that cannot be used: that a server is to keep its records."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server, and the name of a home's log there."""

    address: str = field(repr=False)
    log: str


def served(home: Home, *, make: bool = False) -> Served | None:
    """The server that keeps a home's records; None where files in the home do.

    Args:
        home: The home.
        make: Whether this may be the beginning of it.

    Raises:
        NothingRecordedError: A server is to keep them, and nothing was recorded yet.
        StoreError: A server is to keep them, and the home has records of its own.
    """
    known = _load(home)
    if known is None and home.address is not None:
        if not make:
            raise NothingRecordedError(
                f"nothing is recorded yet from {home.path} at {host_of(home.address)}. Run the"
                " application first, or set DOCTRAIL_HOME to the folder in which it records."
            )
        _begin(home, home.address)
        known = _load(home)
    if known is None:
        return None
    address = home.address or _with_password(known.address)
    shown = without_password(address)
    if make and home.address and shown != known.address:
        # Such as that a cluster has another host now: those who only read must find it, too.
        _remember(home, Served(shown, known.log))
    return Served(address, known.log)


def claim(home: Home) -> None:
    """Have a home remember its server before anything is recorded: who reads first would make it one of files.

    Raises:
        OSError: The home cannot be written to.
    """
    if home.address is not None and not home.server.exists():
        with suppress(StoreError):  # which is said when records are moved
            _begin(home, home.address)


def check_server(home: Home) -> None:
    """Whether the server that settings name, if any, can keep this home's records.

    Raises:
        StoreError: Its address is none, or the home has records of its own.
    """
    if home.address is not None:
        without_password(home.address)
        if not home.server.exists():
            _refuse_files(home)


def without_password(address: str) -> str:
    """The address as it may be shown, or lie in a file.

    Raises:
        StoreError: It is no address of a server that can be used.
    """
    scheme, _, rest = address.partition("://")
    who = _WHO.match(rest)
    place = rest[who.end() :] if who else rest
    with suppress(ValueError):
        # An @ that is left would be one of a password: what is before it must not be taken for a host.
        parts = urlsplit(f"//{place}")
        hosts = all(_HOST.fullmatch(host) for host in parts.netloc.split(","))
        if scheme in _SCHEMES and hosts and "@" not in place and not parts.fragment:
            pairs = parse_qsl(parts.query, strict_parsing=True) if parts.query else ()
            query = urlencode([pair for pair in pairs if pair[0] not in _SECRETS])
            netloc = f"{who['user']}@{parts.netloc}" if who else parts.netloc
            return urlunsplit((scheme, netloc, parts.path, query, ""))
    raise StoreError(
        "the address of the database server is none that can be used. Set DOCTRAIL_DATABASE to one"
        " such as postgresql://user@host:5432/database; a password may stand in it, with @ as %40, /"
        " as %2F and % as %25, or better in ~/.pgpass or PGPASSWORD."
    )


def host_of(address: str) -> str:
    """The server and the database that an address names, without who."""
    parts = urlsplit(without_password(address))
    return f"{parts.netloc.rpartition('@')[2] or 'the local server'}{parts.path}"


def _with_password(address: str) -> str:
    """A remembered address, with the password that the environment may have for it."""
    given = os.environ.get("DOCTRAIL_DATABASE")
    return given if given and address in (_NO_ADDRESS, without_password(given)) else address


def _load(home: Home) -> Served | None:
    try:
        found: dict[str, Any] = json.loads(home.server.read_text("utf-8"))
        return Served(found["address"], found["log"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{home.server} cannot be read: it has to name the server and the log of this home. Put"
            " the file back from a backup."
        ) from error
    except OSError as error:
        raise StoreError(f"{home.server} cannot be read: {error.strerror}.") from error


def _begin(home: Home, address: str) -> None:
    """Choose the server, and a name for the log; whoever comes second finds what the first chose."""
    _refuse_files(home)
    chosen = _NO_ADDRESS
    with suppress(StoreError):
        chosen = without_password(address)
    home.ensure()
    create_once(home.server, _written(Served(chosen, uuid4().hex)))


def _refuse_files(home: Home) -> None:
    kept = [home.database("ledger"), home.database("trails"), home.key_store]
    if there := next((path for path in kept if path.exists()), None):
        raise StoreError(
            f"{there} has records already, and DOCTRAIL_DATABASE names a server. Set DOCTRAIL_HOME to"
            " a new folder for what the server is to keep (copy the file `keys` into it, and both"
            " answer alike), or take DOCTRAIL_DATABASE away."
        )


def _remember(home: Home, place: Served) -> None:
    draft = home.server.with_name(f"{home.server.name}.{uuid4().hex}")
    create_once(draft, _written(place))
    draft.replace(home.server)


def _written(place: Served) -> bytes:
    return json.dumps({"address": place.address, "log": place.log}).encode()
