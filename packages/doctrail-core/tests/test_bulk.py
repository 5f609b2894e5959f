"""Many rows by few statements."""

import sqlite3
from contextlib import closing

import pytest

from doctrail_core.durable.bulk import found, insert


@pytest.fixture
def table():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE place (name TEXT PRIMARY KEY, number INTEGER)")
        yield connection


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 256, 600])
def test_any_number_of_rows_goes_in_and_is_found_again(table, number):
    rows = [(f"name {n}", n) for n in range(number)]

    insert(table, "INSERT INTO place", iter(rows))

    query = "SELECT name, number FROM place WHERE name IN ({keys})"
    assert sorted(found(table, query, (name for name, _ in rows))) == sorted(rows)


def test_few_statements_are_run(table):
    statements = []
    table.set_trace_callback(statements.append)

    insert(table, "INSERT INTO place", [(f"name {n}", n) for n in range(300)])

    assert len([each for each in statements if each.startswith("INSERT")]) < 20


def test_what_follows_the_values_is_done_for_every_row(table):
    insert(table, "INSERT INTO place", [("a", 1), ("b", 2)])

    larger = "ON CONFLICT DO UPDATE SET number = max(number, excluded.number)"
    insert(table, "INSERT INTO place", [("a", 0), ("b", 3), ("c", 4)], then=larger)

    assert sorted(table.execute("SELECT * FROM place")) == [("a", 1), ("b", 3), ("c", 4)]
