"""How to interpret this log: a document for whoever has to read it, made from what the code itself goes by.

Layout, kinds and flags are asked of the code that writes entries, so that the document says what is so and not what
was so once. It names no user, session, document or chunk.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from itertools import accumulate
from re import findall
from typing import TYPE_CHECKING

from doctrail_core.audit.anchors import failing
from doctrail_core.audit.anchors.configured import configured
from doctrail_core.audit.folder import AuditFolder
from doctrail_core.audit.tiers import TIERS
from doctrail_core.durable.columns import grade_of_rank, moment
from doctrail_core.ledger import record
from doctrail_core.ledger.entry import (
    CODES,
    HEADER,
    KINDS,
    STATUSES,
    VERSION,
    ChunkUse,
    Entry,
    encode,
    header,
)
from doctrail_core.model import GRADES
from doctrail_core.model.printable import printable

if TYPE_CHECKING:
    from doctrail_core.capture.settings import Settings
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["HEADER_FIELDS", "MEANINGS", "interpretation"]

HEADER_FIELDS: tuple[tuple[str, str], ...] = (
    ("version", "of this form"),
    ("kind", "what the entry says; see below"),
    (
        "response",
        "which response it is about: the UUID that is its id, else a keyed tag of its id; zeros for none",
    ),
    ("time", "microseconds since 1970-01-01 UTC, by the clock of the machine that recorded it"),
    ("writer", "which process recorded it; 0 is the one that puts entries in order"),
    (
        "counter",
        "numbers the records of a writer from 0, without a gap: a gap is a record that was lost",
    ),
)

MEANINGS: Mapping[str, str] = {
    "retrieved": "these chunks were retrieved for this response; recorded before a model was called",
    "answered": "the response is complete: how it ended, and how deeply each chunk was involved; it may stand for its own `retrieved`",
    "assessed": "a verifier checked the answer; the chunks are those that support a claim of it or are cited",
    "diagnosed": "whose fault a wrong answer was found to be, and by whom",
    "document": "binds a document: from here on, this place in the log stands for it",
    "chunk": "binds one version of a chunk, and a keyed commitment to its text",
    "name": "binds another name: of a user, a session, a source, a version, a model, a service, a framework, a writer",
    "derived": "this document was made from those",
    "heartbeat": "nothing else happened: the log was alive",
    "index": "commits to which documents the responses of a segment of the log had, so that absence can be proved",
    "erased": "names and keys were destroyed, and why",
    "retained": "a retention run: what was due, and what was kept",
    "held": "a legal hold was set or lifted",
    "flagged": "this response is to be reviewed, and because of what",
    "reviewed": "somebody decided about a flag",
    "lost": "records could not be written, and how many",
    "configured": "what the recording was set to from here on",
    "access": "a policy allowed or denied chunks to a principal",
    "reused": "this response gave the answer of another one again",
    "pruned": "the bytes of old entries were removed; the hashes of their groups stay",
}

_TAIL = (
    ("trace", {"trace": bytes(16)}, "16 bytes follow: the id of the OpenTelemetry trace"),
    (
        "query tag",
        {"query_tag": bytes(16)},
        "16 bytes follow: a keyed tag of the question, equal for equal questions",
    ),
    (
        "answer",
        {"answer_commitment": bytes(32)},
        "32 bytes follow: a keyed commitment to the answer",
    ),
    (
        "covers",
        {"covers": (0,), "counter": 1},
        "numbers follow: how many records this entry stands for besides its own, then for each its distance back from the counter",
    ),
    ("session", {"session": 1}, "a number follows: the place that binds the session's name"),
    ("user", {"user": 1}, "a number follows: the place that binds the user's name"),
    ("body", {"body": {"x": 1}}, "JSON follows at the end: the result of a check or a diagnosis"),
)


def interpretation(
    log: "LedgerReader", home: "Home", settings: "Settings", *, now: datetime | None = None
) -> str:
    """The document, in Markdown.

    Raises:
        AnchorError: The anchors' configuration makes no sense.
        StoreError: The log or what belongs to it cannot be read.
    """
    seen = _Seen.of(log)
    when = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    parts: list[Iterable[str]] = [
        ["# How to interpret this log", "", f"Written {when} by doctrail-core {_release()}."],
        _what(log, seen),
        _layout(),
        _tail(),
        _kinds(seen),
        _names(),
        _settings(settings),
        _checkpoints(home),
        _tiers(home),
        _operations(log, seen),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


@dataclass(slots=True)
class _Seen:
    """What one pass over the entries shows: of each kind how many, when first and when last; and by how many writers."""

    kinds: dict[str, tuple[int, int, int]]
    writers: set[int]
    stored: int

    @classmethod
    def of(cls, log: "LedgerReader") -> "_Seen":
        seen = cls({}, set(), 0)
        for _, body in log.bodies():
            known = header(body)
            time = known.time_us
            count, first, last = seen.kinds.get(known.kind, (0, time, time))
            seen.kinds[known.kind] = (count + 1, min(first, time), max(last, time))
            seen.writers.add(known.writer)
            seen.stored += 1
        return seen


def _what(log: "LedgerReader", seen: _Seen) -> Iterator[str]:
    size = log.size()
    yield (
        "This log says which chunks of which documents went into which response of an application, and what was found"
        " out about responses later. It holds no text. Entries are only ever added; each is a leaf of one Merkle tree"
        " (RFC 9162), whose leaf hash is SHA-256 of a zero byte and the entry's exact bytes."
    )
    yield ""
    yield from _table(
        ("what", "of this log"),
        (
            ("entries", f"{size:,}"),
            (
                "of those stored",
                f"{seen.stored:,}; the bytes of {size - seen.stored:,} were pruned",
            ),
            ("root", log.root().hex()),
            ("writers", f"{len(seen.writers - {0}):,} processes"),
            ("form of entries", f"version {VERSION}"),
            ("form of records on their way here", f"version {record.VERSION}"),
        ),
    )


def _layout() -> Iterator[str]:
    codes = findall(r"\d*[a-zA-Z]", HEADER.format)
    sizes = [struct.calcsize(f">{code}") for code in codes]
    offsets = accumulate(sizes, initial=0)
    yield from ("## The bytes of an entry", "")
    yield f"Every entry begins with these {HEADER.size} bytes; numbers are unsigned, the most significant byte first."
    yield ""
    rows = [
        (str(offset), str(size), name, meaning)
        for offset, size, (name, meaning) in zip(offsets, sizes, HEADER_FIELDS, strict=False)
    ]
    yield from _table(("offset", "bytes", "field", "meaning"), rows)


def _tail() -> Iterator[str]:
    packed = [kind for code, kind in KINDS.items() if _is_packed(code)]
    yield from ("## What follows", "")
    yield (
        f"Of kinds {_listed(packed)}, numbers follow: unsigned LEB128, seven bits a byte, the least significant first. Of all"
        " other kinds, JSON follows: UTF-8, keys sorted, no spaces."
    )
    yield ""
    yield (
        "The first number holds flags. Its two lowest bits say how the response ended:"
        f" {_listed(f'{n} {status}' for n, status in enumerate(STATUSES))}. The others, where they are set, say what"
        " follows: first all that has a number of bytes, in this order, then the numbers:"
    )
    yield ""
    rows = [(str(_flag_of(given)), name, meaning) for name, given, meaning in _TAIL]
    yield from _table(("flag", "name", "meaning"), rows)
    yield ""
    yield (
        "Then, whatever the flags say: microseconds until the response was complete; how many models were asked, and the places"
        " that bind their names; the places that bind the framework and the service, 0 for none; how many chunks there"
        " are, and for each the place that binds it and how it was involved:"
    )
    yield ""
    yield from _table(("bits", "meaning"), _uses())


def _uses() -> Iterator[tuple[str, str]]:
    plain = _last_byte(ChunkUse(0, 0))
    for rank in range(len(GRADES)):
        yield (
            str(_last_byte(ChunkUse(0, rank)) - plain),
            f"reached the grade `{grade_of_rank(rank)}`",
        )
    yield (
        str(_last_byte(ChunkUse(0, 0, indirect=True)) - plain),
        "added: it came by a sub-agent, a tool or an earlier turn alone",
    )
    yield str(_last_byte(ChunkUse(0, 0, carried=True)) - plain), "added: an earlier turn brought it"


def _kinds(seen: _Seen) -> Iterator[str]:
    yield from ("## Kinds of entries", "")
    rows: list[tuple[str, ...]] = []
    for code, kind in KINDS.items():
        count, first, last = seen.kinds.get(kind, (0, 0, 0))
        times = (_time(first), _time(last)) if count else ("", "")
        rows.append((str(code), kind, f"{count:,}", *times, MEANINGS[kind]))
    yield from _table(("code", "kind", "here", "first", "last", "meaning"), rows)


def _names() -> Iterator[str]:
    yield from ("## Names", "")
    yield (
        "No entry holds the id of a document, a chunk, a user or a session. An entry of kind `document`, `chunk` or `name`"
        " binds one: its place in the log stands for it from then on. The id itself lies beside the log, encrypted under"
        " a key of its owner, and is found by a keyed tag. Where the key was destroyed, the entry stays and stands for"
        " something that nobody can name any more; proofs are not affected. Whoever still has the id can have it looked up by its"
        " tag, as long as that is kept."
    )


def _settings(settings: "Settings") -> Iterator[str]:
    yield from (
        "## Settings",
        "",
        "As this document was written; what they were before, entries of kind `configured` say.",
        "",
    )
    rows = [
        (field.name, _setting(field.name, getattr(settings, field.name), shown=field.repr))
        for field in fields(settings)
        if field.name != "home"
    ]
    yield from _table(("setting", "value"), rows)


def _checkpoints(home: "Home") -> Iterator[str]:
    yield from ("## Checkpoints", "")
    folder = AuditFolder(home)
    if not folder.exists():
        yield "Nothing signs this log. `doctrail audit init` makes a key; until then there is nothing to hold it against."
        return
    config, latest = folder.config(), folder.latest()
    yield "A checkpoint is a signed note (c2sp.org/tlog-checkpoint): origin, size and root of the log, and the signature."
    yield ""
    yield from _table(
        ("what", "of this log"),
        (
            ("origin", config.origin),
            ("key", str(config.key)),
            ("SHA-256 of the public key", sha256(config.key.public).hexdigest()),
            ("signed every", f"{config.interval:g} s"),
            (
                "latest",
                f"{latest[0].size:,} entries, root {latest[0].root.hex()}" if latest else "none",
            ),
        ),
    )


def _tiers(home: "Home") -> Iterator[str]:
    yield from ("## What it proves, and to whom", "")
    rows = [(t.name, t.called, t.needs, t.proves, t.leaves) for t in TIERS]
    yield from _table(("tier", "may be called", "needs", "proves", "leaves open"), rows)
    yield ""
    anchors = configured(home)
    if not anchors:
        yield "No anchor is configured here: without checkpoints that somebody took away by hand, this is T0."
        return
    failed = {failure.anchor: failure for failure in failing(home)}
    yield "Anchors that are configured here. Whether they are in somebody else's hands, this document cannot tell."
    yield ""
    yield from _table(
        ("anchor", "kind", "last receipt", "state"),
        (
            (
                each.anchor.name,
                each.anchor.kind,
                last.time.isoformat(timespec="seconds")
                if (last := each.receipts.last())
                else "none",
                f"fails since {failure.since}"
                if (failure := failed.get(each.anchor.name))
                else "works",
            )
            for each in anchors
        ),
    )


def _operations(log: "LedgerReader", seen: _Seen) -> Iterator[str]:
    """What was done to the log itself: the last entry of each such kind, as it stands there."""
    yield from ("## Policies, retention, holds, erasures and other operations", "")
    pruned = log.size() - seen.stored
    yield f"The bytes of {pruned:,} entries were pruned." if pruned else "No entry was pruned."
    for code, kind in KINDS.items():
        if _is_operation(code) and kind in seen.kinds:
            yield ""
            yield f"`{kind}`: {seen.kinds[kind][0]:,}, of which the last:"
            yield ""
            for entry in _latest(log, kind):
                said = json.dumps(dict(entry.body), sort_keys=True)
                yield f"    entry {entry.seq}, {_time(entry.time_us)}: {said}"


def _latest(log: "LedgerReader", kind: str) -> Iterable[Entry]:
    """The last entry of a kind; of what was configured, that of each thing that can be."""
    found: dict[str, Entry] = {}
    for entry in log.events(kind):
        topic = str(entry.body.get("what") or min(entry.body.keys() - {"by"}, default=""))
        found[topic if kind == "configured" else ""] = entry
    return found.values()


def _is_packed(code: int) -> bool:
    """Whether a kind's tail is numbers: asked of the encoder, which writes JSON for the others."""
    return not encode(Entry(kind=KINDS[code], time_us=0)).endswith(b"{}")


def _is_operation(code: int) -> bool:
    return code >= CODES["heartbeat"]


def _flag_of(given: Mapping[str, object]) -> int:
    """The flag that an entry has because of what is given: asked of the encoder."""
    entry = {"kind": "answered", "time_us": 0}
    return _flags(Entry(**entry | dict(given))) ^ _flags(Entry(**entry))  # pyright: ignore[reportArgumentType]  # fields of it


def _flags(entry: Entry) -> int:
    data = encode(entry)[HEADER.size :]
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004  # the last byte of a number
            break
    return number


def _last_byte(use: ChunkUse) -> int:
    return encode(Entry(kind="answered", time_us=0, chunks=(use,)))[-1]


def _setting(name: str, value: object, *, shown: bool) -> str:
    if name == "database":
        return "PostgreSQL" if value else "SQLite"
    return str(value) if shown else "not shown"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; nothing in a cell ends it."""
    for row in (head, ["---"] * len(head), *rows):
        cells = (printable(cell).replace("\\", "\\\\").replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _time(time_us: int) -> str:
    return moment(time_us).isoformat(timespec="seconds")


def _release() -> str:
    from importlib.metadata import version

    return version("doctrail-core")
