# ruff: noqa: PLR2004  # sizes of hashes and bits of numbers, as the format has them
"""Checks a bundle of evidence from a doctrail ledger. Needs Python 3.11 or newer, and `cryptography`.

    python verify.py [FOLDER] --key 'NAME+ID+KEY' [--checkpoint FILE]...

It is one file, to be read before it is believed, and uses nothing of doctrail: all that it knows of the format is
below. Exit code 0: nothing contradicts the evidence; 1: something does, or what you kept could
not be compared with it; 2: it cannot be read.
"""

import argparse
import base64
import json
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

HEADER = struct.Struct(">BB16sQII")  # version, kind, response, time in us, writer, counter
LEAF = struct.Struct(
    ">Q32s"
)  # of an index: the place that binds a document, the digest of its mentions
MENTION = struct.Struct(">QB")  # the place of an entry, how it mentions the document
KINDS = {
    2: "answered",
    16: "document",
    17: "chunk",
    19: "derived",
    33: "index",
    39: "lost",
    43: "pruned",
}
GRADES = ("retrieved", "in the prompt", "supports the answer", "cited")
BINDS = 16
TILE = 256
MOST_LOST = 1_000_000


class Broken(Exception):  # noqa: N818  # it is the finding, not a fault of this program
    """The evidence contradicts itself, or what it is held against."""


def require(holds: object, words: str) -> None:
    if not holds:
        raise Broken(words)


# The tree of RFC 9162.


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """The complete subtrees of a growing tree: heights and hashes, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.parts: list[tuple[int, bytes]] = []

    def push(self, height: int, value: bytes) -> None:
        require(self.size % (1 << height) == 0, "a subtree stands where none of its size can")
        self.size += 1 << height
        while self.parts and self.parts[-1][0] == height:
            value = node_hash(self.parts.pop()[1], value)
            height += 1
        self.parts.append((height, value))

    def root(self) -> bytes:
        if not self.parts:
            return sha256().digest()
        *larger, (_, root) = self.parts
        for _, left in reversed(larger):
            root = node_hash(left, root)
        return root


def heights(start: int, end: int) -> Iterator[int]:
    """Of the complete subtrees that fill a range."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        yield height
        start += 1 << height


def is_included(seq: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    if not 0 <= seq < size or any(len(each) != 32 for each in (leaf, root, *proof)):
        return False
    index, last, value = seq, size - 1, leaf
    for each in proof:
        if not last:
            return False
        if index & 1 or index == last:
            value = node_hash(each, value)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            value = node_hash(value, each)
        index, last = index >> 1, last >> 1
    return not last and value == root


def is_consistent(old: int, new: int, before: bytes, after: bytes, proof: list[bytes]) -> bool:
    if old == new:
        return before == after and not proof
    if not 0 < old < new or not proof or any(len(each) != 32 for each in (before, after, *proof)):
        return False
    path = [before, *proof] if old & (old - 1) == 0 else proof
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    left = right = path[0]
    for each in path[1:]:
        if not last:
            return False
        if index & 1 or index == last:
            left, right = node_hash(each, left), node_hash(each, right)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            right = node_hash(right, each)
        index, last = index >> 1, last >> 1
    return not last and left == before and right == after


# Signed notes and checkpoints of c2sp.org.


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def checkpoint_of(note: str, vkey: str) -> tuple[str, int, bytes]:
    """Origin, size and root, if the key signed them."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    name, key_id, material = vkey.strip().split("+", 2)
    kind, public = decoded(material)[:1], decoded(material)[1:]
    known = sha256(name.encode() + b"\n" + kind + public).digest()[:4]
    require(kind == b"\1" and known.hex() == key_id, f"{vkey} is no key for Ed25519 notes")
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    for line in lines.splitlines():
        _, whose, encoded = line.split(" ")
        signature = decoded(encoded)
        if whose == name and signature[:4] == known:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
            except InvalidSignature:
                raise Broken(f"a signature under the name {name} is not by its key") from None
            origin, size, root = text.split("\n")[:3]
            require(origin == name, f"the checkpoint is of another log, {origin}")
            return origin, int(size), decoded(root)
    raise Broken(f"the checkpoint is not signed by {name}")


# Entries.


def number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


class Entry:
    """An entry, as far as it has to be read here."""

    def __init__(self, seq: int, data: bytes) -> None:
        self.seq = seq
        version, code, self.response, self.time_us, self.writer, counter = HEADER.unpack_from(data)
        require(version == 1, f"entry {seq} has a version that is not known here")
        self.kind = KINDS.get(code, str(code))
        self.counters = [counter]
        self.uses: list[tuple[int, int]] = []
        self.body: dict[str, Any] = {}
        if code < 16:
            self._read_tail(data, counter)
        else:
            self.body = json.loads(data[HEADER.size :])

    def _read_tail(self, data: bytes, counter: int) -> None:
        flags, at = number(data, HEADER.size)
        at += sum(size for flag, size in ((4, 16), (8, 16), (16, 32)) if flags & flag)
        if flags & 128:
            count, at = number(data, at)
            for _ in range(count):
                distance, at = number(data, at)
                self.counters.insert(0, counter - distance)
        for flag in (32, 64):  # session, user
            if flags & flag:
                _, at = number(data, at)
        _, at = number(data, at)  # duration
        count, at = number(data, at)  # models
        for _ in range(count + 2):  # and framework, and service
            _, at = number(data, at)
        count, at = number(data, at)
        for _ in range(count):
            chunk, at = number(data, at)
            how, at = number(data, at)
            self.uses.append((chunk, how))

    def mentions(self, document: int, chunks: set[int]) -> int | None:
        """How it mentions a document that has these chunks; None if it does not."""
        uses = [how for chunk, how in self.uses if chunk in chunks]
        if uses:
            directly = any(how & 3 and not how & 4 for how in uses)
            indirect = not directly and any(how & 4 for how in uses)
            carried = all(how & 8 for how in uses)
            return max(how & 3 for how in uses) | (4 if indirect else 0) | (8 if carried else 0)
        bound = {"document": [self.seq], "chunk": [self.body.get("document")]}
        bound["derived"] = [self.body.get("document"), *self.body.get("from", [])]
        return BINDS if document in bound.get(self.kind, ()) else None


class Counters:
    """The numbers of each writer's records; those of a batch may stand in a slightly different order."""

    def __init__(self, *, from_the_first: bool) -> None:
        self.from_the_first = from_the_first
        self.next: dict[int, int] = {}
        self.early: dict[int, set[int]] = {}

    def add(self, entry: Entry) -> None:
        gaps: list[list[int]] = entry.body.get("counters", []) if entry.kind == "lost" else []
        require(
            all(last - first < MOST_LOST for first, last in gaps),
            "a writer tells of boundless losses",
        )
        lost = [counter for first, last in gaps for counter in range(first, last + 1)]
        for counter in [*entry.counters, *lost] if entry.writer else ():
            due = self.next.setdefault(entry.writer, 0 if self.from_the_first else counter)
            early = self.early.setdefault(entry.writer, set())
            known = counter in early or (counter < due and self.from_the_first)
            require(not known, f"record {counter} of writer {entry.writer} is there twice")
            early.add(counter)
            while due in early:
                early.remove(due)
                due += 1
            self.next[entry.writer] = due

    def end(self) -> None:
        for writer, early in self.early.items():
            late = {each for each in early if each > self.next[writer]}
            require(not late, f"record {self.next[writer]} of writer {writer} is missing")


class Times:
    """When something is on record, and for how long nothing is."""

    def __init__(self) -> None:
        self.first = self.latest = self.longest = 0

    def add(self, entry: Entry) -> None:
        self.first = self.first or entry.time_us
        if self.latest:
            self.longest = max(self.longest, entry.time_us - self.latest)
        self.latest = max(self.latest, entry.time_us)


class Document:
    """A document, by the places that bind it; its chunks, and the responses that had it, as entries tell."""

    def __init__(self, places: list[int]) -> None:
        self.chunks: dict[int, set[int]] = {place: set() for place in places}
        self.first: dict[bytes, int] = {}
        self.rank: dict[bytes, int] = {}
        self.made: set[int] = set()
        self.bound: set[int] = set()

    def take(self, entry: Entry) -> dict[int, int]:
        """How an entry mentions it, by place."""
        found: dict[int, int] = {}
        for place, known in self.chunks.items():
            if entry.kind == "chunk" and entry.body.get("document") == place:
                known.add(entry.seq)
            if entry.kind == "document" and entry.seq == place:
                self.bound.add(place)
            how = entry.mentions(place, known)
            if how is not None:
                found[place] = how
            if how is not None and how < BINDS:
                self.first.setdefault(entry.response, entry.time_us)
                self.rank[entry.response] = max(self.rank.get(entry.response, 0), how & 3)
            if entry.kind == "derived" and place in entry.body.get("from", []):
                self.made.add(entry.body["document"])
        return found


class Verification:
    """One bundle, held against a key and checkpoints."""

    def __init__(self, folder: Path, key: str | None) -> None:
        self.folder = folder
        self.said = self.read("bundle.json")
        require(self.said["format"] == 1, "the bundle has a format that is not known here")
        self.key: str = key or self.said["key"]
        note = (folder / "checkpoint").read_text("utf-8")
        self.origin, self.size, self.root = checkpoint_of(note, self.key)
        self.roots = {self.size: self.root}
        self.compared = True
        self.pruned = 0
        told = [entry for _, entry in self.proven("pruned.jsonl")]
        require(
            all(entry.kind == "pruned" for entry in told), "what should tell of pruning does not"
        )
        self.pruned_until: int = max((entry.body["end"] for entry in told), default=0)
        self.words = [f"The checkpoint of {self.size} entries is signed by {self.origin}."]

    def run(self, checkpoints: list[str]) -> None:
        kept = [checkpoint_of(note, self.key) for note in checkpoints]
        for each in self.read("earlier.json"):
            self.check_earlier(each)
        sizes = {size for _, size, _ in kept}
        if self.said["about"]["what"] == "document":
            self.check_document(self.said["about"], sizes)
        else:
            self.check_log(self.said["about"], sizes)
        if self.pruned:
            self.words.append(f"{self.pruned} entries were pruned: of them NOTHING is shown.")
        for _, size, root in kept:
            self.compare(size, root)

    def check_earlier(self, said: dict[str, Any]) -> None:
        _, size, root = checkpoint_of(said["note"], self.key)
        proof = [decoded(value) for value in said["hashes"]]
        words = f"the log of {self.size} entries does not begin with what was signed at {size}"
        require(is_consistent(size, self.size, root, self.root, proof), words)
        self.roots[size] = root

    def compare(self, size: int, root: bytes) -> None:
        words = (
            f"a checkpoint that you kept has {size} entries, this one {self.size}: some are missing"
        )
        require(size <= self.size, words)
        known = self.roots.get(size)
        if known is None:
            self.compared = False
            self.words.append(
                f"NOT compared with the one of {size} entries that you kept: have a bundle made with it."
            )
        else:
            require(
                known == root,
                f"the first {size} entries are not those of the checkpoint that you kept",
            )
            self.words.append(
                f"It begins with all of the {size} entries whose checkpoint you kept."
            )

    def check_log(self, about: dict[str, Any], kept: set[int]) -> None:
        """The whole log, or a piece of it."""
        (piece,) = self.said["ranges"]
        whole = (piece["start"], piece["end"]) == (0, self.size)
        require(piece["start"] < piece["end"] or whole, "the bundle shows no entries")
        require(whole or about["what"] == "time", "of the log, something is not in the bundle")
        self.check_piece(piece, kept)
        if about["what"] == "time":
            self.words.append(
                f"The bundle is said to be about the time from {about['from'] or 'the beginning'} to before"
                f" {about['before'] or 'the end'}: that no other entry is of that time is NOT shown."
            )

    def check_piece(self, piece: dict[str, Any], kept: set[int]) -> None:
        counters, times = Counters(from_the_first=not piece["start"]), Times()
        read = answers = 0
        pruned = self.pruned
        for entry in self.entries_of(piece, kept):
            if self.pruned != pruned:  # after a hole, a writer's records begin somewhere
                counters, pruned = Counters(from_the_first=False), self.pruned
            counters.add(entry)
            times.add(entry)
            read += 1
            answers += entry.kind == "answered"
        counters.end()
        self.words += [
            f"Entries {piece['start']} to {piece['end'] - 1} are in its tree; {read} are here, {answers} of them answers.",
            f"No record of {len(counters.next)} writers is missing between others of its writer, or there twice.",
            f"They are of {moment(times.first)} to {moment(times.latest)}.",
            f"The longest time between two of them is {times.longest / 1_000_000:.0f} s.",
        ]

    def entries_of(self, piece: dict[str, Any], kept: set[int]) -> Iterator[Entry]:
        """The entries of a piece of the log, which together with the hashes beside it make its tree."""
        start, end = piece["start"], piece["end"]
        frontier = Frontier()
        for height, value in zip(heights(0, start), piece["before"], strict=True):
            frontier.push(height, decoded(value))
        for said in self.lines(piece["file"]):
            seq, data = said["seq"], decoded(said["entry"]) if "entry" in said else None
            self.fill(frontier, seq, piece["tiles"])
            require(seq == frontier.size < end, f"entry {seq} is not where it should be")
            frontier.push(0, decoded(said["leaf"]) if data is None else leaf_hash(data))
            if frontier.size in kept:
                self.roots.setdefault(frontier.size, frontier.root())
            if data is None:  # pruned, where others of its group were not
                self.pass_over(1, seq + 1)
            else:
                yield Entry(seq, data)
        self.fill(frontier, end, piece["tiles"])
        for height, value in zip(heights(end, self.size), piece["after"], strict=True):
            frontier.push(height, decoded(value))
        words = f"entries {start} to {end - 1} are not those that the checkpoint was signed for"
        require(frontier.size == self.size and frontier.root() == self.root, words)

    def fill(self, frontier: Frontier, seq: int, tiles: dict[str, str]) -> None:
        """Have tiles stand for what was pruned; the checkpoint covers them, too."""
        while (
            frontier.size < seq and not frontier.size % TILE and str(frontier.size // TILE) in tiles
        ):
            frontier.push(8, decoded(tiles[str(frontier.size // TILE)]))
            self.pass_over(TILE, frontier.size)

    def pass_over(self, count: int, end: int) -> None:
        require(
            end <= self.pruned_until,
            f"entries before {end} are kept back, and no entry says that they were pruned",
        )
        self.pruned += count

    def check_document(self, about: dict[str, Any], kept: set[int]) -> None:
        """That these entries, and no others, mention the document bound at these places."""
        places: list[int] = about["places"]
        require(places, "the bundle does not say where the log binds the document")
        document, proven, reached = Document(places), dict(self.proven("entries.jsonl")), 0
        for start, said in sorted(self.pieces(proven).items()):
            require(
                start == reached, f"of entries from {reached} on, something is not in the bundle"
            )
            if "entry" in said:
                reached = proven[said["entry"]].body["end"]
                self.check_segment(said, document, proven, start, reached)
            else:
                reached = said["end"]
                for entry in self.entries_of(said, kept):
                    document.take(entry)
        require(reached == self.size, f"of entries from {reached} on, nothing is in the bundle")
        unbound = [place for place in places if place not in document.bound]
        require(not unbound, f"entries {unbound} are said to bind the document, and do not")
        self.words.append(f"The bundle calls the document {about['document']!r}.")
        self.words.append(
            f"All {self.size} entries are accounted for, by committed indexes or one by one."
        )
        self.tell(document)

    def pieces(self, proven: dict[int, Entry]) -> dict[int, dict[str, Any]]:
        """What the log is shown by, from its beginning on: indexes of segments, and ranges of entries."""
        indexed = {proven[line["entry"]].body["start"]: line for line in self.lines("index.jsonl")}
        return indexed | {piece["start"]: piece for piece in self.said["ranges"]}

    def proven(self, name: str) -> Iterator[tuple[int, Entry]]:
        for said in self.lines(name):
            seq, data = said["seq"], decoded(said["entry"])
            proof = [decoded(value) for value in said["hashes"]]
            words = f"entry {seq} is not in the log of the checkpoint"
            require(is_included(seq, self.size, leaf_hash(data), proof, self.root), words)
            yield seq, Entry(seq, data)

    def check_segment(
        self,
        line: dict[str, Any],
        document: Document,
        proven: dict[int, Entry],
        start: int,
        end: int,
    ) -> None:
        entry = proven[line["entry"]]
        require(entry.kind == "index", f"entry {entry.seq} is no index")
        count, root = entry.body["documents"], bytes.fromhex(entry.body["root"])
        segment = f"between {start} and {end}"
        about = [each["document"] for each in line["documents"]]
        require(
            about == list(document.chunks),
            f"what is said of entries {segment} is about another document",
        )
        said: dict[int, dict[int, int]] = {}
        for each in line["documents"]:
            mentions = [(seq, how) for seq, how in each["mentions"]]
            if "place" in each:
                digest = sha256(b"".join(MENTION.pack(*pair) for pair in mentions)).hexdigest()
                shown = each["digest"] == digest and is_present(each, count, root)
            else:
                shown = not mentions and is_absent(each, count, root)
            require(shown, f"entries {segment} have other mentions of the document than these")
            for seq, how in mentions:
                require(start <= seq < end, f"entry {seq} is not {segment}")
                said.setdefault(seq, {})[each["document"]] = how
        for seq, how in sorted(said.items()):
            words = f"entry {seq} does not mention the document as the index says"
            require(document.take(proven[seq]) == how, words)

    def tell(self, document: Document) -> None:
        names: dict[str, str] = self.read("names.json")["responses"]
        limit = " of those that are shown" if self.pruned else ""
        self.words.append(
            f"{len(document.first)} responses had the document, and no others{limit}:"
        )
        for reference, time_us in document.first.items():
            called = names.get(reference.hex(), reference.hex())
            self.words.append(f"  {moment(time_us)}  {called}  {GRADES[document.rank[reference]]}")
        if document.made:
            made = ", ".join(map(str, sorted(document.made)))
            self.words.append(
                f"Documents made from it, bound by entries {made}: their responses are NOT listed."
            )

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text("utf-8"))

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        require(Path(name).name == name, "a bundle names no file outside of it")
        with (self.folder / name).open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def is_present(said: dict[str, Any], count: int, root: bytes) -> bool:
    leaf = leaf_hash(LEAF.pack(said["document"], bytes.fromhex(said["digest"])))
    proof = [bytes.fromhex(value) for value in said["hashes"]]
    return is_included(said["place"], count, leaf, proof, root)


def is_absent(said: dict[str, Any], count: int, root: bytes) -> bool:
    """Whether those beside where a document would be stand next to each other."""
    before, after, document = said["before"], said["after"], said["document"]
    if not count:
        return root == sha256().digest()
    first = before["place"] + 1 if before else 0
    return (
        first == (after["place"] if after else count)
        and all(is_present(each, count, root) for each in (before, after) if each)
        and (not before or before["document"] < document)
        and (not after or after["document"] > document)
    )


def moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="seconds")


def say(text: str) -> None:
    shown = "".join(each if each.isprintable() else "\ufffd" for each in text)
    sys.stdout.write(f"{shown}\n")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check a bundle of evidence from a doctrail ledger."
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--key", help="the log's key, as you got it from somebody you trust")
    parser.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="one that you kept"
    )
    options = parser.parse_args(words)
    try:
        verification = Verification(options.folder, options.key)
        verification.run([path.read_text("utf-8") for path in options.checkpoint])
    except Broken as error:
        say(f"BROKEN: {error}.")
        return 1
    except (OSError, LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
        say(f"BROKEN: the bundle cannot be read: {type(error).__name__}: {error}")
        return 2
    for each in verification.words:
        say(each)
    if options.key is None:
        say("The key is the bundle's own: compare it with the one that you were given before.")
    say(
        "Nothing here contradicts the evidence. An answer that was never recorded is not missed by it; times are those of"
        " the recording machine's clock; what references stand for is as the bundle says."
    )
    return 0 if verification.compared else 1


if __name__ == "__main__":
    sys.exit(main())
