"""Pruning: what of the log's beginning goes, and what of it is still needed. The tree stays whole.

The minimum index is raised as c2sp.org/tlog-tiles has it, to a multiple of 256. Below it stays what is needed above:
names and documents that later entries refer to, answers about which something was said later, and what is under a
hold. An answer goes as a whole or stays as a whole. Every step is one transaction and finds by itself what is left
to do, so that whoever dies on the way is followed by one who goes on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doctrail_core.erasure.holds import Hold
from doctrail_core.ledger.entry import CODES, HEADER, Entry, decode
from doctrail_core.ledger.gone import Gone
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.rows import links_of, month_of, state_named
from doctrail_core.ledger.tree import TILE_WIDTH, Tile, leaf_hash

__all__ = ["Held", "Pruned", "Pruning", "boundary", "places_in"]

_BINDINGS = frozenset(CODES[kind] for kind in ("document", "chunk", "name", "derived"))
_PLACELESS = frozenset(CODES[kind] for kind in ("document", "heartbeat"))
"""What refers to no other entry, and is looked at without reading it."""
_PLACES = (
    "at",
    "because",
    "by",
    "document",
    "documents",
    "from",
    "names",
    "principal",
    "source",
    "version",
)
"""Under these names a body has places of entries, where what it has are whole numbers."""
_LABELLED = ("allowed", "denied")
_STEP = 16_384
_BINDINGS_STEP = 8_192


def boundary(ledger: LedgerReader, before_us: int, now_us: int) -> int:
    """Up to where all entries are older than a time, rounded down to a multiple of 256.

    What was dated later than now, by a clock that was wrong, is as old as what follows it.
    """
    end = ledger.minimum()
    for seq, body in ledger.bodies(end):
        time_us = HEADER.unpack_from(body)[3]
        if time_us > now_us:
            continue
        if time_us >= before_us:
            break
        end = seq + 1
    return end // TILE_WIDTH * TILE_WIDTH


def places_in(entry: Entry) -> Iterator[int]:
    """The places of the entries that one refers to."""
    yield from (use.chunk for use in entry.chunks)
    yield from entry.models
    named = (entry.session, entry.user, entry.framework, entry.service)
    yield from (place for place in named if place is not None)
    for key in _PLACES:
        yield from _numbers(entry.body.get(key))
    for key in _LABELLED:
        yield from (words[0] for words in entry.body.get(key, ()))


@dataclass(frozen=True, slots=True)
class Held:
    """What holds keep, by places."""

    documents: frozenset[int] = frozenset()
    names: frozenset[int] = frozenset()
    responses: frozenset[int] = frozenset()
    entries: frozenset[int] = frozenset()

    @classmethod
    def by(cls, holds: Iterable[Hold]) -> "Held":
        """What these keep."""
        found: dict[str, set[int]] = {}
        for hold in holds:
            found.setdefault(hold.scope, set()).update(hold.places)
            found.setdefault("entry", set()).add(hold.seq)
        return cls(
            documents=frozenset(found.get("document", ())),
            names=frozenset(found.get("user", set()) | found.get("session", set())),
            responses=frozenset(found.get("response", ())),
            entries=frozenset(found.get("entry", ())),
        )

    def keeps(self, history: Sequence[Entry], documents: Collection[int]) -> bool:
        """Whether an answer stays, of all entries about it and the documents that it had."""
        return (
            history[0].seq in self.responses
            or not self.documents.isdisjoint(documents)
            or any(not self.names.isdisjoint(places_in(entry)) for entry in history)
        )

    def keeps_event(self, entry: Entry) -> bool:
        """Whether an entry that is about no answer stays."""
        places = set(places_in(entry))
        return entry.seq in self.entries or bool(places & (self.documents | self.names))


@dataclass(slots=True)
class _Answer:
    """All that is on record of a response."""

    first: int
    history: list[Entry]
    documents: Mapping[int, int]
    """Of each chunk."""


@dataclass(slots=True)
class Pruned:
    """What went, or would go.

    Attributes:
        entries: How many, names and all.
        answers: How many answers those were about.
        names: How many documents, chunks and other names went with them.
        held: How many answers stayed for a hold alone.
    """

    entries: int = 0
    answers: int = 0
    names: int = 0
    held: int = 0


class Pruning:
    """Decides what of the entries below a minimum goes."""

    def __init__(
        self,
        ledger: LedgerReader,
        minimum: int,
        *,
        keep: Collection[int] = (),
        provable: Collection[int] = (),
    ) -> None:
        """Look at nothing yet.

        Args:
            ledger: The log.
            minimum: From there on everything stays.
            keep: Places of further entries that stay, such as the policy in force.
            provable: Sizes of the log of which it can still be shown that it has only grown since.
        """
        self.done = Pruned()
        self._ledger = ledger
        self._minimum = minimum
        self._keep = frozenset(keep)
        self._hashed = frozenset(size // TILE_WIDTH for size in provable if size % TILE_WIDTH)
        self._needed: set[int] = set()
        self._writers: set[int] = set()
        self._last_writer = 0
        self._gone_names: set[int] = set()

    def look_at(self, start: int, end: int) -> None:
        """Note what entries at the minimum and beyond refer to."""
        for seq, body in self._ledger.bodies(max(start, self._minimum), end):
            if body[1] in _PLACELESS:
                self._writers.add(HEADER.unpack_from(body)[4])
            else:
                self._note(decode(body, seq))

    def steps(self) -> Iterator[tuple[int, int]]:
        """The ranges to look through, one after the other."""
        for start in range(0, self._minimum, _STEP):
            yield start, min(start + _STEP, self._minimum)

    def answers_and_events(self, start: int, end: int, held: Held) -> Gone:
        """What goes of the answers that begin in a range, and of the entries that are about none."""
        gone = Gone()
        for seq, body in list(self._ledger.bodies(start, end)):
            if body[1] in _BINDINGS:
                continue
            entry = decode(body, seq)
            if entry.response is None:
                self._event(entry, held, gone)
            elif self._is_first(entry):
                self._answer(entry, held, gone)
        self.done.entries += len(gone.entries)
        self._hash(gone)
        return gone

    def bindings(self) -> Iterator[Gone]:
        """What goes of names and documents. Ask when everything else went, and everything beyond was looked at."""
        bound = self._bound()
        live = self._live(bound)
        for entry in bound.values():
            self._see_writer(entry)
        dead = [
            seq
            for seq in sorted(bound, reverse=True)  # what refers to others goes before those
            if seq not in live and not self._is_writer(bound[seq])
        ]
        for at in range(0, len(dead), _BINDINGS_STEP):
            some = dead[at : at + _BINDINGS_STEP]
            numbers = (_number_of(bound[seq]) for seq in some)
            gone = Gone(
                entries=sorted(some),
                bindings=[seq for seq in some if bound[seq].kind != "derived"],
                writers=[number for number in numbers if number],
            )
            self.done.entries += len(some)
            self.done.names += len(gone.bindings)
            self._hash(gone)
            yield gone

    def _note(self, entry: Entry) -> None:
        self._needed.update(place for place in places_in(entry) if place < self._minimum)
        self._writers.add(entry.writer)
        self._see_writer(entry)

    def _see_writer(self, entry: Entry) -> None:
        self._last_writer = max(self._last_writer, _number_of(entry) or 0)

    def _event(self, entry: Entry, held: Held, gone: Gone) -> None:
        if entry.seq == 0 or entry.seq in self._keep or held.keeps_event(entry):
            self._note(entry)
        elif entry.seq not in self._needed:
            gone.entries.append(entry.seq)

    def _is_first(self, entry: Entry) -> bool:
        return self._ledger.store.response(entry.response or b"") == entry.seq

    def _answer(self, first: Entry, held: Held, gone: Gone) -> None:
        answer = self._all_about(first)
        late = answer.history[-1].seq >= self._minimum
        if late or held.keeps(answer.history, answer.documents.values()):
            self.done.held += not late
            for entry in answer.history:
                self._note(entry)
            return
        self.done.answers += 1
        self._take_out(answer, first.response or b"", gone)

    def _all_about(self, first: Entry) -> _Answer:
        history = [decode(body, seq) for seq, body in self._ledger.store.history(first.seq)]
        chunks = {use.chunk for entry in history for use in entry.chunks}
        return _Answer(first.seq, history, self._ledger.store.documents_of(chunks))

    def _take_out(self, answer: _Answer, reference: bytes, gone: Gone) -> None:
        gone.entries += [entry.seq for entry in answer.history]
        gone.responses.append(reference)
        if state_named(self._ledger.store.state(answer.first) or 0):
            self._gone_names.add(answer.first - 1)
        month = month_of(answer.history[0].time_us)
        links = links_of(answer.history, answer.documents)
        gone.links += [(month, document, answer.first) for document in links]
        gone.mentions += [(name, answer.first) for name in _people(answer.history)]
        gone.reuses += [
            (answer.first, later) for later in self._ledger.store.reused_from(answer.first)
        ]
        for entry in answer.history:
            if entry.kind == "reused":
                earlier = self._ledger.store.response(bytes.fromhex(entry.body["of"]))
                gone.reuses += [] if earlier is None else [(earlier, answer.first)]

    def _hash(self, gone: Gone) -> None:
        """Keep the hashes of single entries in groups of which something stays, so that this can still be proven."""
        going = set(gone.entries)
        for group in sorted({seq // TILE_WIDTH for seq in going}):
            start = group * TILE_WIDTH
            bodies = list(self._ledger.bodies(start, start + TILE_WIDTH))
            stays = any(seq not in going for seq, _ in bodies)
            if not stays and group not in self._hashed:
                gone.groups.append(group)
            elif len(bodies) == TILE_WIDTH:  # else they were kept when the first of them went
                gone.leaves += [Tile(0, seq, leaf_hash(body)) for seq, body in bodies]

    def _bound(self) -> dict[int, Entry]:
        """The entries below the minimum that bind something."""
        bodies = self._ledger.bodies(0, self._minimum)
        return {seq: decode(body, seq) for seq, body in bodies if body[1] in _BINDINGS}

    def _live(self, bound: Mapping[int, Entry]) -> set[int]:
        """What is referred to, and what that refers to, and so on."""
        live: set[int] = set()
        made: dict[int, list[int]] = {}
        for entry in bound.values():
            if entry.kind == "derived":
                made.setdefault(entry.body["document"], []).append(entry.seq)
        waiting = [
            *self._needed,
            *(seq for seq, e in bound.items() if self._names_an_answer(seq, e)),
        ]
        while waiting:
            place = waiting.pop()
            entry = bound.get(place)
            if entry is None or place in live:
                continue
            live.add(place)
            waiting += places_in(entry)
            name = self._ledger.store.name(place)
            waiting += [] if name is None or name.owner is None else [name.owner]
            # What a document was made from is asked for as long as the document is.
            waiting += made.get(place, ())
        return live

    def _names_an_answer(self, seq: int, entry: Entry) -> bool:
        """Whether it is the name of an answer that stays: that begins right after its name was bound."""
        if entry.body.get("kind") != "response":
            return False
        return seq + 1 >= self._minimum or (
            seq not in self._gone_names and self._ledger.body(seq + 1) is not None
        )

    def _is_writer(self, entry: Entry) -> bool:
        """Whether it names a process of which entries stay, or the last one: numbers are never given again."""
        number = _number_of(entry)
        return number is not None and (number in self._writers or number == self._last_writer)


def _number_of(entry: Entry) -> int | None:
    """The number of the writer that an entry names."""
    return entry.body.get("number") if entry.kind == "name" else None


def _people(history: Iterable[Entry]) -> list[int]:
    """Users and sessions that an answer's entries name."""
    found: set[int] = set()
    for entry in history:
        found.update(place for place in (entry.user, entry.session) if place)
        found.update(_numbers(entry.body.get("principal")))
    return sorted(found)


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:  # pyright: ignore[reportUnknownVariableType]  # of a JSON body
            yield from _numbers(each)
