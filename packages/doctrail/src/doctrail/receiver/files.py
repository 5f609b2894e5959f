"""Spans in files: OTLP in JSON and what Phoenix exports, one document a line or one for all.

A line that is neither costs the others nothing.
"""

import gzip
import json
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, cast

from doctrail.receiver.decoding import Decoded, MalformedRequestError
from doctrail.receiver.otlp_json import decode_document
from doctrail.receiver.phoenix import decode_phoenix

__all__ = ["opened", "read"]


@contextmanager
def opened(file: str) -> "Generator[IO[str]]":
    """The lines of a file, which may be compressed.

    Raises:
        MalformedRequestError: Its compressed data is damaged.
        OSError: It cannot be read.
    """
    try:
        with (
            gzip.open(file) if file.endswith(".gz") else Path(file).open("rb") as raw,
            TextIOWrapper(cast("IO[bytes]", raw), encoding="utf-8-sig", errors="replace") as lines,
        ):
            yield lines
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MalformedRequestError(f"{file} is no whole gzip file: {error}") from error


def read(lines: Iterable[str]) -> Iterator[tuple[int, Decoded]]:
    """What each line holds, with its number, from 1; blank ones are left out."""
    told = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    for number, text in _whole(told):
        yield number, _decoded(text)


def _whole(told: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines; if they are one document together, all of them as one."""
    first = next(told, None)
    if first is None:
        return
    if _is_json(first[1]):
        yield from chain([first], told)
        return
    lines = [first, *told]
    document = "".join(text for _, text in lines)
    yield from [(first[0], document)] if _is_json(document) else lines


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _decoded(text: str) -> Decoded:
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        return Decoded(rejected=1, reason="it is no JSON that can be read")
    found = Decoded()
    several = cast("list[object]", document) if isinstance(document, list) else [document]
    for each in several:
        _add(found, each)
    return found


def _add(found: Decoded, document: object) -> None:
    is_otlp = isinstance(document, dict) and "resourceSpans" in document
    decode = decode_document if is_otlp else decode_phoenix
    try:
        found.join(decode(cast("object", document)))
    except MalformedRequestError as error:
        found.join(Decoded(rejected=1, reason=str(error)))
