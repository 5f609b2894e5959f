"""The tables of an index. The columns are those of segments; `entries` works the hash of a leaf out instead.

A month is a partition, so that what is too old goes as a whole. Links lie in the order of their documents, so that
those of one document are read as one run.
"""

from collections.abc import Mapping
from types import MappingProxyType

from doctrail_core.archive.manifest import Part

__all__ = ["PROGRESS", "TABLES", "statements"]

_LINKS = """
    log LowCardinality(String), segment UInt32 CODEC(Delta, ZSTD), month UInt32 CODEC(ZSTD),
    document UInt64 CODEC(Delta, ZSTD), seq UInt64 CODEC(Delta, ZSTD),
    time DateTime64(6, 'UTC') CODEC(Delta, ZSTD), rank UInt8 CODEC(ZSTD), indirect Bool CODEC(ZSTD),
    carried Bool CODEC(ZSTD), status LowCardinality(String) CODEC(ZSTD), complete Bool CODEC(ZSTD),
    named Bool CODEC(ZSTD)
"""
_ENTRIES = """
    log LowCardinality(String), segment UInt32 CODEC(Delta, ZSTD), month UInt32 CODEC(ZSTD),
    seq UInt64 CODEC(Delta, ZSTD), first Nullable(UInt64) CODEC(ZSTD),
    kind LowCardinality(String) CODEC(ZSTD), response Nullable(FixedString(16)),
    time DateTime64(6, 'UTC') CODEC(Delta, ZSTD), writer UInt32 CODEC(ZSTD),
    counter UInt32 CODEC(Delta, ZSTD), body String CODEC(ZSTD),
    leaf FixedString(32) ALIAS SHA256(concat(unhex('00'), body))
"""
_DOCUMENTS = """
    log LowCardinality(String), segment UInt32 CODEC(ZSTD), document UInt64 CODEC(ZSTD),
    tag FixedString(16)
"""
_PROGRESS = """
    log LowCardinality(String), segment UInt32, part LowCardinality(String), shard UInt16,
    shards UInt16, attempt UInt32, rows UInt64, done Bool
"""
PROGRESS = "pushed"
"""The table that says what was pushed."""

TABLES: Mapping[Part, str] = MappingProxyType(
    {"entries": _ENTRIES, "links": _LINKS, "documents": _DOCUMENTS}
)
_ORDER = {
    "entries": "PARTITION BY month ORDER BY (log, seq)",
    "links": "PARTITION BY month ORDER BY (log, document, seq, segment)",
    "documents": "ORDER BY (log, tag, document)",
    PROGRESS: "ORDER BY (log, segment, part, attempt, done)",
}
_GRANULARITY = {"entries": 512}
"""Entries are looked up one by one, wherever they are; all else is read in runs."""
_DECADE = 315_360_000
_REMEMBERED = f"""
    non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = {_DECADE}
"""
"""So many inserts are known again when they are sent again, however late."""


def statements(cluster: str | None) -> list[str]:
    """What makes the tables where they are missing.

    Args:
        cluster: The name of the cluster on all of whose servers they are made, with replicas.
    """
    where = "" if cluster is None else f" ON CLUSTER `{_checked(cluster)}`"
    engine = "MergeTree" if cluster is None else "ReplicatedMergeTree"
    return [
        f"CREATE TABLE IF NOT EXISTS {name}{where} ({columns}) ENGINE = {engine} {_ORDER[name]}"
        f" SETTINGS index_granularity = {_GRANULARITY.get(name, 8192)}, {_REMEMBERED}"
        for name, columns in {**TABLES, PROGRESS: _PROGRESS}.items()
    ]


def _checked(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a cluster")
    return name
