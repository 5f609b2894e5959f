"""The checks that need to see each entry once, in order, and remember next to nothing: a log of any length fits.

Entries come in blocks of 256, as tiles have them, so that what was pruned can be stood for by its tile.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from doctrail_core.audit.checkpoint import Checkpoint
from doctrail_core.audit.findings import Finding, broken, holds, open_
from doctrail_core.ledger.entry import CODES, HEADER, KINDS, VERSION, EntryError, covered, decode
from doctrail_core.ledger.tree import EMPTY_ROOT, TILE_WIDTH, Frontier, Tile, leaf_hash

if TYPE_CHECKING:
    from doctrail_core.ledger.store import LedgerStore

__all__ = [
    "Block",
    "Check",
    "CounterCheck",
    "FormCheck",
    "TimeCheck",
    "TreeCheck",
    "blocks",
    "listed",
]

_ANSWERED = CODES["answered"]
_CONFIGURED = CODES["configured"]
_HEARTBEAT = CODES["heartbeat"]
_LOST = CODES["lost"]
_NAMED = 5
"""So many single cases a finding names; then it counts."""
_SIZE_BYTES = 8
_MOST_LOST = 1_000_000
_GRACE_US = 30_000_000
_BACKWARDS_US = 3_600_000_000

Head = tuple[int, int, bytes, int, int, int]
"""Version, kind, response, time, writer, counter."""


class Block:
    """Up to 256 entries that stand in one tile; those that were pruned are missing."""

    def __init__(self, start: int, end: int, entries: Sequence[tuple[int, bytes]]) -> None:
        self.start = start
        self.end = end
        self.entries = entries

    @property
    def is_whole(self) -> bool:
        return len(self.entries) == self.end - self.start

    @cached_property
    def heads(self) -> Sequence[Head]:
        """The beginning of each entry; all zeroes for bytes that are none."""
        size, unpack = HEADER.size, HEADER.unpack_from
        return [
            unpack(body) if len(body) >= size else (0, 0, b"", 0, 0, 0) for _, body in self.entries
        ]


class Check(Protocol):
    """Something to look at on the way."""

    def take(self, block: Block, /) -> None: ...

    def findings(self) -> Iterator[Finding]: ...


def blocks(store: "LedgerStore", start: int, end: int) -> Iterator[Block]:
    """All entries of a piece of a log, whatever is stored of it; a block ends where a tile does."""
    waiting: list[tuple[int, bytes]] = []
    border = _border(start, end)
    for seq, body in store.bodies(start, end):
        while seq >= border:
            yield Block(start, border, waiting)
            start, waiting = border, []
            border = _border(start, end)
        waiting.append((seq, body))
    while start < end:
        yield Block(start, border, waiting)
        start, waiting = border, []
        border = _border(start, end)


def _border(start: int, end: int) -> int:
    return min(end, (start // TILE_WIDTH + 1) * TILE_WIDTH)


class TreeCheck:
    """Computes the tree from the entries, and holds it against every checkpoint and every tile."""

    def __init__(self, store: "LedgerStore", checkpoints: Iterable[Checkpoint]) -> None:
        """Look at nothing yet, but at where the log says that it was pruned."""
        self.frontier = Frontier()
        self._pruned_at = _prunings(store)
        self._pruned_until = max(self._pruned_at, default=0)
        self._altered: list[int] = []
        self._store = store
        # There may be one for each minute of years: as bytes, they need little room, and sort by size.
        self._checkpoints = sorted(
            each.size.to_bytes(_SIZE_BYTES) + each.root for each in checkpoints
        )
        self._next = 0
        self._matching = 0
        self._passed_over = 0
        self._lost: list[int] = []
        self._pruned = 0
        self._faults: list[Finding] = []
        self._wrong_tiles = 0
        self._stored = store.frontier()
        self._compare()

    def take(self, block: Block) -> None:
        if block.is_whole:
            self._append([sha256(b"\0" + body).digest() for _, body in block.entries])
        else:
            self._append_rest(block)
        if (pruned := self._pruned_at.get(block.end)) is not None:
            self._look_at_pruning(block.end, *pruned)

    def findings(self) -> Iterator[Finding]:
        size = self.frontier.size
        if self._pruned:
            end, (_, by) = self._pruned_until, self._pruned_at[self._pruned_until]
            words = f"{self._pruned} of the first {end} entries were pruned, as entry #{by} says; hashes stand for them"
            yield open_("entries", words, by)
        if self._altered:
            words = f"entries that stayed when others were pruned are not what they were: {listed(self._altered)}"
            yield broken("entries", words, self._altered[0])
        if self._lost:
            words = f"entries are missing without having been pruned: {listed(self._lost)}"
            yield broken("entries", words, self._lost[0])
        yield from self._faults
        if self._wrong_tiles:
            words = f"{self._wrong_tiles} stored hashes of the tree are not those of the entries"
            yield broken("tree", words)
        if self._stored.size == size and self._stored != self.frontier and not self._lost:
            words = "the stored state of the tree is not that of the entries"
            yield broken("tree", words)
        beyond = len(self._checkpoints) - self._next
        if beyond:
            largest = self._size_of(len(self._checkpoints) - 1)
            words = (
                f"the log has {size} entries, but {beyond} checkpoint(s) were signed of more, up to {largest}:"
                " entries at its end are missing"
            )
            yield broken("checkpoints", words, size)
        if self._passed_over:
            words = f"{self._passed_over} checkpoint(s) lie among pruned entries and cannot be recomputed"
            yield open_("checkpoints", words)
        if self._matching:
            last = self._size_of(self._next - 1)
            words = (
                f"the tree of the entries is that of {self._matching} checkpoint(s), the latest at {last} of {size}"
                " entries; so each of them only adds to those before it"
            )
            yield holds("checkpoints", words)
        if not self._checkpoints:
            yield open_("checkpoints", "there is no checkpoint to hold the entries against")

    def _look_at_pruning(self, end: int, root: str, seq: int) -> None:
        if self.frontier.root().hex() != root:
            words = f"what is left of the first {end} entries is not what was there when they were pruned"
            self._faults.append(broken("entries", words, seq))

    def _append(self, leaves: Sequence[bytes]) -> None:
        start = self.frontier.size
        while self._next < len(self._checkpoints):
            ahead = self._size_of(self._next) - start
            if ahead > len(leaves):
                break
            done = self.frontier.size - start
            self._look_at(self.frontier.append_all(leaves[done:ahead]))
            self._compare()
        self._look_at(self.frontier.append_all(leaves[self.frontier.size - start :]))

    def _append_rest(self, block: Block) -> None:
        """Go on past a block of which entries are missing, by what was kept of it."""
        missing = sorted({*range(block.start, block.end)} - {seq for seq, _ in block.entries})
        lost = [seq for seq in missing if seq >= self._pruned_until]
        self._lost += lost
        self._pruned += len(missing) - len(lost)
        number = block.start // TILE_WIDTH
        leaves = self._store.tiles(0, block.start, block.end)
        tiles = self._store.tiles(1, number, number + 1)
        if len(leaves) == block.end - block.start:
            self._hold_against(leaves, block)
            self._append(leaves)
            return
        while self._upcoming(block.end):
            self._passed_over += 1
            self._next += 1
        if tiles and block.end - block.start == TILE_WIDTH:
            self.frontier.append_tile(tiles[0])
        else:
            # What follows cannot match any more; but how it looks by itself can still be told.
            self.frontier = Frontier(block.end, [EMPTY_ROOT] * block.end.bit_count())
        self._compare()

    def _hold_against(self, leaves: Sequence[bytes], block: Block) -> None:
        """Entries that stayed where others were pruned, against the hashes of all."""
        self._altered += [
            seq for seq, body in block.entries if leaf_hash(body) != leaves[seq - block.start]
        ]

    def _upcoming(self, end: int) -> bool:
        return self._next < len(self._checkpoints) and self._size_of(self._next) < end

    def _size_of(self, number: int) -> int:
        return int.from_bytes(self._checkpoints[number][:_SIZE_BYTES])

    def _compare(self) -> None:
        """Hold the tree as it is now against the checkpoints of its size."""
        size = self.frontier.size
        while self._next < len(self._checkpoints) and self._size_of(self._next) == size:
            if self.frontier.root() == self._checkpoints[self._next][_SIZE_BYTES:]:
                self._matching += 1
            elif not self._faults:
                words = (
                    f"the first {size} entries are not those that a checkpoint was signed for: what it signed was"
                    " changed, removed or added to since"
                )
                self._faults.append(broken("checkpoints", words, size))
            self._next += 1

    def _look_at(self, tiles: Iterable[Tile]) -> None:
        for tile in tiles:
            stored = self._store.tiles(tile.level, tile.number, tile.number + 1)
            self._wrong_tiles += list(stored) != [tile.hash]


def _prunings(store: "LedgerStore") -> dict[int, tuple[str, int]]:
    """Up to where the log says that it was pruned, with the root that it had there, and by which entry."""
    found: dict[int, tuple[str, int]] = {}
    for seq, body in store.events("pruned"):
        with suppress(EntryError, KeyError):
            said = decode(body, seq).body
            found[said["end"]] = (said["root"], seq)
    return found


class FormCheck:
    """Whether all bytes are entries."""

    def __init__(self) -> None:
        self._kinds = Counter[int]()
        self._strange: list[int] = []

    def take(self, block: Block) -> None:
        heads = block.heads
        self._kinds.update([head[1] for head in heads])
        if any(head[0] != VERSION or head[1] not in KINDS for head in heads):
            self._strange += [
                seq
                for (seq, _), head in zip(block.entries, heads, strict=True)
                if head[0] != VERSION or head[1] not in KINDS
            ]

    def findings(self) -> Iterator[Finding]:
        if self._strange:
            words = f"these are no entries that this doctrail knows: {listed(self._strange)}"
            yield broken("entries", words, self._strange[0])
        known = {KINDS[code]: number for code, number in self._kinds.items() if code in KINDS}
        said = ", ".join(f"{number} {kind}" for kind, number in sorted(known.items()))
        yield holds("entries", f"{self._kinds.total()} entries: {said or 'none'}")


class CounterCheck:
    """Whether each writer's records are there without gap or repeat. Order within a batch may differ a little."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._early: dict[int, set[int]] = {}
        self._repeated: list[int] = []
        self._unreadable: list[int] = []
        self._lost = 0
        self._from_somewhere = False
        self._numbered = 0

    def take(self, block: Block) -> None:
        if not block.is_whole:
            # Whatever was before a hole, what comes after it begins somewhere.
            self._from_somewhere = True
            self._next.clear()
            self._early.clear()
            return
        known = self._next
        for (seq, body), (_, code, _, _, writer, counter) in zip(
            block.entries, block.heads, strict=True
        ):
            if not writer:
                continue
            if code == _ANSWERED:
                self._count_covered(seq, writer, body)
            elif code == _LOST:
                self._count_lost(seq, writer, body)
            if known.get(writer) == counter and writer not in self._early:
                known[writer] = counter + 1
                self._numbered += 1
            else:
                self._count(seq, writer, counter)

    def findings(self) -> Iterator[Finding]:
        gaps = [
            (writer, missing)
            for writer, early in sorted(self._early.items())
            if (missing := sorted({*range(self._next[writer], max(early))} - early))
        ]
        for writer, missing in gaps[:_NAMED]:
            words = f"records of writer {writer} are missing: {listed(missing)}"
            yield broken("counters", words)
        if len(gaps) > _NAMED:
            yield broken("counters", f"records of {len(gaps) - _NAMED} more writers are missing")
        if self._repeated:
            words = f"records are there more than once: entries {listed(self._repeated)}"
            yield broken("counters", words, self._repeated[0])
        if self._lost:
            words = f"{self._lost} records could not be written, as their writers told afterwards"
            yield open_("counters", words)
        if self._unreadable:
            words = f"entries that cannot be read: {listed(self._unreadable)}"
            yield broken("entries", words, self._unreadable[0])
        if not gaps and not self._repeated:
            words = (
                f"{self._numbered} records of {len(self._next)} writer(s), none of them missing between others of its"
                " writer, and none twice"
            )
            yield holds("counters", words)

    def _count_covered(self, seq: int, writer: int, body: bytes) -> None:
        try:
            counters = covered(body)
        except EntryError:
            self._unreadable.append(seq)
        else:
            for counter in counters:
                self._count(seq, writer, counter)

    def _count_lost(self, seq: int, writer: int, body: bytes) -> None:
        """Records that could not be written, as their writer told when it could again."""
        try:
            gaps = [(int(first), int(last)) for first, last in decode(body, seq).body["counters"]]
        except (EntryError, KeyError, TypeError, ValueError):
            self._unreadable.append(seq)
            return
        for first, last in gaps:
            self._lost += last + 1 - first
            for counter in range(first, min(last + 1, first + _MOST_LOST)):
                self._count(seq, writer, counter)

    def _count(self, seq: int, writer: int, counter: int) -> None:
        self._numbered += 1
        expected = self._next.setdefault(writer, counter if self._from_somewhere else 0)
        early = self._early.setdefault(writer, set())
        if counter < expected:
            if not self._from_somewhere:
                self._repeated.append(seq)
        elif counter in early:
            self._repeated.append(seq)
        else:
            early.add(counter)
        while expected in early:
            early.remove(expected)
            expected += 1
        self._next[writer] = expected
        if not early:
            del self._early[writer]


class TimeCheck:
    """Whether something is on record of all the time since heartbeats are noted, if only that nothing came.

    Args:
        now_us: Up to this time.
        begin_us: From this time on; silence that ended before it does not count.
    """

    def __init__(self, now_us: int, begin_us: int = 0) -> None:
        self._now = now_us
        self._begin = begin_us
        self._latest: int | None = None
        self._allowed = 0
        self._holes: list[tuple[int, int]] = []
        self._backwards = 0
        self._since: int | None = None

    def take(self, block: Block) -> None:
        if not block.is_whole:
            self._latest = None  # how much time lay between what was pruned, nobody can tell
        elif self._since is not None and self._latest is None:
            self._latest = block.heads[0][3]
        for (seq, body), (_, code, _, time_us, _, _) in zip(
            block.entries, block.heads, strict=True
        ):
            if code == _CONFIGURED or (code == _HEARTBEAT and self._since is None):
                self._configure(seq, body, time_us)
            if not block.is_whole:
                self._latest = None
                continue
            latest = self._latest
            if latest is None:
                continue
            if time_us > latest:
                if time_us - latest > self._allowed and time_us > self._begin:
                    self._holes.append((latest, time_us))
                self._latest = time_us
            elif latest - time_us > _BACKWARDS_US:
                self._backwards += 1
                self._latest = time_us

    def findings(self) -> Iterator[Finding]:
        if self._since is None or self._latest is None:
            words = "no heartbeats are noted, so nothing shows that there was nothing to record"
            yield open_("heartbeats", words)
            return
        if self._now - self._latest > self._allowed:
            self._holes.append((self._latest, self._now))
        for begin, end in self._holes[:_NAMED]:
            words = (
                f"nothing is on record between {_time(begin)} and {_time(end)}, not even a heartbeat: the application"
                " did not run, or did not record"
            )
            yield open_("heartbeats", words)
        if len(self._holes) > _NAMED:
            words = f"nor is it in {len(self._holes) - _NAMED} more stretches of time"
            yield open_("heartbeats", words)
        if self._backwards:
            words = (
                f"times go back by more than an hour at {self._backwards} place(s): records that waited, or a clock"
                " that was set"
            )
            yield open_("heartbeats", words)
        if not self._holes:
            words = (
                f"since {_time(self._since)} there is no stretch of more than {self._allowed // 1_000_000} s of which"
                " nothing is on record, not even a heartbeat"
            )
            yield holds("heartbeats", words)

    def _configure(self, seq: int, body: bytes, time_us: int) -> None:
        with suppress(EntryError, KeyError, TypeError, ValueError, AttributeError):
            said = decode(body, seq).body
            interval = float(said.get("audit", said)["interval"])
            self._allowed = int(2 * interval * 1_000_000) + _GRACE_US
            self._since = self._since or time_us
            self._latest = self._latest or time_us


def listed(numbers: Sequence[int]) -> str:
    """Numbers, those that follow one another as a range."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    said = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges]
    more = len(said) - _NAMED
    return ", ".join(said[:_NAMED]) + (f" and {more} more ranges" if more > 0 else "")


def _time(time_us: int) -> str:
    try:
        return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return f"{time_us} microseconds"  # which no clock says, but somebody may have written
