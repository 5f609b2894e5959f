"""`doctrail pathologies`: how often answers came by their evidence in a wrong or wasteful way."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.installation import trails_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctrail_core import Trail
    from doctrail_core.graph import Tally
    from doctrail_core.trails.store import TrailReading

NAME = "pathologies"
SUMMARY = "what goes wrong with evidence, counted over the answers on record"
DESCRIPTION = """\
Counts over the answers on record: searches that asked anew and found the same, storms of tool calls,
prompts full of what no answer used, searches that found nothing, and chunks paid for again and again.
`doctrail why RESPONSE` tells those of one answer."""
EXAMPLE = "doctrail pathologies --session 4711 --from 2026-11-22"

_HEADER = ("pathology", "answers", "not checked", "findings", "for example")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--session", metavar="ID", help="of this conversation")
    times.add_range(parser)


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail.listing import show_list
    from doctrail_core.graph import tallied

    times.check_range(options)
    with trails_of(options, terminal) as trails:
        tallies = tallied(_trails(trails, options, terminal))
    if not tallies[0].of:
        terminal.complain(
            "no answer on record is like this; `doctrail responses` lists all there are"
        )
        return exit_codes.NOTHING
    show_list(terminal, options, tallies, _HEADER, _row)
    return exit_codes.OK


def _trails(trails: "TrailReading", options: Namespace, terminal: Terminal) -> "Iterator[Trail]":
    """One after the other: there may be more than fit into memory."""
    from doctrail_core.durable.errors import StoreError

    unreadable = 0
    for summary in trails.responses(
        session_id=options.session, since=options.since, until=options.until
    ):
        try:
            trail = trails.get(summary.response_id)
        except StoreError:
            unreadable += 1
            continue
        if trail is not None:
            yield trail
    if unreadable:
        terminal.complain(
            f"not counted: {unreadable} that cannot be read; `doctrail why RESPONSE` says why"
        )


def _row(tally: "Tally") -> list[str]:
    from doctrail_core.model.printable import one_line

    return [
        tally.kind.replace("_", " "),
        f"{tally.responses:,} of {tally.of:,}",
        f"{tally.not_checked:,}" if tally.not_checked else "-",
        f"{tally.count:,}" if tally.count else "-",
        ", ".join(one_line(i, 40) for i in tally.examples) or "-",
    ]
