"""The ledger beyond one machine: sealed segments of it as Parquet files, lakes and indexes that are filled from them.

A segment is made of the ledger alone, and never changes. What is filled from segments can be made anew at any time; it
is never where anything is committed.
"""

from doctrail_core.durable.errors import StoreError

__all__ = ["ArchiveError"]


class ArchiveError(StoreError):
    """A segment, a lake or an index cannot be used; the message says what is wrong and what to do."""
