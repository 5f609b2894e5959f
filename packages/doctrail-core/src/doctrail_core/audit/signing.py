"""Signing checkpoints: the log as it is now, and never one that is not what was signed before."""

from typing import TYPE_CHECKING, Protocol

from doctrail_core.audit.checkpoint import Checkpoint, signed
from doctrail_core.durable.errors import StoreError
from doctrail_core.ledger.tree import EMPTY_ROOT

if TYPE_CHECKING:
    from doctrail_core.audit.folder import AuditFolder
    from doctrail_core.audit.note import Note

__all__ = ["RewrittenError", "Tree", "sign_checkpoint"]


class RewrittenError(StoreError):
    """The log does not begin with what a checkpoint of it was signed for."""


class Tree(Protocol):
    """A log, as far as its tree goes."""

    def size(self) -> int: ...

    def root(self, size: int | None = None) -> bytes: ...


def sign_checkpoint(folder: "AuditFolder", log: Tree) -> "tuple[Checkpoint, Note]":
    """Sign the log as it is, if it has grown since; the caller has the folder's lock.

    Raises:
        RewrittenError: It is not what was signed before; then nothing more is signed.
        StoreError: There is no key to sign with.
        NoteError: The checkpoint that was kept last is not one of this log.
        OSError: The checkpoint cannot be kept.
    """
    key = folder.signing_key()
    size = log.size()
    latest = folder.latest()
    if latest is not None:
        check_grown(log, size, latest[0])
        if latest[0].size == size:
            return latest
    root = log.root(size) if size else EMPTY_ROOT
    checkpoint = Checkpoint(folder.config().origin, size, root)
    note = signed(checkpoint, key)
    folder.keep(note)
    return checkpoint, note


def check_grown(log: Tree, size: int, before: Checkpoint) -> None:
    """Refuse a log that has not grown from what a checkpoint says.

    Raises:
        RewrittenError: It has not.
    """
    if before.size > size:
        raise RewrittenError(
            f"the ledger has {size} entries, but a checkpoint of {before.size} was signed: entries are missing. If an"
            " old backup was put back, restore a newer one; nothing is signed until then."
        )
    if before.size and log.root(before.size) != before.root:
        raise RewrittenError(
            f"the first {before.size} entries of the ledger are not those that a checkpoint was signed for: it was"
            " changed since. Restore it from a backup; nothing is signed until then."
        )
