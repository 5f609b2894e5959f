"""What an erasure did, in writing: found, removed, not covered. Kept in `receipts`, and signed by the log's key.

A receipt tells the place of what was erased and its tag, never its name: it must not be what brings the name
back. Whoever presents the name can be told whether the receipt is about it.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self, cast
from uuid import uuid4

from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.note import Note, NoteError, read_note
from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.home import FILE_MODE, Home

__all__ = [
    "Attempt",
    "Draft",
    "ErasureReceipt",
    "Impact",
    "Receipts",
    "Scope",
    "digest_of",
    "read_receipt",
]

Scope = Literal["document", "user"]

_FORM = "doctrail erasure receipt v1"
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run; what it removed is known only of one that came to its end."""

    started: str
    found: Mapping[str, int]
    removed: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """The responses that had it, before anything was removed.

    Attributes:
        responses: How many.
        by: How many had it how: `in_prompt`, `retrieved_only`, `via_history`, ...
        digest: Of the places of their first entries; see `digest_of`.
        report: SHA-256 of the file with all of them.
        unfinished: Of how many no answer was on record yet.
    """

    responses: int
    by: Mapping[str, int]
    digest: str
    report: str
    unfinished: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """What was erased, and what was not.

    Attributes:
        erasure: Names the receipt and its files.
        scope: What was erased: a document, or all that was kept of a user.
        places: Of the ledger's entries that bound its name.
        tag: By which whoever has the name and the installation's key finds it, 32 hex digits.
        answers: Whether answers that may hold something of a document went, too.
        entry: The place of the ledger's entry that says so; None of a dry run.
        flagged: How many responses were flagged for review.
        found: Before the first attempt.
        removed: In all.
        not_covered: What is left, and where; sentences.
        signature: The signed note; None where nothing signs for the log.
    """

    erasure: str
    scope: Scope
    places: tuple[int, ...]
    tag: str
    reason: str
    legal_basis: str | None
    by: str | None
    answers: bool
    dry_run: bool
    finished: str
    attempts: tuple[Attempt, ...]
    impact: Impact
    not_covered: tuple[str, ...]
    log: str | None = None
    entry: int | None = None
    flagged: int = 0
    form: str = _FORM
    note: Note | None = field(default=None, compare=False)

    @property
    def found(self) -> Mapping[str, int]:
        return self.attempts[0].found

    @property
    def removed(self) -> Mapping[str, int]:
        """What there was when the first attempt began, or has come since; none of it is there any more."""
        last = self.attempts[-1].removed or {}
        return {what: max(last.get(what, 0), self.found.get(what, 0)) for what in self.found}

    @property
    def is_signed(self) -> bool:
        return self.note is not None

    def fields(self) -> dict[str, Any]:
        """All of it but the signatures, as JSON has it."""
        fields = asdict(replace(self, note=None))
        del fields["note"]
        return fields

    def to_json(self) -> str:
        """One line; what is signed."""
        return json.dumps(self.fields(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The receipt of these words.

        Raises:
            ValueError: They are no receipt of an erasure.
        """
        try:
            fields = cast("dict[str, Any]", json.loads(text))
            fields["attempts"] = tuple(Attempt(**attempt) for attempt in fields["attempts"])
            fields["impact"] = Impact(**fields["impact"])
            for name in ("not_covered", "places"):
                fields[name] = tuple(fields[name])
            receipt = cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is no receipt of an erasure") from error
        if receipt.form != _FORM:
            raise ValueError("this is a receipt of another kind, or of another version of doctrail")
        return receipt

    def __str__(self) -> str:
        return f"{self.to_json()}\n" if self.note is None else str(self.note)


@dataclass(frozen=True, slots=True)
class Draft:
    """An erasure that has begun: kept until it is complete, so that the next one can go on with it."""

    erasure: str
    scope: Scope
    tag: str
    attempts: tuple[Attempt, ...] = ()


class Receipts:
    """The folder `receipts` of a home."""

    def __init__(self, home: Home) -> None:
        self.path = home.path / "receipts"
        self._audit = AuditFolder(home)

    def draft(self, scope: Scope, tag: str) -> Draft:
        """The erasure of this that was not completed, or a new one.

        Raises:
            StoreError: What was kept of one cannot be read.
        """
        begun = (draft for draft in self.drafts() if (draft.scope, draft.tag) == (scope, tag))
        return next(begun, Draft(uuid4().hex, scope, tag))

    def drafts(self) -> Iterator[Draft]:
        """The erasures that were begun and not completed.

        Raises:
            StoreError: What was kept of one cannot be read.
        """
        for path in sorted(self.path.glob("*.draft")):
            yield _read_draft(path)

    def keep_draft(self, draft: Draft) -> None:
        """Keep how far it came.

        Raises:
            OSError: It cannot be written.
        """
        self._write(f"{draft.erasure}.draft", json.dumps(asdict(draft), sort_keys=True))

    def merge_report(self, erasure: str, lines: Sequence[str]) -> tuple[list[str], str]:
        """Add to the list of responses; returns all lines, and their digest.

        Raises:
            OSError: It cannot be written.
        """
        path = self.path / f"{erasure}.responses.jsonl"
        before = path.read_text("utf-8").splitlines() if path.exists() else []
        merged = list(dict.fromkeys((*before, *lines)))
        text = "".join(f"{line}\n" for line in merged)
        self._write(path.name, text)
        return merged, sha256(text.encode()).hexdigest()

    def complete(self, receipt: ErasureReceipt) -> ErasureReceipt:
        """Sign it, if anything signs for the log, and keep it in the place of its draft.

        Raises:
            StoreError: The key that signs cannot be read.
            OSError: It cannot be written.
        """
        signed = self.signed(receipt)
        self._write(f"{receipt.erasure}.receipt", str(signed))
        (self.path / f"{receipt.erasure}.draft").unlink(missing_ok=True)
        return signed

    def signed(self, receipt: ErasureReceipt) -> ErasureReceipt:
        """The receipt with a signature by the key of the log.

        Raises:
            StoreError: The key cannot be read.
        """
        if not self._audit.exists():
            return receipt
        text = f"{receipt.to_json()}\n"
        return replace(receipt, note=Note(text, (self._audit.signing_key().sign(text),)))

    def file_of(self, receipt: ErasureReceipt) -> Path:
        return self.path / f"{receipt.erasure}.receipt"

    def report_of(self, receipt: ErasureReceipt) -> Path:
        return self.path / f"{receipt.erasure}.responses.jsonl"

    def all(self) -> Iterator[ErasureReceipt]:
        """Those that are kept, in no order.

        Raises:
            ValueError: One of them is none.
        """
        for path in sorted(self.path.glob("*.receipt")):
            yield read_receipt(path.read_text("utf-8"))

    def _write(self, name: str, text: str) -> None:
        """Write a file that only its owner may read, whole or not at all."""
        self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        draft = self.path / f".{name}.{uuid4().hex}"
        fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path / name)
        finally:
            draft.unlink(missing_ok=True)


def digest_of(places: Iterable[int]) -> str:
    """What the ledger says of the responses that had it: SHA-256 over their places, each once, in order."""
    return sha256(b"".join(seq.to_bytes(8) for seq in sorted(set(places)))).hexdigest()


def read_receipt(text: str) -> ErasureReceipt:
    """A receipt, signed or not. Nothing of it is verified yet.

    Raises:
        ValueError: It is none.
    """
    if "\n\n" not in text:
        return ErasureReceipt.from_json(text)
    try:
        note = read_note(text)
    except NoteError as error:
        raise ValueError(f"this is no receipt of an erasure: {error}") from error
    return replace(ErasureReceipt.from_json(note.text), note=note)


def _read_draft(path: Path) -> Draft:
    try:
        fields = json.loads(path.read_text("utf-8"))
        attempts = tuple(Attempt(**attempt) for attempt in fields["attempts"])
        return Draft(**fields | {"attempts": attempts})
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged. Remove it; the erasure that it is about begins anew, and its receipt will not"
            " tell of the earlier attempt."
        ) from error
