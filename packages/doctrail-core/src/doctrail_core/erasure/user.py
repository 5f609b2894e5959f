"""A user whose data is to be erased: all trails of theirs, their names, and those of their sessions."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from doctrail_core.durable.columns import moment
from doctrail_core.erasure.receipts import Scope
from doctrail_core.erasure.scrubbing import Scrubber
from doctrail_core.erasure.subject import Affected, batches
from doctrail_core.ledger.entry import Entry, decode
from doctrail_core.ledger.forgotten import Forgotten
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.rows import state_complete, state_named
from doctrail_core.model import AccessDecision, Trail
from doctrail_core.trails.prompts import ERASED
from doctrail_core.trails.store import TrailEditor, TrailStore

__all__ = ["ErasedUser", "responses_of", "trails_of"]


@dataclass
class ErasedUser:
    """A user, by their id."""

    name: str
    scope: Scope = field(default="user", init=False)
    answers: bool = field(default=True, init=False)
    to_review: bool = field(default=False, init=False)

    def places(self, ledger: LedgerReader) -> Sequence[int]:
        return ledger.names("user", self.name)

    def affected(self, ledger: LedgerReader) -> Iterator[Affected]:
        for first in responses_of(ledger, self.name):
            state = ledger.store.state(first) or 0
            entry = ledger.entry(first)
            if entry is not None and entry.response is not None:
                named = state_named(state)
                yield Affected(
                    seq=first,
                    response=None if named else ledger.response_id(entry.response, state),
                    time=moment(entry.time_us).isoformat(),
                    how="asked",
                    complete=state_complete(state),
                )

    def found(self, ledger: LedgerReader, trails: TrailStore | None) -> Mapping[str, int]:
        names = self.forgotten(ledger).names
        return {
            "keys": sum(ledger.key_of(owner) is not None for owner in self.owners(ledger)),
            "names": sum(_is_sealed(ledger, place) for place in names),
            "trails": len(self._trails(ledger, trails)) if trails else 0,
        }

    def erase_from(self, trails: TrailStore, editor: TrailEditor, ledger: LedgerReader) -> None:
        for ids in batches(self._trails(ledger, trails)):
            with editor.changing():
                for response_id in ids:
                    self._erase(trails, editor, response_id)
        with editor.changing():
            editor.drop_unused()

    def forgotten(self, ledger: LedgerReader) -> Forgotten:
        firsts = responses_of(ledger, self.name)
        names = {*self.places(ledger), *_sessions(ledger, self.name)}
        names |= {place for first in firsts for place in _names_of_response(ledger, first)}
        return Forgotten(names=names)

    def owners(self, ledger: LedgerReader) -> Collection[int]:
        """The user, and whoever of their sessions and responses has a key of its own."""
        found = ((place, ledger.store.name(place)) for place in self.forgotten(ledger).names)
        alone = {place for place, name in found if name is not None and name.owner == place}
        return {*self.places(ledger), *alone}

    def editing(self, trails: TrailStore | None) -> Callable[[str], str]:
        questions = (
            (_asked(trails, each) for each in trails_of(trails, self.name)) if trails else ()
        )
        return Scrubber(filter(None, questions), [self.name]).scrub

    def remarks(self, ledger: LedgerReader) -> Collection[str]:
        """What reviewers wrote about answers to them."""
        entries = (e for first in responses_of(ledger, self.name) for e in _history(ledger, first))
        return {entry.body["remark"] for entry in entries if "remark" in entry.body}

    def not_covered(self, ledger: LedgerReader, trails: TrailStore | None) -> Iterator[str]:
        del trails
        own = set(responses_of(ledger, self.name))
        again = {later for first in own for later in ledger.store.reused_from(first)} - own
        if again:
            yield f"{len(again)} responses to others, which an answer of theirs was given to again out of a cache."
        yield "what others wrote about this user in questions of their own, and documents that tell of this user."

    def _trails(self, ledger: LedgerReader, trails: TrailStore) -> list[str]:
        """What the trail store says is theirs, and what the ledger says they have to do with."""
        own = trails_of(trails, self.name)
        told = (_response_id(ledger, first) for first in responses_of(ledger, self.name))
        others = sorted({each for each in told if each is not None}.difference(own))
        kept = (trails.get(each) for each in others)
        return [*(t.response_id for t in kept if t and self._is_in(t)), *own]

    def _is_in(self, trail: Trail) -> bool:
        return trail.user_id is None or trail != self._without(trail)

    def _erase(self, trails: TrailStore, editor: TrailEditor, response_id: str) -> None:
        trail = trails.get(response_id)
        if trail is None:
            return
        if trail.user_id in (None, self.name):
            editor.remove(response_id)
        else:
            editor.replace(self._without(trail))

    def _without(self, trail: Trail) -> Trail:
        """An answer to somebody else, for which it was asked what this user may see."""
        retrievals = (
            replace(retrieval, access=tuple(map(self._anonymous, retrieval.access)))
            for retrieval in trail.retrievals
        )
        return replace(trail, retrievals=tuple(retrievals))

    def _anonymous(self, decision: AccessDecision) -> AccessDecision:
        return replace(decision, principal=ERASED) if decision.principal == self.name else decision


def responses_of(ledger: LedgerReader, user_id: str) -> list[int]:
    """The first entries of a user's responses, and of those in their sessions of which nobody said whose they were."""
    own = set(ledger.responses_of("user", user_id))
    mates = (first for s in _sessions(ledger, user_id) for first in ledger.store.mentioning(s))
    return sorted({*own, *mates})


def _sessions(ledger: LedgerReader, user_id: str) -> set[int]:
    """The sessions in which nobody else asked anything."""
    users = set(ledger.names("user", user_id))
    sessions = {
        entry.session
        for first in ledger.responses_of("user", user_id)
        for entry in _history(ledger, first)
        if entry.session is not None
    }
    return {session for session in sessions if _is_of(ledger, session, users)}


def trails_of(trails: TrailStore, user_id: str) -> list[str]:
    """The responses of a user, and those in their sessions of which nobody said whose they were."""
    named = list(trails.responses(user_id=user_id))
    sessions = dict.fromkeys(found.session_id for found in named if found.session_id)
    others = (found for each in sessions for found in trails.responses(session_id=each))
    nobodys = (found for found in others if found.user_id is None)
    # In this order: as long as one of the user's own is there, the others can be found by it.
    return list(dict.fromkeys(found.response_id for found in (*nobodys, *named)))


def _is_of(ledger: LedgerReader, session: int, users: Collection[int]) -> bool:
    entries = (
        entry for first in ledger.store.mentioning(session) for entry in _history(ledger, first)
    )
    return all(entry.user is None or entry.user in users for entry in entries)


def _history(ledger: LedgerReader, first: int) -> Iterator[Entry]:
    return (decode(body, seq) for seq, body in ledger.store.history(first))


def _asked(trails: TrailStore, response_id: str) -> str | None:
    trail = trails.get(response_id)
    return trail.question if trail else None


def _response_id(ledger: LedgerReader, first: int) -> str | None:
    entry = ledger.entry(first)
    return ledger.response_id_of(entry.response) if entry and entry.response else None


def _names_of_response(ledger: LedgerReader, first: int) -> Iterator[int]:
    """Where a response's id was bound, if it is not a random one."""
    entry = ledger.entry(first)
    if entry and entry.response and state_named(ledger.store.state(first) or 0):
        yield from ledger.store.names(entry.response)


def _is_sealed(ledger: LedgerReader, place: int) -> bool:
    found = ledger.store.name(place)
    return found is not None and found.sealed is not None
