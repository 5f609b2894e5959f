"""`doctrail diagnose`: whose fault an answer was, and what to change."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.application import add_application, probe_of
from doctrail.factories import made_by
from doctrail.reference import add_reference, referred
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core import Trail
    from doctrail_core.diagnosis import Probe
    from doctrail_core.model import Diagnosis

NAME = "diagnose"
SUMMARY = "whose fault an answer was, and what to change"
DESCRIPTION = """\
Whose fault a wrong answer was: the search's, the prompt's, the model's, or the documents'. Tell what it
should have said with --expected, and give the application's retriever with --app, so that what was not
retrieved can be looked for. The diagnosis is put on record with the response."""
EXAMPLE = "doctrail diagnose 'renewal deadline' --expected 'February 28th' --app myapp:retriever"


def add_arguments(parser: ArgumentParser) -> None:
    add_reference(parser)
    parser.add_argument(
        "--expected",
        metavar="TEXT",
        help="what the answer should have said: a value, a name, a statement",
    )
    add_application(parser, required=False)
    parser.add_argument("--by", metavar="NAME", help="who asks, for the record")


def run(options: Namespace, terminal: Terminal) -> int:
    trail = referred(options, terminal)
    if trail is None:
        return exit_codes.NOTHING
    diagnosis = _diagnosed(trail, options)
    if options.json:
        _show(diagnosis, terminal)
    else:
        from doctrail_core.diagnosis.telling import tell

        terminal.say(tell(diagnosis, trail).rstrip("\n"))
    return exit_codes.OK


def _diagnosed(trail: "Trail", options: Namespace) -> "Diagnosis":
    from doctrail.installation import lineage_of
    from doctrail_core.diagnosis import diagnose

    probe = _probe(options)
    diagnosis = diagnose(trail, expected=options.expected, probe=probe, by=options.by)
    with lineage_of(options) as lineage:
        lineage.diagnosed(diagnosis, trail)
    return diagnosis


def _probe(options: Namespace) -> "Probe | None":
    return probe_of(made_by(options.app, "--app"), options.app) if options.app else None


def _show(diagnosis: "Diagnosis", terminal: Terminal) -> None:
    from dataclasses import asdict

    terminal.data(asdict(diagnosis))
