"""`doctrail subject report`: what is kept about a user, and where."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.errors import UsageError
from doctrail.installation import home_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core.erasure.subject_report import SubjectReport, SubjectResponse

NAME = "subject"
SUMMARY = "what is kept about a user, and where"
DESCRIPTION = """\
`report` lists every response to a user, with its time, question and answer where they are kept, documents
and models; and what else is kept about them, where, and for how long. It is meant for whoever has to
answer somebody who asks (GDPR 15). `doctrail erase --user` destroys it."""
EXAMPLE = "doctrail subject report anna --json"

_CUT = 200


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("report",), help="what to do")
    parser.add_argument("user", metavar="USER", help="the user's whole id")


def run(options: Namespace, terminal: Terminal) -> int:
    from dataclasses import asdict

    from doctrail_core.durable.home import Home
    from doctrail_core.erasure.subject_report import subject_report

    if not options.user.strip():
        raise UsageError("USER is empty")
    report = subject_report(Home(home_of(options).absolute()), options.user)
    if options.json:
        terminal.data(asdict(report))
    else:
        _tell(report, terminal)
    if report.responses or report.erased or any(kept.number for kept in report.kept):
        return exit_codes.OK
    terminal.complain(f"nothing is kept of a user {options.user!r}. Ids must be exact.")
    return exit_codes.NOTHING


def _tell(report: "SubjectReport", terminal: Terminal) -> None:
    from doctrail_core.model.printable import one_line

    terminal.say(f"user {one_line(report.user_id)}: {len(report.responses)} responses")
    for response in report.responses:
        terminal.say("\n".join(_lines(response)))
    terminal.say("Kept")
    for kept in report.kept:
        terminal.say(f"  {kept.number:>5}  {kept.where}: {kept.what}")
    terminal.say("For how long")
    for store in ("ledger", "trails"):
        terminal.say(f"  {store:<7} {_period(report, store)}")
    for hold in report.holds:
        terminal.say(f"  {one_line(hold)}")
    for entry in report.erased:
        terminal.say(f"  something was erased by entry {entry} of the ledger")


def _lines(response: "SubjectResponse") -> list[str]:
    from doctrail_core.model.printable import one_line
    from doctrail_core.model.wording import few, moment

    documents = [f"{document} ({grade})" for document, grade in response.documents]
    return [
        f"  {moment(response.time)}  {one_line(response.response_id)}  {response.status}",
        f"    question   {one_line(response.question or 'not kept', _CUT)}",
        f"    answer     {one_line(response.answer or 'not kept', _CUT)}",
        f"    documents  {few(documents) or 'none'}",
        f"    models     {few(response.models) or 'not known'}",
    ]


def _period(report: "SubjectReport", store: str) -> str:
    kept = (report.retention or {}).get(store)
    if not kept:
        return "no policy is in force: until somebody removes it"
    most = kept.get("at_most", "until somebody removes it")
    return f"at least {kept['at_least']}, at most {most}"
