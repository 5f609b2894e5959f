"""The ledger's first tables: entries, what finds them, and responses by month with an index of places."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER, SMALLINT
from sqlalchemy.types import BigInteger, LargeBinary, Text

revision = "ledger_0001"
down_revision = None
branch_labels = None
depends_on = None

_HERE = "doctrail_ledger"
_REFERENCE = "substring(body FROM 3 FOR 16)"
_OF_NOBODY = r"'\x00000000000000000000000000000000'::bytea"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "log",
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("name", Text, nullable=False, unique=True),
        sa.Column("frontier", LargeBinary),
        sa.Column("minimum", BigInteger, nullable=False, server_default="0"),
        schema=_HERE,
    )
    _table("cursor", _needed("position"), _key("file", Text))
    _table("entry", _key("seq"), sa.Column("about", BigInteger), _needed("body", LargeBinary))
    op.create_index(
        "entry_about",
        "entry",
        ["log", "about"],
        schema=_HERE,
        postgresql_where=sa.text("about IS NOT NULL"),
    )
    op.create_index(
        "entry_reference",
        "entry",
        [sa.text(f"({_REFERENCE})")],
        schema=_HERE,
        postgresql_using="hash",
        postgresql_where=sa.text(f"about IS NULL AND {_REFERENCE} <> {_OF_NOBODY}"),
    )
    op.create_index(
        "entry_event",
        "entry",
        ["log", sa.text("get_byte(body, 1)"), "seq"],
        schema=_HERE,
        postgresql_where=sa.text("get_byte(body, 1) >= 32"),
    )
    _table(
        "response",
        _key("seq"),
        _key("time_us"),
        _needed("state", SMALLINT),
        _needed("places", ARRAY(BigInteger)),
        _needed("flags", LargeBinary),
        partitioned=True,
    )
    op.create_index("response_places", "response", ["places"], schema=_HERE, postgresql_using="gin")
    op.execute(f"CREATE TABLE {_HERE}.response_other PARTITION OF {_HERE}.response DEFAULT")
    _table("document", _key("seq"), _needed("tag", LargeBinary), sa.Column("sealed", LargeBinary))
    _index("document", "tag")
    _table(
        "chunk",
        _key("seq"),
        _needed("document"),
        sa.Column("source", BigInteger),
        sa.Column("version", BigInteger),
        _needed("tag", LargeBinary),
        _needed("id_tag", LargeBinary),
        sa.Column("content_tag", LargeBinary),
        sa.Column("sealed", LargeBinary),
    )
    for column in ("document", "tag", "id_tag", "content_tag", "source", "version"):
        _index("chunk", column)
    _table(
        "name",
        _key("seq"),
        sa.Column("owner", BigInteger),
        _needed("kind", Text),
        _needed("tag", LargeBinary),
        sa.Column("sealed", LargeBinary),
    )
    _index("name", "tag")
    _table("writer", _key("number"), _needed("name", Text))
    _index("writer", "name", unique=True)
    _table("derivation", _key("source"), _key("document"))
    _index("derivation", "document")
    _table("reuse", _key("earlier"), _key("response"))
    _table(
        "flag",
        _key("seq"),
        _needed("response"),
        _needed("because"),
        sa.Column("decided", BigInteger),
    )
    _table("tile", _key("number"), _key("level", SMALLINT), _needed("hash", LargeBinary))


def _table(name: str, *columns: "sa.Column[object]", partitioned: bool = False) -> None:
    """A table of which every row belongs to a log."""
    log = sa.Column("log", INTEGER, nullable=False)
    wide = [column for column in columns if isinstance(column.type, BigInteger)]
    other = [column for column in columns if not isinstance(column.type, BigInteger)]
    keys = [column.name for column in columns if column.info.get("key")]
    op.create_table(
        name,
        *wide,  # first, so that none of them has to be aligned
        log,
        *other,
        sa.PrimaryKeyConstraint("log", *keys),
        schema=_HERE,
        postgresql_partition_by="RANGE (time_us)" if partitioned else None,
    )


def _key(name: str, of_type: type = BigInteger) -> "sa.Column[object]":
    return sa.Column(name, of_type, nullable=False, info={"key": True})


def _needed(name: str, of_type: Any = BigInteger) -> "sa.Column[object]":
    return sa.Column(name, of_type, nullable=False)


def _index(table: str, column: str, *, unique: bool = False) -> None:
    op.create_index(f"{table}_{column}", table, ["log", column], schema=_HERE, unique=unique)
