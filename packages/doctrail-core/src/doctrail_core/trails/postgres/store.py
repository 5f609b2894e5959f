"""Answers from the trail store on a server."""

from collections.abc import Iterator
from typing import Any, LiteralString, Self, cast

from doctrail_core.durable.postgres import ServerSession
from doctrail_core.durable.served import Served, host_of
from doctrail_core.trails.answers import Condition, Dialect, TrailAnswers
from doctrail_core.trails.postgres.schema import SCHEMA, message_key, searchable, told

__all__ = ["PostgresTrails"]


class PostgresTrails(TrailAnswers):
    """See `doctrail_core.trails.store.TrailStore`.

    Attributes:
        warning: What a user should know of what is missing, if anything is.
    """

    DIALECT = Dialect(
        documents="coalesce(json_agg(document_id), '[]')::text",
        with_message="SELECT ref FROM trail WHERE messages @> ARRAY[?::bytea]",
    )

    def __init__(self, place: Served, *, warning: str | None = None) -> None:
        self.warning = warning
        self._session = ServerSession(place, SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    @property
    def where(self) -> str:
        return host_of(self._session.place.address)

    def rows(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        return map(_told, self._session.rows(_in_words(query), *parameters))

    def listed(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        for row in self._session.stream(_in_words(query), *parameters):
            yield _told(row)

    def message(self, message_id: str) -> object:
        return message_key(message_id)

    def with_phrase(self, phrase: str) -> Condition:
        """By the index of phrases, where the server has it; else by looking at every text."""
        sought = searchable(phrase)
        for special in "\\%_":
            sought = sought.replace(special, f"\\{special}")
        return "words LIKE ?", (f"%{sought}%",)


def _in_words(query: str) -> LiteralString:
    """The statement with parameters as the driver has them; it is one of ours."""
    return cast("LiteralString", query.replace("?", "%s"))


def _told(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(told(value) if isinstance(value, str) else value for value in row)
