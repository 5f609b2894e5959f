"""`doctrail graph`: what of an answer led to what, for programs that draw or compare it."""

from argparse import ArgumentParser, Namespace

from doctrail import exit_codes
from doctrail.reference import add_reference, referred
from doctrail.terminal import Terminal

NAME = "graph"
SUMMARY = "what of an answer led to what, for other programs"
DESCRIPTION = """\
The evidence graph of an answer: its runs, chunks and earlier turns, and what was retrieved, shown to a
model, led to a tool call, and answered. RESPONSE is what `doctrail why` takes."""
EXAMPLE = "doctrail graph 'renewal deadline' --format mermaid"

FORMATS = ("json", "dot", "mermaid")


def add_arguments(parser: ArgumentParser) -> None:
    add_reference(parser)
    parser.add_argument(
        "--format", choices=FORMATS, default="json", help="what to write it in (default: json)"
    )
    parser.add_argument("--full", action="store_true", help="leave the texts of labels uncut")


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.graph import evidence_graph, graph_form, to_dot, to_mermaid

    trail = referred(options, terminal)
    if trail is None:
        return exit_codes.NOTHING
    graph = evidence_graph(trail)
    if options.json or options.format == "json":
        terminal.data(graph_form(graph, full=options.full))
    else:
        write = to_dot if options.format == "dot" else to_mermaid
        terminal.say(write(graph, full=options.full).rstrip("\n"))
    return exit_codes.OK
