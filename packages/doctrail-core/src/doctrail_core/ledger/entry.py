"""One entry of the ledger and its exact bytes: a leaf of the log's tree. It names nothing from outside.

A header of fixed width, then a tail. The tail of what is said about a response is a row of numbers
(unsigned LEB128), because there are many of them; that of any other kind is canonical JSON. The bytes are made once,
stored as they are, and never made again from the parts. Chunks and names stand as the place (`seq`) of the entry
that binds them; what they are called outside is kept apart (`names`), so that it can be erased.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from doctrail_core.model import Status

__all__ = [
    "CODES",
    "HEADER",
    "KINDS",
    "NOBODY",
    "STATUSES",
    "VERSION",
    "ChunkUse",
    "Entry",
    "EntryError",
    "Header",
    "Whose",
    "decode",
    "encode",
    "header",
    "kind_of",
    "whose",
]

VERSION = 1

HEADER = struct.Struct(">BB16sQII")
"""Version, kind, response reference, time in microseconds since the epoch, writer, the writer's counter."""

NOBODY = bytes(16)
"""The response reference of an entry that is about no response."""

KINDS: Mapping[int, str] = MappingProxyType(
    {
        1: "retrieved",
        2: "answered",
        3: "assessed",
        4: "diagnosed",
        16: "document",
        17: "chunk",
        18: "name",
        19: "derived",
        32: "heartbeat",
        33: "index",
        34: "erased",
        35: "retained",
        36: "held",
        37: "flagged",
        38: "reviewed",
        39: "lost",
        40: "configured",
        41: "access",
        42: "reused",
        43: "pruned",
    }
)
"""What an entry says, by its code; below 16 it is about a response and its tail is packed."""

CODES: Mapping[str, int] = MappingProxyType({name: code for code, name in KINDS.items()})

STATUSES: tuple[Status, ...] = get_args(Status)

_PACKED = 16
_STATUS, _TRACE, _QUERY, _ANSWER, _SESSION, _USER, _COVERS, _BODY = 3, 4, 8, 16, 32, 64, 128, 256
_GRADE, _INDIRECT, _CARRIED = 3, 4, 8
_TAG_BYTES, _COMMITMENT_BYTES = 16, 32
_FIXED = (
    (_TRACE, "trace", _TAG_BYTES),
    (_QUERY, "query_tag", _TAG_BYTES),
    (_ANSWER, "answer_commitment", _COMMITMENT_BYTES),
)
_ALL_FIXED = _TRACE | _QUERY | _ANSWER
_FIXED_BYTES = {
    flags: sum(size for flag, _, size in _FIXED if flags & flag) for flags in range(_ALL_FIXED + 1)
}
_ANSWERED = 2
_SEVEN_BITS, _MORE = 127, 128
_LONGEST_NUMBER = 10  # bytes of 64 bits, seven at a time


class EntryError(ValueError):
    """Bytes that are no entry of a version this doctrail knows."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands at the beginning of every entry."""

    kind: str
    response: bytes | None
    time_us: int
    writer: int
    counter: int


class Whose(NamedTuple):
    """Of an entry about a response: which one, when, in which session, of whom, in which trace."""

    response: bytes
    time_us: int
    session: int | None
    user: int | None
    trace: bytes | None
    more_may_follow: bool


@dataclass(frozen=True, slots=True)
class ChunkUse:
    """That a response had a chunk.

    Attributes:
        chunk: The place of the entry that binds it.
        rank: Of the grade that it reached, 0 (retrieved) to 3 (cited).
        indirect: It reached the answer through a sub-agent, a tool or an earlier turn alone.
        carried: An earlier turn brought it.
    """

    chunk: int
    rank: int
    indirect: bool = False
    carried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry, read.

    Attributes:
        response: The reference of the response that it is about, 16 bytes.
        time_us: When it was so, in microseconds since the epoch; of a response, when it was first on record.
        writer: The number of the process that wrote its record; 0 is the sequencer.
        counter: Of the writer's record.
        covers: Counters of further records that it says all of: those of before the model was called.
        duration_us: From `time_us` to when the response was complete.
        query_tag: 16 bytes, keyed: equal questions of one user have equal ones.
        answer_commitment: 32 bytes, keyed: whoever has key and answer can tell that this was the answer.
        session: The place of the entry that binds the name; so with `user`, `models` and the rest.
        body: What a kind without a packed tail says; of a check or a diagnosis, its result.
    """

    kind: str
    time_us: int
    writer: int = 0
    counter: int = 0
    response: bytes | None = None
    covers: tuple[int, ...] = ()
    duration_us: int = 0
    status: Status = "ok"
    chunks: tuple[ChunkUse, ...] = ()
    trace: bytes | None = None
    query_tag: bytes | None = None
    answer_commitment: bytes | None = None
    session: int | None = None
    user: int | None = None
    models: tuple[int, ...] = ()
    framework: int | None = None
    service: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seq: int = -1


def encode(entry: Entry) -> bytes:
    """The entry's bytes.

    Raises:
        KeyError: There is no such kind.
    """
    code = CODES[entry.kind]
    time_us = max(0, entry.time_us)
    head = HEADER.pack(
        VERSION, code, entry.response or NOBODY, time_us, entry.writer, entry.counter
    )
    return head + (_packed(entry) if code < _PACKED else _json(entry.body))


def header(data: bytes) -> Header:
    """The beginning of an entry's bytes.

    Raises:
        EntryError: They are none.
    """
    try:
        version, code, response, time_us, writer, counter = HEADER.unpack_from(data)
        kind = KINDS[code]
    except (struct.error, KeyError) as error:
        raise EntryError("these bytes are no ledger entry that this doctrail knows") from error
    if version != VERSION:
        raise EntryError(
            f"a ledger entry of version {version}, this doctrail knows {VERSION}: upgrade"
        )
    return Header(kind, None if response == NOBODY else response, time_us, writer, counter)


def kind_of(data: bytes) -> str:
    """What an entry's bytes say, by their second one."""
    return KINDS[data[1]]


def whose(data: bytes) -> Whose:
    """Of an entry about a response, whose it was: a few times quicker than to read all of it."""
    _, code, response, time_us, _, _counter = HEADER.unpack_from(data)
    if code >= _PACKED:  # an event was the first that was told of it
        return Whose(response, time_us, None, None, None, more_may_follow=True)
    flags, at = _number(data, HEADER.size)
    trace = data[at : at + _TAG_BYTES] if flags & _TRACE else None
    at += _FIXED_BYTES[flags & _ALL_FIXED]
    if flags & _COVERS:
        _, at = _counted(data, at)
    session = user = None
    if flags & _SESSION:
        session, at = _number(data, at)
    if flags & _USER:
        user, at = _number(data, at)
    return Whose(response, time_us, session, user, trace, code != _ANSWERED)


def covered(data: bytes) -> tuple[int, ...]:
    """The counters of the further records that an entry says all of, without reading the rest of it.

    Raises:
        EntryError: They cannot be read.
    """
    if data[1] >= _PACKED or data[HEADER.size :][:1] < bytes([_MORE]):
        return ()
    try:
        flags, at = _number(data, HEADER.size)
        if not flags & _COVERS:
            return ()
        at += _FIXED_BYTES[flags & _ALL_FIXED]
        distances, _ = _counted(data, at)
    except (IndexError, ValueError) as error:
        raise EntryError("the beginning of an entry's tail cannot be read") from error
    counter: int = HEADER.unpack_from(data)[-1]
    return tuple(counter - distance for distance in distances)


def decode(data: bytes, seq: int = -1) -> Entry:
    """The entry of these bytes.

    Raises:
        EntryError: They are none.
    """
    head = header(data)
    try:
        packed = CODES[head.kind] < _PACKED
        said = (
            _unpacked(data, head.counter) if packed else {"body": json.loads(data[HEADER.size :])}
        )
    except (IndexError, ValueError) as error:
        raise EntryError(f"the tail of a {head.kind} entry cannot be read") from error
    return Entry(
        kind=head.kind,
        response=head.response,
        time_us=head.time_us,
        writer=head.writer,
        counter=head.counter,
        seq=seq,
        **said,
    )


def _packed(entry: Entry) -> bytes:
    flags = STATUSES.index(entry.status)
    fixed = b""
    for flag, value in (
        (_TRACE, entry.trace),
        (_QUERY, entry.query_tag),
        (_ANSWER, entry.answer_commitment),
    ):
        if value is not None:
            flags |= flag
            fixed += value
    numbers: list[int] = []
    if entry.covers:
        flags |= _COVERS
        numbers += [len(entry.covers), *(entry.counter - counter for counter in entry.covers)]
    for flag, name in ((_SESSION, entry.session), (_USER, entry.user)):
        if name is not None:
            flags |= flag
            numbers.append(name)
    body = _json(entry.body) if entry.body else b""
    flags |= _BODY if body else 0
    numbers += [entry.duration_us, len(entry.models), *entry.models]
    # No name is bound by the first entry of a log, so 0 is nobody's place.
    numbers += [entry.framework or 0, entry.service or 0, len(entry.chunks)]
    for use in entry.chunks:
        how = use.rank | (_INDIRECT if use.indirect else 0) | (_CARRIED if use.carried else 0)
        numbers += [use.chunk, how]
    return _numbers([flags]) + fixed + _numbers(numbers) + body


def _unpacked(data: bytes, counter: int) -> dict[str, Any]:
    flags, at = _number(data, HEADER.size)
    found: dict[str, Any] = {"status": STATUSES[flags & _STATUS]}
    for flag, field_name, size in _FIXED:
        if flags & flag:
            found[field_name] = data[at : at + size]
            at += size
    if flags & _COVERS:
        distances, at = _counted(data, at)
        found["covers"] = tuple(counter - distance for distance in distances)
    for flag, field_name in ((_SESSION, "session"), (_USER, "user")):
        if flags & flag:
            found[field_name], at = _number(data, at)
    found["duration_us"], at = _number(data, at)
    found["models"], at = _counted(data, at)
    framework, at = _number(data, at)
    service, at = _number(data, at)
    found["framework"], found["service"] = framework or None, service or None
    found["chunks"], at = _uses(data, at)
    if flags & _BODY:
        found["body"] = json.loads(data[at:])
    elif at != len(data):
        raise ValueError("something follows an entry's end")
    return found


def _uses(data: bytes, at: int) -> tuple[tuple[ChunkUse, ...], int]:
    count, at = _number(data, at)
    uses: list[ChunkUse] = []
    for _ in range(count):
        chunk, at = _number(data, at)
        how, at = _number(data, at)
        uses.append(ChunkUse(chunk, how & _GRADE, bool(how & _INDIRECT), bool(how & _CARRIED)))
    return tuple(uses), at


def _counted(data: bytes, at: int) -> tuple[tuple[int, ...], int]:
    count, at = _number(data, at)
    found: list[int] = []
    for _ in range(count):
        number, at = _number(data, at)
        found.append(number)
    return tuple(found), at


def _numbers(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > _SEVEN_BITS:
            out.append(rest & _SEVEN_BITS | _MORE)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _number(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte <= _SEVEN_BITS:
        return byte, at + 1
    number, shift, first = byte & _SEVEN_BITS, 7, at
    while byte > _SEVEN_BITS:
        at += 1
        if at - first >= _LONGEST_NUMBER:
            raise ValueError("a number without an end")
        byte = data[at]
        number |= (byte & _SEVEN_BITS) << shift
        shift += 7
    return number, at + 1


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _json(body: Mapping[str, Any]) -> bytes:
    return _canonical.encode(body).encode()
