"""Whether sealed segments still are what was sealed: their bytes, and the tree that the ledger has over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from typing import Literal

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.columns import COLUMNS, entry_table
from doctrail_core.archive.folder import Archive, log_of
from doctrail_core.archive.manifest import PARTS, Manifest
from doctrail_core.ledger.entry import EntryError
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.rows import EntryRow
from doctrail_core.ledger.tree import Frontier, leaf_hash

__all__ = ["SegmentState", "examine", "states"]


@dataclass(frozen=True, slots=True)
class SegmentState:
    """How it is with a segment.

    Attributes:
        state: `open` where the ledger has filled it, and it was not sealed.
        damage: What is wrong with it.
        manifest: Where it can be read.
    """

    segment: int
    state: Literal["open", "sealed", "damaged"]
    damage: str | None = None
    manifest: Manifest | None = None


def states(archive: Archive, ledger: LedgerReader) -> Iterator[SegmentState]:
    """Every segment that the ledger has filled, or that is here, in order; each is read as a whole."""
    sealed = archive.sealed()
    for segment in sorted({*archive.full(ledger), *sealed}):
        if segment in sealed:
            yield _state(archive, ledger, segment)
        else:
            yield SegmentState(segment, "open")


def _state(archive: Archive, ledger: LedgerReader, segment: int) -> SegmentState:
    try:
        manifest = archive.manifest(segment)
    except ArchiveError as error:
        return SegmentState(segment, "damaged", str(error))
    try:
        examine(archive, ledger, segment)
    except ArchiveError as error:
        return SegmentState(segment, "damaged", str(error), manifest)
    return SegmentState(segment, "sealed", None, manifest)


def examine(archive: Archive, ledger: LedgerReader, segment: int) -> None:
    """Look at every byte of a segment.

    The root is worked out from the entries' bytes, and is to be the one that the ledger's tree has there. The
    ledger needs the tree for that, and not the entries, which may be pruned. The columns beside the bytes are made
    anew from these. What links say is what was sealed, by its hash.

    Raises:
        ArchiveError: It is not what was sealed, or not what the ledger has; the message says which.
        StoreError: The ledger does not work.
    """
    manifest = archive.manifest(segment)
    if manifest.log != log_of(ledger):
        raise ArchiveError(f"it is of another log, {manifest.log}")
    _check_files(archive, manifest)
    if _root_of_entries(archive, manifest) != manifest.root:
        raise ArchiveError("the root over the entries' bytes is not the one in the manifest")
    if manifest.end > ledger.size():
        raise ArchiveError(f"the ledger ends before it, at {ledger.size():,}")
    if ledger.subtree(manifest.start, manifest.end) != manifest.root:
        raise ArchiveError("its entries are not those of the ledger")


def _check_files(archive: Archive, manifest: Manifest) -> None:
    for part in PARTS:
        path, meant = archive.file(manifest.segment, part), manifest.parts[part]
        try:
            with path.open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ArchiveError(f"{path.name} cannot be read: {error.strerror}") from error
        if found != meant.sha256:
            raise ArchiveError(f"{path.name} is not what was sealed: another SHA-256")
        table = archive.read(manifest.segment, part)
        if table.num_rows != meant.rows or table.column_names != list(COLUMNS[part]):
            raise ArchiveError(f"{path.name} has other rows or columns than it should")


def _root_of_entries(archive: Archive, manifest: Manifest) -> bytes:
    """The root over the bytes, when all that stands beside them follows from them."""
    table = archive.read(manifest.segment, "entries")
    places, firsts, bodies = (table[name].to_pylist() for name in ("seq", "first", "body"))
    if places != list(range(manifest.start, manifest.end)):
        raise ArchiveError("its entries are not numbered as they should be")
    rows = [
        EntryRow(seq, first, None, body)
        for seq, first, body in zip(places, firsts, bodies, strict=True)
    ]
    try:
        made = entry_table(manifest.log, manifest.segment, rows)
    except EntryError as error:
        raise ArchiveError(f"it holds what is no entry: {error}") from error
    if not made.equals(table):
        raise ArchiveError("its columns do not say what its entries' bytes do")
    frontier = Frontier()
    frontier.append_all(map(leaf_hash, bodies))
    return frontier.root()
