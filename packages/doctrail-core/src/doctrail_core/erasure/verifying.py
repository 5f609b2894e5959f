"""Whether a receipt of an erasure holds: who signed it, whether the ledger says the same, whether it is still so."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.note import NoteError
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import Home
from doctrail_core.erasure.receipts import ErasureReceipt, Receipts, digest_of
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import Entry
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.tree import leaf_hash, verify_inclusion
from doctrail_core.text.identity import canonical_id

__all__ = ["Check", "check_receipt"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `holds` is None where it cannot be said here."""

    holds: bool | None
    what: str


def check_receipt(home: Home, receipt: ErasureReceipt, name: str | None = None) -> list[Check]:
    """Compare a receipt with what is here.

    Args:
        home: The installation that it is said to be of.
        receipt: The receipt.
        name: The id that it is said to be about.

    Raises:
        NothingRecordedError: Nothing is recorded in this home.
        StoreError: The ledger cannot be read.
    """
    with open_ledger(home) as ledger:
        return [
            _signature(home, ledger, receipt),
            *_name(ledger, receipt, name),
            *_entry(ledger, receipt),
            *_names(ledger, receipt),
            _report(home, receipt),
        ]


def _signature(home: Home, ledger: LedgerReader, receipt: ErasureReceipt) -> Check:
    if receipt.note is None:
        if _signs_since(ledger, receipt.entry):
            words = "it is signed by the key of this log: it has no signature, and the log signed when it was made"
            return Check(holds=False, what=words)
        return Check(None, "it is not signed: nothing signed for this log when it was made")
    try:
        key = AuditFolder(home).config().key
        signed = bool(receipt.note.signed_by(key))
    except (NoteError, StoreError):
        signed = False
    return Check(signed, "it is signed by the key of this log")


def _signs_since(ledger: LedgerReader, place: int | None) -> bool:
    """Whether the log had named the key that signs for it before this place."""
    begun = (entry.seq for entry in ledger.events("configured") if "audit" in entry.body)
    first = next(begun, None)
    return first is not None and place is not None and first < place


def _name(ledger: LedgerReader, receipt: ErasureReceipt, name: str | None) -> Iterator[Check]:
    if name is not None:
        what = f"it is about the {receipt.scope} that was named"
        try:
            tag = ledger.tag(receipt.scope, canonical_id(name))
        except StoreError as error:
            yield Check(None, f"{what}: {error}")
        else:
            yield Check(tag.hex() == receipt.tag, what)


def _entry(ledger: LedgerReader, receipt: ErasureReceipt) -> Iterator[Check]:
    if receipt.entry is None:
        yield Check(holds=False, what="it is of a dry run, so no entry of the ledger says so")
        return
    entry = ledger.entry(receipt.entry)
    yield Check(_says_so(entry, receipt), f"entry {receipt.entry} of the ledger says the same")
    if entry is not None:
        yield Check(_is_in_the_log(ledger, entry), "that entry is in the log's tree")


def _says_so(entry: Entry | None, receipt: ErasureReceipt) -> bool:
    if entry is None or entry.kind != "erased":
        return False
    body, impact = entry.body, receipt.impact
    return (
        (body["erasure"], body["scope"]) == (receipt.erasure, receipt.scope)
        and set(receipt.places) <= set(body["at"])
        and (body["affected"], body["digest"]) == (impact.responses, impact.digest)
    )


def _is_in_the_log(ledger: LedgerReader, entry: Entry) -> bool:
    body, size = ledger.body(entry.seq), ledger.size()
    if body is None:
        return False
    proof = ledger.inclusion(entry.seq, size)
    return verify_inclusion(entry.seq, size, leaf_hash(body), proof, ledger.root(size))


def _names(ledger: LedgerReader, receipt: ErasureReceipt) -> Iterator[Check]:
    sealed = [place for place in receipt.places if ledger.name_of(place) is not None]
    keys = [place for place in receipt.places if ledger.key_of(place) is not None]
    yield Check(not sealed, "the name is not here any more")
    yield Check(not keys, "nor is the key that sealed it")


def _report(home: Home, receipt: ErasureReceipt) -> Check:
    what = f"the report of the {receipt.impact.responses} responses that had it is as it was"
    path = Receipts(home).report_of(receipt)
    if not path.exists():
        return Check(None, f"{what}: it is not here ({path})")
    data = path.read_bytes()
    listed = digest_of(_places(data))
    holds = sha256(data).hexdigest() == receipt.impact.report and listed == receipt.impact.digest
    return Check(holds, what)


def _places(report: bytes) -> Iterator[int]:
    from pydantic_core import from_json

    for line in report.splitlines():
        yield from_json(line)["seq"]
