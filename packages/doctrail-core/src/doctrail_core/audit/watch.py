"""Keeps evidence coming while an application runs: a checkpoint every interval, a heartbeat where nothing else came.

Of all processes that share a home one at a time does it, whichever finds that it is due. Each has a thread for it from
its first record on, and none if `doctrail audit init` was never done.
"""

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from doctrail_core.audit.folder import INTERVAL, AuditFolder
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.forks import remake_after_fork

if TYPE_CHECKING:
    from doctrail_core.audit.checkpoint import Checkpoint
    from doctrail_core.audit.folder import AuditConfig
    from doctrail_core.audit.note import Note
    from doctrail_core.durable.faults import Faults
    from doctrail_core.durable.home import Home

__all__ = ["BusyError", "Watch", "begin", "checkpoint_now"]

_LOOK_AGAIN = 5.0
"""Seconds after which it is looked again whether `doctrail audit init` was done."""
_TURNS = 4
"""So many times in an interval, at most, it is looked whether a checkpoint is due."""
_PATIENCE = 10.0
_EXIT_PATIENCE = 2.0


class BusyError(StoreError):
    """Another process is signing."""


class Noting(Protocol):
    """The writing end of a ledger."""

    def note(self, event: str, body: Mapping[str, Any]) -> object: ...

    def flush(self, timeout: float) -> object: ...


def begin(
    home: "Home", ledger: Noting, origin: str | None = None, interval: float = INTERVAL
) -> "tuple[AuditConfig, Note]":
    """Make the log's key, put that on record, and sign the first checkpoint.

    Raises:
        FileExistsError: It was done before.
        NoteError: The origin cannot be one.
        StoreError: The log cannot be read.
        OSError: The folder cannot be written to.
    """
    home.ensure()
    config = AuditFolder(home).make(origin, interval)
    said = {"interval": config.interval, "key": str(config.key), "origin": config.origin}
    ledger.note("configured", {"audit": said})
    _, note = checkpoint_now(home, ledger, heartbeat=False)
    return config, note


def checkpoint_now(
    home: "Home", ledger: Noting, *, heartbeat: bool, patience: float = _PATIENCE
) -> "tuple[Checkpoint, Note]":
    """Sign the log as it is, after the index of each full segment was committed.

    Args:
        home: Where the log is.
        ledger: Its writing end.
        heartbeat: Whether to note that nothing came, where nothing came since the last checkpoint.
        patience: Seconds to wait for what lies in the spool.

    Raises:
        BusyError: Another process is at it.
        StoreError: The log cannot be read or signed, or is not what was signed before.
    """
    folder = AuditFolder(home)
    folder.config()  # before anything is written for a log that nothing is to sign
    if not folder.lease.take():
        raise BusyError("another process is signing a checkpoint right now")
    try:
        return _signed(folder, home, ledger, heartbeat=heartbeat, patience=patience)
    finally:
        folder.lease.release()


def _signed(
    folder: AuditFolder, home: "Home", ledger: Noting, *, heartbeat: bool, patience: float
) -> "tuple[Checkpoint, Note]":
    from doctrail_core.audit.sealing import seal
    from doctrail_core.audit.signing import sign_checkpoint
    from doctrail_core.ledger import open_ledger

    ledger.flush(patience)
    with open_ledger(home, drain=False) as log:
        before = folder.latest()
        if heartbeat and before is not None and before[0].size == log.size():
            ledger.note("heartbeat", {"interval": folder.config().interval})
        sealed = seal(folder, log, ledger.note)
        ledger.flush(patience)
        folder.sealed = sealed
        return sign_checkpoint(folder, log)


class Watch:
    """This process's share in keeping evidence coming."""

    def __init__(self, home: "Home", ledger: Noting, faults: "Faults") -> None:
        self._home = home
        self._folder = AuditFolder(home)
        self._ledger = ledger
        self._faults = faults
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._look_again = 0.0
        self._woken = False

    def wake(self) -> None:
        """Say that something was appended."""
        self._woken = True
        if self._thread is None and time.monotonic() >= self._look_again:
            self._start()

    def close(self) -> None:
        """Sign what this process has added, and give up the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_EXIT_PATIENCE)
        if self._woken and self._folder.exists():
            self._turn(heartbeat=False, patience=_EXIT_PATIENCE)

    def _start(self) -> None:
        with self._starting:
            self._look_again = time.monotonic() + _LOOK_AGAIN
            if self._thread is not None or self._stop.is_set() or not self._folder.exists():
                return
            thread = threading.Thread(target=self._run, name="doctrail-audit", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is going down; what was appended is signed by whoever is next
            self._thread = thread

    def _run(self) -> None:
        while not self._stop.wait(max(self._due(), self._interval() / _TURNS)):
            if not self._due():
                self._turn(heartbeat=True, patience=_PATIENCE)

    def _due(self) -> float:
        """Seconds until a checkpoint is due, whichever process signed the last one."""
        return max(0.0, self._interval() - self._folder.age(time.time()))

    def _interval(self) -> float:
        try:
            return self._folder.config().interval
        except StoreError as error:
            self._faults.note("reading the audit configuration", error)
            return INTERVAL

    def _turn(self, *, heartbeat: bool, patience: float) -> None:
        """Sign; where there is time for that, also have it anchored."""
        try:
            _, note = checkpoint_now(
                self._home, self._ledger, heartbeat=heartbeat, patience=patience
            )
            if heartbeat:
                self._anchor(note)
        except BusyError:
            pass
        except Exception as error:  # noqa: BLE001  # likewise, and never the user's trouble
            self._faults.note("signing a checkpoint", error)

    def _anchor(self, note: "Note") -> None:
        from doctrail_core.audit.anchors.publishing import publish_due

        publish_due(self._home, str(note).encode())
