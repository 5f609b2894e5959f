"""The columns of a segment, the same in its files, in a lake and in an index.

Places and numbers are signed, for the sake of engines that know no others. A reference that is missing is null.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from doctrail_core.archive.contents import Contents
from doctrail_core.archive.libraries import arrow
from doctrail_core.archive.manifest import Part
from doctrail_core.ledger.entry import header
from doctrail_core.ledger.rows import EntryRow, month_of
from doctrail_core.ledger.tree import leaf_hash

__all__ = ["COLUMNS", "entry_table", "schema", "tables"]

COLUMNS: Mapping[Part, Mapping[str, str]] = MappingProxyType(
    {
        "entries": MappingProxyType(
            {
                "log": "string",
                "segment": "int32",
                "month": "int32",
                "seq": "int64",
                "first": "int64",
                "kind": "string",
                "response": "binary",
                "time": "time",
                "writer": "int64",
                "counter": "int64",
                "body": "binary",
                "leaf": "binary",
            }
        ),
        "links": MappingProxyType(
            {
                "log": "string",
                "segment": "int32",
                "month": "int32",
                "document": "int64",
                "seq": "int64",
                "time": "time",
                "rank": "int8",
                "indirect": "bool_",
                "carried": "bool_",
                "status": "string",
                "complete": "bool_",
                "named": "bool_",
            }
        ),
        "documents": MappingProxyType(
            {"log": "string", "segment": "int32", "document": "int64", "tag": "binary"}
        ),
    }
)
"""By name, the kind of a column: of Arrow's types, or a `time` in microseconds, UTC."""


def tables(log: str, segment: int, contents: Contents) -> Mapping[Part, Any]:
    """A segment as Arrow tables."""
    return {
        "entries": entry_table(log, segment, contents.rows),
        "links": _link_table(log, segment, contents),
        "documents": _document_table(log, segment, contents),
    }


def schema(part: Part) -> Any:
    """The columns of a part, as Arrow has them."""
    pa = arrow()
    return pa.schema([(name, _type(pa, kind)) for name, kind in COLUMNS[part].items()])


def entry_table(log: str, segment: int, rows: Sequence[EntryRow]) -> Any:
    heads = [header(row.body) for row in rows]
    return _table(
        "entries",
        log,
        segment,
        month=[month_of(head.time_us) for head in heads],
        seq=[row.seq for row in rows],
        first=[
            (None if head.response is None else row.seq) if row.about is None else row.about
            for row, head in zip(rows, heads, strict=True)
        ],
        kind=[head.kind for head in heads],
        response=[head.response for head in heads],
        time=[head.time_us for head in heads],
        writer=[head.writer for head in heads],
        counter=[head.counter for head in heads],
        body=[row.body for row in rows],
        leaf=[leaf_hash(row.body) for row in rows],
    )


def _link_table(log: str, segment: int, contents: Contents) -> Any:
    names = ("month", "document", "seq", "time", *tuple(COLUMNS["links"])[6:])
    columns = zip(*contents.links, strict=True) if contents.links else ((),) * len(names)
    return _table("links", log, segment, **dict(zip(names, map(list, columns), strict=True)))


def _document_table(log: str, segment: int, contents: Contents) -> Any:
    return _table(
        "documents",
        log,
        segment,
        document=[document for document, _ in contents.documents],
        tag=[tag for _, tag in contents.documents],
    )


def _table(part: Part, log: str, segment: int, **columns: list[Any]) -> Any:
    rows = len(next(iter(columns.values())))
    return arrow().table(
        {"log": [log] * rows, "segment": [segment] * rows, **columns}, schema=schema(part)
    )


def _type(pa: Any, kind: str) -> Any:
    return pa.timestamp("us", tz="UTC") if kind == "time" else getattr(pa, kind)()
