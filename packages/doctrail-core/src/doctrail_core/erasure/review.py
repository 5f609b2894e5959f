"""The answers that somebody should look at, why, and what was decided about each.

An answer is flagged by an entry: after an erasure, for a check that it did not pass, or by hand. So is what came of
it. Who decided stands there as a sealed name, and what they wrote lies beside the log (`remarks`).
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from doctrail_core.durable.columns import microseconds, moment
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.ledger.entry import CODES, Entry, decode, header
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.store import LATEST
from doctrail_core.trails.store import TrailStore

__all__ = [
    "DECISIONS",
    "Decision",
    "Flag",
    "Review",
    "ReviewError",
    "decide",
    "flag_answer",
    "flag_failed_checks",
    "flags",
]

Decision = Literal["keep", "withdrawn", "corrected", "notified"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
Cause = Literal["erased", "check", "hand"]

_RISKY = 0.5
_NAME_BYTES = 6
_ASSESSED = CODES["assessed"]


class ReviewError(Exception):
    """An answer cannot be flagged or decided about; the message says why."""


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided about a flagged answer.

    Attributes:
        note: What was written about it; None where nothing was, or it is not here any more.
        seq: The place of its entry.
    """

    decision: Decision
    by: str | None
    time: datetime
    note: str | None
    seq: int


@dataclass(frozen=True, slots=True)
class Flag:
    """That somebody should look at an answer.

    Attributes:
        flag: Names it: the place of its entry.
        cause: What led to it: an erasure, a check, or a person.
        because: The place of the entry that led to it.
        reason: What the person wrote.
        answered: When the answer was given.
        question: What was asked; None where that is not kept any more.
        documents: What the answer had, strongest grade first.
    """

    flag: int
    response_id: str
    time: datetime
    cause: Cause
    because: int | None
    reason: str | None
    answered: datetime | None
    question: str | None
    documents: tuple[str, ...]
    review: Review | None


def flags(
    ledger: LedgerReader,
    remarks: Remarks,
    trails: TrailStore | None = None,
    *,
    decided: bool | None = False,
) -> Iterator[Flag]:
    """Flagged answers, the longest waiting first.

    Args:
        ledger: The log.
        remarks: What was written.
        trails: Where questions are, if there are any.
        decided: Those that were decided about, those that were not, or all (None).
    """
    texts = remarks.texts()
    for seq, first, because, review in ledger.store.flags(decided=decided):
        entry = ledger.entry(seq)
        if entry is not None:
            yield _flag(ledger, texts, trails, (entry, first, because, review))


def flag_answer(
    ledger: LedgerReader,
    journal: LedgerJournal,
    remarks: Remarks,
    response_id: str,
    *,
    reason: str,
    by: str | None = None,
) -> None:
    """Have people look at an answer.

    Raises:
        ReviewError: It is not on record.
        OSError: It cannot be written.
        StoreError: The ledger does not work.
    """
    if ledger.first_of(response_id) is None:
        raise ReviewError(
            f"no answer {response_id!r} is on record; `doctrail responses` lists those that are"
        )
    body = {"cause": "hand", **_remark(remarks, reason)} | ({"by": by} if by else {})
    journal.note("flagged", body, response_id=response_id)
    journal.flush()


def flag_failed_checks(
    ledger: LedgerReader,
    journal: LedgerJournal,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Have people look at the answers of a time whose latest check found them at risk; returns how many are new.

    Raises:
        OSError: It cannot be written.
        StoreError: The ledger does not work.
    """
    known = {because for _, _, because, _ in ledger.store.flags()}
    begin = 0 if since is None else microseconds(since)
    end = LATEST if until is None else microseconds(until)
    latest: dict[bytes, Entry] = {}
    for seq, body in ledger.bodies():
        if body[1] == _ASSESSED and begin <= header(body).time_us < end:
            entry = decode(body, seq)
            if entry.response is not None and "risk" in entry.body:
                latest[entry.response] = entry
    risky = {reference: e for reference, e in latest.items() if e.body["risk"] >= _RISKY}
    new = [(reference, e.seq) for reference, e in risky.items() if e.seq not in known]
    for reference, seq in new:
        response_id = ledger.response_id_of(reference)
        journal.note("flagged", {"because": seq}, response_id=response_id)
    journal.flush()
    return len(new)


def decide(
    ledger: LedgerReader,
    journal: LedgerJournal,
    remarks: Remarks,
    flag: int,
    decision: Decision,
    *,
    by: str,
    note: str | None = None,
) -> None:
    """Put on record what came of a flagged answer.

    Args:
        ledger: The log.
        journal: Its writing end.
        remarks: Where the note goes.
        flag: The flag.
        decision: `keep` it, or it was `withdrawn`, `corrected`, or those who have it were `notified`.
        by: Who decided; sealed on the ledger.
        note: Anything to be remembered.

    Raises:
        ReviewError: There is no such flag, or it was decided about before.
        OSError: It cannot be written.
        StoreError: The ledger does not work.
    """
    found = next((row for row in ledger.store.flags() if row[0] == flag), None)
    if found is None:
        raise ReviewError(f"there is no flag {flag}; `doctrail review` lists those that wait")
    _, first, _, review = found
    if review is not None:
        raise ReviewError(
            f"flag {flag} was decided about before, by entry {review}; flag the answer again to have it"
            " looked at once more"
        )
    body: dict[str, Any] = {"by": by, "decision": decision, "flag": flag}
    body |= _remark(remarks, note) if note else {}
    response_id = _response_id(ledger, first)
    journal.note("reviewed", body, response_id=response_id)
    journal.flush()


def _remark(remarks: Remarks, text: str) -> Mapping[str, str]:
    """What goes on record of what somebody wrote."""
    name = secrets.token_hex(_NAME_BYTES)
    return {"remark": name, "reason": remarks.add(name, text)}


def _flag(
    ledger: LedgerReader,
    texts: Mapping[str, str],
    trails: TrailStore | None,
    row: tuple[Entry, int, int, int | None],
) -> Flag:
    entry, first, because, review = row
    response_id = "" if entry.response is None else ledger.response_id_of(entry.response)
    history = [decode(body, seq) for seq, body in ledger.store.history(first)]
    said = next((e for e in reversed(history) if e.chunks and e.kind != "assessed"), None)
    trail = trails.get(response_id) if trails else None
    return Flag(
        flag=entry.seq,
        response_id=response_id,
        time=moment(entry.time_us),
        cause=_cause(ledger, because),
        because=because if because >= 0 else None,
        reason=_written(texts, entry),
        answered=moment(history[0].time_us) if history else None,
        question=trail.question if trail else None,
        documents=tuple(ledger.documents_of(said)) if said else (),
        review=_review(ledger, texts, review),
    )


def _cause(ledger: LedgerReader, because: int) -> Cause:
    entry = ledger.entry(because) if because >= 0 else None
    if entry is None:
        return "hand"
    return "check" if entry.kind == "assessed" else "erased"


def _review(ledger: LedgerReader, texts: Mapping[str, str], seq: int | None) -> Review | None:
    entry = None if seq is None else ledger.entry(seq)
    if entry is None:
        return None
    return Review(
        decision=entry.body["decision"],
        by=ledger.name_of(entry.body.get("by")),
        time=moment(entry.time_us),
        note=_written(texts, entry),
        seq=entry.seq,
    )


def _written(texts: Mapping[str, str], entry: Entry) -> str | None:
    return texts.get(entry.body.get("remark", ""))


def _response_id(ledger: LedgerReader, first: int) -> str | None:
    """The response's id, by the place of its first entry; None where that was erased."""
    entry = ledger.entry(first) if first >= 0 else None
    if entry is None or entry.response is None:
        return None
    found = ledger.response_id_of(entry.response)
    return found if ledger.first_of(found) == first else None
