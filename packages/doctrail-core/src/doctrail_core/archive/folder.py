"""The archive of an installation: a folder for each segment, which appears whole or not at all, and is never changed.

A segment is written aside, its manifest last, all of it to stable storage, and then takes its place in one step.
Whoever finds a segment there finds all of it; what a crash left aside is removed by whoever seals next.
"""

import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any
from uuid import uuid4

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.columns import tables
from doctrail_core.archive.contents import contents
from doctrail_core.archive.libraries import parquet
from doctrail_core.archive.manifest import PARTS, SEGMENT, Manifest, Part, PartFile
from doctrail_core.durable.home import FILE_MODE, Home
from doctrail_core.durable.lease import Lease
from doctrail_core.ledger.entry import header
from doctrail_core.ledger.reader import LedgerReader

__all__ = ["Archive", "log_of"]

_FOLDER_MODE = 0o700
_DRAFT = ".draft-"
_MANIFEST = "manifest.json"
_ROW_GROUP = 65_536
_PACKED = ("month", "document", "seq", "first", "time", "writer", "counter")
"""Numbers that differ little from the ones before them."""
_WORDS = ("log", "segment", "kind", "status")


class Archive:
    """The folder `archive` of a home.

    Args:
        home: Of the installation.
        width: Entries in a segment: a power of 256.
    """

    def __init__(self, home: Home, width: int = SEGMENT) -> None:
        self.path = home.path / "archive"
        self.width = width

    def sealed(self) -> Sequence[int]:
        """The numbers of the segments that are here, in order."""
        with suppress(FileNotFoundError):
            names = [path.name for path in self.path.iterdir()]
            return sorted(int(name) for name in names if name.isascii() and name.isdecimal())
        return []

    def full(self, ledger: LedgerReader) -> range:
        """The numbers of the segments that the ledger has filled."""
        return range(ledger.size() // self.width)

    def manifest(self, segment: int) -> Manifest:
        """What a segment is.

        Raises:
            ArchiveError: That cannot be read.
        """
        path = self._segment(segment) / _MANIFEST
        try:
            manifest = Manifest.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ArchiveError(f"{path} cannot be read: {error}") from error
        except ArchiveError as error:
            raise ArchiveError(f"{path}: {error}") from error
        begin = segment * self.width
        if (manifest.segment, manifest.start, manifest.end) != (segment, begin, begin + self.width):
            raise ArchiveError(f"{path} is not of segment {segment}")
        return manifest

    def file(self, segment: int, part: Part) -> Path:
        """A file of a segment."""
        return self._segment(segment) / f"{part}.parquet"

    def read(self, segment: int, part: Part) -> Any:
        """A file of a segment as an Arrow table.

        Raises:
            ArchiveError: It cannot be read.
        """
        path = self.file(segment, part)
        try:
            return parquet().ParquetFile(path).read()
        except (OSError, ValueError) as error:  # of which Arrow's own errors are kinds
            raise ArchiveError(f"{path} cannot be read: {error}") from error

    def seal(self, ledger: LedgerReader, segment: int) -> bool:
        """Seal a segment; False if that was done before.

        Raises:
            ArchiveError: It is not full yet, parts of it were pruned, or another process is sealing.
            StoreError: The ledger does not work.
            OSError: The segment cannot be written.
        """
        if segment not in self.full(ledger):
            raise ArchiveError(
                f"segment {segment} is not full: the ledger has {ledger.size():,} entries,"
                f" {self.width:,} to a segment"
            )
        with self._sealing():
            place = self._segment(segment)
            if place.exists():
                return False
            draft = self.path / f"{_DRAFT}{uuid4().hex}"
            draft.mkdir(mode=_FOLDER_MODE)
            try:
                self._write(draft, ledger, segment)
                draft.rename(place)
                _sync(self.path)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        return True

    def _segment(self, segment: int) -> Path:
        return self.path / f"{segment:08}"

    def _write(self, draft: Path, ledger: LedgerReader, segment: int) -> None:
        start, end = segment * self.width, (segment + 1) * self.width
        found = contents(ledger.store, start, end)
        times = [header(row.body).time_us for row in found.rows]
        log = log_of(ledger)
        manifest = Manifest(
            log=log,
            segment=segment,
            start=start,
            end=end,
            root=ledger.subtree(start, end),
            since_us=min(times),
            until_us=max(times),
            parts=_write_parts(draft, tables(log, segment, found)),
        )
        with _new_file(draft / _MANIFEST) as fd:
            os.write(fd, manifest.to_json().encode())
        _sync(draft)

    @contextmanager
    def _sealing(self) -> Generator[None]:
        """Be the only one that seals, and remove what one that died has left."""
        self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        lease = Lease(self.path / "lock")
        if not lease.take():
            raise ArchiveError(
                f"process {lease.holder() or ''} is sealing segments in {self.path}: wait for it"
            )
        try:
            for left in self.path.glob(f"{_DRAFT}*"):
                shutil.rmtree(left)
            yield
        finally:
            lease.release()


def log_of(ledger: LedgerReader) -> str:
    """Which log it is: what its first entry says.

    Raises:
        ArchiveError: It says nothing, or is gone.
    """
    if ledger.log is None:
        raise ArchiveError(
            "the ledger's first entry, which says what log it is, is missing: nothing can be sealed"
        )
    return ledger.log


def _write_parts(folder: Path, contents: Mapping[Part, Any]) -> Mapping[Part, PartFile]:
    return {part: _write_part(folder / f"{part}.parquet", contents[part]) for part in PARTS}


def _write_part(path: Path, table: Any) -> PartFile:
    packed = {name: "DELTA_BINARY_PACKED" for name in _PACKED if name in table.column_names}
    with _new_file(path) as fd, os.fdopen(os.dup(fd), "wb") as file:
        parquet().write_table(
            table,
            file,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            use_dictionary=[name for name in _WORDS if name in table.column_names],
            column_encoding=packed,
            store_schema=False,
            write_page_index=True,
        )
    with path.open("rb") as file:
        return PartFile(
            table.num_rows, path.stat().st_size, file_digest(file, "sha256").hexdigest()
        )


@contextmanager
def _new_file(path: Path) -> Generator[int]:
    """A file that is on stable storage when it is left."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
