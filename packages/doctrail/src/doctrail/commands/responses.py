"""`doctrail responses`: the answers on record."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.errors import UsageError
from doctrail.installation import trails_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail_core.trails.store import TrailSummary

NAME = "responses"
SUMMARY = "the answers on record, newest first"
DESCRIPTION = """\
The answers on record, newest first: by session, user, time, document, status, or words of the question
or the answer. All conditions given must hold."""
EXAMPLE = "doctrail responses --session 4711 --from 2026-11-22 --status error"

STATUSES = ("ok", "error", "aborted", "interrupted")
_ALL = 10**9
_HEADER = ("time", "status", "response", "session", "turn", "user", "question", "answer")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--session", metavar="ID", help="of this conversation")
    parser.add_argument("--user", metavar="ID", help="given to this user")
    times.add_range(parser)
    parser.add_argument("--document", metavar="ID", help="for which this document was retrieved")
    parser.add_argument("--status", choices=STATUSES, help="that ended like this")
    parser.add_argument("--phrase", metavar="WORDS", help="with these words in question or answer")
    parser.add_argument(
        "--limit", type=_limit, default=50, metavar="N", help="at most this many (default: 50)"
    )


def run(options: Namespace, terminal: Terminal) -> int:
    times.check_range(options)
    if options.phrase is not None and not options.phrase.strip():
        raise UsageError("--phrase is empty; give words of the question or the answer")
    with trails_of(options, terminal) as trails:
        found = list(
            trails.responses(
                session_id=options.session,
                user_id=options.user,
                document_id=options.document,
                status=options.status,
                phrase=options.phrase,
                since=options.since,
                until=options.until,
                limit=options.limit + 1,
            )
        )
    show_responses(found[: options.limit], options, terminal)
    if not found:
        terminal.complain(
            "no answer on record is like this; `doctrail responses` lists all there are"
        )
        return exit_codes.NOTHING
    if len(found) > options.limit:
        terminal.complain(f"there are more than these {options.limit}; --limit shows them")
    return exit_codes.OK


def show_responses(found: "Sequence[TrailSummary]", options: Namespace, terminal: Terminal) -> None:
    """Print answers as a list."""
    from doctrail.listing import show_list

    show_list(terminal, options, found, _HEADER, _row)


def _row(summary: "TrailSummary") -> list[str]:
    from doctrail_core.model.printable import one_line
    from doctrail_core.model.wording import moment

    return [
        moment(summary.started_at),
        summary.status,
        summary.response_id,
        summary.session_id or "-",
        "-" if summary.turn is None else str(summary.turn),
        summary.user_id or "-",
        one_line(summary.question or "-", 40),
        one_line(summary.answer or "-", 40),
    ]


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number from 1")
    return min(int(text), _ALL)
