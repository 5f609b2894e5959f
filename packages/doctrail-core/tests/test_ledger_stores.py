"""Every store of the ledger does the same, to the byte."""

import pytest

from doctrail_core.durable.home import Home
from doctrail_core.testing.ledger_stores import LedgerStoreConformance


@pytest.fixture(scope="module")
def address(postgres):
    """Of a database that has the logs of all of these tests."""
    return postgres.new_database()


class TestSqlite(LedgerStoreConformance):
    @pytest.fixture
    def new_home(self, tmp_path_factory):
        return lambda: Home(tmp_path_factory.mktemp("home") / "home")


class TestPostgres(LedgerStoreConformance):
    @pytest.fixture
    def new_home(self, tmp_path_factory, address):
        return lambda: Home(tmp_path_factory.mktemp("home") / "home", address)
