"""`doctrail hold`: what must neither be erased nor pruned, and why."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.actions import add_action
from doctrail.errors import UsageError
from doctrail.installation import journal_of, ledger_of, remarks_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core.erasure.holds import Hold, Scope

NAME = "hold"
SUMMARY = "keep something from being erased or pruned"
DESCRIPTION = """\
Legal holds. While one is in force, what it is on stays, with all answers that had to do with it: neither
`doctrail erase` nor `doctrail retention run` removes it. Setting and lifting one are put on record,
references only; the reason is kept beside the ledger."""
EXAMPLE = "doctrail hold set --document policy_2023 --reason 'case 4711'"

_HEADER = ("hold", "on", "since", "until", "by", "reason")


def add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    set_ = add_action(actions, "set", "set a hold")
    what = set_.add_mutually_exclusive_group(required=True)
    what.add_argument("--document", metavar="ID", help="on a document, and all answers that had it")
    what.add_argument("--user", metavar="ID", help="on all that was answered to a user")
    what.add_argument("--session", metavar="ID", help="on a conversation")
    what.add_argument("--response", metavar="ID", help="on an answer")
    _add_why(set_)
    set_.add_argument("--until", type=times.until, metavar="TIME", help="no longer than this")
    add_action(actions, "list", "the holds that are in force")
    lift = add_action(actions, "lift", "end a hold")
    lift.add_argument("hold", metavar="HOLD", help="its id, as `hold list` shows it")
    _add_why(lift)


def run(options: Namespace, terminal: Terminal) -> int:
    return {"set": _set, "list": _list, "lift": _lift}[options.action](options, terminal)


def _add_why(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--reason", metavar="TEXT", required=True, help="why; kept beside the ledger"
    )
    parser.add_argument("--by", metavar="NAME", help="who says so; the ledger keeps it sealed")


def _set(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.erasure.holds import SCOPES, set_hold

    _check(options)
    named = {each: getattr(options, each) for each in SCOPES}
    scope: Scope = next(each for each in SCOPES if named[each] is not None)
    subject: str = named[scope]
    with ledger_of(options, terminal) as ledger, journal_of(options) as journal:
        hold_id = set_hold(
            ledger,
            journal,
            remarks_of(options),
            scope,
            subject,
            reason=options.reason,
            until=options.until,
            by=options.by,
        )
    if options.json:
        terminal.data({"hold_id": hold_id, "scope": scope, "subject": subject})
    else:
        terminal.say(f"hold {hold_id} is on {scope} {subject}")
    return exit_codes.OK


def _list(options: Namespace, terminal: Terminal) -> int:
    from doctrail.listing import show_list
    from doctrail_core.erasure.holds import holds

    with ledger_of(options, terminal) as ledger:
        found = holds(ledger, remarks_of(options))
        show_list(terminal, options, found, _HEADER, _row)
    if not found:
        terminal.complain("no hold is in force")
    return exit_codes.OK if found else exit_codes.NOTHING


def _lift(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.erasure.holds import lift_hold

    _check(options)
    with ledger_of(options, terminal) as ledger, journal_of(options) as journal:
        lifted = lift_hold(
            ledger,
            journal,
            remarks_of(options),
            options.hold,
            reason=options.reason,
            by=options.by,
        )
    if options.json:
        terminal.data({"hold_id": lifted.hold_id, "scope": lifted.scope, "subject": lifted.subject})
    else:
        terminal.say(f"hold {lifted.hold_id} on {lifted.scope} {lifted.subject} is lifted")
    return exit_codes.OK


def _check(options: Namespace) -> None:
    if not options.reason.strip():
        raise UsageError("--reason is empty: say why; somebody will ask")


def _row(hold: "Hold") -> list[str]:
    from doctrail_core.model.printable import one_line
    from doctrail_core.model.wording import moment

    return [
        hold.hold_id,
        f"{hold.scope} {hold.subject}",
        moment(hold.since),
        moment(hold.until) if hold.until else "-",
        hold.by or "-",
        one_line(hold.reason or "-", 60),
    ]
