"""Legal holds: what must neither be erased nor pruned, and why.

A hold is an entry, and lifting it another one; both refer to names by their places, and neither is ever forgotten
while it is in force. What was given as the reason lies beside the log (`remarks`), its keyed hash in the entry.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from doctrail_core.durable.columns import microseconds, moment
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.ledger.entry import Entry
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.store import LATEST

__all__ = [
    "SCOPES",
    "Hold",
    "HoldError",
    "Scope",
    "answers_of",
    "holding",
    "holds",
    "lift_hold",
    "remark_of",
    "set_hold",
]

Scope = Literal["document", "user", "session", "response"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_ID_BYTES = 6


class HoldError(Exception):
    """A hold cannot be set or lifted; the message says why."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that must stay.

    Attributes:
        hold_id: Names it, for whoever lifts it.
        scope: What kind of thing is held, with all answers that had it or were given to it.
        subject: Its id outside.
        since: When it was set.
        until: Up to when it is in force, if that was said.
        by: Who set it, if that was said.
        reason: Why; None where its text is not here.
        places: Where the subject is bound, of a response that of its first entry.
        seq: The place of the hold's own entry.
    """

    hold_id: str
    scope: Scope
    subject: str
    since: datetime
    until: datetime | None
    by: str | None
    reason: str | None
    places: tuple[int, ...]
    seq: int

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"hold {self.hold_id} on {self.scope} {self.subject!r}{why}"


def set_hold(
    ledger: LedgerReader,
    journal: LedgerJournal,
    remarks: Remarks,
    scope: Scope,
    subject: str,
    *,
    reason: str,
    until: datetime | None = None,
    by: str | None = None,
) -> str:
    """Put on record that something must stay; returns the hold's id.

    Raises:
        HoldError: Nothing of that id is on record, or the hold would be over already.
        OSError: It cannot be written.
        StoreError: The ledger does not work.
    """
    if until is not None and until <= datetime.now(UTC):
        raise HoldError(f"a hold until {until.isoformat()} would be over already")
    places = tuple(_places(ledger, scope, subject))
    if not places:
        raise HoldError(
            f"no {scope} {subject!r} is on record, so there is nothing to hold. Ids must be exact."
        )
    hold_id = secrets.token_hex(_ID_BYTES)
    body: dict[str, Any] = {
        "at": places,
        "by": by,
        "hold": hold_id,
        "reason": remarks.add(remark_of(hold_id), reason),
        "scope": scope,
        "until": None if until is None else microseconds(until),
    }
    journal.note("held", {name: value for name, value in body.items() if value is not None})
    journal.flush()
    return hold_id


def lift_hold(
    ledger: LedgerReader,
    journal: LedgerJournal,
    remarks: Remarks,
    hold_id: str,
    *,
    reason: str,
    by: str | None = None,
) -> Hold:
    """Put on record that something need not stay any longer; returns the hold that it was.

    Raises:
        HoldError: No such hold is in force.
        OSError: It cannot be written.
        StoreError: The ledger does not work.
    """
    lifted = next((hold for hold in holds(ledger, remarks) if hold.hold_id == hold_id), None)
    if lifted is None:
        raise HoldError(
            f"no hold {hold_id!r} is in force; `doctrail hold list` shows those that are"
        )
    body: dict[str, Any] = {
        "hold": hold_id,
        "lifted": True,
        "reason": remarks.add(remark_of(hold_id, lifted=True), reason),
    }
    journal.note("held", body | ({"by": by} if by else {}))
    journal.flush()
    return lifted


def holds(
    ledger: LedgerReader, remarks: Remarks | None = None, now: datetime | None = None
) -> Sequence[Hold]:
    """The holds that are in force, oldest first."""
    set_: dict[str, Entry] = {}
    for entry in ledger.events("held"):
        if entry.body.get("lifted"):
            set_.pop(entry.body["hold"], None)
        else:
            set_[entry.body["hold"]] = entry
    at = microseconds(now or datetime.now(UTC))
    in_force = (entry for entry in set_.values() if entry.body.get("until", LATEST) > at)
    texts: Mapping[str, str] = remarks.texts() if remarks else {}
    return [_read(ledger, texts, entry) for entry in in_force]


def holding(
    ledger: LedgerReader, scope: Scope, subject: str, remarks: Remarks | None = None
) -> Sequence[Hold]:
    """The holds that keep something from being erased: on itself, or on what an answer had to do with both.

    Args:
        ledger: The log.
        scope: What kind of thing is to be erased.
        subject: Its id outside.
        remarks: Where the reasons lie.
    """
    in_force = holds(ledger, remarks)
    if not in_force:
        return []
    places = tuple(_places(ledger, scope, subject))
    answers = set(answers_of(ledger, scope, places))
    return [
        hold
        for hold in in_force
        if (hold.scope == scope and set(hold.places) & set(places))
        or not answers.isdisjoint(answers_of(ledger, hold.scope, hold.places))
    ]


def answers_of(ledger: LedgerReader, scope: Scope, places: Iterable[int]) -> Iterator[int]:
    """The first entries of the answers that something had to do with."""
    for place in places:
        match scope:
            case "document":
                found = ledger.store.with_document(place, 0, LATEST, 0)
                yield from (each.seq for each in found)
            case "user" | "session":
                yield from ledger.store.mentioning(place)
            case "response":
                yield place


def remark_of(hold_id: str, *, lifted: bool = False) -> str:
    """What the reason of a hold is kept as, or that for lifting it."""
    return f"{hold_id}.lifted" if lifted else hold_id


def _places(ledger: LedgerReader, scope: Scope, subject: str) -> Iterator[int]:
    match scope:
        case "document":
            yield from ledger.document(subject)
        case "user" | "session":
            yield from ledger.names(scope, subject)
        case "response":
            first = ledger.first_of(subject)
            yield from () if first is None else (first,)


def _read(ledger: LedgerReader, texts: Mapping[str, str], entry: Entry) -> Hold:
    body: Mapping[str, Any] = entry.body
    until = body.get("until")
    scope, places = cast("Scope", body["scope"]), tuple(cast("list[int]", body["at"]))
    return Hold(
        hold_id=body["hold"],
        scope=scope,
        subject=_subject(ledger, scope, places[-1]),
        since=moment(entry.time_us),
        until=None if until is None else moment(until),
        by=ledger.name_of(body.get("by")),
        reason=texts.get(remark_of(body["hold"])),
        places=places,
        seq=entry.seq,
    )


def _subject(ledger: LedgerReader, scope: Scope, place: int) -> str:
    if scope != "response":
        return ledger.name_of(place) or f"erased:{place}"
    first = ledger.entry(place)
    if first is None or first.response is None:
        return f"entry:{place}"
    return ledger.response_id_of(first.response)
