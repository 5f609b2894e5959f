"""Erasing: what is done, in which order, so that nothing is lost by dying on the way.

First it is put down what is affected, because later nobody could tell. Then texts are destroyed, then names, then
the keys that sealed them, and only then does the ledger say so. Every step finds by itself what is left to do: an
erasure that was killed is completed by the next one of the same, whose receipt tells of both.

Both stores are held by their leases for as long as it takes. Applications go on recording meanwhile; what they
record of the same document after that is bound anew, and is for another erasure.
"""

import json
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from doctrail_core.durable.clearing import blank_what_was_moved, discard_set_aside
from doctrail_core.durable.errors import NothingRecordedError, StoreError
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.keys import load_or_create_key
from doctrail_core.durable.writing import writing
from doctrail_core.erasure.document import ErasedDocument
from doctrail_core.erasure.holds import Hold, holding
from doctrail_core.erasure.receipts import (
    Attempt,
    Draft,
    ErasureReceipt,
    Impact,
    Receipts,
    digest_of,
)
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.subject import Affected, Subject
from doctrail_core.erasure.user import ErasedUser
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.forgotten import LedgerEditor
from doctrail_core.ledger.place import LedgerPlace
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.record import EventRecord, encode
from doctrail_core.text.identity import canonical_id, clean_text, keyed_hash
from doctrail_core.trails import open_trails
from doctrail_core.trails.place import TrailPlace
from doctrail_core.trails.store import TrailReading, TrailWriting

__all__ = ["HeldError", "erase_document", "erase_user"]

PATIENCE = 30.0
"""Seconds to wait for another process that writes to the stores."""

_FLAGS = 1_000
_NOT_COVERED = (
    "the vector store, index or cache that the application retrieves from, and the source that it was loaded from.",
    "backups, replicas, snapshots and archives of these files; keep the key store out of those that are kept long.",
    "what left this home: exported reports and bundles, spans sent to a tracing backend, logs and who ships them.",
    "what the providers of models keep of prompts and answers.",
    "the memory of running applications, until they end or begin another session.",
    "the blocks of the disk that the files have given up, where it or its file system keeps older copies.",
)


class HeldError(Exception):
    """It must not be erased, because a hold is on it; the message names the hold."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        super().__init__(
            f"nothing was erased: {'; '.join(map(str, holds))}. Lift it first, or wait until it is over."
        )
        self.holds = holds


def erase_document(
    home: Home,
    document_id: str,
    *,
    reason: str,
    legal_basis: str | None = None,
    by: str | None = None,
    answers: bool = False,
    dry_run: bool = False,
) -> ErasureReceipt:
    """Destroy the texts of a document and its names, and flag the answers that may hold something of it.

    Args:
        home: The installation.
        document_id: The whole id.
        reason: Why; kept in the receipt, and its keyed hash on the ledger.
        legal_basis: On what ground, such as `GDPR 17(1)(b)`; put on the ledger as it is.
        by: Who asked for it; sealed on the ledger.
        answers: Also remove the answers of responses that had it in their prompts.
        dry_run: Only say what would be done.

    Raises:
        HeldError: A hold is on it.
        NothingRecordedError: Nothing of it is on record.
        SequencerBusyError: Another process is writing and did not finish.
        StoreError: A store does not work. What was done until then stays done; erase again to complete it.
        OSError: A file cannot be written; likewise.
    """
    subject = ErasedDocument(canonical_id(document_id), answers)
    return _Erasing(home, subject, _Order(reason, legal_basis, by)).run(dry_run=dry_run)


def erase_user(
    home: Home,
    user_id: str,
    *,
    reason: str,
    legal_basis: str | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> ErasureReceipt:
    """Destroy all that is kept of a user: questions, answers, prompts, sessions, names.

    See `erase_document` for the arguments and what is raised.
    """
    subject = ErasedUser(canonical_id(user_id))
    return _Erasing(home, subject, _Order(reason, legal_basis, by)).run(dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _Order:
    """Why, on what ground, and by whom."""

    reason: str
    legal_basis: str | None
    by: str | None


class _Erasing:
    """One erasure of one subject."""

    def __init__(self, home: Home, subject: Subject, order: _Order) -> None:
        self._home = home
        self._subject = subject
        self._order = replace(order, reason=clean_text(order.reason))
        self._receipts = Receipts(home)
        self._remarks = Remarks(home)

    def run(self, *, dry_run: bool) -> ErasureReceipt:
        if dry_run:
            return self._foretold()
        self._check_recorded()
        with self._alone() as (ledger, trails):
            draft, impact, affected, not_covered = self._begun()
            self._scrub_remarks()
            if trails is not None:
                self._erase_trails(trails)
            self._forget_names(ledger)
            entry = self._put_on_record(ledger, draft, impact)
            flagged = self._flag(ledger, entry, affected)
            removed = self._removed(draft)
        draft = replace(draft, attempts=(*draft.attempts[:-1], removed))
        receipt = self._receipt(draft, impact, not_covered)
        return self._receipts.complete(replace(receipt, entry=entry, flagged=flagged))

    # What there is

    def _foretold(self) -> ErasureReceipt:
        with self._readers(drain=True) as (ledger, trails):
            self._check_may_go(ledger)
            draft = self._draft(ledger)
            found = self._subject.found(ledger, trails)
            self._check_anything(draft, found, ledger)
            affected = list(self._subject.affected(ledger))
            not_covered = self._not_covered(ledger, trails, affected)
        draft = replace(draft, attempts=(*draft.attempts, Attempt(_now(), found)))
        impact = _impact(affected, sha256(_report(affected)).hexdigest())
        return replace(self._receipt(draft, impact, not_covered), dry_run=True)

    def _check_recorded(self) -> None:
        """Before anything is made that was not there."""
        with self._readers(drain=True) as (ledger, trails):
            self._check_may_go(ledger)
            self._check_anything(self._draft(ledger), self._subject.found(ledger, trails), ledger)

    def _begun(self) -> tuple[Draft, Impact, list[Affected], list[str]]:
        """What is affected, put down before anything is destroyed."""
        with self._readers(drain=False) as (ledger, trails):
            self._check_may_go(ledger)
            draft = self._draft(ledger)
            found = self._subject.found(ledger, trails)
            attempts = (*draft.attempts, Attempt(_now(), found))
            draft = replace(draft, attempts=attempts)
            lines = _report(list(self._subject.affected(ledger))).decode().splitlines()
            self._receipts.keep_draft(draft)
            lines, digest = self._receipts.merge_report(draft.erasure, lines)
            affected = [Affected(**json.loads(line)) for line in lines]
            not_covered = self._not_covered(ledger, trails, affected)
        return draft, _impact(affected, digest), affected, not_covered

    def _draft(self, ledger: LedgerReader) -> Draft:
        tag = ledger.tag(self._subject.scope, self._subject.name)
        return self._receipts.draft(self._subject.scope, tag.hex())

    def _check_may_go(self, ledger: LedgerReader) -> None:
        found = holding(ledger, self._subject.scope, self._subject.name, self._remarks)
        if found:
            raise HeldError(found)

    def _check_anything(self, draft: Draft, found: Any, ledger: LedgerReader) -> None:
        if any(found.values()) or draft.attempts:
            return
        scope, name = self._subject.scope, self._subject.name
        places = set(self._subject.places(ledger))
        for entry in ledger.events("erased"):
            if places & set(entry.body["at"]):
                raise NothingRecordedError(
                    f"{scope} {name!r} was erased already, by entry {entry.seq} of the ledger; nothing came since."
                )
        raise NothingRecordedError(f"no {scope} {name!r} is on record. Ids must be exact.")

    def _not_covered(
        self, ledger: LedgerReader, trails: TrailReading | None, affected: Sequence[Affected]
    ) -> list[str]:
        unfinished = {each.seq for each in affected if not each.complete}
        own = list(self._subject.not_covered(ledger, trails))
        if unfinished:
            own.append(
                f"{len(unfinished)} responses that were not on record as complete: what they still record comes after"
                " this erasure. Erase again when it may have come."
            )
        if ledger.others:
            own.append(
                f"The logs of {len(ledger.others)} other homes on the same server: the keys of their names are with them."
                " Erase in each of them."
            )
        return [*own, *_NOT_COVERED]

    # What is done

    def _erase_trails(self, editor: TrailWriting) -> None:
        with self._readers(drain=False) as (ledger, trails):
            if trails is not None:
                self._subject.erase_from(trails, editor, ledger)
        self._clear("trails", editor.cursors().items())
        editor.scrub()

    def _scrub_remarks(self) -> None:
        """First, because it takes the texts to find them."""
        with self._readers(drain=False) as (ledger, trails):
            gone = self._subject.remarks(ledger)
            self._remarks.change(self._subject.editing(trails), gone)

    def _forget_names(self, writer: LedgerEditor) -> None:
        with open_ledger(self._home, drain=False) as ledger:
            forgotten, owners = self._subject.forgotten(ledger), self._subject.owners(ledger)
        # In this order: a name that is not forgotten is taken for bound, and needs its key.
        writer.forget(forgotten)
        writer.keyring.destroy(owners)
        self._clear("ledger", writer.cursors().items())
        writer.scrub(whole=False)

    def _clear(self, stream: Stream, cursors: Any) -> None:
        """Leave nothing in the spool but what came since."""
        directory = self._home.spool(stream)
        blank_what_was_moved(directory, dict(cursors))
        named = json.dumps(self._subject.name, ensure_ascii=False).encode()
        discard_set_aside(directory, lambda record: named in record)

    def _put_on_record(self, writer: LedgerEditor, draft: Draft, impact: Impact) -> int:
        """Say on the ledger what was erased; returns the place of the entry."""
        with open_ledger(self._home, drain=False) as ledger:
            # Also of what was forgotten with it: whoever misses a name finds here why.
            places = sorted({*self._subject.places(ledger), *self._subject.owners(ledger)})
        body: dict[str, Any] = {
            "affected": impact.responses,
            "answers": self._subject.answers,
            "at": places,
            "by": self._order.by,
            "digest": impact.digest,
            "erasure": draft.erasure,
            "legal_basis": canonical_id(self._order.legal_basis)
            if self._order.legal_basis
            else None,
            "reason": keyed_hash(load_or_create_key(self._home.keys), self._order.reason),
            "scope": self._subject.scope,
        }
        said = {name: value for name, value in body.items() if value is not None}
        writer.commit([_event("erased", said)], {}, ())
        with open_ledger(self._home, drain=False) as ledger:
            return max(entry.seq for entry in ledger.events("erased"))

    def _flag(self, writer: LedgerEditor, entry: int, affected: Sequence[Affected]) -> int:
        """Have people look at the answers that may hold something of it, unless they are to do so already."""
        if not self._subject.to_review:
            return 0
        with open_ledger(self._home, drain=False) as ledger:
            known = self._flagged_already(ledger)
            # Whether a model read it is unknown of a response that never came to its end.
            read = {e.seq for e in affected if e.how != "retrieved_only" or not e.complete}
            named = [_response_id(ledger, seq) for seq in sorted(read - known)]
        ids = [response_id for response_id in named if response_id is not None]
        for at in range(0, len(ids), _FLAGS):
            batch = ids[at : at + _FLAGS]
            writer.commit([_event("flagged", {"because": entry}, each) for each in batch], {}, ())
        return len(ids)

    def _flagged_already(self, ledger: LedgerReader) -> set[int]:
        """The responses that wait for review because the same was erased from them."""
        places = set(self._subject.places(ledger))
        erased = {e.seq for e in ledger.events("erased") if places & set(e.body["at"])}
        return {
            response
            for _, response, because, _ in ledger.store.flags(decided=False)
            if because in erased
        }

    # What is said of it

    def _removed(self, draft: Draft) -> Attempt:
        with self._readers(drain=False) as (ledger, trails):
            left = self._subject.found(ledger, trails)
        last = draft.attempts[-1]
        gone = {what: number - left[what] for what, number in last.found.items()}
        return replace(last, removed=gone)

    def _receipt(self, draft: Draft, impact: Impact, not_covered: Sequence[str]) -> ErasureReceipt:
        with open_ledger(self._home, drain=False) as ledger:
            places = tuple(self._subject.places(ledger))
            origin = next((e.body.get("log") for e in ledger.entries(0, 1)), None)
        return ErasureReceipt(
            erasure=draft.erasure,
            scope=self._subject.scope,
            places=places,
            tag=draft.tag,
            reason=self._order.reason,
            legal_basis=self._order.legal_basis,
            by=self._order.by,
            answers=self._subject.answers,
            dry_run=False,
            finished=_now(),
            attempts=draft.attempts,
            impact=impact,
            not_covered=tuple(not_covered),
            log=origin,
        )

    # The stores

    @contextmanager
    def _alone(self) -> Generator[tuple[LedgerEditor, TrailWriting | None]]:
        """Be the one that writes to both stores; what lay in the spools is in them."""
        with ExitStack() as stack:
            ledger = stack.enter_context(
                writing(self._home, "ledger", LedgerPlace(self._home), timeout=PATIENCE)
            )
            if not isinstance(ledger, LedgerEditor):
                raise StoreError(
                    "the ledger is kept where names cannot be erased yet. Nothing was changed."
                )
            # A response is on the ledger before its trail is written: this way round, no trail is
            # erased of which the ledger would only come to know later.
            home, trails = self._home, None
            kept = (home.database("trails"), home.spool("trails"), home.server)
            if any(path.exists() for path in kept):
                trails = stack.enter_context(
                    writing(home, "trails", TrailPlace(home), timeout=PATIENCE)
                )
            yield ledger, trails

    @contextmanager
    def _readers(self, *, drain: bool) -> Generator[tuple[LedgerReader, TrailReading | None]]:
        with ExitStack() as stack:
            ledger = stack.enter_context(open_ledger(self._home, drain=drain))
            try:
                trails = stack.enter_context(open_trails(self._home, drain=drain))
            except NothingRecordedError:
                trails = None
            yield ledger, trails


def _event(kind: str, body: dict[str, Any], response_id: str | None = None) -> bytes:
    """A record by the holder of the lease itself."""
    now = _now()
    return encode(
        EventRecord(
            event=kind, body=body, response_id=response_id, timestamp=now, writer="", counter=0
        )
    )


def _response_id(ledger: LedgerReader, first: int) -> str | None:
    """A response's id, by the place of its first entry; None where that was erased."""
    entry = ledger.entry(first)
    if entry is None or entry.response is None:
        return None
    name = ledger.response_id_of(entry.response)
    return name if ledger.reference_of(name) == entry.response else None


def _report(affected: Sequence[Affected]) -> bytes:
    return "".join(f"{json.dumps(asdict(each), sort_keys=True)}\n" for each in affected).encode()


def _impact(affected: Sequence[Affected], report: str) -> Impact:
    first = {each.seq: each for each in reversed(affected)}
    return Impact(
        responses=len(first),
        by=dict(Counter(each.how for each in first.values())),
        digest=digest_of(first),
        report=report,
        unfinished=sum(not each.complete for each in first.values()),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
