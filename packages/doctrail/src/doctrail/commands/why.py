"""`doctrail why`: where an answer came from."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.errors import UsageError
from doctrail.installation import ledger_of, trails_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail_core import Trail
    from doctrail_core.ledger.entry import LedgerEntry
    from doctrail_core.trails.store import TrailSummary

NAME = "why"
SUMMARY = "where an answer came from"
DESCRIPTION = """\
Where an answer came from: what was retrieved, what of it the model read, the documents behind it, and
what could not be seen. RESPONSE is a response id or its beginning (8 characters or more), a trace id, a
message id, or a phrase of the question or the answer."""
EXAMPLE = "doctrail why 'renewal deadline'"

_MOST = 20


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("response", metavar="RESPONSE", help="an id, or a phrase in quotes")
    parser.add_argument("--full", action="store_true", help="show texts, prompts and ids uncut")


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.durable.errors import NothingRecordedError

    if not options.response.strip():
        raise UsageError("RESPONSE is empty; give an id, or words of the question or the answer")
    try:
        with trails_of(options, terminal) as trails:
            found = trails.find(options.response, limit=_MOST + 1)
            if len(found) == 1:
                trail = trails.get(found[0].response_id)
                if trail is not None:
                    return _tell(trail, options, terminal)
    except NothingRecordedError:
        if _told_by_ledger(options, terminal):
            return exit_codes.NOTHING
        raise
    if found:
        return _ask_back(found, options, terminal)
    if not _told_by_ledger(options, terminal):
        _complain_of_nothing(options, terminal)
    return exit_codes.NOTHING


def _told_by_ledger(options: Namespace, terminal: Terminal) -> bool:
    """Whether the ledger knows the response: it does before there is a trail, and for longer."""
    from doctrail_core.durable.errors import NothingRecordedError

    try:
        with ledger_of(options, terminal) as ledger:
            entries = ledger.entries_of(options.response)
    except NothingRecordedError:
        return False
    if entries:
        _complain_of_no_trail(entries[-1], terminal)
    return bool(entries)


def _complain_of_no_trail(entry: "LedgerEntry", terminal: Terminal) -> None:
    from datetime import datetime

    from doctrail_core.model.wording import few, moment

    when = moment(datetime.fromisoformat(entry.timestamp))
    known = (
        f"was complete at {when} ({entry.status}), but its trail is not kept"
        if entry.kind == "answered"
        else f"has no trail: its sources were retrieved at {when}; it still runs, or its process died"
    )
    terminal.complain(
        f"response {entry.response_id} {known}. The ledger names its documents:"
        f" {few(entry.document_ids) or 'none'}. `doctrail affected --document ID` tells how deeply each was involved."
    )


def _tell(trail: "Trail", options: Namespace, terminal: Terminal) -> int:
    from doctrail.forms import trail_form
    from doctrail_core.model.why import explain

    if options.json:
        terminal.data(trail_form(trail))
    else:
        terminal.say(explain(trail, full=options.full).rstrip("\n"))
    return exit_codes.OK


def _ask_back(found: "Sequence[TrailSummary]", options: Namespace, terminal: Terminal) -> int:
    from doctrail.commands.responses import show_responses

    show_responses(found[:_MOST], options, terminal)
    number = str(len(found)) if len(found) <= _MOST else f"more than {_MOST}"
    terminal.complain(
        f"{number} answers match {options.response!r}. Name one by its id:"
        f" doctrail why {found[0].response_id}"
    )
    return exit_codes.NOTHING


def _complain_of_nothing(options: Namespace, terminal: Terminal) -> None:
    terminal.complain(
        f"no answer on record matches {options.response!r}, as an id or as words of a question or answer."
        " `doctrail responses` lists what there is."
    )
