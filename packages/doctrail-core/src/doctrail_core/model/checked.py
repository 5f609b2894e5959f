"""What was checked of an answer, told in plain text: claims, citations, and whose fault it was."""

from collections.abc import Iterator, Mapping

from doctrail_core.model.assessment import NOT_A_CLAIM, Assessment
from doctrail_core.model.chunk import Chunk
from doctrail_core.model.citation import Citation
from doctrail_core.model.claim import VERDICTS, Evidence, Verdict
from doctrail_core.model.diagnosis import Diagnosis
from doctrail_core.model.printable import hanging, heading, one_line, wrapped
from doctrail_core.model.trail import Trail
from doctrail_core.model.wording import FAULT_WORDS, moment

__all__ = ["checked", "told"]

_SHOWN = 8
_TEXT = 160
_ID = 24


def checked(trail: Trail, *, full: bool, width: int) -> Iterator[str]:
    """The lines on what was checked; none where nothing was.

    Args:
        trail: The response.
        full: Every claim, uncut.
        width: Of a line, in cells.
    """
    telling = _Telling(trail.chunks, full=full, width=width)
    if trail.assessments:
        *earlier, latest = trail.assessments
        yield from heading(f"What of the answer is supported ({_title(latest)})")
        yield from telling.assessment(latest)
        yield from (f"  Before that: {_title(each)}" for each in reversed(earlier))
    citations = next((a.citations for a in reversed(trail.assessments)), ())
    if said := citations or trail.citations:
        yield from heading("What the answer cites")
        yield from (line for citation in said for line in telling.citation(citation))
    for diagnosis in trail.diagnoses[-1:]:
        yield from heading(f"Whose fault it was ({_asked(diagnosis)})")
        yield from telling.diagnosis(diagnosis)


def told(
    name: str, assessment: Assessment, chunks: Mapping[str, Chunk], *, width: int
) -> Iterator[str]:
    """The lines on one assessment alone, every claim in it.

    Args:
        name: What the answer is called.
        assessment: What was found.
        chunks: What it was checked against, by id.
        width: Of a line, in cells.
    """
    telling = _Telling(chunks, full=False, width=width, shown=None)
    yield f"{one_line(name, _TEXT)} ({_title(assessment)})"
    yield from telling.assessment(assessment)
    yield from (line for each in assessment.citations for line in telling.citation(each))


class _Telling:
    def __init__(
        self, chunks: Mapping[str, Chunk], *, full: bool, width: int, shown: int | None = _SHOWN
    ) -> None:
        self.chunks = chunks
        self.full = full
        self.width = width
        self.most = None if full else shown

    def assessment(self, assessment: Assessment) -> Iterator[str]:
        if assessment.status != "checked":
            yield f"  {assessment.status}: {one_line(assessment.error or 'no reason is known', _TEXT)}"
            return
        if assessment.degraded_from:
            why = f" ({one_line(assessment.error, _TEXT)})" if assessment.error else ""
            yield f"  in place of {one_line(assessment.degraded_from, _ID)}, which did not run{why}"
        claims = [v for v in assessment.verdicts if v.reason != NOT_A_CLAIM]
        claims.sort(key=lambda v: (VERDICTS.index(v.verdict), -(v.score or 0.0)))
        shown = claims[: self.most]
        yield from (line for verdict in shown for line in self.verdict(verdict))
        if not claims:
            yield "  the answer claims nothing"
        if len(shown) < len(claims):
            yield f"  ... and {len(claims) - len(shown)} more, see the full text (--full)"

    def verdict(self, verdict: Verdict) -> Iterator[str]:
        said = f"  {verdict.verdict.replace('_', ' '):<13} "
        text = "(text not kept)" if verdict.claim.text is None else verdict.claim.text
        yield from hanging(said, self.quoted(text, len(said)))
        why = verdict.reason.replace("_", " ")
        if verdict.missing:
            why += f": {', '.join(one_line(each, 40) for each in verdict.missing)}"
        if verdict.conflicting_value:
            why += f": {one_line(verdict.conflicting_value, 80)}"
        yield " " * len(said) + one_line(why, self.width)
        for evidence in verdict.evidence[: None if self.full else 1]:
            yield from self.evidence("read in", evidence, len(said))
        for evidence in verdict.conflicting_evidence[: None if self.full else 1]:
            yield from self.evidence("but see", evidence, len(said))

    def evidence(self, word: str, evidence: Evidence, indent: int) -> Iterator[str]:
        chunk = self.chunks.get(evidence.chunk_id)
        name = one_line(evidence.chunk_id, None if self.full else 2 * _ID)
        text = chunk.text[evidence.start : evidence.end] if chunk and chunk.text else None
        quote = "" if text is None else f': "{one_line(text, None if self.full else _TEXT)}"'
        place = f"{word} {name}, characters {evidence.start} to {evidence.end}{quote}"
        yield from hanging(" " * indent, wrapped(place, self.width - indent))

    def citation(self, citation: Citation) -> Iterator[str]:
        named = ", ".join(one_line(i, 2 * _ID) for i in citation.chunk_ids)
        better = f"; {one_line(citation.better, 2 * _ID)} says it" if citation.better else ""
        means = f", which is {named}" if named else ""
        cited = one_line(citation.cited, 80) or "(text not kept)"
        yield f"  {citation.state.replace('_', ' '):<18} {cited}{means}{better}"

    def diagnosis(self, diagnosis: Diagnosis) -> Iterator[str]:
        yield f"  {FAULT_WORDS[diagnosis.fault]}"
        for finding in diagnosis.findings[: None if self.full else 3]:
            yield from hanging("  - ", wrapped(one_line(finding.text), self.width - 4))
            if finding.evidence is not None:
                yield from self.evidence("see", finding.evidence, 4)
        yield from hanging("  What to do: ", wrapped(one_line(diagnosis.fix), self.width - 14))

    def quoted(self, text: str, indent: int) -> list[str]:
        return wrapped(one_line(text, None if self.full else _TEXT), self.width - indent)


def _title(assessment: Assessment) -> str:
    risk = assessment.risk
    known = "no risk known" if risk is None else f"risk {risk:.2f}"
    who = f"{one_line(assessment.verifier, _ID)} {one_line(assessment.version, _ID)}"
    return f"{known}, by {who}, {moment(assessment.ended_at)}"


def _asked(diagnosis: Diagnosis) -> str:
    by = f"by {one_line(diagnosis.by, _ID)}, " if diagnosis.by else ""
    return f"{by}{moment(diagnosis.at)}"
