"""Every trail store does the same."""

import pytest

from doctrail_core.durable.home import Home
from doctrail_core.testing.trail_stores import TrailStoreConformance
from doctrail_core.trails.place import TrailPlace


class TestSqlite(TrailStoreConformance):
    pass


class TestPostgres(TrailStoreConformance):
    @pytest.fixture
    def home(self, tmp_path, postgres, address):
        return empty(tmp_path, postgres, address)


class TestPostgresWithoutItsIndexOfPhrases(TrailStoreConformance):
    @pytest.fixture
    def home(self, tmp_path, postgres, address_without):
        return empty(tmp_path, postgres, address_without)


@pytest.fixture(scope="module")
def address(postgres, tmp_path_factory):
    """Of a database that has the tables."""
    address = postgres.new_database()
    home = Home(tmp_path_factory.mktemp("first") / "home", address)
    home.ensure("trails")
    TrailPlace(home).open().close()
    return address


@pytest.fixture(scope="module")
def address_without(postgres, address):
    """Of one where the extension cannot be had."""
    other = postgres.new_database(TEMPLATE=address.rpartition("/")[2])
    postgres.execute("DROP EXTENSION pg_trgm CASCADE", database=other.rpartition("/")[2])
    return other


def empty(folder, postgres, address):
    """A home that begins with a server that has no trails."""
    tables = "log, cursor, trail, content, chunk, usage, finding"
    there = ", ".join(f"doctrail_trails.{table}" for table in tables.split(", "))
    postgres.execute(f"TRUNCATE {there}", database=address.rpartition("/")[2])
    return Home(folder / "home", address)
