"""Fixtures for tests that need a server. A `conftest.py` imports those that it wants."""

from collections.abc import Iterator

import pytest

from doctrail_core.testing.postgres_server import PostgresServer, binaries

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own; `postgres.new_database()` is an address to use."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed here (Debian's package is `postgresql`)")
    for module in ("alembic", "psycopg", "sqlalchemy"):
        pytest.importorskip(module, reason="the postgres extra is not installed")
    with PostgresServer() as server:
        yield server
