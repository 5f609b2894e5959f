"""Whether the log has what a receipt says. With the receipt comes somebody who would notice if it had not."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from doctrail_core.audit.findings import Finding, broken, holds, open_
from doctrail_core.audit.stream import Block
from doctrail_core.ledger.commitments import answer_commitment
from doctrail_core.ledger.entry import CODES, HEADER, Entry, EntryError, covered, decode
from doctrail_core.ledger.keyring import THE_LOG

if TYPE_CHECKING:
    from doctrail_core.ledger.reader import LedgerReader
    from doctrail_core.model.receipt import Receipt

__all__ = ["ReceiptCheck"]

_NAME = CODES["name"]
_ANSWERED = CODES["answered"]


class ReceiptCheck:
    """Looks for the record of a receipt: by its writer and number, and then what it is about."""

    def __init__(self, log: "LedgerReader", receipt: "Receipt", origin: str | None = None) -> None:
        """Look for a receipt.

        Args:
            log: Where.
            receipt: What for.
            origin: What the log's key calls it; None where no key is known.
        """
        self._log = log
        self._origin = origin
        self._receipt = receipt
        self._writer: int | None = None
        self._found: Entry | None = None

    def take(self, block: Block, /) -> None:
        if self._found is not None:
            return
        for (seq, body), (_, code, _, _, writer, counter) in zip(
            block.entries, block.heads, strict=True
        ):
            if self._writer is None:
                if code == _NAME:
                    self._writer = self._number(body)
            elif writer == self._writer and self._has(code, body, counter):
                with suppress(EntryError):
                    self._found = decode(body, seq)

    def findings(self) -> Iterator[Finding]:
        receipt, entry = self._receipt, self._found
        which = f"the receipt of answer {receipt.response_id!r}"
        if None not in {receipt.origin, self._origin} and receipt.origin != self._origin:
            yield broken("receipts", f"{which} is of another log, {receipt.origin!r}")
        elif entry is None:
            words = (
                f"{which}: the log has no record {receipt.counter} of writer {receipt.writer}. It was lost, or taken away,"
                " if not pruned"
            )
            yield broken("receipts", words)
        elif entry.response != self._log.reference_of(receipt.response_id):
            words = f"{which}: record {receipt.counter} of its writer is about another answer"
            yield broken("receipts", words, entry.seq)
        else:
            yield self._answer(which, entry)

    def _answer(self, which: str, entry: Entry) -> Finding:
        """Whether it is the answer of the receipt."""
        secret = self._log.key_of(THE_LOG if entry.user is None else entry.user)
        if self._receipt.answer_hash is None or entry.answer_commitment is None:
            words = f"{which} is on record as entry #{entry.seq}; of its text nothing was kept"
            return holds("receipts", words, entry.seq)
        if secret is None:
            words = f"{which} is on record as entry #{entry.seq}; the key to compare its text is not here"
            return open_("receipts", words, entry.seq)
        said = answer_commitment(secret, entry.response or b"", self._receipt.answer_hash)
        if said != entry.answer_commitment:
            words = f"{which}: another answer is on record than the receipt was given for"
            return broken("receipts", words, entry.seq)
        words = f"{which} is on record as entry #{entry.seq}, with the same answer"
        return holds("receipts", words, entry.seq)

    def _number(self, body: bytes) -> int | None:
        """The writer's number, if this binds its name."""
        with suppress(ValueError):
            said = json.loads(body[HEADER.size :])
            if said.get("kind") == "writer" and said.get("name") == self._receipt.writer:
                return said.get("number")
        return None

    def _has(self, code: int, body: bytes, counter: int) -> bool:
        if counter == self._receipt.counter:
            return True
        with suppress(EntryError):
            return code == _ANSWERED and self._receipt.counter in covered(body)
        return False
