"""Points in time as people type them: a date, or an ISO timestamp; UTC where no offset is given."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, date, datetime, time, timedelta

from doctrail.errors import UsageError

__all__ = ["add_range", "check_range", "in_words", "since", "until"]


def add_range(parser: ArgumentParser) -> None:
    """Give a command `--from` and `--to`, as `since` and `until`."""
    form = "a date, or a timestamp such as 2026-11-22T14:30; UTC where no offset is given"
    parser.add_argument(
        "--from", dest="since", type=since, metavar="TIME", help=f"from then on: {form}"
    )
    parser.add_argument(
        "--to",
        dest="until",
        type=until,
        metavar="TIME",
        help="before then; a date includes that day",
    )


def check_range(options: Namespace) -> None:
    """Refuse a range that ends before it begins.

    Raises:
        UsageError: It does.
    """
    if options.since and options.until and options.since >= options.until:
        raise UsageError("--from must be before --to: no time lies between them")


def in_words(options: Namespace) -> str:
    """The range as it was understood, to be read after a noun."""
    known = [("from", options.since), ("before", options.until)]
    words = [f"{word} {moment.isoformat()}" for word, moment in known if moment]
    return " ".join(words) or "at any time"


def since(text: str) -> datetime:
    """The first moment meant by a `--from`."""
    day = _day(text)
    return _moment(text) if day is None else datetime.combine(day, time.min, UTC)


def until(text: str) -> datetime:
    """The first moment no longer meant by a `--to`; a bare date includes that day."""
    day = _day(text)
    if day is None:
        return _moment(text)
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day + timedelta(days=1), time.min, UTC)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is neither a date (2026-11-22) nor a timestamp (2026-11-22T14:30:00+01:00)"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
