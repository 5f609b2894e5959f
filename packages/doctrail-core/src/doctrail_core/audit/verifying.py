"""Verifying a log: one pass over its entries, and what was found, in words.

What a pass shows is that the log is whole, and that it is the one that checkpoints were signed for. Against whoever has
both log and key, it shows as much as the checkpoints that were kept by somebody else.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
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
from doctrail_core.ledger.entry import EntryError, decode

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
    tree = TreeCheck(log.store, signatures.checkpoints())
    origin = known.key.name if known.key else None
    receipts = [ReceiptCheck(log, receipt, origin) for receipt in known.receipts]
    checks: list[Check] = [tree, FormCheck(), CounterCheck(), TimeCheck(now), *receipts]
    if not quick:
        reading = Reading()
        checks += [reading, IndexCheck(reading), TableCheck(log, reading), NameCheck(log, reading)]
    for block in blocks(log.store, 0, log.size()):
        for check in checks:
            check.take(block)
    found = [
        *signatures.findings(),
        *_key_findings(log, known.key),
        *(each for check in checks for each in check.findings()),
    ]
    return Report(tree.frontier.size, tree.frontier.root(), tuple(found), _unproven(known))


class _Signatures:
    """Reads checkpoints, and tells those that the log's key signed from others."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._brought = 0
        self._signed = 0
        self._faults: dict[str, int] = {}

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Those that the log's key signed."""
        if self._known.key is None:
            return
        yield from self._signed_by(self._known.key, self._known.brought, "that was brought")
        self._brought = self._signed
        yield from self._signed_by(self._known.key, self._known.kept, "in the audit folder")

    def findings(self) -> Iterator[Finding]:
        if self._known.key is None:
            words = (
                "no key is known here that signs this log: if none does, run `doctrail audit init`"
            )
            yield open_("signatures", words)
            return
        for words, number in self._faults.items():
            more = f" ({number} times)" if number > 1 else ""
            yield broken("signatures", f"a checkpoint {words}{more}")
        if self._signed:
            signed = f"{self._signed} checkpoint(s) are signed by {self._known.key.name!r}"
            said = f", {self._brought} of them brought from outside" if self._brought else ""
            yield holds("signatures", signed + said)

    def _signed_by(
        self, key: VerifierKey, notes: Iterable[Note], which: str
    ) -> Iterator[Checkpoint]:
        for note in notes:
            try:
                checkpoint = checkpoint_of(note, key)
            except NoteError as error:
                self._count(f"{which}: {error}")
                continue
            if checkpoint.origin == key.name:
                self._signed += 1
                yield checkpoint
            else:
                self._count(f"{which} is of another log, {checkpoint.origin!r}")

    def _count(self, words: str) -> None:
        self._faults[words] = self._faults.get(words, 0) + 1


def _key_findings(log: "LedgerReader", key: VerifierKey | None) -> Iterator[Finding]:
    """Whether the log itself names the key, which it does since `doctrail audit init`."""
    for seq, body in log.store.events("configured"):
        with suppress(EntryError, KeyError, TypeError, AttributeError):
            named = decode(body, seq).body["audit"]["key"]
            if key is None:
                words = f"entry #{seq} of the log names its key, {named}, and nothing here has it: bring it with --key"
                yield open_("signatures", words, seq)
            elif named == str(key):
                yield holds("signatures", f"entry #{seq} of the log names the same key", seq)
            else:
                words = f"entry #{seq} of the log names another key, {named}: this one was put in its place"
                yield broken("signatures", words, seq)


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
        "which document or person a reference stands for, where the key of its name is not here",
    )
