"""Answers to check as lines of JSON, and what was found as lines of JSON.

In: `{"id", "question", "answer", "chunks": [{"chunk_id", "document_id", "text"}]}`, of which `id`, `question` and
a chunk's ids may be missing. Out: `{"id", "risk", "claims": [{"start", "end", "text", "verdict", "score",
"reason", "evidence": [{"chunk_id", "start", "end"}]}]}` and more; what is unknown is null.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from doctrail_core.grounding.checking import check, chunks_of
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import Assessment, Chunk, Citation, Evidence, Verdict

__all__ = ["AnswerLine", "LineError", "form", "read_answers"]


_MARK = "\ufeff"
"""What some editors write before the first line of a file in UTF-8."""


class LineError(ValueError):
    """A line that is no answer to check; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One answer to check. `name` is its `id` as it was given, of any type; None where there is none."""

    name: Any
    answer: str
    chunks: Mapping[str, Chunk]
    question: str | None = None

    def check(self, verifier: Verifier | None = None) -> Assessment:
        """Check it, by default with the embedded verifier."""
        return check(self.answer, list(self.chunks.values()), self.question, verifier=verifier)


def read_answers(lines: Iterable[str]) -> Iterator[tuple[int, AnswerLine | LineError]]:
    """The answers, each with the number (from 1) of its line; blank lines are passed over."""
    for number, line in enumerate(lines, 1):
        said = line.removeprefix(_MARK)
        if said.strip():
            try:
                yield number, _read(said)
            except LineError as error:
                yield number, error


def form(name: Any, assessment: Assessment) -> dict[str, Any]:
    """What was found, ready for JSON."""
    return {
        "id": name,
        "risk": assessment.risk,
        "noisy_or": assessment.noisy_or,
        "status": assessment.status,
        "error": assessment.error,
        "verifier": assessment.verifier,
        "version": assessment.version,
        "degraded_from": assessment.degraded_from,
        "usage": assessment.usage and asdict(assessment.usage),
        "cost": assessment.cost,
        "claims": [_claim(verdict) for verdict in assessment.verdicts],
        "citations": [_citation(citation) for citation in assessment.citations],
    }


def _read(line: str) -> AnswerLine:
    try:
        given: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError(f"it is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise LineError(f"it must be an object, not {type(given).__name__}")
    fields = cast("dict[str, Any]", given)
    answer = fields.get("answer")
    if not isinstance(answer, str):
        raise LineError(f"`answer` must be a string, not {_told(answer)}")
    question = fields.get("question")
    if not isinstance(question, str | None):
        raise LineError(f"`question` must be a string, not {_told(question)}")
    chunks: object = fields.get("chunks")
    if not isinstance(chunks, list):
        raise LineError(f"`chunks` must be a list, not {_told(chunks)}")
    for place, chunk in enumerate(cast("list[object]", chunks)):
        if not isinstance(chunk, dict):
            raise LineError(f"chunk {place} must be an object, not {_told(chunk)}")
    try:
        known = chunks_of(cast("list[Mapping[str, Any]]", chunks))
    except ValueError as error:
        raise LineError(str(error)) from error
    return AnswerLine(fields.get("id"), answer, known, question)


def _told(value: object) -> str:
    return "missing" if value is None else type(value).__name__


def _claim(verdict: Verdict) -> dict[str, Any]:
    return {
        "start": verdict.claim.start,
        "end": verdict.claim.end,
        "text": verdict.claim.text,
        "verdict": verdict.verdict,
        "score": verdict.score,
        "reason": verdict.reason,
        "evidence": _places(verdict.evidence),
        "missing": list(verdict.missing),
        "conflicting_value": verdict.conflicting_value,
        "conflicting_evidence": _places(verdict.conflicting_evidence),
        "verifier": verdict.verifier,
    }


def _citation(citation: Citation) -> dict[str, Any]:
    return {
        "start": citation.start,
        "end": citation.end,
        "cited": citation.cited,
        "state": citation.state,
        "chunk_ids": list(citation.chunk_ids),
        "better": citation.better,
    }


def _places(found: Iterable[Evidence]) -> list[dict[str, Any]]:
    return [{"chunk_id": e.chunk_id, "start": e.start, "end": e.end} for e in found]
