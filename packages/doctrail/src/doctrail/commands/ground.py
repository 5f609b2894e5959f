"""`doctrail ground`: checks answers that are on record, later than they were given."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.installation import lineage_of, trails_of
from doctrail.terminal import Terminal
from doctrail.verifiers import add_verifier, share, verifier_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail_core import Trail
    from doctrail_core.grounding.verifier import Verifier
    from doctrail_core.model import Assessment
    from doctrail_core.trails.store import TrailReading

NAME = "ground"
SUMMARY = "check answers that are on record against what their prompts held"
DESCRIPTION = """\
Checks answers that are on record against the chunks that arrived in their prompts, and puts what is found
on record with them: `doctrail why RESPONSE` shows it. An answer that the same version of the same
verifier has checked is passed over, so a run that was stopped goes on where it was. Which answers are in a
sample follows from their ids: the same ones every time, and all of them in every larger sample."""
EXAMPLE = "doctrail ground --since 2026-11-01 --sample 0.2"

_HOPELESS = 5
"""After so many failures in a row the verifier is taken to be down."""
_FLAGGED = 0.5


def add_arguments(parser: ArgumentParser) -> None:
    times.add_range(parser)
    parser.add_argument(
        "--since", dest="since", type=times.since, metavar="TIME", help="the same as --from"
    )
    parser.add_argument(
        "--sample",
        type=share,
        default=1.0,
        metavar="SHARE",
        help="the share of the answers to check, from 0 to 1 (default: 1, all)",
    )
    parser.add_argument("--session", metavar="ID", help="of this conversation")
    parser.add_argument("--again", action="store_true", help="also what was checked already")
    add_verifier(parser)


def run(options: Namespace, terminal: Terminal) -> int:
    times.check_range(options)
    verifier = verifier_of(options)
    with trails_of(options, terminal) as trails:
        chosen = _chosen(trails, options)
        if not chosen:
            terminal.complain(
                f"no answer {times.in_words(options)} is in the sample; `doctrail responses` lists all there are"
            )
            return exit_codes.NOTHING
        return _check(trails, chosen, verifier, options, terminal)


def _chosen(trails: "TrailReading", options: Namespace) -> "Sequence[str]":
    from doctrail_core.grounding.sampling import sampled

    return [
        summary.response_id
        for summary in trails.responses(
            session_id=options.session, since=options.since, until=options.until
        )
        if sampled(summary.response_id, options.sample)
    ]


def _check(
    trails: "TrailReading",
    chosen: "Sequence[str]",
    verifier: "Verifier",
    options: Namespace,
    terminal: Terminal,
) -> int:
    from doctrail_core.durable.errors import StoreError
    from doctrail_core.grounding.checking import assess

    counts = Counter[str]()
    in_a_row = 0
    with lineage_of(options) as lineage, terminal.progress(chosen, "checking") as waiting:
        for response_id in waiting:
            try:
                trail = trails.get(response_id)
            except StoreError:
                trail = None
            if trail is None:
                counts["unreadable"] += 1
                continue
            if not options.again and _known(trail, verifier):
                counts["before"] += 1
                continue
            found = assess(trail, verifier)
            if found.status != "skipped":
                lineage.assessed(found, trail)
            counts[found.status] += 1
            counts["flagged"] += (found.risk or 0.0) >= _FLAGGED
            if options.json:
                _show(found, terminal)
            in_a_row = in_a_row + 1 if found.status == "failed" else 0
            if in_a_row == _HOPELESS:
                terminal.complain(
                    f"stopped: the last {_HOPELESS} checks failed, {found.error}. What was checked is on record;"
                    " the same command goes on from here."
                )
                break
    _sum_up(counts, len(chosen), options, terminal)
    return exit_codes.UNREADABLE if in_a_row == _HOPELESS else exit_codes.OK


def _known(trail: "Trail", verifier: "Verifier") -> bool:
    who = (verifier.name, verifier.version, "checked")
    return any((a.verifier, a.version, a.status) == who for a in trail.assessments)


def _show(found: "Assessment", terminal: Terminal) -> None:
    from doctrail_core.grounding.lines import form

    terminal.data(form(found.response_id, found))


def _sum_up(counts: Counter[str], total: int, options: Namespace, terminal: Terminal) -> None:
    if options.json:
        return
    terminal.say(
        f"{counts['checked']:,} of {total:,} answers checked, {counts['flagged']:,} of them flagged"
        " (a claim is contradicted or unsupported)."
    )
    told = {
        "before": "were checked before",
        "skipped": "could not be checked: they have no answer, or texts were not kept",
        "failed": "failed; the same command tries them again",
        "unreadable": "cannot be read; `doctrail why RESPONSE` says why",
    }
    for kind, words in told.items():
        if counts[kind]:
            terminal.say(f"{counts[kind]:,} {words}.")
