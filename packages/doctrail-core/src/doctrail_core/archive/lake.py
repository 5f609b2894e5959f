"""Segments in a lake: Delta tables named as the parts of a segment, in a folder or a bucket.

A commit adds one part of one segment, and says so in the table's own log under a name of an application's
transaction. What that log says was added is not added again, and of two that add the same at once, one fails.
"""

from collections.abc import Collection, Iterable
from typing import Any

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.columns import COLUMNS, schema
from doctrail_core.archive.folder import Archive
from doctrail_core.archive.libraries import delta
from doctrail_core.archive.manifest import PARTS, Manifest, Part

__all__ = ["Lake"]

_FIRST = 1
"""The version of a transaction; each is made once."""


class Lake:
    """A folder of Delta tables.

    Args:
        url: A path, or `s3://`, `abfs://`, `gs://` with the credentials in the environment, as delta-rs reads them.
    """

    def __init__(self, url: str) -> None:
        self.name = url.rstrip("/")
        library = delta()
        self._library = library
        self._errors = (library.exceptions.DeltaError, OSError, ValueError)

    def prepare(self) -> None:
        """Make the tables where they are missing."""
        for part in PARTS:
            try:
                self._library.DeltaTable.create(
                    self._url(part),
                    schema(part),
                    mode="ignore",
                    partition_by=["month"] if "month" in COLUMNS[part] else None,
                )
            except self._errors as error:
                raise ArchiveError(f"{self._url(part)}: {error}") from error

    def arrived(self, manifests: Iterable[Manifest]) -> Collection[int]:
        tables = [self._table(part) for part in PARTS if self._is_there(part)]
        if len(tables) < len(PARTS):
            return set()
        return {m.segment for m in manifests if all(_has(table, m) for table in tables)}

    def push(self, archive: Archive, manifest: Manifest) -> None:
        for part in PARTS:
            table = self._table(part)
            if not _has(table, manifest):
                rows = archive.read(manifest.segment, part)
                self._append(table, rows, _transaction(manifest))

    def close(self) -> None:
        """Nothing is open between calls."""

    def _append(self, table: Any, rows: Any, transaction: str) -> None:
        library = self._library
        done = library.CommitProperties(app_transactions=[library.Transaction(transaction, _FIRST)])
        try:
            # Through the table as it was when it did not have the segment: who was quicker makes this fail.
            library.write_deltalake(table, rows, mode="append", commit_properties=done)
        except self._errors as error:
            raise ArchiveError(f"{self.name}: {error}") from error

    def _is_there(self, part: Part) -> bool:
        try:
            return self._library.DeltaTable.is_deltatable(self._url(part))
        except self._errors as error:
            raise ArchiveError(f"{self._url(part)}: {error}") from error

    def _table(self, part: Part) -> Any:
        try:
            return self._library.DeltaTable(self._url(part))
        except self._errors as error:
            raise ArchiveError(f"{self._url(part)}: {error}") from error

    def _url(self, part: Part) -> str:
        return f"{self.name}/{part}"


def _has(table: Any, manifest: Manifest) -> bool:
    return table.transaction_version(_transaction(manifest)) is not None


def _transaction(manifest: Manifest) -> str:
    return f"doctrail/{manifest.log}/{manifest.segment}"
