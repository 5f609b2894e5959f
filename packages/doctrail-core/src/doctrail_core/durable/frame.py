"""How a record lies in a spool file: a mark, its length, a checksum, its exact bytes.

Payloads are UTF-8 text, in which the mark's first byte never occurs; so wherever a mark with a right
checksum is found, a record begins, whatever came before it and whatever a text says.
"""

import struct
import zlib
from dataclasses import dataclass, field

__all__ = ["Scan", "frame", "scan"]

_MARK = b"\xff\xd7"
_HEADER = struct.Struct("<2sII")


@dataclass(slots=True)
class Scan:
    """What a piece of a spool file holds.

    Attributes:
        records: Each whole record's payload, with the offset at which it ends.
        damaged: Offsets `[start, end)` of bytes that lie before a whole record and are none.
        consumed: Where the last whole record ends; what follows is not decided yet.
        torn: Whether what follows looks like a record of which the rest is missing.
    """

    records: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    damaged: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    consumed: int = 0
    torn: bool = False


def frame(payload: bytes) -> bytes:
    """The record of a payload.

    Raises:
        ValueError: The payload is not UTF-8 text.
    """
    if _MARK[:1] in payload:
        raise ValueError("a record holds UTF-8 text; this has a byte that no UTF-8 text has")
    return _HEADER.pack(_MARK, len(payload), _checksum(payload)) + payload


def scan(data: bytes) -> Scan:
    """Read the records of a spool file, stepping over damage to the next whole one."""
    found = Scan()
    start = 0
    while (start := _next_record(data, found.consumed)) >= 0:
        if start > found.consumed:
            found.damaged.append((found.consumed, start))
        end = _end(data, start)
        found.records.append((end, data[start + _HEADER.size : end]))
        found.consumed = end
    found.torn = _is_torn(
        data[found.consumed : found.consumed + _HEADER.size], len(data) - found.consumed
    )
    return found


def _next_record(data: bytes, start: int) -> int:
    while (start := data.find(_MARK, start)) >= 0:
        if _is_whole(data, start):
            return start
        start += 1
    return -1


def _is_whole(data: bytes, start: int) -> bool:
    if start + _HEADER.size > len(data):
        return False
    _, size, checksum = _HEADER.unpack_from(data, start)
    end = start + _HEADER.size + size
    return end <= len(data) and _checksum(memoryview(data)[start + _HEADER.size : end]) == checksum


def _end(data: bytes, start: int) -> int:
    return start + _HEADER.size + _HEADER.unpack_from(data, start)[1]


def _checksum(payload: bytes | memoryview) -> int:
    # Begun with the length, to protect that too; plus one, so that zeroes are never a record.
    return zlib.crc32(payload, len(payload) + 1)


def _is_torn(head: bytes, available: int) -> bool:
    if len(head) < _HEADER.size:
        return head != b"" and _MARK.startswith(head[:2])
    mark, size, _ = _HEADER.unpack(head)
    return mark == _MARK and available < _HEADER.size + size
