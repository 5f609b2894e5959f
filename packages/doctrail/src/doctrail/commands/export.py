"""`doctrail export`: what is on record, in forms that others read."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctrail import exit_codes, times
from doctrail.errors import UsageError
from doctrail.installation import home_of, ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = "export"
SUMMARY = "what is on record, in forms that others read"
DESCRIPTION = """\
`prov RESPONSE` writes the provenance of one answer as W3C PROV-JSON; RESPONSE is what `doctrail why` takes.
`openlineage` tells a catalogue what each application answered from which documents, a run for each full hour; an
hour that is sent again replaces what was sent. `interpretation` writes a document on how to read this log,
for auditors. An export is no evidence: `doctrail audit bundle` makes that."""
EXAMPLE = "doctrail export openlineage --from 2026-11-22 --url http://localhost:5000"

_FORMS = ("openlineage", "prov", "interpretation")
_DAY_IN_HOURS = 24
_PSEUDONYM = 16


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("form", choices=_FORMS, help="what to write")
    parser.add_argument("response", nargs="?", metavar="RESPONSE", help="of prov: which answer")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write it there (openlineage: add it there)"
    )
    parser.add_argument(
        "--texts", action="store_true", help="of prov: quote questions, chunks, prompts and answers"
    )
    times.add_range(parser)
    parser.add_argument(
        "--url",
        help="of openlineage: send it to this catalogue, with the key in $OPENLINEAGE_API_KEY",
    )
    parser.add_argument(
        "--namespace",
        default="doctrail",
        help="of openlineage: that of the jobs (default: doctrail)",
    )
    parser.add_argument(
        "--most",
        type=int,
        default=100,
        metavar="N",
        help="of openlineage: name so many documents an hour, and count the rest (default: 100)",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    write: Mapping[str, Callable[[Namespace, Terminal], int]] = {
        "openlineage": _openlineage,
        "prov": _prov,
        "interpretation": _interpretation,
    }
    if options.form != "prov" and options.response is not None:
        raise UsageError(f"{options.form} is of the whole log and takes no RESPONSE")
    return write[options.form](options, terminal)


def _prov(options: Namespace, terminal: Terminal) -> int:
    import json

    from doctrail.reference import referred
    from doctrail_core.export.prov import prov_json

    if options.response is None:
        raise UsageError("name the RESPONSE to export: an id, or a phrase in quotes")
    trail = referred(options, terminal)
    if trail is None:
        return exit_codes.NOTHING
    written = prov_json(trail, texts=options.texts, user=_pseudonym(options, trail.user_id))
    if options.out:
        options.out.write_text(f"{written}\n", encoding="utf-8")
    else:
        terminal.data(json.loads(written))
    return exit_codes.OK


def _pseudonym(options: Namespace, user_id: str | None) -> str | None:
    """What to call the user: the same for all answers of this installation, and nothing to anybody else."""
    from doctrail_core.durable.home import Home
    from doctrail_core.durable.keys import load_key
    from doctrail_core.text.identity import keyed_hash

    key = load_key(Home(home_of(options)).keys) if user_id else None
    if user_id is None or key is None:
        return None
    return keyed_hash(key, f"user {user_id}").rpartition(":")[2][:_PSEUDONYM]


def _openlineage(options: Namespace, terminal: Terminal) -> int:
    import json
    import os
    from datetime import UTC, datetime, timedelta

    from doctrail_core.export.hours import full_hours, hours
    from doctrail_core.export.openlineage import Feed, deliver, event_json, to_file, to_url

    times.check_range(options)
    if options.url and options.out:
        raise UsageError("give --url or --out, not both")
    if options.most < 0:
        raise UsageError("--most is a number of documents, 0 or more")
    until = min(options.until or datetime.now(UTC), datetime.now(UTC))
    since = options.since or until - timedelta(hours=_DAY_IN_HOURS)
    feed = Feed(options.namespace, options.most, _checkpoint(options))
    with ledger_of(options, terminal) as ledger:
        events = list(feed.events(hours(ledger, *full_hours(since, until)), ledger))
    if options.url or options.out:
        key = os.environ.get("OPENLINEAGE_API_KEY")
        transport = to_url(options.url, key) if options.url else to_file(options.out)
        _tell_sent(deliver(events, transport), options, terminal)
    else:
        for event in events:
            terminal.data(json.loads(event_json(event)))
    if not events:
        terminal.complain("nothing was answered in a full hour of that time")
    return exit_codes.OK if events else exit_codes.NOTHING


def _tell_sent(sent: int, options: Namespace, terminal: Terminal) -> None:
    where = options.url or str(options.out)
    if options.json:
        terminal.data({"sent": sent, "to": where})
    else:
        terminal.say(f"{sent} events went to {where}")


def _checkpoint(options: Namespace) -> "dict[str, Any] | None":
    """The latest one of the log, where anything signs it."""
    from doctrail_core.audit.folder import AuditFolder
    from doctrail_core.audit.note import encode_base64
    from doctrail_core.durable.home import Home

    folder = AuditFolder(Home(home_of(options)))
    latest = folder.latest() if folder.exists() else None
    if latest is None:
        return None
    known = latest[0]
    return {"origin": known.origin, "size": known.size, "root": encode_base64(known.root)}


def _interpretation(options: Namespace, terminal: Terminal) -> int:
    from dataclasses import replace

    from doctrail_core.audit.interpretation import interpretation
    from doctrail_core.capture.settings import Settings
    from doctrail_core.durable.home import Home

    home = home_of(options)
    with ledger_of(options, terminal) as ledger:
        written = interpretation(ledger, Home(home), replace(Settings.load(), home=home))
    if options.out:
        options.out.write_text(written, encoding="utf-8")
    elif options.json:
        terminal.data({"interpretation": written})
    else:
        terminal.say(written.rstrip("\n"))
    return exit_codes.OK
