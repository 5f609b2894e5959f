"""Reading a ledger, whatever keeps it: entries, names as far as they are not erased, and proofs."""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Self

from doctrail_core.ledger import tree
from doctrail_core.ledger.batch import bytes_of_uuid, require_key_of
from doctrail_core.ledger.entry import HEADER, ChunkUse, Entry, decode
from doctrail_core.ledger.impact import ImpactHit, Query, affected, kin_of
from doctrail_core.ledger.keyring import Keyring, Tagger
from doctrail_core.ledger.rows import state_named
from doctrail_core.ledger.store import LedgerStore
from doctrail_core.ledger.tree import Frontier, leaf_hash, subtree_of
from doctrail_core.model import Grade
from doctrail_core.text.identity import canonical_id

__all__ = ["LedgerReader"]

_REMEMBERED = 20_000
_OF_LOG = ":"
"""Stands in cursors between the number of a log and a place in that."""


class LedgerReader:
    """Answers from a ledger.

    Attributes:
        store: What keeps it.
        warning: What a user should know of what is missing, if anything is.
        others: The logs of other homes, where a server has several. Their keys are not here: only what stands
            in the open, and names that are asked for, can be told of them.
    """

    def __init__(
        self,
        store: LedgerStore,
        keyring: Keyring | None,
        tagger: Tagger | None,
        *,
        warning: str | None = None,
        others: "Sequence[LedgerReader]" = (),
        elsewhere: bool = False,
    ) -> None:
        """Read from a store.

        Args:
            store: What keeps it.
            keyring: The keys of its names.
            tagger: Makes the tags of names.
            warning: What is missing.
            others: The readers of other logs.
            elsewhere: Whether another home has the keys.
        """
        self.store = store
        self._elsewhere = elsewhere
        self.others = others
        self.warning = warning
        self._keyring = keyring
        self._tagger = tagger
        self._names: dict[int, str | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()
        if self._keyring is not None:
            self._keyring.close()

    # Entries

    def size(self) -> int:
        """How many entries there are."""
        return self.store.size()

    def minimum(self) -> int:
        """The place below which entries may have been pruned, a multiple of 256; 0 where none were."""
        return self.store.minimum()

    def events(self, kind: str, after: int = -1) -> Iterator[Entry]:
        """Entries of one kind beyond a place, in order; of a kind whose code is 32 or more."""
        return (decode(body, seq) for seq, body in self.store.events(kind, after))

    @cached_property
    def log(self) -> str | None:
        """What the log is called, as its first entry says."""
        first = self.entry(0)
        return None if first is None else first.body.get("log")

    def bodies(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The exact bytes of entries with their places, in order; what was pruned is missing."""
        return self.store.bodies(start, end)

    def body(self, seq: int) -> bytes | None:
        """The exact bytes of one entry; None where it was pruned, or is not there yet."""
        return next((body for _, body in self.store.bodies(seq, seq + 1)), None)

    def entry(self, seq: int) -> Entry | None:
        body = self.body(seq)
        return None if body is None else decode(body, seq)

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Entries, in order."""
        return (decode(body, seq) for seq, body in self.store.bodies(start, end))

    def entries_of(self, response_id: str) -> Sequence[Entry]:
        """All that is on record of a response, in order."""
        first = self.first_of(response_id)
        if first is None:
            return []
        return [decode(body, seq) for seq, body in self.store.history(first)]

    def head(self) -> Entry | None:
        """The last entry."""
        return self.entry(self.size() - 1)

    # Names

    @cached_property
    def _finder(self) -> Tagger:
        """The installation's key, which is that of this log: under another one nothing would be found.

        Other homes' logs are asked as far as they are under the same key.
        """
        first = None if self._elsewhere else self.body(0)
        if first is not None:
            require_key_of(first, self._tagger)
        return self._tagger or Tagger(b"")

    def tag(self, kind: str, *parts: str) -> bytes:
        """The tag by which a name is found.

        Raises:
            StoreError: The installation's key is not here, or another one is.
        """
        return self._finder.tag(kind, *parts)

    def key_of(self, owner: int) -> bytes | None:
        """The key of a document, a user, or the log itself (0); None where it was destroyed or is not here."""
        return None if self._keyring is None else self._keyring.get(owner)

    def reference_of(self, response_id: str) -> bytes:
        """How entries refer to a response.

        Raises:
            StoreError: Its id is none that says so itself, and the installation's key is not here.
        """
        name = canonical_id(response_id)
        return bytes_of_uuid(name) or self.tag("response", name)

    def first_of(self, response_id: str) -> int | None:
        """The place of a response's first entry."""
        return self.store.response(self.reference_of(response_id))

    def response_id_of(self, reference: bytes) -> str:
        """What a response is called outside: its id; or, where that was erased, what refers to it."""
        first = self.store.response(reference)
        state = None if first is None else self.store.state(first)
        return self.response_id(reference, state or 0)

    def response_id(self, reference: bytes, state: int) -> str:
        """What a response is called outside, by its reference and its state."""
        if state_named(state):
            named = (self.name_of(seq) for seq in self.store.names(reference))
            return next(filter(None, named), f"{self._nameless}:{reference.hex()}")
        digits = reference.hex()  # quicker than a UUID object is made
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)

    def name_of(self, seq: int | None) -> str | None:
        """The name bound at a place; None where it was erased, or its key is not here."""
        if seq is None:
            return None
        if seq not in self._names:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            self._names[seq] = self._name(seq)
        return self._names[seq]

    def _name(self, seq: int) -> str | None:
        found = self.store.name(seq)
        if found is None:
            return None
        if found.owner is None:
            body = self.body(seq)
            return None if body is None else json.loads(body[HEADER.size :]).get("name")
        if found.sealed is None or self._keyring is None:
            return None
        return self._keyring.open(found.owner, found.sealed)

    def document(self, document_id: str) -> Sequence[int]:
        """The places that a document was bound at; more than one where it was erased and came again."""
        name = canonical_id(document_id)
        found = self.store.documents(self.tag("document", name))
        if self._elsewhere:
            self._names |= dict.fromkeys(found, name)
        return found

    def names(self, kind: str, name: str) -> Sequence[int]:
        """The places that a name of a kind was bound at; more than one where it was erased and came again."""
        return self.store.names(self.tag(kind, canonical_id(name)))

    @property
    def _nameless(self) -> str:
        """Why a name cannot be told: it was erased, or another home has the keys."""
        return "sealed" if self._elsewhere else "erased"

    def documents_of(self, entry: Entry) -> list[str]:
        """The ids of an entry's documents, each once, strongest grade first; of an erased one what refers to it."""
        uses: list[ChunkUse] = sorted(entry.chunks, key=lambda use: -use.rank)
        documents = self.store.documents_of({use.chunk for use in uses})
        places = dict.fromkeys(documents[use.chunk] for use in uses)
        return [self.document_name(place) for place in places]

    def document_name(self, seq: int) -> str:
        """A document's id; or, where that was erased, what refers to it."""
        return self.name_of(seq) or f"{self._nameless}:{seq}"

    # Questions

    def responses_with(
        self,
        document_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        grade: Grade | None = None,
    ) -> Generator[ImpactHit]:
        """The responses that had exactly this document, in the order of the log, read as they are asked for."""
        query = Query(document_id=document_id, since=since, until=until, grade=grade, closure=False)
        return self.affected(query)

    def affected(self, query: Query) -> Generator[ImpactHit]:
        """The responses that may hold something of what the query names, and how; see `Query`.

        Those of this log come first, then those of the others.
        """
        first, _, after = (query.after or "").rpartition(_OF_LOG)
        begun = int(first) if first.isdecimal() else 0
        ledgers = (self, *self.others)
        kin = kin_of(ledgers, query) if self.others and query.closure else None
        for number, ledger in enumerate(ledgers[begun:], begun):
            resumed = replace(query, after=after or None if number == begun else None)
            for hit in affected(ledger, resumed, kin):
                yield replace(hit, cursor=f"{number}{_OF_LOG}{hit.cursor}") if number else hit

    def responses_of(self, kind: str, name: str) -> Iterator[int]:
        """The first entries of all responses of a `user` or a `session`."""
        for seq in self.names(kind, name):
            yield from self.store.mentioning(seq)

    # Proofs

    def frontier(self) -> Frontier:
        return self.store.frontier()

    def root(self, size: int | None = None) -> bytes:
        """The root of the tree, of now or of when it had this size."""
        frontier = self.store.frontier()
        if size is None or size == frontier.size:
            return frontier.root()
        return tree.root_of(size, self.subtree)

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """The proof that an entry is in the log of this size."""
        return tree.inclusion(seq, size, self.subtree)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the log of size `new` begins with the log of size `old`."""
        return tree.consistency(old, new, self.subtree)

    @property
    def subtree(self) -> Callable[[int, int], bytes]:
        return subtree_of(self._hashes)

    def _hashes(self, level: int, first: int, last: int) -> Sequence[bytes]:
        if level:
            return self.store.tiles(level, first, last)
        found = [leaf_hash(body) for _, body in self.store.bodies(first, last)]
        return found if len(found) == last - first else self.store.tiles(0, first, last)
