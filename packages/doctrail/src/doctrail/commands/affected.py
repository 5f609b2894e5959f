"""`doctrail affected`: which answers had a document. Asked of the ledger, which is never erased."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.installation import ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from doctrail_core.ledger.store import ImpactHit

NAME = "affected"
SUMMARY = "which answers had a document"
DESCRIPTION = """\
Which answers had a document, and how deeply. This is the question to ask when a document turns out
to be wrong. The ledger answers it, from ids alone, also where texts were erased. The id must be exact."""
EXAMPLE = (
    "doctrail affected --document policy_2023 --from 2026-11-01 --to 2026-11-30 --grade in_prompt"
)

GRADES = ("cited", "supports", "in_prompt", "retrieved")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--document", required=True, metavar="ID", help="the document's whole id")
    times.add_range(parser)
    parser.add_argument(
        "--grade",
        choices=GRADES,
        help="only where it was involved at least this deeply; strongest first: cited by the answer,"
        " supports it, was in the prompt, was retrieved",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail.listing import show_list

    times.check_range(options)
    with ledger_of(options, terminal) as ledger:
        hits = list(
            ledger.responses_with(options.document, options.since, options.until, options.grade)
        )
    show_list(terminal, options, hits, _HEADER, _row)
    if hits:
        return exit_codes.OK
    terminal.complain(
        f"no answer {times.in_words(options)} had document {options.document!r}"
        f"{f' as {options.grade} or more' if options.grade else ''}. Ids must be exact: doc_4 is not doc_42."
        " `doctrail responses` and `doctrail why RESPONSE` show the ids that are on record."
    )
    return exit_codes.NOTHING


_HEADER = ("time", "grade", "status", "response", "session", "user")


def _row(hit: "ImpactHit") -> list[str]:
    from doctrail_core.model.wording import grade, moment

    status = hit.status if hit.complete else "no answer on record"
    return [
        moment(hit.time),
        grade(hit.grade, hit.involvement),
        status,
        hit.response_id,
        hit.session_id or "-",
        hit.user_id or "-",
    ]
