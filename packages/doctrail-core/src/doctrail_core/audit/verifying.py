"""Verifying a log: one pass over its entries, and what was found, in words.

What a pass shows is that the log is whole, and that it is the one that checkpoints were signed for. Against whoever has
both log and key, it shows as much as the checkpoints that were kept by somebody else.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctrail_core.audit.checkpoint import Checkpoint, checkpoint_of
from doctrail_core.audit.content import IndexCheck, NameCheck, Reading, TableCheck
from doctrail_core.audit.findings import Finding, Report, broken, holds, open_
from doctrail_core.audit.note import Note, NoteError, VerifierKey
from doctrail_core.audit.receipts import ReceiptCheck
from doctrail_core.audit.stream import (
    Check,
    CounterCheck,
    FormCheck,
    TimeCheck,
    TreeCheck,
    blocks,
)

if TYPE_CHECKING:
    from doctrail_core.ledger.reader import LedgerReader
    from doctrail_core.model.receipt import Receipt

__all__ = ["Known", "verify"]


@dataclass(frozen=True, slots=True)
class Known:
    """What the verifier knows beforehand.

    Attributes:
        key: Of the log; None if nothing signs it.
        kept: Checkpoints from the operator's own folder.
        brought: Checkpoints that were kept by somebody else.
        receipts: That callers were given with answers.
    """

    key: VerifierKey | None = None
    kept: Iterable[Note] = ()
    brought: Sequence[Note] = ()
    receipts: "Sequence[Receipt]" = ()


def verify(
    log: "LedgerReader", known: Known, *, quick: bool = False, now_us: int | None = None
) -> Report:
    """Look at every entry of a log once.

    Args:
        log: The log.
        known: What to hold it against.
        quick: Leave out what needs every entry to be read through: indexes, tables and names.
        now_us: The time, in microseconds since the epoch; default that of now.
    """
    signatures = _Signatures(known)
    now = time.time_ns() // 1000 if now_us is None else now_us
    tree = TreeCheck(log.store, signatures.checkpoints)
    receipts = [ReceiptCheck(log, receipt) for receipt in known.receipts]
    checks: list[Check] = [tree, FormCheck(), CounterCheck(), TimeCheck(now), *receipts]
    if not quick:
        reading = Reading()
        checks += [reading, IndexCheck(reading), TableCheck(log, reading), NameCheck(log, reading)]
    for block in blocks(log.store, 0, log.size()):
        for check in checks:
            check.take(block)
    found = [*signatures.findings(), *(each for check in checks for each in check.findings())]
    return Report(tree.frontier.size, tree.frontier.root(), tuple(found), _unproven(known))


class _Signatures:
    """The checkpoints that the log's key signed."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.checkpoints: list[Checkpoint] = []
        self._brought: list[Checkpoint] = []
        self._faults: list[Finding] = []
        if known.key is not None:
            self._read(known.key)

    def findings(self) -> Iterator[Finding]:
        if self._known.key is None:
            words = (
                "nothing signs this log: run `doctrail audit init`, and keep checkpoints elsewhere"
            )
            yield open_("signatures", words)
            return
        yield from self._faults
        if self.checkpoints:
            signed = f"{len(self.checkpoints)} checkpoint(s) are signed by {self._known.key.name!r}"
            brought = len(self._brought)
            said = f", {brought} of them brought from outside" if brought else ""
            yield holds("signatures", signed + said)

    def _read(self, key: VerifierKey) -> None:
        for note in self._known.brought:
            if (checkpoint := self._checked(note, key, "that was brought")) is not None:
                self._brought.append(checkpoint)
        self.checkpoints += self._brought
        for note in self._known.kept:
            if (checkpoint := self._checked(note, key, "in the audit folder")) is not None:
                self.checkpoints.append(checkpoint)

    def _checked(self, note: Note, key: VerifierKey, which: str) -> Checkpoint | None:
        try:
            checkpoint = checkpoint_of(note, key)
        except NoteError as error:
            self._faults.append(broken("signatures", f"a checkpoint {which}: {error}"))
            return None
        if checkpoint.origin != key.name:
            words = f"a checkpoint {which} is of another log, {checkpoint.origin!r}"
            self._faults.append(broken("signatures", words))
            return None
        return checkpoint


def _unproven(known: Known) -> tuple[str, ...]:
    """What nobody may conclude."""
    outside = (
        "nothing newer than the checkpoints that were brought is shown to be unchanged by somebody who has the ledger"
        " and its key"
        if known.brought
        else "nothing is shown to be unchanged by somebody who has the ledger and its key: all checkpoints here are from"
        " the same hands. Keep one elsewhere, and bring it with --checkpoint"
    )
    return (
        outside,
        "an answer that was never recorded is not missed here; compare with a count from elsewhere, as a model's bill",
        "times are those of the recording machine's clock",
        "which document or person a reference stands for is kept beside the log, under keys; who has those can change it",
    )
