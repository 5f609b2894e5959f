"""Many rows by few statements.

Every step of a statement lets other threads have the interpreter and waits to get it back. Where the application
is busy, that costs both sides more than the row itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import sqlite3

__all__ = ["found", "insert"]

_SIZES = (256, 16, 1)
"""So many rows go into one statement: few sizes, since SQLite keeps a statement that it has seen."""

_T = TypeVar("_T")


def insert(
    connection: "sqlite3.Connection", into: str, rows: Iterable[Sequence[object]], *, then: str = ""
) -> None:
    """Put rows into a table.

    Args:
        connection: To the database.
        into: The statement up to `VALUES`.
        rows: All of the same width.
        then: What follows the values, such as what to do where there is one already.
    """
    for part in _parts(list(rows)):
        one = f"({', '.join('?' * len(part[0]))})"
        values = ", ".join([one] * len(part))
        connection.execute(f"{into} VALUES {values} {then}", list(chain.from_iterable(part)))


def found(
    connection: "sqlite3.Connection", query: str, keys: Iterable[object]
) -> Iterator[tuple[Any, ...]]:
    """The rows of all keys.

    Args:
        connection: To the database.
        query: With `{keys}` where they go: `SELECT ... WHERE key IN ({keys})`.
        keys: What is asked for.
    """
    for part in _parts(list(keys)):
        yield from connection.execute(query.format(keys=", ".join("?" * len(part))), part)


def _parts(items: list[_T]) -> Iterator[list[_T]]:
    start = 0
    for size in _SIZES:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size
