"""`doctrail import`: puts the answers in files of traces on record."""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.installation import settings_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from doctrail.receiver.inbox import Inbox
    from doctrail.receiver.recording import Outcome
    from doctrail.receiver.span import ReceivedSpan

NAME = "import"
SUMMARY = "put the answers in files of traces on record"
DESCRIPTION = """\
Reads OpenTelemetry traces from files and puts the answers in them on record: OTLP in JSON, as collectors write
it, and what Phoenix exports; a document a line, or one for the whole file; FILE.gz is unpacked. What is on record
already is passed over, so the same file may be imported again, and a run that was stopped repeated. A line
that is no trace is told and passed over; the exit code is then 2."""
EXAMPLE = "doctrail import traces.jsonl"

_AT_ONCE = 500
_TOLD = 20
"""So many lines that are none are named for each file."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of traces")


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail.receiver.recording import in_words, recording

    with recording(settings_of(options), "import", lasting=False) as records:
        read = _Reading(records.inbox, terminal)
        for file in options.files:
            read.file(file)
        read.flush()
        with terminal.progress(read.traces(), "recording") as waiting:
            for _ in records.record(waiting):
                pass
    if options.json:
        terminal.data({**records.outcomes, "malformed": read.malformed})
    else:
        for line in in_words(records.outcomes):
            terminal.say(line)
    if not (records.outcomes or read.malformed):
        terminal.complain(f"no spans are in {', '.join(options.files)}")
    return _exit_code(records.outcomes, read.malformed)


def _exit_code(outcomes: "Mapping[Outcome, int]", malformed: int) -> int:
    if malformed:
        return exit_codes.USAGE
    answers = outcomes.get("recorded", 0) + outcomes.get("on record before", 0)
    return exit_codes.OK if answers else exit_codes.NOTHING


@dataclass(slots=True)
class _Reading:
    """Puts the spans of files in.

    Attributes:
        malformed: How many spans and lines were none.
    """

    inbox: "Inbox"
    terminal: Terminal
    malformed: int = 0
    _began: dict[str, int] = field(default_factory=dict[str, int])
    _waiting: "list[ReceivedSpan]" = field(default_factory=list["ReceivedSpan"])

    def file(self, file: str) -> None:
        from doctrail.receiver.decoding import MalformedRequestError
        from doctrail.receiver.files import opened

        try:
            with opened(file) as lines:
                self._lines(lines, file)
        except MalformedRequestError as error:
            self.malformed += 1
            self.terminal.complain(str(error))

    def _lines(self, lines: "Iterable[str]", file: str) -> None:
        from doctrail.receiver.files import read

        complaints = 0
        for number, decoded in read(lines):
            self._take(decoded.spans)
            self.malformed += decoded.rejected
            complaints += bool(decoded.rejected)
            if decoded.rejected and complaints <= _TOLD:
                self.terminal.complain(f"line {number} of {file}: {decoded.reason}")
        if complaints > _TOLD:
            self.terminal.complain(f"{complaints - _TOLD:,} more lines of {file} are none")

    def traces(self) -> list[str]:
        """Those that were read, in the order in which they began: turns of a conversation follow each other."""
        return sorted(self._began, key=self._began.__getitem__)

    def flush(self) -> None:
        self.inbox.put(self._waiting)
        self._waiting = []

    def _take(self, spans: "list[ReceivedSpan]") -> None:
        for span in spans:
            began = self._began.setdefault(span.trace_id, span.start)
            self._began[span.trace_id] = min(began, span.start)
        self._waiting += spans
        if len(self._waiting) >= _AT_ONCE:
            self.flush()
