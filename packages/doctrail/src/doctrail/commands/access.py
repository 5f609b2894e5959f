"""`doctrail access report`: what the ledger proves about who was let see what."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.errors import UsageError
from doctrail.installation import home_of, ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail_core.audit.access import AccessException, AccessReport
    from doctrail_core.audit.checkpoint import Checkpoint

NAME = "access"
SUMMARY = "what the ledger proves about access to labelled chunks"
DESCRIPTION = """\
`report` says of a period whether every chunk that an answer had, of a label or a higher one, has an allow
decision of the policy; which have none; on what that rests; and what it does not prove. It speaks of
retrievers that were wrapped with an access policy. The exit code is 1 where there is something to look at."""
EXAMPLE = "doctrail access report --from 2026-11-01 --to 2026-11-30 --label confidential"

_SHOWN = 12
_OUTCOMES = {"holds": "met", "open": "open", "broken": "NOT MET"}
_HEADER = ("entry", "response", "document", "chunk", "label", "why")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("report",), help="what to do")
    times.add_range(parser)
    parser.add_argument("--label", metavar="L", help="only chunks of this label or a higher one")
    parser.add_argument(
        "--labels",
        type=_labels,
        default=(),
        metavar="L,L,...",
        help="the labels, the least confidential first (default: as the policy has them)",
    )
    parser.add_argument(
        "--policy",
        metavar="HASH",
        help="revision or hash that decisions are to have (default: that of most)",
    )
    parser.add_argument(
        "--searches",
        type=_number,
        metavar="N",
        help="how many searches of the period the vector store's own access log counts",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.audit.access import AccessQuestion, access_report
    from doctrail_core.durable.columns import microseconds
    from doctrail_core.ledger.store import LATEST

    times.check_range(options)
    question = AccessQuestion(
        begin_us=max(0, microseconds(options.since)) if options.since else 0,
        end_us=max(0, microseconds(options.until)) if options.until else LATEST,
        label=options.label,
        order=options.labels,
        policy=options.policy,
        searches=options.searches,
        checkpoints=_checkpoints(options),
    )
    with ledger_of(options, terminal) as ledger:
        try:
            report = access_report(ledger, question)
        except ValueError as error:
            raise UsageError(f"{error}, with --labels") from error
    if options.json:
        from dataclasses import asdict

        terminal.data(asdict(report))
    else:
        _tell(report, terminal)
    return exit_codes.OK if report.is_clean else exit_codes.NOTHING


def _checkpoints(options: Namespace) -> "Sequence[Checkpoint]":
    """The checkpoints in the audit folder that the log's key signed."""
    from doctrail_core.audit.folder import AuditFolder
    from doctrail_core.audit.note import NoteError
    from doctrail_core.durable.errors import StoreError
    from doctrail_core.durable.home import Home

    folder = AuditFolder(Home(home_of(options)))
    if not folder.exists():
        return ()
    try:
        return tuple(checkpoint for checkpoint, _ in folder.checkpoints())
    except NoteError as error:
        raise StoreError(f"{folder.path}: {error}") from error


def _tell(report: "AccessReport", terminal: Terminal) -> None:
    terminal.say(report.sentence)
    _tell_exceptions(report.exceptions, terminal)
    terminal.say()
    terminal.say("Decisions")
    counts = f"{report.decisions:,} on {report.searches:,} searches"
    failed = f", {report.failures:,} of them without a ruling" if report.failures else ""
    terminal.say(f"  {counts}{failed}")
    for policy, number in report.policies.items():
        terminal.say(f"  {number:,} by policy {policy}")
    for tally in report.labels:
        name = "no label" if tally.label is None else tally.label
        terminal.say(f"  {name}: {tally.allowed:,} released, {tally.denied:,} withheld")
    terminal.say()
    terminal.say("What this rests on")
    for found in report.conditions:
        terminal.say(f"  {_OUTCOMES[found.outcome]:<8} {found.check}: {found.words}")
    terminal.say()
    terminal.say("What it does not prove")
    for words in report.unproven:
        terminal.say(f"  - {words}")


def _tell_exceptions(exceptions: "Sequence[AccessException]", terminal: Terminal) -> None:
    if not exceptions:
        return
    terminal.say()
    terminal.say("Exceptions")
    rows = [_row(each) for each in exceptions[:_SHOWN]]
    terminal.table([_HEADER, *rows])
    if len(exceptions) > _SHOWN:
        terminal.say(f"... and {len(exceptions) - _SHOWN:,} more (--json)")


def _row(exception: "AccessException") -> list[str]:
    why = exception.why
    if why == "another policy":
        why = f"{why}: {exception.policy}"
    return [
        str(exception.seq),
        exception.response_id,
        exception.document_id,
        exception.chunk_id,
        exception.label or "-",
        why,
    ]


def _labels(text: str) -> tuple[str, ...]:
    labels = tuple(label.strip() for label in text.split(","))
    if not all(labels) or len(set(labels)) != len(labels):
        raise ArgumentTypeError(f"{text!r} does not name labels, each once, with commas between")
    return labels


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a number")
    return int(text)
