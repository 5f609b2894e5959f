"""The checks that read entries through: the committed indexes, and the tables that answer questions.

Tables are compared as a whole, by sums of keyed hashes of their rows: what follows from the entries is added up on the
way, what the store answers is taken away at the end. The key is made for the occasion, so no rows can be found that
would cancel out.
"""

import secrets
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from doctrail_core.audit import segments
from doctrail_core.audit.findings import Finding, broken, holds, open_
from doctrail_core.audit.segments import Postings, bounds, mentions_of
from doctrail_core.audit.stream import Block, listed
from doctrail_core.ledger.commitments import name_commitment
from doctrail_core.ledger.entry import Entry, EntryError, decode
from doctrail_core.ledger.rows import links_of, people_of, state_named, state_of
from doctrail_core.ledger.store import LATEST, NameFound

if TYPE_CHECKING:
    from doctrail_core.ledger.reader import LedgerReader

_TOLD = {
    "chunk": ("document",),
    "derived": ("document", "from"),
    "index": ("start", "end", "documents", "root"),
    "reused": ("of",),
    "reviewed": ("flag",),
}
"""What entries must tell to be read here."""
_TABLES = ("links", "states", "mentions", "derivations", "reuses")

__all__ = ["IndexCheck", "NameCheck", "Reading", "TableCheck"]


class Reading:
    """Reads entries through, once for all checks, and remembers which document each chunk is of."""

    def __init__(self) -> None:
        self._seqs = array("Q")
        self._documents = array("Q")
        self._strange: list[int] = []
        self.entries: Sequence[Entry] = ()

    def take(self, block: Block) -> None:
        """Read a block; its entries stay until the next."""
        self.entries = [entry for seq, body in block.entries if (entry := self._read(seq, body))]

    def findings(self) -> Iterator[Finding]:
        if self._strange:
            words = f"entries that cannot be read: {listed(self._strange)}"
            yield broken("entries", words, self._strange[0])

    def documents_of(self, entry: Entry) -> Mapping[int, int]:
        """The document of each chunk that an entry has, as far as the chunk's own entry is there."""
        return {
            use.chunk: found for use in entry.chunks if (found := self._document(use.chunk)) >= 0
        }

    def is_known(self, entry: Entry) -> bool:
        """Whether all chunks that it has were bound before."""
        return all(self._document(use.chunk) >= 0 for use in entry.chunks)

    def _read(self, seq: int, body: bytes) -> Entry | None:
        try:
            entry = decode(body, seq)
            _check_told(entry)
            if entry.kind == "chunk":
                self._documents.append(entry.body["document"])
                self._seqs.append(seq)
        except (EntryError, KeyError, TypeError, OverflowError, AttributeError):
            self._strange.append(seq)
            return None
        return entry

    def _document(self, chunk: int) -> int:
        place = bisect_left(self._seqs, chunk)
        found = place < len(self._seqs) and self._seqs[place] == chunk
        return self._documents[place] if found else -1


class IndexCheck:
    """Makes the index of each segment anew, and compares its root with what the log committed to."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._postings = Postings()
        self._is_whole = True
        self._roots: dict[int, tuple[int, str] | None] = {}
        self._committed: set[int] = set()
        self._unknowable: set[int] = set()
        self._faults: list[Finding] = []

    def take(self, block: Block) -> None:
        self._is_whole = self._is_whole and block.is_whole
        for entry in self._reading.entries:
            if entry.kind == "index":
                self._compare(entry)
            self._is_whole = self._is_whole and self._reading.is_known(entry)
            if self._is_whole:
                self._postings.add(entry.seq, mentions_of(entry, self._reading.documents_of(entry)))
        if not block.end % segments.SEGMENT:
            self._end(block.end // segments.SEGMENT - 1)

    def findings(self) -> Iterator[Finding]:
        yield from self._faults
        missing = sorted(self._roots.keys() - self._committed)
        if missing:
            words = f"no index was committed for segment(s) {listed(missing)} of {segments.SEGMENT} entries"
            yield open_("index", words)
        if self._unknowable:
            words = f"of segment(s) {listed(sorted(self._unknowable))} entries were pruned: the index cannot be made anew"
            yield open_("index", words)
        right = len(self._committed - self._unknowable)
        if right and not self._faults:
            words = (
                f"the index of documents of {right} segment(s) is what follows from their entries"
            )
            yield holds("index", words)

    def _end(self, segment: int) -> None:
        index = self._postings.index() if self._is_whole else None
        self._roots[segment] = None if index is None else (index.count, index.root.hex())
        self._postings, self._is_whole = Postings(), True

    def _compare(self, entry: Entry) -> None:
        said = entry.body
        segment = said.get("start", -1) // segments.SEGMENT
        if segment not in self._roots or bounds(segment) != (said["start"], said.get("end")):
            words = "an index was committed for something that was no full segment then"
            self._faults.append(broken("index", words, entry.seq))
            return
        self._committed.add(segment)
        known = self._roots[segment]
        if known is None:
            self._unknowable.add(segment)
        elif known != (said.get("documents"), said.get("root")):
            words = (
                f"the index committed for segment {segment} is not what follows from its entries"
            )
            self._faults.append(broken("index", words, entry.seq))


class TableCheck:
    """Makes the rows of links, states, mentions and the rest anew, and compares them with what the store answers."""

    def __init__(self, log: "LedgerReader", reading: Reading) -> None:
        self._store = log.store
        self._reading = reading
        self._sums = {name: _Sum() for name in _TABLES}
        self._reuses: list[tuple[bytes, int, int]] = []
        self._documents = array("Q")
        self._people = array("Q")
        self._derivations: set[tuple[int, int]] = set()
        self._flags: dict[int, tuple[int, int | None]] = {}
        self._misplaced: list[int] = []
        self._misfiled: list[int] = []
        self._dangling: list[int] = []
        self._beyond = 0

    def take(self, _: Block, /) -> None:
        for entry in self._reading.entries:
            try:
                self._take(entry)
            except (EntryError, LookupError, TypeError, ValueError):
                # It refers to what no entry binds, or what does cannot be read.
                self._dangling.append(entry.seq)
        self._take_chunks()

    def _take(self, entry: Entry) -> None:
        if entry.response is not None:
            self._take_about(entry, entry.response)
        if entry.kind == "document":
            self._documents.append(entry.seq)
        elif entry.kind == "name" and entry.body.get("kind") in ("user", "session"):
            self._people.append(entry.seq)
        elif entry.kind == "derived":
            self._take_derived(entry)
        elif entry.kind == "flagged":
            self._flags[entry.seq] = (entry.body.get("because", -1), None)
        elif entry.kind == "reviewed":
            because = self._flags.get(entry.body["flag"], (-1, None))[0]
            self._flags[entry.body["flag"]] = (because, entry.seq)

    def findings(self) -> Iterator[Finding]:
        self._take_away()
        wrong = [f"{name} ({sum_.words})" for name, sum_ in self._sums.items() if not sum_.is_even]
        if wrong:
            words = (
                f"what the store answers is not what follows from the entries: {', '.join(wrong)}"
            )
            yield broken("tables", words)
        if self._misplaced:
            words = (
                f"the store does not find entries under their response: {listed(self._misplaced)}"
            )
            yield broken("tables", words, self._misplaced[0])
        if self._misfiled:
            words = f"the store has chunks under another document than their entries: {listed(self._misfiled)}"
            yield broken("tables", words, self._misfiled[0])
        if self._dangling:
            words = f"entries refer to what no entry binds: {listed(self._dangling)}"
            yield broken("tables", words, self._dangling[0])
        stored = {seq: (because, decided) for seq, _, because, decided in self._store.flags()}
        if stored != self._flags:
            yield broken("tables", "the flags for review are not those that the entries say")
        elif not (wrong or self._misplaced or self._misfiled):
            rows = ", ".join(f"{sum_.rows} {name}" for name, sum_ in self._sums.items())
            yield holds("tables", f"what the store answers follows from the entries: {rows}")
        if self._beyond:
            words = f"{self._beyond} responses began among pruned entries; their rows could not be compared"
            yield open_("tables", words)

    def _take_about(self, entry: Entry, reference: bytes) -> None:
        first = self._store.response(reference)
        if first is None or first > entry.seq:
            self._misplaced.append(entry.seq)
            return
        if first == entry.seq:
            history = [entry]
        else:
            bodies = [(seq, body) for seq, body in self._store.history(first) if seq <= entry.seq]
            history = [decode(body, seq) for seq, body in bodies]
            if not history or history[0].seq != first:
                self._beyond += 1
                return
            if history[-1].seq != entry.seq or any(e.response != reference for e in history):
                self._misplaced.append(entry.seq)
                return
        self._replace(first, history)
        if entry.kind == "reused":
            self._reuses.append((bytes.fromhex(entry.body["of"]), first, entry.seq))

    def _replace(self, first: int, history: Sequence[Entry]) -> None:
        """Take the rows of a response as they were before its last entry back, and add those of now."""
        links, states, mentions = self._sums["links"], self._sums["states"], self._sums["mentions"]
        stored = self._store.state(first) or 0
        for known, sign in ((history[:-1], -1), (history, 1)):
            if known:
                links.add(((d, first, flags) for d, flags in self._links(known)), sign)
                states.add([(first, state_of(known, named=state_named(stored)))], sign)
                mentions.add(((name, first) for name in people_of(known)), sign)
        if len(history) == 1:
            states.add([(first, stored)], -1)

    def _links(self, history: Sequence[Entry]) -> Iterable[tuple[int, int]]:
        documents: dict[int, int] = {}
        for entry in history:
            documents |= self._reading.documents_of(entry)
        return links_of(history, documents).items() if documents else ()

    def _take_derived(self, entry: Entry) -> None:
        document = entry.body["document"]
        new = {(document, source) for source in entry.body["from"] if source != document}
        new -= self._derivations
        self._derivations |= new
        self._sums["derivations"].add(new, 1)

    def _take_chunks(self) -> None:
        said = {e.seq: e.body["document"] for e in self._reading.entries if e.kind == "chunk"}
        if said:
            stored = self._store.documents_of(said)
            self._misfiled += [seq for seq, document in said.items() if stored.get(seq) != document]

    def _take_away(self) -> None:
        links, mentions = self._sums["links"], self._sums["mentions"]
        for document in self._documents:
            found = self._store.with_document(document, 0, LATEST, 0)
            rows = ((document, each.seq, each.flags) for each in found)
            links.add(rows, -1)
            derived = ((each, document) for each in self._store.derived_from(document))
            self._sums["derivations"].add(derived, -1)
        # Of an answer that was not on record then, as one that was pruned, nothing was known to be given again.
        reuses = {
            (earlier, first)
            for reference, first, at in self._reuses
            if (earlier := self._store.response(reference)) is not None and earlier < at
        }
        self._sums["reuses"].add(reuses, 1)
        for earlier in {earlier for earlier, _ in reuses}:
            again = ((earlier, response) for response in self._store.reused_from(earlier))
            self._sums["reuses"].add(again, -1)
        for name in self._people:
            mentions.add(((name, response) for response in self._store.mentioning(name)), -1)


_State = Literal["missing", "unexplained", "exchanged", "erased", "closed", "open"]

_BROKEN_NAMES: Mapping[_State, str] = {
    "exchanged": "names are not those that entries {} were made for",
    "unexplained": "names are gone, and no entry says that they were erased: entries {}",
    "missing": "the store has no row for the names of entries {}",
}


class NameCheck:
    """Whether names are where entries bind them, and which of them were erased, and by which entry."""

    def __init__(self, log: "LedgerReader", reading: Reading) -> None:
        self._log = log
        self._reading = reading
        self._bound = array("Q")
        self._erased: dict[int, int] = {}

    def take(self, _: Block, /) -> None:
        for entry in self._reading.entries:
            if entry.kind == "document" or (entry.kind == "name" and "name" not in entry.body):
                self._bound.append(entry.seq)
            elif entry.kind == "erased":
                self._erased |= dict.fromkeys(entry.body.get("at", ()), entry.seq)

    def findings(self) -> Iterator[Finding]:
        found: dict[_State, list[int]] = {}
        for seq in self._bound:
            found.setdefault(self._state(seq), []).append(seq)
        yield from _erasures([(self._erased_by(seq), seq) for seq in found.get("erased", ())])
        for state, words in _BROKEN_NAMES.items():
            if seqs := found.get(state):
                yield broken("names", words.format(listed(seqs)), seqs[0])
        if closed := len(found.get("closed", ())):
            yield open_("names", f"{closed} names cannot be opened: their keys are not here")
        if opened := len(found.get("open", ())):
            words = f"{opened} names can be opened with their keys, and are those that were bound"
            yield holds("names", words)

    def _state(self, seq: int) -> "_State":
        found = self._log.store.name(seq)
        if found is None:
            return "missing"
        if found.sealed is None:
            return "erased" if self._erased_by(seq) else "unexplained"
        name = self._log.name_of(seq)
        if name is None:
            return "closed"
        return "open" if self._is_bound(seq, found, name) else "exchanged"

    def _erased_by(self, seq: int) -> int:
        """The entry that says that a name was erased, or its owner's; 0 if none does."""
        found = self._log.store.name(seq)
        owner = found.owner if found else None
        return self._erased.get(seq) or self._erased.get(owner or 0, 0)

    def _is_bound(self, seq: int, found: NameFound, name: str) -> bool:
        """Whether the entry commits to this very name."""
        entry = self._log.entry(seq)
        key = self._log.key_of(seq if found.owner is None else found.owner)
        said = None if entry is None else entry.body.get("commitment")
        return said is None or key is None or said == name_commitment(key, name)


def _check_told(entry: Entry) -> None:
    """Refuse an entry that does not say what its kind is there for.

    Raises:
        KeyError: It does not.
    """
    for name in _TOLD.get(entry.kind, ()):
        entry.body[name]


def _erasures(erased: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    for by, group in groupby(sorted(erased), key=lambda pair: pair[0]):
        names = [seq for _, seq in group]
        yield holds("names", f"erased by entry #{by}: the names of entries {listed(names)}", by)


class _Sum:
    """A sum over rows in any order; nothing, where all that was added was taken away again."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._value = 0
        self._count = 0
        self.rows = 0

    def add(self, rows: Iterable[tuple[int, ...]], sign: int) -> None:
        for row in rows:
            told = ",".join(map(str, row)).encode()
            digest = blake2b(told, key=self._key, digest_size=32).digest()
            self._value += sign * int.from_bytes(digest)
            self._count += sign
            self.rows += sign < 0

    @property
    def is_even(self) -> bool:
        return not self._value

    @property
    def words(self) -> str:
        if self._count:
            return f"{abs(self._count)} too {'few' if self._count > 0 else 'many'}"
        return "as many, but others"
