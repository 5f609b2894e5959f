"""What is kept about a user, and where: what somebody is told who asks for it (GDPR 15)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doctrail_core.durable.columns import grade_of_rank, moment
from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.home import Home
from doctrail_core.erasure.holds import holding
from doctrail_core.erasure.policy import policy_in_force
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.erasure.user import responses_of, trails_of
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.entry import Entry, decode
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.rows import link_rank, links_of, state_status
from doctrail_core.model import Grade, Status, Trail
from doctrail_core.text.identity import canonical_id
from doctrail_core.trails import open_trails
from doctrail_core.trails.store import TrailStore

__all__ = ["Kept", "SubjectReport", "SubjectResponse", "subject_report"]

_ON_THE_LEDGER = "for each response: time, status, documents and models by reference; keyed hashes of question and answer"
_IN_THE_TRAILS = "for each response: question, answer, prompts, what was retrieved, what tools and models returned"


@dataclass(frozen=True, slots=True)
class SubjectResponse:
    """A response to the user. What is None is not kept, or was erased.

    Attributes:
        seq: The place of its first entry; None where the ledger does not know it.
        documents: Their ids, with the grade that each reached, strongest first.
        text_kept: Whether its trail is kept.
    """

    response_id: str
    time: datetime
    status: Status
    seq: int | None
    session_id: str | None
    question: str | None
    answer: str | None
    models: tuple[str, ...]
    documents: tuple[tuple[str, Grade], ...]
    text_kept: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that is kept, and where."""

    where: str
    what: str
    number: int


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """All that this installation keeps about a user.

    Attributes:
        retention: How long ledger and trails are kept, as the policy in force has it; None without one.
        holds: What keeps it from being erased.
        erased: Places of entries by which something of it was erased before.
    """

    user_id: str
    responses: Sequence[SubjectResponse]
    kept: Sequence[Kept]
    retention: Mapping[str, Any] | None
    holds: Sequence[str]
    erased: Sequence[int]


def subject_report(home: Home, user_id: str) -> SubjectReport:
    """Tell what is kept about a user.

    Raises:
        NothingRecordedError: Nothing is recorded in this home.
        StoreError: A store cannot be read.
    """
    name = canonical_id(user_id)
    with open_ledger(home) as ledger:
        try:
            with open_trails(home) as trails:
                return _report(home, name, ledger, trails)
        except NothingRecordedError:
            return _report(home, name, ledger, None)


def _report(
    home: Home, name: str, ledger: LedgerReader, trails: TrailStore | None
) -> SubjectReport:
    responses = list(_responses(name, ledger, trails))
    places = set(ledger.names("user", name))
    erased = [entry.seq for entry in ledger.events("erased") if places & set(entry.body["at"])]
    policy = policy_in_force(ledger)
    return SubjectReport(
        user_id=name,
        responses=responses,
        kept=list(_kept(name, ledger, responses)),
        retention=None if policy is None else policy.policy.to_json(),
        holds=[str(hold) for hold in holding(ledger, "user", name, Remarks(home))],
        erased=erased,
    )


def _kept(name: str, ledger: LedgerReader, responses: Sequence[SubjectResponse]) -> Iterator[Kept]:
    places = ledger.names("user", name)
    sealed = sum(ledger.name_of(place) is not None for place in places)
    on_ledger = sum(each.seq is not None for each in responses)
    sessions = len({each.session_id for each in responses if each.session_id})
    yield Kept("ledger", "the user's id, sealed under a key of its own", sealed)
    yield Kept("ledger", "a keyed hash of the user's id, by which it is found", len(places))
    yield Kept("ledger", "ids of sessions, sealed under that key", sessions)
    yield Kept("ledger", _ON_THE_LEDGER, on_ledger)
    yield Kept("trail store", _IN_THE_TRAILS, sum(each.text_kept for each in responses))


def _responses(
    name: str, ledger: LedgerReader, trails: TrailStore | None
) -> Iterator[SubjectResponse]:
    """In the order of the log; then those that only the trail store knows."""
    untold = dict.fromkeys(trails_of(trails, name) if trails else ())
    for first in responses_of(ledger, name):
        entry = ledger.entry(first)
        if entry is None or entry.response is None:
            continue
        response_id = ledger.response_id_of(entry.response)
        untold.pop(response_id, None)
        yield _response(ledger, entry, response_id, trails.get(response_id) if trails else None)
    for response_id in untold:
        trail = trails.get(response_id) if trails else None
        if trail is not None:
            yield _from_trail(trail, None)


def _response(
    ledger: LedgerReader, first: Entry, response_id: str, trail: Trail | None
) -> SubjectResponse:
    if trail is not None:
        return _from_trail(trail, first.seq)
    history = [decode(body, seq) for seq, body in ledger.store.history(first.seq)]
    sessions = (entry.session for entry in history if entry.session is not None)
    models = dict.fromkeys(model for entry in history for model in entry.models)
    return SubjectResponse(
        response_id=response_id,
        time=moment(first.time_us),
        status=state_status(ledger.store.state(first.seq) or 0),
        seq=first.seq,
        session_id=ledger.name_of(next(sessions, None)),
        question=None,
        answer=None,
        models=tuple(filter(None, map(ledger.name_of, models))),
        documents=_documents(ledger, history),
        text_kept=False,
    )


def _documents(ledger: LedgerReader, history: Sequence[Entry]) -> tuple[tuple[str, Grade], ...]:
    chunks = {use.chunk for entry in history for use in entry.chunks}
    found = links_of(history, ledger.store.documents_of(chunks))
    ranked = sorted(((link_rank(flags)[0], place) for place, flags in found.items()), reverse=True)
    return tuple((ledger.document_name(place), grade_of_rank(rank)) for rank, place in ranked)


def _from_trail(trail: Trail, seq: int | None) -> SubjectResponse:
    return SubjectResponse(
        response_id=trail.response_id,
        time=trail.started_at,
        status=trail.status,
        seq=seq,
        session_id=trail.session_id,
        question=trail.question,
        answer=trail.answer,
        models=trail.models,
        documents=tuple((document.document_id, document.grade) for document in trail.documents),
        text_kept=True,
    )
