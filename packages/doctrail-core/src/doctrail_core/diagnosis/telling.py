"""A diagnosis told in plain text: the verdict, why, what to do, and what could not be told.

Nothing is printed that a terminal would obey.
"""

import textwrap
from collections.abc import Iterator

from doctrail_core.model import Diagnosis, Finding, Trail
from doctrail_core.model.printable import one_line
from doctrail_core.model.wording import FAULT_WORDS

__all__ = ["tell"]

_WIDTH = 100
_ARRIVED = {
    "full": "arrived whole",
    "partial": "arrived in part",
    "ambiguous": "arrived, though it has a twin",
    "absent": "did not arrive",
}


def tell(diagnosis: Diagnosis, trail: Trail) -> str:
    """Say whose fault it was, to somebody who has not seen the trail."""
    return "\n".join(_lines(diagnosis, trail)) + "\n"


def _lines(diagnosis: Diagnosis, trail: Trail) -> Iterator[str]:
    yield f"Response {one_line(trail.response_id)}"
    yield from _field("Question", trail.question)
    yield from _field("Answer", trail.answer)
    if diagnosis.expected is not None:
        yield from _field("Expected", diagnosis.expected)
    yield ""
    yield from _wrapped(f"Verdict: {FAULT_WORDS[diagnosis.fault]}", "", "  ")
    if diagnosis.findings:
        yield ""
        yield "Why"
    for number, finding in enumerate(diagnosis.findings, 1):
        yield from _finding(f"  {number}. ", finding)
    yield ""
    yield "What to do"
    yield from _wrapped(one_line(diagnosis.fix), "  ", "  ")
    if diagnosis.missing:
        yield ""
        yield "What is missing"
    for gap in diagnosis.missing:
        yield from _wrapped(one_line(gap), "  - ", "    ")


def _field(name: str, text: str | None) -> Iterator[str]:
    words = "(text not kept)" if text is None else one_line(text, 400)
    yield from _wrapped(words, f"  {name:<10}", " " * 12)


def _finding(number: str, finding: Finding) -> Iterator[str]:
    indent = " " * len(number)
    yield from _wrapped(one_line(finding.text), number, indent)
    if finding.sentence:
        yield from _wrapped(f"“{one_line(finding.sentence, 500)}”", indent, indent)
    if place := ", ".join(_place(finding)):
        yield from _wrapped(place, indent, indent)


def _place(finding: Finding) -> Iterator[str]:
    if finding.document_id:
        yield f"document {one_line(finding.document_id, 60)}"
    if finding.evidence:
        yield f"chunk {one_line(finding.evidence.chunk_id, 60)}"
    if finding.rank is not None:
        yield f"rank {finding.rank + 1}"
    if finding.score is not None:
        yield f"score {finding.score:.3f}"
    if finding.arrival:
        yield _ARRIVED.get(finding.arrival, one_line(finding.arrival, 20))
    if finding.order is not None:
        yield f"place {finding.order + 1} in the prompt"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    wrap = textwrap.TextWrapper(
        _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
    return wrap.wrap(text) or [first.rstrip()]
