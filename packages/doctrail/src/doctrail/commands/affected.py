"""`doctrail affected`: which answers had a document. Asked of the ledger, which is never erased."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from doctrail import exit_codes, times
from doctrail.errors import UsageError
from doctrail.installation import home_of, ledger_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from doctrail_core.ledger.impact import ImpactHit, Query
    from doctrail_core.ledger.reader import LedgerReader

NAME = "affected"
SUMMARY = "which answers had a document"
DESCRIPTION = """\
Which answers had a document, and how deeply. This is the question to ask when a document turns out
to be wrong. The ledger answers it, from ids alone, also where texts were erased. Ids must be exact.

Found as well, and named as what it is: what had a document that was made from this one, or a chunk of
the same text under another id; what an earlier turn or a sub-agent brought; and answers that a cache
gave again. --exact leaves those out that never had the document itself."""
EXAMPLE = (
    "doctrail affected --document policy_2023 --from 2026-11-01 --to 2026-11-30 --grade in-prompt"
)

GRADES = ("cited", "supports", "in_prompt", "retrieved")
_SHOWN = 500
_BY_CHECKS = ("cited", "supports")
_UNCHECKED = (
    " Checks find these grades: an answer that nobody checked (`doctrail ground`) may be missing here;"
    " --grade in-prompt has all that can have them."
)


def add_arguments(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--document", metavar="ID", help="the document's whole id")
    what.add_argument("--chunk", metavar="ID", help="the chunk's whole id")
    what.add_argument("--source", metavar="URI", help="the whole source, as the metadata have it")
    parser.add_argument("--version", metavar="V", help="a version, of the document or of any")
    times.add_range(parser)
    parser.add_argument(
        "--grade",
        type=_grade,
        metavar="{cited,supports,in-prompt,retrieved}",
        help="only where it was involved at least this deeply; strongest first: cited by the answer,"
        " supports it, was in the prompt, was retrieved",
    )
    parser.add_argument("--exact", action="store_true", help="no detours: the document itself")
    parser.add_argument(
        "--limit",
        type=_number,
        metavar="N",
        help=f"at most so many (default: {_SHOWN} for people, all for programs)",
    )
    parser.add_argument("--after", metavar="CURSOR", help="go on where a list left off")
    parser.add_argument(
        "--index",
        action="append",
        metavar="WHERE",
        help="ask what `doctrail archive` has filled: `segments`, or clickhouse://... once for each shard; the"
        " ledger answers for the rest",
    )
    from doctrail.listing import add_csv

    add_csv(parser)


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail.listing import show_list

    times.check_range(options)
    query = _query(options)
    limit = options.limit or (None if options.json or options.csv else _SHOWN)
    told = _Told()
    with _asked(options, terminal) as ledger, closing(ledger.affected(query)) as hits:
        show_list(terminal, options, told.counting(islice(hits, limit)), _HEADER, _row)
        more = told.last is not None and next(hits, None) is not None
    if more and told.last is not None:
        terminal.complain(f"there is more: add --after {told.last.cursor}")
    if told.last is not None:
        return exit_codes.OK
    terminal.complain(
        f"no answer {times.in_words(options)} had {_named(options)}"
        f"{f' as {options.grade} or more' if options.grade else ''}. Ids must be exact: doc_4 is not doc_42."
        " `doctrail responses` and `doctrail why RESPONSE` show the ids that are on record."
        f"{_UNCHECKED if options.grade in _BY_CHECKS else ''}"
    )
    return exit_codes.NOTHING


@contextmanager
def _asked(options: Namespace, terminal: Terminal) -> "Generator[LedgerReader]":
    """The ledger, which asks an index where one is named."""
    with ledger_of(options, terminal) as ledger:
        if options.index:
            from doctrail_core.archive.asking import ask_index
            from doctrail_core.durable.home import Home

            ask_index(ledger, Home(home_of(options)), options.index)
        yield ledger


class _Told:
    """What was told so far, while it streams by."""

    def __init__(self) -> None:
        self.last: ImpactHit | None = None

    def counting(self, hits: "Iterator[ImpactHit]") -> "Iterator[ImpactHit]":
        for hit in hits:
            self.last = hit
            yield hit


def _query(options: Namespace) -> "Query":
    from doctrail_core.ledger.impact import Query, cursor_place

    if not any((options.document, options.chunk, options.source, options.version)):
        raise UsageError("name what to look for: --document, --chunk, --source or --version")
    if options.version and (options.chunk or options.source):
        raise UsageError("--version goes with --document, or alone")
    try:
        cursor_place(options.after)
    except ValueError as error:
        raise UsageError(f"--after: {error}") from error
    return Query(
        document_id=options.document,
        chunk_id=options.chunk,
        source=options.source,
        version=options.version,
        since=options.since,
        until=options.until,
        grade=options.grade,
        closure=not options.exact,
        after=options.after,
    )


def _grade(word: str) -> str:
    grade = word.replace("-", "_")
    if grade not in GRADES:
        raise ArgumentTypeError(f"{word!r} is not one of cited, supports, in-prompt, retrieved")
    return grade


def _number(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise ArgumentTypeError(f"{word!r} is no number of answers")
    return int(word)


def _named(options: Namespace) -> str:
    named = ("document", "chunk", "source", "version")
    return " of ".join(
        f"{name} {value!r}" for name in reversed(named) if (value := getattr(options, name))
    )


_HEADER = ("time", "grade", "status", "response", "session", "user", "how")


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
        _how(hit),
    ]


def _how(hit: "ImpactHit") -> str:
    said = {"via_history": "an earlier turn", "via_agent": "a sub-agent or tool"}.get(hit.how)
    detours = [
        f"{hit.document_id}, made from {hit.derived_from}" if hit.derived_from else None,
        f"{hit.document_id}, same text as in {hit.same_text_as}" if hit.same_text_as else None,
        f"the answer of {hit.through}, given again" if hit.through else said,
    ]
    return "; ".join(filter(None, detours)) or "-"
