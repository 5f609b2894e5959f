"""What archives need and ledgers do not, imported where it is used. None of it has types."""

from importlib import import_module
from typing import Any

from doctrail_core.archive import ArchiveError

__all__ = ["arrow", "clickhouse", "compute", "delta", "duckdb", "parquet"]


def arrow() -> Any:
    """Arrow tables."""
    return _library("pyarrow", "segments need pyarrow", "lake")


def parquet() -> Any:
    """Parquet files."""
    return _library("pyarrow.parquet", "segments need pyarrow", "lake")


def compute() -> Any:
    """What is worked out on Arrow tables."""
    return _library("pyarrow.compute", "segments need pyarrow", "lake")


def delta() -> Any:
    """Delta tables."""
    return _library("deltalake", "Delta tables need deltalake", "lake")


def duckdb() -> Any:
    return _library("duckdb", "to ask segments needs duckdb", "lake")


def clickhouse() -> Any:
    """ClickHouse's own client."""
    return _library("clickhouse_connect", "ClickHouse needs clickhouse-connect", "clickhouse")


def _library(name: str, need: str, extra: str) -> Any:
    """A library.

    Raises:
        ArchiveError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ArchiveError(f"{need}: pip install 'doctrail-core[{extra}]' ({error})") from error
