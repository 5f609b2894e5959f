"""`doctrail why`: where an answer came from."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.reference import add_reference, referred
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctrail_core import Trail

NAME = "why"
SUMMARY = "where an answer came from"
DESCRIPTION = """\
Where an answer came from: what was retrieved, what of it the model read, the documents behind it, and
what could not be seen. RESPONSE is a response id or its beginning (8 characters or more), a trace id, a
message id, or a phrase of the question or the answer."""
EXAMPLE = "doctrail why 'renewal deadline'"


def add_arguments(parser: ArgumentParser) -> None:
    add_reference(parser)
    parser.add_argument(
        "--tree",
        action="store_true",
        help="draw what an agent did: which evidence was before the model when it chose what",
    )
    parser.add_argument("--full", action="store_true", help="show texts, prompts and ids uncut")


def run(options: Namespace, terminal: Terminal) -> int:
    trail = referred(options, terminal)
    if trail is None:
        return exit_codes.NOTHING
    if options.json:
        from doctrail.forms import trail_form

        terminal.data(trail_form(trail))
    else:
        terminal.say("\n".join(_lines(trail, options, terminal)))
    return exit_codes.OK


def _lines(trail: "Trail", options: Namespace, terminal: Terminal) -> "Iterator[str]":
    from doctrail_core.graph import draw, evidence_graph, wrong
    from doctrail_core.model.why import explain

    if options.tree:
        graph = evidence_graph(trail)
        yield draw(graph, full=options.full, width=terminal.width or 100).rstrip("\n")
    else:
        yield explain(trail, full=options.full).rstrip("\n")
    yield from wrong(trail)
    yield from _erased(trail, options, terminal)


def _erased(trail: "Trail", options: Namespace, terminal: Terminal) -> "Iterator[str]":
    """What was erased of it; only where something was, does it take the ledger to say so."""
    if not any(d.document_id.startswith("erased:") for d in trail.documents):
        return
    from doctrail.installation import ledger_of
    from doctrail_core.erasure.telling import erased_of

    with ledger_of(options, terminal) as ledger:
        found = erased_of(ledger, trail.response_id)
    if found:
        yield "\nErased"
        yield from (f"  {each}" for each in found)
