"""Evidence in a folder, for somebody who has neither the log nor doctrail: entries, proofs, and what checks them.

A bundle is about the whole log, about a time, or about a document. About a document it shows "these responses and only
these": by the committed index of each full segment, and by all entries of what has no index yet.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from doctrail_core.audit.checkpoint import Checkpoint, Proof
from doctrail_core.audit.note import Note, VerifierKey, encode_base64
from doctrail_core.audit.sealing import committed, postings_of
from doctrail_core.audit.segments import bounds
from doctrail_core.audit.stream import Block, blocks
from doctrail_core.ledger.store import LATEST
from doctrail_core.ledger.tree import TILE_WIDTH, complete_ranges, inclusion

if TYPE_CHECKING:
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["FORMAT", "Bundle", "Signed", "Written", "proof_of"]

FORMAT = 1
_MOST_FILES = 1000
_REMEMBERED = 1 << 16
_REFERENCE, _TIME = slice(2, 18), slice(18, 26)
_README = """\
Evidence from the answer ledger {origin}
made {made} by doctrail

Check it with Python 3.11 or newer and the package `cryptography`:

    python verify.py --key 'THE KEY THAT YOU GOT FROM SOMEBODY YOU TRUST'

The key that this bundle names is

    {key}

which says nothing by itself: whoever made the bundle could have made another key. Compare it with the one that you
were given before. If you kept a checkpoint of this log, give it with --checkpoint FILE. The file verify.py is short so
that it can be read; it uses nothing of doctrail. Proofs in `proofs` have the form of c2sp.org/tlog-proof, checkpoints
that of c2sp.org/tlog-checkpoint; other tools check them, too. What others gave who hold, stamp or
cosign checkpoints of this log is in `anchors`, where there are any.
"""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a bundle is held against: a checkpoint of the log, and its note.

    Attributes:
        key: Of the log.
        earlier: Other checkpoints; those that somebody kept, each to be shown to be a beginning of this one.
    """

    key: VerifierKey
    checkpoint: Checkpoint
    note: Note
    earlier: Sequence[tuple[Checkpoint, Note]] = ()


@dataclass(slots=True)
class Written:
    """What was put into a bundle."""

    entries: int = 0
    segments: int = 0
    unshown: int = 0


def proof_of(log: "LedgerReader", seq: int, checkpoint: Checkpoint, note: Note) -> Proof:
    """The proof that an entry is in the log, with its exact bytes.

    Raises:
        LookupError: The entry was pruned, or is newer than the checkpoint.
    """
    body = log.body(seq)
    if body is None or seq >= checkpoint.size:
        raise LookupError(f"entry {seq} was pruned, or is newer than the checkpoint")
    return Proof(seq, tuple(log.inclusion(seq, checkpoint.size)), note, body)


class Bundle:
    """Writes a bundle into a folder that is empty, or not there yet."""

    def __init__(self, log: "LedgerReader", signed: Signed, folder: Path) -> None:
        self._log = log
        self._signed = signed
        self._folder = folder
        self._ranges: list[dict[str, Any]] = []
        self._written = Written()
        # Proofs of neighbours have most of their hashes in common.
        self._subtree = lru_cache(_REMEMBERED)(log.subtree)

    def of_log(self) -> Written:
        """Put the whole log in."""
        return self._of_range(0, self._signed.checkpoint.size, {"what": "log"})

    def of_time(self, since_us: int, until_us: int, words: Mapping[str, str | None]) -> Written:
        """Put in what is on record of a time, as one piece of the log.

        Raises:
            LookupError: Nothing is.
        """
        begin, end = since_us.to_bytes(8), until_us.to_bytes(8)
        first = last = None
        for seq, body in self._log.bodies(0, self._signed.checkpoint.size):
            if begin <= body[_TIME] < end:
                first, last = seq if first is None else first, seq
        if first is None or last is None:
            raise LookupError("nothing is on record of that time")
        return self._of_range(first, last + 1, {"what": "time", **words})

    def of_document(self, document_id: str) -> Written:
        """Put in all that mentions a document, and the proof that nothing else does.

        Raises:
            LookupError: No such document is on record.
        """
        places = list(self._log.document(document_id))
        if not places:
            raise LookupError(f"no document {document_id!r} is on record")
        self._begin()
        indexed = self._write_segments(places)
        size = self._signed.checkpoint.size
        for start, end in _beyond(indexed, size):
            self._write_range(start, end)
        self._write_names(document_id, places)
        about = {"what": "document", "document": document_id, "places": places}
        return self._end(about)

    def _of_range(self, start: int, end: int, about: Mapping[str, Any]) -> Written:
        self._begin()
        self._write_range(start, end)
        return self._end(about)

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if next(self._folder.iterdir(), None) is not None:
            raise FileExistsError(f"{self._folder} is not empty; name a new folder")

    def _end(self, about: Mapping[str, Any]) -> Written:
        signed, made = self._signed, datetime.now(UTC).isoformat(timespec="seconds")
        (self._folder / "checkpoint").write_text(str(signed.note), encoding="utf-8")
        self._write_earlier()
        self._write_prunings()
        known = {
            "format": FORMAT,
            "origin": signed.checkpoint.origin,
            "key": str(signed.key),
            "made": made,
            "about": about,
            "ranges": self._ranges,
        }
        self._write_json("bundle.json", known)
        readme = _README.format(origin=signed.checkpoint.origin, key=signed.key, made=made)
        (self._folder / "README.txt").write_text(readme, encoding="utf-8")
        verifier = files("doctrail_core.audit").joinpath("standalone.py").read_bytes()
        (self._folder / "verify.py").write_bytes(verifier)
        return self._written

    def _write_prunings(self) -> None:
        """The entries that say up to where the log was pruned: nothing else may be kept back."""
        with (self._folder / "pruned.jsonl").open("w", encoding="utf-8") as lines:
            for entry in self._log.events("pruned"):
                if entry.seq < self._signed.checkpoint.size:
                    self._write_proven(lines, entry.seq)

    def _write_earlier(self) -> None:
        size = self._signed.checkpoint.size
        earlier = {c.size: (c, note) for c, note in self._signed.earlier if 0 < c.size <= size}
        shown = [
            {
                "note": str(note),
                "hashes": _encoded(self._log.consistency(checkpoint.size, size)),
            }
            for checkpoint, note in earlier.values()
        ]
        self._write_json("earlier.json", shown)

    def _write_range(self, start: int, end: int) -> None:
        """All entries of a piece of the log, with the hashes that complete the tree on both sides."""
        tiles: dict[str, str] = {}
        name = f"range-{start}.jsonl"
        with (self._folder / name).open("w", encoding="utf-8") as lines:
            for block in blocks(self._log.store, start, end):
                leaves = () if block.is_whole else self._log.store.tiles(0, block.start, block.end)
                if block.is_whole:
                    for seq, body in block.entries:
                        self._write_entry(lines, seq, body)
                elif len(leaves) == block.end - block.start:
                    self._write_rest(lines, block, leaves)
                else:
                    tiles[str(block.start // TILE_WIDTH)] = self._tile(block)
        subtree, size = self._subtree, self._signed.checkpoint.size
        before = [subtree(*each) for each in complete_ranges(0, start)]
        after = [subtree(*each) for each in complete_ranges(end, size)]
        self._ranges.append(
            {
                "file": name,
                "start": start,
                "end": end,
                "before": _encoded(before),
                "after": _encoded(after),
                "tiles": tiles,
            }
        )

    def _write_rest(self, lines: IO[str], block: Block, leaves: Sequence[bytes]) -> None:
        """Entries that stayed where others were pruned, such as names in use, and the hashes of those."""
        kept = dict(block.entries)
        for seq, leaf in enumerate(leaves, block.start):
            if seq in kept:
                self._write_entry(lines, seq, kept[seq])
            else:
                line = {"seq": seq, "leaf": encode_base64(leaf)}
                lines.write(f"{json.dumps(line, sort_keys=True)}\n")
                self._written.unshown += 1

    def _tile(self, block: Block) -> str:
        """What stands for entries that were pruned."""
        number = block.start // TILE_WIDTH
        tiles = self._log.store.tiles(1, number, number + 1)
        if not tiles or block.end - block.start != TILE_WIDTH:
            raise LookupError(
                f"entries between {block.start} and {block.end} were pruned, and the range does not begin or end"
                " with all that was pruned; name another time"
            )
        self._written.unshown += TILE_WIDTH
        return encode_base64(tiles[0])

    def _write_segments(self, places: Sequence[int]) -> list[int]:
        """What the committed indexes say of these documents; returns the segments."""
        size = self._signed.checkpoint.size
        indexes = {k: seq for k, seq in committed(self._log).items() if seq < size}
        done: list[int] = []
        with (
            (self._folder / "entries.jsonl").open("w", encoding="utf-8") as entries,
            (self._folder / "index.jsonl").open("w", encoding="utf-8") as index,
        ):
            for segment, seq in sorted(indexes.items()):
                postings = postings_of(self._log, segment)
                if postings is None:
                    continue
                made = postings.index()
                said = [
                    made.find(place).to_json() | {"mentions": postings.mentions(place)}
                    for place in places
                ]
                line = {"entry": seq, "documents": said}
                index.write(f"{json.dumps(line, sort_keys=True)}\n")
                mentioned = {at for place in places for at, _ in postings.mentions(place)}
                for at in sorted({seq, *mentioned}):
                    self._write_proven(entries, at)
                done.append(segment)
        self._written.segments = len(done)
        return done

    def _write_proven(self, lines: IO[str], seq: int) -> None:
        known = self._signed
        hashes = tuple(inclusion(seq, known.checkpoint.size, self._subtree))
        proof = Proof(seq, hashes, known.note, self._log.body(seq))
        self._write_entry(lines, seq, proof.extra or b"", hashes=hashes)
        if self._written.entries <= _MOST_FILES:
            proofs = self._folder / "proofs"
            proofs.mkdir(exist_ok=True)
            (proofs / f"{seq}.tlog-proof").write_text(str(proof), encoding="utf-8")

    def _write_entry(
        self, lines: IO[str], seq: int, body: bytes, hashes: Sequence[bytes] | None = None
    ) -> None:
        line: dict[str, Any] = {"seq": seq, "entry": encode_base64(body)}
        if hashes is not None:
            line["hashes"] = _encoded(hashes)
        lines.write(f"{json.dumps(line, sort_keys=True)}\n")
        self._written.entries += 1

    def _write_names(self, document_id: str, places: Sequence[int]) -> None:
        """What the document and its responses are called outside; of nothing else."""
        store = self._log.store
        found = (hit for place in places for hit in store.with_document(place, 0, LATEST, 0))
        references = {hit.body[_REFERENCE]: hit.state for hit in found}
        responses = {
            reference.hex(): self._log.response_id(reference, state)
            for reference, state in references.items()
        }
        named = {"documents": {str(place): document_id for place in places}, "responses": responses}
        self._write_json("names.json", named)

    def _write_json(self, name: str, value: object) -> None:
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        (self._folder / name).write_text(f"{text}\n", encoding="utf-8")


def _beyond(indexed: Iterable[int], size: int) -> Iterator[tuple[int, int]]:
    """The pieces of a log that none of these segments has."""
    reached = 0
    for segment in sorted(indexed):
        start, end = bounds(segment)
        if reached < start:
            yield reached, start
        reached = end
    if reached < size:
        yield reached, size


def _encoded(hashes: Iterable[bytes]) -> list[str]:
    return [encode_base64(each) for each in hashes]
