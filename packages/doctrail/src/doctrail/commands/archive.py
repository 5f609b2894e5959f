"""`doctrail archive`: the ledger as sealed files, and lakes and indexes that are filled with them."""

from argparse import ArgumentParser, Namespace
from contextlib import closing
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.errors import UsageError
from doctrail.installation import home_of, ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from doctrail.segments import Segment
    from doctrail_core.archive.folder import Archive
    from doctrail_core.archive.verifying import SegmentState
    from doctrail_core.ledger.reader import LedgerReader

NAME = "archive"
SUMMARY = "seal the ledger into files, and push them to a lake or an index"
DESCRIPTION = """\
`seal` makes Parquet files of every 65,536 entries of the ledger that are complete. `push` sends them on: --to with
clickhouse://user:password@host/database, once for each shard, fills an index of documents; --to with a folder or a
bucket (s3://...) fills Delta tables. What is there already is not sent again. `status` reads all that was sealed,
compares it with the ledger, and tells what is missing or damaged; with --to, what has arrived.

The ledger stays what counts, and is not changed. A lake or an index can be made anew from the files at any time.
This needs pip install 'doctrail-core[lake]', and for ClickHouse 'doctrail-core[clickhouse]'."""
EXAMPLE = "doctrail archive push --to clickhouse://localhost:8123/doctrail"

_ACTIONS = ("seal", "push", "status")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--before",
        type=times.since,
        metavar="TIME",
        help="of seal: only segments of which the last entry is from before then",
    )
    which.add_argument("--segment", type=int, metavar="N", help="of seal: only this one")
    parser.add_argument(
        "--to",
        action="append",
        metavar="URL",
        help="of push and status: where to; the password may lie in $CLICKHOUSE_PASSWORD",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.archive.folder import Archive
    from doctrail_core.durable.home import Home

    _check(options)
    archive = Archive(Home(home_of(options)))
    if options.action == "push":
        return _push(archive, options, terminal)
    with ledger_of(options, terminal) as ledger:
        if options.action == "seal":
            return _seal(archive, ledger, options, terminal)
        return _status(archive, ledger, options, terminal)


def _check(options: Namespace) -> None:
    if options.action != "seal" and (options.before or options.segment is not None):
        raise UsageError(f"--before and --segment are of seal, not of {options.action}")
    if options.action == "seal" and options.to:
        raise UsageError("--to is of push; seal first, then push")
    if options.action == "push" and not options.to:
        raise UsageError("say where to: --to clickhouse://..., --to s3://... or --to FOLDER")


def _seal(
    archive: "Archive", ledger: "LedgerReader", options: Namespace, terminal: Terminal
) -> int:
    sealed = 0
    for segment in _wanted(archive, ledger, options):
        if archive.seal(ledger, segment):
            sealed += 1
            manifest = archive.manifest(segment)
            size = sum(part.size for part in manifest.parts.values())
            if options.json:
                terminal.data({"segment": segment, "root": manifest.root.hex(), "bytes": size})
            else:
                terminal.say(f"sealed segment {segment}: {size / 1e6:,.1f} MB")
    if not sealed:
        missing = archive.width - ledger.size() % archive.width
        terminal.complain(
            f"nothing to seal: {missing:,} more entries complete the next segment"
            " (or what was asked for is sealed already)"
        )
    return exit_codes.OK


def _wanted(archive: "Archive", ledger: "LedgerReader", options: Namespace) -> "Iterator[int]":
    if options.segment is not None:
        yield options.segment
        return
    known = set(archive.sealed())
    for segment in archive.full(ledger):
        if segment not in known and (
            options.before is None or _ended(archive, ledger, segment, options)
        ):
            yield segment


def _ended(archive: "Archive", ledger: "LedgerReader", segment: int, options: Namespace) -> bool:
    from doctrail_core.durable.columns import microseconds

    last = ledger.entry((segment + 1) * archive.width - 1)
    return last is not None and last.time_us < microseconds(options.before)


def _push(archive: "Archive", options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.archive.targets import target_of

    manifests = [archive.manifest(segment) for segment in archive.sealed()]
    if not manifests:
        terminal.complain("nothing is sealed yet: doctrail archive seal")
        return exit_codes.NOTHING
    with closing(target_of(options.to)) as target:
        target.prepare()
        there = target.arrived(manifests)
        for manifest in manifests:
            if manifest.segment not in there:
                target.push(archive, manifest)
                if not options.json:
                    terminal.say(f"pushed segment {manifest.segment}")
        pushed = len(manifests) - len(there)
        if options.json:
            terminal.data({"target": target.name, "pushed": pushed, "there": len(there)})
        else:
            terminal.say(f"{pushed:,} pushed, {len(there):,} there before: {target.name}")
    return exit_codes.OK


def _status(
    archive: "Archive", ledger: "LedgerReader", options: Namespace, terminal: Terminal
) -> int:
    from doctrail.listing import show_list
    from doctrail.segments import listed
    from doctrail_core.archive.verifying import states

    found = list(states(archive, ledger))
    arrived = _arrived(found, options)
    segments = [listed(state, arrived) for state in found]
    show_list(terminal, options, segments, _HEADER, _row)
    for segment in segments:
        if segment.damage and not options.json:
            terminal.complain(
                f"segment {segment.segment}: {segment.damage}. Move its folder away, and `doctrail archive"
                " seal` makes it anew, unless its entries were pruned."
            )
    if not options.json:
        missing = archive.width - ledger.size() % archive.width
        terminal.say(f"{missing:,} more entries complete the next segment")
    return exit_codes.OK if all(_is_well(each) for each in segments) else exit_codes.NOTHING


def _is_well(segment: "Segment") -> bool:
    return segment.state == "sealed" and segment.arrived is not False


def _arrived(found: "Collection[SegmentState]", options: Namespace) -> "Mapping[int, bool] | None":
    from doctrail_core.archive.targets import target_of

    if not options.to:
        return None
    manifests = [state.manifest for state in found if state.manifest]
    with closing(target_of(options.to)) as target:
        there = target.arrived(manifests)
    return {manifest.segment: manifest.segment in there for manifest in manifests}


_HEADER = ("segment", "state", "from", "to", "entries", "links", "MB", "arrived")


def _row(segment: "Segment") -> list[str]:
    return [
        str(segment.segment),
        segment.state,
        (segment.begins or "-")[:16],
        (segment.ends or "-")[:16],
        f"{segment.entries:,}",
        f"{segment.links:,}",
        f"{segment.bytes / 1e6:,.1f}",
        {None: "-", True: "yes", False: "no"}[segment.arrived],
    ]
