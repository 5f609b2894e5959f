"""From what somebody typed to the trail that is meant; where it is not one, that is told."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail.errors import UsageError
from doctrail.installation import ledger_of, trails_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail_core import Trail
    from doctrail_core.ledger.entry import Entry
    from doctrail_core.trails.store import TrailSummary

__all__ = ["add_reference", "referred"]

_MOST = 20


def add_reference(parser: ArgumentParser) -> None:
    """Give a command its RESPONSE."""
    parser.add_argument("response", metavar="RESPONSE", help="an id, or a phrase in quotes")


def referred(options: Namespace, terminal: Terminal) -> "Trail | None":
    """The trail of the one response that is meant; else None, after it was said why.

    Raises:
        UsageError: Nothing was typed.
    """
    from doctrail_core.durable.errors import NothingRecordedError

    if not options.response.strip():
        raise UsageError("RESPONSE is empty; give an id, or words of the question or the answer")
    try:
        with trails_of(options, terminal) as trails:
            found = trails.find(options.response, limit=_MOST + 1)
            if len(found) == 1 and (trail := trails.get(found[0].response_id)) is not None:
                return trail
    except NothingRecordedError:
        if not _told_by_ledger(options, terminal):
            raise
        return None
    if found:
        _ask_back(found, options, terminal)
    elif not _told_by_ledger(options, terminal):
        _complain_of_nothing(options, terminal)
    return None


def _told_by_ledger(options: Namespace, terminal: Terminal) -> bool:
    """Whether the ledger knows the response: it does before there is a trail, and for longer."""
    from doctrail_core.durable.errors import NothingRecordedError
    from doctrail_core.erasure.telling import erased_of

    try:
        with ledger_of(options, terminal) as ledger:
            entries = ledger.entries_of(options.response)
            if entries:
                told = (e for e in reversed(entries) if e.kind in ("retrieved", "answered"))
                said = next(told, entries[-1])
                documents = ledger.documents_of(said)
                _complain_of_no_trail(options.response, said, documents, terminal)
                for erased in erased_of(ledger, options.response):
                    terminal.complain(str(erased))
    except NothingRecordedError:
        return False
    return bool(entries)


def _complain_of_no_trail(
    response_id: str, entry: "Entry", documents: "Sequence[str]", terminal: Terminal
) -> None:
    from doctrail_core.durable.columns import moment as at
    from doctrail_core.model.printable import one_line
    from doctrail_core.model.wording import few, moment

    when = moment(at(entry.time_us + entry.duration_us))
    known = (
        f"was complete at {when} ({entry.status}), but its trail is not kept"
        if entry.kind == "answered"
        else f"has no trail: its sources were retrieved at {when}; it still runs, or its process died"
    )
    terminal.complain(
        f"response {one_line(response_id)} {known}. The ledger names its documents:"
        f" {few(documents) or 'none'}. `doctrail affected --document ID` tells how deeply each was involved."
    )


def _ask_back(found: "Sequence[TrailSummary]", options: Namespace, terminal: Terminal) -> None:
    from doctrail.commands.responses import show_responses

    show_responses(found[:_MOST], options, terminal)
    number = str(len(found)) if len(found) <= _MOST else f"more than {_MOST}"
    terminal.complain(
        f"{number} answers match {options.response!r}. Name one by its id:"
        f" doctrail {options.command.NAME} {found[0].response_id}"
    )


def _complain_of_nothing(options: Namespace, terminal: Terminal) -> None:
    terminal.complain(
        f"no answer on record matches {options.response!r}, as an id or as words of a question or answer."
        " `doctrail responses` lists what there is; one whose trail is not kept is found by its whole id alone."
    )
