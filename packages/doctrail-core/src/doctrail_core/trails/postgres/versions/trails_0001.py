"""The trail store's first tables, and an index of phrases where the server has the extension for it."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, SMALLINT
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import BigInteger, Boolean, Integer, LargeBinary, Text

revision = "trails_0001"
down_revision = None
branch_labels = None
depends_on = None

_HERE = "doctrail_trails"
_BY_BYTES = Text(collation="C")  # ids sort alike wherever they are


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "log",
        sa.Column("id", Integer, sa.Identity(), primary_key=True),
        _needed("name", unique=True),
        schema=_HERE,
    )
    op.create_table(
        "cursor",
        sa.Column("log", Integer, primary_key=True, autoincrement=False),
        sa.Column("file", Text, primary_key=True),
        _needed("position", BigInteger),
        schema=_HERE,
    )
    op.create_table(
        "trail",
        _reference(),
        _needed("started_us", BigInteger),
        _needed("ended_us", BigInteger),
        sa.Column("turn", Integer),
        _needed("response_id", _BY_BYTES, unique=True),
        _needed("status"),
        sa.Column("session_id", _BY_BYTES),
        sa.Column("user_id", _BY_BYTES),
        sa.Column("trace_id", Text),
        _needed("messages", ARRAY(LargeBinary)),
        sa.Column("question", Text),
        sa.Column("answer", Text),
        _needed("words"),
        _needed("body", LargeBinary),
        schema=_HERE,
    )
    _index("trail", "started_us", "ref")
    _index("trail", "session_id")
    _index("trail", "user_id")
    _index("trail", "trace_id", using="hash")
    _index("trail", "messages", using="gin")
    op.create_table(
        "content",
        sa.Column("content_hash", _BY_BYTES, primary_key=True),
        _needed("text"),
        schema=_HERE,
    )
    op.create_table(
        "chunk",
        _reference(),
        _needed("document_id", _BY_BYTES),
        _needed("chunk_id", _BY_BYTES),
        _needed("content_hash", _BY_BYTES),
        sa.Column("position", BigInteger),
        sa.Column("source", Text),
        sa.UniqueConstraint("document_id", "chunk_id", "content_hash"),
        schema=_HERE,
    )
    _index("chunk", "content_hash")
    op.create_table(
        "usage",
        sa.Column("chunk_ref", BigInteger, primary_key=True, autoincrement=False),
        sa.Column("trail_ref", BigInteger, primary_key=True, autoincrement=False),
        _needed("grade", SMALLINT),
        _needed("indirect", Boolean),
        schema=_HERE,
    )
    _index("usage", "trail_ref")
    op.create_table(
        "finding",
        _reference(),
        _needed("response_id", _BY_BYTES),
        _needed("kind"),
        _needed("body", LargeBinary),
        schema=_HERE,
    )
    _index("finding", "response_id")
    _index_phrases()


def _index_phrases() -> None:
    """Where the extension cannot be had, phrases are looked for in every text instead."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public")
    except DBAPIError:
        return
    found = "SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace"
    where = connection.execute(sa.text(f"{found} WHERE extname = 'pg_trgm'")).scalar_one()
    op.execute(
        f'CREATE INDEX trail_words ON {_HERE}.trail USING gin (words "{where}".gin_trgm_ops)'
    )


def _reference() -> "sa.Column[Any]":
    return sa.Column("ref", BigInteger, sa.Identity(), primary_key=True)


def _needed(name: str, of_type: Any = Text, *, unique: bool = False) -> "sa.Column[Any]":
    return sa.Column(name, of_type, nullable=False, unique=unique)


def _index(table: str, *columns: str, using: str | None = None) -> None:
    name = f"{table}_{columns[0]}"
    op.create_index(name, table, list(columns), schema=_HERE, postgresql_using=using)
