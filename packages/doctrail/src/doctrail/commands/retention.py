"""`doctrail retention`: how long records are kept, and removing what is older."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctrail import exit_codes, times
from doctrail.actions import add_action
from doctrail.errors import UsageError
from doctrail.installation import home_of, journal_of, ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from datetime import datetime

    from doctrail_core.erasure.policy import Bounds, Policy, PolicyInForce
    from doctrail_core.erasure.retention import LedgerRun, RetentionRun, TrailsRun

NAME = "retention"
SUMMARY = "how long records are kept, and removing what is older"
DESCRIPTION = """\
`set` puts a policy on record: how long ledger and trails are kept, at least and at most. `run` removes
what is older than the policy lets it be and nothing that is younger than it has to be, but for what is
under a hold; each run is put on record, too. Proofs that were given stay valid. Run it once a day."""
EXAMPLE = "doctrail retention run --dry-run"

_STORES = ("ledger", "trails")
_NEVER = "never"


def add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_action(actions, "show", "the policy in force")
    set_ = add_action(actions, "set", "put a policy in force; what is not named stays as it is")
    set_.add_argument("--file", type=Path, metavar="FILE", help="a whole policy, as TOML")
    for store in _STORES:
        set_.add_argument(
            f"--{store}-at-least",
            metavar="PERIOD",
            help=f"nothing of the {store} younger than this goes; such as '6 months'",
        )
        set_.add_argument(
            f"--{store}-at-most",
            metavar="PERIOD",
            help=f"what is older goes from the {store}; such as '10 years' or '30 days', or 'never'",
        )
    set_.add_argument("--by", metavar="NAME", help="who says so; the ledger keeps it sealed")
    run_ = add_action(actions, "run", "remove what is older than the policy lets it be")
    run_.add_argument("--dry-run", action="store_true", help="only say what would go")
    for store in _STORES:
        run_.add_argument(
            f"--{store}-before",
            type=times.since,
            metavar="TIME",
            help=f"what goes from the {store}, as far as the policy lets it",
        )


def run(options: Namespace, terminal: Terminal) -> int:
    return {"show": _show, "set": _set, "run": _run}[options.action](options, terminal)


def _show(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.erasure.policy import policy_in_force

    with ledger_of(options, terminal) as ledger:
        found = policy_in_force(ledger)
        last = max(ledger.events("retained"), key=lambda entry: entry.seq, default=None)
    if found is None:
        terminal.complain("no retention policy is in force: nothing is removed, however old")
        return exit_codes.NOTHING
    if options.json:
        terminal.data(_form(found))
        return exit_codes.OK
    from doctrail_core.durable.columns import moment as time_of
    from doctrail_core.model.wording import moment

    by = f" by {found.by}" if found.by else ""
    terminal.say(f"Policy {found.policy.digest}")
    for store in _STORES:
        terminal.say(f"  {store:<7} {_words(getattr(found.policy, store))}")
    terminal.say(f"  since   {moment(found.since)}{by}, entry {found.seq} of the ledger")
    ran = "never" if last is None else f"{moment(time_of(last.time_us))}, entry {last.seq}"
    terminal.say(f"  last run {ran}")
    return exit_codes.OK


def _set(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.erasure.policy import Policy, put_in_force

    policy = _from_file(options) if options.file else _from_options(options, terminal)
    with journal_of(options) as journal:
        put_in_force(journal, policy, by=options.by)
    if options.json:
        terminal.data({**policy.to_json(), "digest": policy.digest})
    else:
        terminal.say(f"Policy {policy.digest} is in force")
        for store in _STORES:
            terminal.say(f"  {store:<7} {_words(getattr(policy, store))}")
    if policy == Policy():
        terminal.complain("this policy keeps everything for ever")
    return exit_codes.OK


def _from_file(options: Namespace) -> "Policy":
    from doctrail_core.erasure.policy import Policy

    if any(_named(options).values()):
        raise UsageError("give a policy with --file, or by the other options, not both")
    return Policy.from_toml(options.file.read_text("utf-8"))


def _from_options(options: Namespace, terminal: Terminal) -> "Policy":
    from doctrail_core.durable.errors import NothingRecordedError
    from doctrail_core.erasure.policy import Policy, policy_in_force

    named = _named(options)
    if not any(named.values()):
        raise UsageError("nothing to set: name a bound, such as --trails-at-most '30 days'")
    try:
        with ledger_of(options, terminal) as ledger:
            found = policy_in_force(ledger)
    except NothingRecordedError:
        found = None
    policy = found.policy if found else Policy()
    return Policy(**{store: _changed(getattr(policy, store), named, store) for store in _STORES})


def _named(options: Namespace) -> dict[str, str | None]:
    names = [f"{store}_at_{which}" for store in _STORES for which in ("least", "most")]
    return {name: getattr(options, name) for name in names}


def _changed(bounds: "Bounds", named: Mapping[str, str | None], store: str) -> "Bounds":
    from doctrail_core.erasure.policy import Period

    changes: dict[str, Any] = {}
    for which in ("at_least", "at_most"):
        words = named[f"{store}_{which}"]
        if words is not None:
            endless = which == "at_most" and words == _NEVER
            changes[which] = None if endless else Period.parse(words)
    return replace(bounds, **changes)


def _run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.durable.home import Home
    from doctrail_core.erasure.retention import run_retention

    home = Home(home_of(options).absolute())
    asked: dict[Any, datetime | None] = {s: getattr(options, f"{s}_before") for s in _STORES}
    ran = run_retention(
        home,
        before={store: time for store, time in asked.items() if time is not None},
        dry=options.dry_run,
    )
    if options.json:
        terminal.data(asdict(ran))
        return exit_codes.OK
    done = "would be removed" if ran.dry else "was removed"
    terminal.say(f"By policy {ran.policy} {done}")
    for line in _lines(ran):
        terminal.say(f"  {line}")
    return exit_codes.OK


def _lines(ran: "RetentionRun") -> list[str]:
    return [
        "trails  nothing: they are kept for ever" if ran.trails is None else _of_trails(ran.trails),
        "ledger  nothing: it is kept for ever" if ran.ledger is None else _of_ledger(ran.ledger),
    ]


def _of_trails(ran: "TrailsRun") -> str:
    from doctrail_core.model.wording import moment

    return f"trails  {ran.removed} from before {moment(ran.before)}{_held(ran.held)}"


def _of_ledger(ran: "LedgerRun") -> str:
    from doctrail_core.model.wording import moment

    return (
        f"ledger  {ran.entries} entries from before {moment(ran.before)}, about {ran.answers} answers, with"
        f" {ran.names} names; the minimum index is {ran.minimum}{_held(ran.held)}"
    )


def _held(number: int) -> str:
    return f"; {number} more are under a hold" if number else ""


def _words(bounds: "Bounds") -> str:
    at_most = f"at most {bounds.at_most}" if bounds.at_most else "for ever"
    return f"at least {bounds.at_least}, {at_most}"


def _form(found: "PolicyInForce") -> dict[str, Any]:
    said = {"digest": found.policy.digest, "since": found.since, "by": found.by, "entry": found.seq}
    return found.policy.to_json() | said
