"""`doctrail why`: where an answer came from."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.installation import trails_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail_core import Trail
    from doctrail_core.trails.store import TrailSummary

NAME = "why"
SUMMARY = "where an answer came from"
DESCRIPTION = """\
Where an answer came from: what was retrieved, what of it the model read, the documents behind it, and
what could not be seen. RESPONSE is a response id or its beginning (8 characters or more), a trace id, a
message id, or a phrase of the question or the answer."""
EXAMPLE = "doctrail why 'renewal deadline'"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("response", metavar="RESPONSE", help="an id, or a phrase in quotes")
    parser.add_argument("--full", action="store_true", help="show texts, prompts and ids uncut")


def run(options: Namespace, terminal: Terminal) -> int:
    with trails_of(options, terminal) as trails:
        found = trails.find(options.response)
        if len(found) == 1:
            trail = trails.get(found[0].response_id)
            if trail is not None:
                return _tell(trail, options, terminal)
    return _ask_back(found, options, terminal) if found else _nothing(options, terminal)


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

    show_responses(found, options, terminal)
    terminal.complain(
        f"{len(found)} answers match {options.response!r}. Name one by its id:"
        f" doctrail why {found[0].response_id}"
    )
    return exit_codes.NOTHING


def _nothing(options: Namespace, terminal: Terminal) -> int:
    terminal.complain(
        f"no answer on record matches {options.response!r}, as an id or as words of a question or answer."
        " `doctrail responses` lists what there is."
    )
    return exit_codes.NOTHING
