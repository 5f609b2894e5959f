"""`doctrail show`: a document as answers got it, chunk by chunk."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.installation import trails_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core.trails.store import ChunkUse

NAME = "show"
SUMMARY = "a document's chunks, and which answers got them"
DESCRIPTION = """\
A document's chunks as they were retrieved, and for each the answers that got it. The id must be exact.
Chunks that no answer ever got are not on record."""
EXAMPLE = "doctrail show policy_2023"

_FEW = 5


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("document", metavar="DOCUMENT", help="the document's whole id")
    parser.add_argument("--full", action="store_true", help="show texts uncut, and every answer")


def run(options: Namespace, terminal: Terminal) -> int:
    with trails_of(options, terminal) as trails:
        chunks = list(_by_chunk(trails.chunks_of(options.document)))
    for chunk, uses in chunks:
        if options.json:
            terminal.data(_form(chunk, uses))
        else:
            terminal.say("\n".join(_lines(chunk, uses, full=options.full)))
    if chunks:
        return exit_codes.OK
    terminal.complain(
        f"no chunk of document {options.document!r} is on record. Ids must be exact: doc_4 is not doc_42."
        " `doctrail responses` and `doctrail why RESPONSE` show the ids that are."
    )
    return exit_codes.NOTHING


def _by_chunk(uses: "Iterator[ChunkUse]") -> "Iterator[tuple[ChunkUse, list[ChunkUse]]]":
    from dataclasses import replace

    for _, group in groupby(uses, lambda use: (use.chunk_id, use.content_hash)):
        first, *others = group
        yield first, [first, *(replace(use, text=None) for use in others)]  # one text is enough


def _form(chunk: "ChunkUse", uses: "list[ChunkUse]") -> dict[str, object]:
    return {
        "document_id": chunk.document_id,
        "chunk_id": chunk.chunk_id,
        "index": chunk.index,
        "content_hash": chunk.content_hash,
        "source": chunk.source,
        "text": chunk.text,
        "responses": [
            {
                "response_id": use.response_id,
                "time": use.time,
                "grade": use.grade,
                "involvement": use.involvement,
            }
            for use in uses
        ],
    }


def _lines(chunk: "ChunkUse", uses: "list[ChunkUse]", *, full: bool) -> Iterator[str]:
    from doctrail_core.model.printable import columns, one_line
    from doctrail_core.model.wording import grade, moment

    yield _title(chunk)
    yield from _text(chunk.text, full=full)
    shown = uses if full else uses[:_FEW]
    rows = [[moment(u.time), grade(u.grade, u.involvement), one_line(u.response_id)] for u in shown]
    yield from (f"    {line}" for line in columns(rows))
    if len(shown) < len(uses):
        yield f"    ... and {len(uses) - len(shown)} more answers (--full)"


def _title(chunk: "ChunkUse") -> str:
    from doctrail_core.model.printable import one_line

    number = "Chunk" if chunk.index is None else f"Chunk {chunk.index}"
    source = f", from {one_line(chunk.source, 60)}" if chunk.source else ""
    return f"{number} ({one_line(chunk.chunk_id, 80)}){source}"


def _text(text: str | None, *, full: bool) -> Iterator[str]:
    from doctrail_core.model.printable import one_line, paragraphs

    if text is None:
        yield "  (text not kept)"
    elif full:
        yield from (f"  {line}" for line in paragraphs(text))
    else:
        yield f"  {one_line(text, 96)}"
