"""`doctrail erase`: a document's texts, or all that is kept of a user, destroyed wherever this home has them."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.errors import UsageError
from doctrail.installation import home_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core.durable.home import Home
    from doctrail_core.erasure.receipts import ErasureReceipt

NAME = "erase"
SUMMARY = "destroy a document's texts, or all that is kept of a user"
DESCRIPTION = """\
Destroy the texts of a document in every place of this home that has them, its names and the keys that
seal them, and flag the answers that may hold something of it for review; or destroy all that is kept of a
user. The ledger's entries stay as they are, and one is added that says so. A receipt tells what was found,
what was removed and what this cannot reach; `--verify` checks one. It cannot be undone."""
EXAMPLE = "doctrail erase --document policy_2023 --reason 'withdrawn by legal' --dry-run"

_MARKS = {True: "ok", False: "NOT SO", None: "cannot be said"}


def add_arguments(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--document", metavar="ID", help="the document's whole id")
    what.add_argument("--user", metavar="ID", help="the user's whole id")
    what.add_argument("--verify", metavar="RECEIPT", type=Path, help="check a receipt")
    parser.add_argument("--reason", metavar="TEXT", help="why; the receipt keeps it")
    parser.add_argument(
        "--legal-basis", metavar="TEXT", help="on what ground, such as 'GDPR 17(1)(b)'"
    )
    parser.add_argument("--by", metavar="NAME", help="who asked for it; the ledger keeps it sealed")
    parser.add_argument(
        "--answers",
        action="store_true",
        help="also remove the answers of responses that had the document in their prompts",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--is-about",
        metavar="ID",
        help="with --verify: the id that the receipt is said to be about",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.durable.home import Home
    from doctrail_core.erasure.erasing import HeldError

    home = Home(home_of(options).absolute())
    if options.verify is not None:
        return _verify(home, options, terminal)
    _check(options)
    try:
        if not options.dry_run and not options.yes and not _agreed(home, options, terminal):
            return exit_codes.NOTHING
        _show(home, _erased(home, options, dry_run=options.dry_run), options, terminal)
    except HeldError as error:
        terminal.complain(str(error))
        return exit_codes.NOTHING
    return exit_codes.OK


def _check(options: Namespace) -> None:
    if not (options.reason or "").strip():
        raise UsageError("--reason is missing: say why it is erased; the receipt keeps it")
    if options.user is not None and options.answers:
        raise UsageError("--answers is about documents; with --user all answers go")
    if not (options.document or options.user or "").strip():
        raise UsageError("the id is empty")


def _agreed(home: "Home", options: Namespace, terminal: Terminal) -> bool:
    if options.json or not sys.stdin.isatty():
        raise UsageError(
            "erasing cannot be undone: see what it would do with --dry-run, then add --yes"
        )
    _show(home, _erased(home, options, dry_run=True), options, terminal)
    terminal.say()
    return input("Erase it? It cannot be undone. [y/N] ").strip().casefold() in ("y", "yes")


def _erased(home: "Home", options: Namespace, *, dry_run: bool) -> "ErasureReceipt":
    from doctrail_core.erasure.erasing import erase_document, erase_user

    if options.user is not None:
        return erase_user(
            home,
            options.user,
            reason=options.reason,
            legal_basis=options.legal_basis,
            by=options.by,
            dry_run=dry_run,
        )
    return erase_document(
        home,
        options.document,
        reason=options.reason,
        legal_basis=options.legal_basis,
        by=options.by,
        answers=options.answers,
        dry_run=dry_run,
    )


def _show(home: "Home", receipt: "ErasureReceipt", options: Namespace, terminal: Terminal) -> None:
    from doctrail_core.erasure.receipts import Receipts

    if options.json:
        signed = None if receipt.note is None else str(receipt.note)
        said = {"found": dict(receipt.found), "removed": dict(receipt.removed), "note": signed}
        terminal.data({**receipt.fields(), **said})
        return
    name = options.document or options.user
    done = "would be erased" if receipt.dry_run else "was erased"
    terminal.say(f"{receipt.scope} {name} {done}")
    impact = receipt.impact
    how = ", ".join(f"{number} {word}" for word, number in sorted(impact.by.items()))
    terminal.say(f"  responses  {impact.responses}{f' ({how})' if how else ''}")
    numbers = receipt.found if receipt.dry_run else receipt.removed
    counts = ", ".join(f"{number} {what}" for what, number in numbers.items())
    terminal.say(f"  {'found' if receipt.dry_run else 'removed':<10} {counts}")
    if not receipt.dry_run:
        terminal.say(f"  flagged    {receipt.flagged} answers, for review")
        terminal.say(f"  on record  entry {receipt.entry} of the ledger")
        if len(receipt.attempts) > 1:
            begun = ", ".join(attempt.started for attempt in receipt.attempts[:-1])
            terminal.say(f"  completes  what was begun and not finished at {begun}")
        kept = Receipts(home).file_of(receipt)
        terminal.say(f"  receipt    {kept}{'' if receipt.is_signed else ' (not signed)'}")
    terminal.say("Not covered")
    for what in receipt.not_covered:
        terminal.say(f"  - {what}")


def _verify(home: "Home", options: Namespace, terminal: Terminal) -> int:
    from dataclasses import asdict

    from doctrail_core.erasure.receipts import read_receipt
    from doctrail_core.erasure.verifying import check_receipt

    try:
        receipt = read_receipt(options.verify.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{options.verify}: {error}") from error
    checks = check_receipt(home, receipt, options.is_about)
    if options.json:
        terminal.data({"erasure": receipt.erasure, "checks": [asdict(c) for c in checks]})
    else:
        for check in checks:
            terminal.say(f"{_MARKS[check.holds]:<15} {check.what}")
    return exit_codes.NOTHING if any(c.holds is False for c in checks) else exit_codes.OK
