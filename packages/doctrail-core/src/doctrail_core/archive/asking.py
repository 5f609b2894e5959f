"""Which index a user names, and a ledger that asks it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.folder import Archive
from doctrail_core.archive.index import indexed
from doctrail_core.archive.manifest import SEGMENT
from doctrail_core.archive.targets import is_clickhouse

if TYPE_CHECKING:
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["SEGMENTS", "ask_index"]

SEGMENTS = "segments"
"""The name of the index that an archive itself is."""


def ask_index(
    ledger: "LedgerReader", home: "Home", names: Sequence[str], width: int = SEGMENT
) -> None:
    """Have the ledger ask an index for the responses of a document.

    Args:
        ledger: Of the installation; it still answers for what is in no segment yet. Where a server has the logs
            of several homes, each is asked for in the same ClickHouse index.
        home: Of the installation.
        names: `segments` for the files of the archive, or the addresses of a ClickHouse index, one for each shard.
        width: Entries in a segment.

    Raises:
        ArchiveError: There is no such index, or it does not answer.
    """
    if list(names) == [SEGMENTS]:
        from doctrail_core.archive.parquet import ParquetIndex

        ledger.store = indexed(ledger.store, ParquetIndex(Archive(home, width)), width)
        return
    if not all(map(is_clickhouse, names)):
        raise ArchiveError(
            f"{' '.join(names)} cannot be asked; name clickhouse:// addresses, or {SEGMENTS!r} for the archive here"
        )
    from doctrail_core.archive.clickhouse.index import ClickHouseIndex
    from doctrail_core.archive.clickhouse.target import ClickHouse

    target = ClickHouse(names)
    for each in (ledger, *ledger.others):
        if each.log is not None:
            each.store = indexed(each.store, ClickHouseIndex(target, each.log, width), width)
