"""`doctrail review`: the answers that somebody should look at, and what was decided about them."""

from argparse import ArgumentParser, Namespace
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.actions import add_action
from doctrail.errors import UsageError
from doctrail.installation import journal_of, ledger_of, remarks_of, trails_of
from doctrail.listing import add_csv
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core.erasure.review import Flag

NAME = "review"
SUMMARY = "the answers that somebody should look at"
DESCRIPTION = """\
The review queue, the longest waiting first: answers that had a document that was erased, that did not
pass a check, or that somebody flagged. `decide` takes one off the queue and puts on record who decided
what; names are sealed there, and notes are kept beside the ledger."""
EXAMPLE = (
    "doctrail review decide 4711 --decision corrected --by 'Ann Lee' --note 'sent a new answer'"
)

DECISIONS = ("keep", "withdrawn", "corrected", "notified")
_CAUSES = {"erased": "a document was erased", "check": "a check", "hand": "flagged by hand"}
_HEADER = ("flag", "since", "response", "because", "question", "documents", "decision", "by")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also those that were decided about")
    add_csv(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    flag = add_action(actions, "flag", "have somebody look at answers")
    flag.add_argument("response", nargs="?", metavar="RESPONSE", help="the answer's whole id")
    flag.add_argument("--reason", metavar="TEXT", help="why; kept beside the ledger")
    flag.add_argument("--by", metavar="NAME", help="who says so; the ledger keeps it sealed")
    flag.add_argument(
        "--failed-checks",
        action="store_true",
        help="flag all answers whose latest check found them at risk",
    )
    times.add_range(flag)
    decide = add_action(actions, "decide", "put on record what came of one")
    decide.add_argument("flag", type=int, metavar="FLAG", help="its number in the queue")
    decide.add_argument("--decision", choices=DECISIONS, required=True, help="what came of it")
    decide.add_argument("--by", required=True, metavar="NAME", help="who decided; kept sealed")
    decide.add_argument("--note", metavar="TEXT", help="kept beside the ledger")


def run(options: Namespace, terminal: Terminal) -> int:
    return {None: _list, "flag": _flag, "decide": _decide}[options.action](options, terminal)


def _list(options: Namespace, terminal: Terminal) -> int:
    from doctrail.listing import show_list
    from doctrail_core.durable.errors import NothingRecordedError
    from doctrail_core.erasure.review import flags

    decided = None if options.all else False
    with ExitStack() as stack:
        ledger = stack.enter_context(ledger_of(options, terminal))
        trails = None
        with suppress(NothingRecordedError):
            trails = stack.enter_context(trails_of(options, terminal))
        found = list(flags(ledger, remarks_of(options), trails, decided=decided))
    show_list(terminal, options, found, _HEADER, _row)
    if not found:
        terminal.complain("no answer waits for a review")
    return exit_codes.OK if found else exit_codes.NOTHING


def _flag(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.erasure.review import flag_answer, flag_failed_checks

    times.check_range(options)
    _check_flag(options)
    with ledger_of(options, terminal) as ledger, journal_of(options) as journal:
        if options.failed_checks:
            number = flag_failed_checks(ledger, journal, options.since, options.until)
        else:
            remarks = remarks_of(options)
            flag_answer(
                ledger, journal, remarks, options.response, reason=options.reason, by=options.by
            )
            number = 1
    if options.json:
        terminal.data({"flagged": number})
    else:
        terminal.say(f"{number} {'answer' if number == 1 else 'answers'} flagged for review")
    return exit_codes.OK if number else exit_codes.NOTHING


def _check_flag(options: Namespace) -> None:
    if options.failed_checks == (options.response is not None):
        raise UsageError("name one answer, or flag those with --failed-checks")
    if options.response is not None and not (options.reason or "").strip():
        raise UsageError("--reason is missing: say why somebody should look at it")


def _decide(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.erasure.review import decide

    if not options.by.strip():
        raise UsageError("--by is empty: a decision is somebody's")
    with ledger_of(options, terminal) as ledger, journal_of(options) as journal:
        decide(
            ledger,
            journal,
            remarks_of(options),
            options.flag,
            options.decision,
            by=options.by,
            note=options.note,
        )
    if options.json:
        terminal.data({"flag": options.flag, "decision": options.decision})
    else:
        terminal.say(f"flag {options.flag}: {options.decision}")
    return exit_codes.OK


def _row(flag: "Flag") -> list[str]:
    from doctrail_core.model.printable import one_line
    from doctrail_core.model.wording import moment

    why = _CAUSES[flag.cause]
    if flag.because is not None:
        why += f" (entry {flag.because})"
    return [
        str(flag.flag),
        moment(flag.time),
        flag.response_id,
        one_line(f"{why}: {flag.reason}" if flag.reason else why, 60),
        one_line(flag.question or "-", 40),
        one_line(", ".join(flag.documents) or "-", 40),
        flag.review.decision if flag.review else "-",
        (flag.review.by if flag.review else None) or "-",
    ]
