"""What the latest turns of each session brought: their chunks, with texts, and what was answered.

A later prompt may hold any of it without searching again. Memory is bounded: what was in use longest
ago is given up first, within a session and over all of them. A session that is not in memory, since it
was given up or another process had it, is read back from the trail store.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from doctrail_core.capture.sinks import FaultSink, HistorySource
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.model import CarriedChunk, Chunk, Trail
from doctrail_core.model.involvement import answering, found_by_tools
from doctrail_core.text.identity import canonical_id

__all__ = ["Key", "Past", "Sessions", "Turn", "key_of"]

_SESSION_SIZE = 1_000_000
"""Characters of one session: more than fit into the largest prompts of today (200,000 tokens)."""
_TOTAL_SIZE = 8_000_000
"""Characters of all sessions: a hundred of usual ones, in 8 MB (or 32, by what letters they use)."""
_ITEM_SIZE = 512
"""What a turn or a chunk takes besides its texts, in characters."""
_REFERENCE_SIZE = 8
_TURNS_READ = 50
"""So many of the latest turns are read back; they carried what is older and was still in use."""

Key = tuple[str, str, str | None]
"""Document id, chunk id, content hash: another version of a chunk is another chunk."""


def key_of(chunk: Chunk) -> Key:
    """By which a chunk is the same in several turns."""
    return chunk.document_id, chunk.chunk_id, chunk.content_hash


@dataclass(frozen=True, slots=True)
class Turn:
    """One response of a session.

    Attributes:
        said: Its answer, in all wordings that may stand in a later prompt.
        behind: The chunks that reached that answer, by whatever way.
        tools: Per tool call, the chunks that were found within it.
    """

    response_id: str
    number: int
    said: tuple[str, ...] = ()
    behind: tuple[Key, ...] = ()
    tools: Mapping[str, tuple[Key, ...]] = field(default_factory=dict[str, tuple[Key, ...]])


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a session when a response of it completes, as its turn number `turn`.

    The chunks say which response retrieved them; `turns` are in order.
    """

    turn: int | None = None
    turns: tuple[Turn, ...] = ()
    chunks: Mapping[Key, CarriedChunk] = field(default_factory=dict[Key, CarriedChunk])


@dataclass(slots=True, eq=False)
class _Session:
    """Turns by response id and chunks by key, what was in use longest ago first."""

    items: OrderedDict[str | Key, Turn | CarriedChunk] = field(
        default_factory=OrderedDict[str | Key, Turn | CarriedChunk]
    )
    size: int = _ITEM_SIZE
    turns_begun: int = 0
    seen: deque[str] = field(default_factory=lambda: deque[str](maxlen=2 * _TURNS_READ))
    """The responses that were added last, also those that were given up since."""
    counted: int = 0
    """Its size as the sum over all sessions has it."""

    def past(self, turn: int) -> Past:
        turns = [item for item in self.items.values() if isinstance(item, Turn)]
        chunks = {key_of(c.chunk): c for c in self.items.values() if isinstance(c, CarriedChunk)}
        return Past(turn, tuple(sorted(turns, key=lambda each: each.number)), chunks)

    def add(self, trail: Trail, number: int) -> None:
        """Remember a turn; what it carried along is in use again."""
        self.turns_begun = max(self.turns_begun, number)
        self.seen.append(trail.response_id)
        involved = trail.involvements
        for brought in _brought(trail, number, involved):
            self._use(key_of(brought.chunk), brought)
            if brought.response_id in self.items:
                self.items.move_to_end(brought.response_id)
        for through in {c.through for c in trail.carried if c.through in self.items}:
            self.items.move_to_end(through)
        self._use(trail.response_id, _turn(trail, number, involved))
        while self.items and self.size > _SESSION_SIZE:
            _, given_up = self.items.popitem(last=False)
            self.size -= _size(given_up)

    def _use(self, key: str | Key, item: Turn | CarriedChunk) -> None:
        """Keep an item, unless it is there: who retrieved a chunk first brought it into the session."""
        if key not in self.items:
            self.items[key] = item
            self.size += _size(item)
        self.items.move_to_end(key)


class Sessions:
    """The sessions in memory, the one in use longest ago first."""

    def __init__(self, history: HistorySource, faults: FaultSink) -> None:
        """Remember nothing yet."""
        self._history = history
        self._faults = faults
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Begin anew: another thread may have been at it, and what is needed can be read back."""
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._size = 0

    def enter(self, session_id: str, *, continued: bool) -> Past:
        """Begin the completion of a turn. Never raises.

        Args:
            session_id: The session.
            continued: Whether there must have been turns before, as its prompts show.
        """
        key = canonical_id(session_id)
        with self._lock:
            known = self._sessions.get(key)
            seen = frozenset(known.seen) if known else frozenset[str]()
        # Other processes may have turns of a session that is in memory here, where they take turns.
        missed = self._missed(key, seen, continued=continued) if continued or not known else ()
        with self._lock:
            session = self._sessions.setdefault(key, known or _Session())
            for trail in missed:
                if trail.response_id not in session.seen:
                    session.add(trail, trail.turn or session.turns_begun + 1)
            session.turns_begun += 1
            past = session.past(session.turns_begun)
            self._in_use(key, session)
        return past

    def known(self, session_id: str) -> Past:
        """What is in memory of a session, while a turn of it is under way."""
        with self._lock:
            session = self._sessions.get(canonical_id(session_id))
            return session.past(session.turns_begun + 1) if session else Past()

    def remember(self, trail: Trail) -> None:
        """Keep what a complete turn brought, for the turns to come."""
        if trail.session_id is None or trail.turn is None:
            return
        key = canonical_id(trail.session_id)
        with self._lock:
            session = self._sessions.get(key)
            if session is not None:  # else it was given up, and the next turn reads it back
                session.add(trail, trail.turn)
                self._in_use(key, session)

    def _in_use(self, session_id: str, session: _Session) -> None:
        """Give up others for it where there is no room."""
        self._sessions.move_to_end(session_id)
        self._size += session.size - session.counted
        session.counted = session.size
        while self._size > _TOTAL_SIZE:
            _, given_up = self._sessions.popitem(last=False)
            self._size -= given_up.counted
            given_up.counted = 0  # a turn that is about to end may bring it back

    def _missed(
        self, session_id: str, seen: Collection[str], *, continued: bool
    ) -> Sequence[Trail]:
        try:
            return self._history.session(
                session_id, limit=_TURNS_READ, known=seen, unmoved=continued
            )
        except Exception as error:  # noqa: BLE001  # what is not known of earlier turns stays unexplained
            self._faults.note("reading back a session", error)
            return ()


def _brought(trail: Trail, number: int, involved: Collection[str]) -> Iterator[CarriedChunk]:
    """The chunks of a turn that a later prompt may hold, the least likely first."""
    for carried in sorted(trail.carried, key=lambda each: each.carried_by != "answer"):
        yield replace(carried, carried_by="text", through=None)
    own = [h.chunk for r in trail.retrievals if r.enclosing_id is None for h in r.hits]
    for chunk in sorted(own, key=lambda each: each.chunk_id in involved):
        # Metadata may be large, and stands in the trail of the response that retrieved the chunk.
        yield CarriedChunk(replace(chunk, metadata={}), "text", trail.response_id, number)


def _turn(trail: Trail, number: int, involved: Collection[str]) -> Turn:
    keys = {chunk_id: key_of(chunk) for chunk_id, chunk in trail.chunks.items()}
    said = [trail.answer, *(generation.output for generation in answering(trail))]
    tools = found_by_tools(trail)
    return Turn(
        response_id=trail.response_id,
        number=number,
        said=tuple(dict.fromkeys(text.strip() for text in said if text and text.strip())),
        behind=tuple(key for chunk_id, key in keys.items() if chunk_id in involved),
        tools={
            call: tuple(key for chunk_id, key in keys.items() if chunk_id in found)
            for call, found in tools.items()
        },
    )


def _size(item: Turn | CarriedChunk) -> int:
    if isinstance(item, CarriedChunk):
        return _ITEM_SIZE + len(item.chunk.text or "")
    references = len(item.behind) + sum(1 + len(keys) for keys in item.tools.values())
    return _ITEM_SIZE + sum(map(len, item.said)) + _REFERENCE_SIZE * references
