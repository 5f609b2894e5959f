"""`doctrail check`: whether answers say what their chunks say. Needs no installation and no framework."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.terminal import Terminal
from doctrail.verifiers import add_verifier, verifier_of

if TYPE_CHECKING:
    from doctrail_core.grounding.lines import AnswerLine
    from doctrail_core.model import Assessment

NAME = "check"
SUMMARY = "whether answers in a file say what their chunks say"
DESCRIPTION = """\
Checks answers against the chunks that they were made from, a line of JSON each:
{"id", "question", "answer", "chunks": [{"chunk_id", "document_id", "text"}]}. Says of every claim whether a
chunk supports it, and where: as text on a terminal; with --json, or into a file or pipe, a line of JSON
for each answer, in order. A line that is no answer is told and passed over; the exit code is then 2."""
EXAMPLE = "doctrail check answers.jsonl --json"

_FAILING = {
    "contradicted": ("contradicted",),
    "unsupported": ("contradicted", "unsupported"),
    "never": (),
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the answers, or - for standard input")
    add_verifier(parser)
    parser.add_argument(
        "--fail-on",
        choices=tuple(_FAILING),
        default="contradicted",
        help="which verdict on any claim makes the exit code 1; unsupported includes contradicted"
        " (default: contradicted)",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.grounding.lines import LineError, read_answers

    verifier = verifier_of(options)
    failing = _FAILING[options.fail_on]
    codes = {exit_codes.OK}
    with _opened(options.file) as lines:
        for number, said in read_answers(lines):
            if isinstance(said, LineError):
                _pass_over(number, said, options, terminal)
                codes.add(exit_codes.USAGE)
                continue
            found = said.check(verifier)
            _show(said, found, options, terminal)
            if found.status == "failed":
                terminal.complain(f"line {number} of {options.file} was not checked: {found.error}")
                codes.add(exit_codes.UNREADABLE)
            if any(kind in found.counts for kind in failing):
                codes.add(exit_codes.NOTHING)
    return max(codes)


@contextmanager
def _opened(file: str) -> Generator[Iterable[str]]:
    if file == "-":
        decode = getattr(sys.stdin, "reconfigure", None)
        if decode is not None:  # JSON is UTF-8, whatever the locale is
            decode(encoding="utf-8", errors="replace")
        yield sys.stdin
    else:
        with open(file, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123  # as it was typed
            yield lines


def _for_programs(options: Namespace, terminal: Terminal) -> bool:
    return options.json or terminal.width is None


def _pass_over(number: int, error: Exception, options: Namespace, terminal: Terminal) -> None:
    terminal.complain(f"line {number} of {options.file}: {error}")
    if _for_programs(options, terminal):
        terminal.data({"id": None, "line": number, "error": str(error)})


def _show(said: "AnswerLine", found: "Assessment", options: Namespace, terminal: Terminal) -> None:
    if _for_programs(options, terminal):
        from doctrail_core.grounding.lines import form

        terminal.data(form(said.name, found))
        terminal.flush()
    else:
        from doctrail_core.model.checked import told

        name = "answer" if said.name is None else str(said.name)
        terminal.say("\n".join(told(name, found, said.chunks, width=terminal.width or 100)))
