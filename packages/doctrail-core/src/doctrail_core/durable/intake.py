"""Moves records from a spool folder into a store, each exactly once.

A store commits records together with the offsets up to which their files were read; whatever dies in
between, the next one goes on from there. Only the holder of the lease may do this.
"""

import fcntl
import os
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.frame import Scan, frame, scan
from doctrail_core.durable.home import FILE_MODE
from doctrail_core.durable.spool import SUFFIX

if TYPE_CHECKING:
    from doctrail_core.durable.faults import Faults

__all__ = ["Database", "Intake", "Store", "sizes"]

_BATCH_BYTES = 16 << 20


class Store(Protocol):
    """A database as its only writer sees it."""

    def cursors(self) -> Mapping[str, int]:
        """Up to where each spool file was read."""
        ...

    def commit(
        self, payloads: Sequence[bytes], cursors: Mapping[str, int], forgotten: Collection[str]
    ) -> None:
        """Add the records, move the cursors and drop those of forgotten files, all or nothing.

        Raises:
            StoreError: The database does not work; the records will be brought again.
            Exception: One of the records cannot be stored.
        """
        ...

    def close(self) -> None: ...


class Database(Protocol):
    """Where a stream ends up."""

    def open(self) -> Store:
        """Open it for writing, and make it if there is none.

        Raises:
            StoreError: It cannot be written to.
        """
        ...

    def cursors(self) -> Mapping[str, int]:
        """What any process may know of its progress.

        Raises:
            StoreError: It cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Record:
    file: str
    end: int
    payload: bytes


class Intake:
    """Reads what is new in the spool folder, commits it, deletes what is done with."""

    def __init__(self, directory: Path, store: Store, faults: "Faults") -> None:
        self._directory = directory
        self._store = store
        self._faults = faults
        self._cursors = dict(store.cursors())
        self._forgotten: set[str] = self._cursors.keys() - sizes(directory).keys()

    def once(self) -> int:
        """Move what is there now, up to a batch; returns how many records."""
        batch: list[_Record] = []
        drained: dict[str, int] = {}
        for name in sorted(sizes(self._directory)):
            # In this order, because a process's later segments must not overtake its earlier ones.
            if sum(len(record.payload) for record in batch) > _BATCH_BYTES:
                break
            whole = self._read(name, batch)
            if whole is not None:
                drained[name] = whole
        if batch:
            self._commit(batch)
        for name, size in drained.items():
            self._delete(name, size)
        return len(batch)

    def close(self) -> None:
        self._store.close()

    def _read(self, name: str, batch: list[_Record]) -> int | None:
        """Add the file's new records to the batch; returns its size if it seems to be whole."""
        try:
            with _opened(self._directory / name) as fd:
                sealed = _is_sealed(fd)
                start = self._cursors.get(name, 0)
                size = os.fstat(fd).st_size
                data = os.pread(fd, max(0, size - start), start)
                if data:
                    self._make_durable(fd, new=start == 0)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._faults.note("reading the spool", error)
            return None
        found = scan(data)
        batch.extend(_Record(name, start + end, payload) for end, payload in found.records)
        self._account_for(found, data, name, start, sealed=sealed)
        return size if sealed else None

    def _make_durable(self, fd: int, *, new: bool) -> None:
        try:
            os.fdatasync(fd)
            if new:
                with _opened(self._directory) as folder:
                    os.fsync(folder)
        except OSError as error:
            # The commit that follows syncs the same records by another way.
            self._faults.note("syncing the spool", error)

    def _account_for(
        self, found: Scan, data: bytes, name: str, start: int, *, sealed: bool
    ) -> None:
        damaged = list(found.damaged)
        if sealed and found.consumed < len(data):
            if found.torn:
                self._faults.count("torn record of a process that died while writing it")
            else:
                damaged.append((found.consumed, len(data)))
        for begin, end in damaged:
            self._faults.count("damaged bytes in the spool, set aside")
            self._set_aside(f"{name}.{start + begin}.damaged", data[begin:end])

    def _commit(self, batch: Sequence[_Record]) -> None:
        cursors = {record.file: record.end for record in batch}
        try:
            self._store.commit([record.payload for record in batch], cursors, self._forgotten)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a record does to the store, others must pass
            self._commit_apart(batch, error)
        else:
            self._cursors.update(cursors)
            self._forgotten.clear()

    def _commit_apart(self, batch: Sequence[_Record], error: Exception) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            self._commit(batch[:middle])
            self._commit(batch[middle:])
            return
        (refused,) = batch
        self._faults.note("storing a record", error)
        self._faults.count("record that the store refused, set aside")
        self._set_aside(f"{refused.file}.{refused.end}.refused", frame(refused.payload))
        self._store.commit([], {refused.file: refused.end}, ())
        self._cursors[refused.file] = refused.end

    def _set_aside(self, name: str, data: bytes) -> None:
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC
        fd = os.open(self._directory / name, flags, FILE_MODE)
        with os.fdopen(fd, "wb") as file:
            file.write(data)

    def _delete(self, name: str, size: int) -> None:
        path = self._directory / name
        with suppress(FileNotFoundError), _opened(path) as fd:
            if not _is_sealed(fd) or os.fstat(fd).st_size != size:
                return  # Its writer had made it, and got the lock only after we had looked.
            path.unlink()
        # The cursor goes after the file: the other way round, a crash would bring its records again.
        if self._cursors.pop(name, None) is not None:
            self._forgotten.add(name)


def sizes(directory: Path) -> dict[str, int]:
    """The spool files there are, and their sizes."""
    found: dict[str, int] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    found[entry.name] = entry.stat().st_size
    except FileNotFoundError:
        pass
    return found


@contextmanager
def _opened(path: Path) -> Generator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_sealed(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
