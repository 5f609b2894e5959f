"""Checks one answer, of a trail or of anybody, and puts down what was found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from doctrail_core.grounding.citations import checked
from doctrail_core.grounding.passages import arrived, other_prompt_text
from doctrail_core.grounding.verifier import (
    Answer,
    Findings,
    Passage,
    Verifier,
    VerifierError,
    refuse_others,
)
from doctrail_core.model import Assessment, AssessmentStatus, Chunk, Citation, Trail, Verdict
from doctrail_core.model.claim import VERDICTS
from doctrail_core.model.involvement import answering
from doctrail_core.text.citations import citations, without_citations
from doctrail_core.text.identity import canonical_id, clean_text, content_hash, identify

__all__ = ["aassess", "assess", "check", "chunks_of", "embedded", "unchecked"]

_ELSEWHERE = "other_prompt_text"
_DOUBT = 0.45
"""The risk of a claim that stands in the prompt, yet in no chunk: below what is flagged."""


def check(
    answer: str,
    chunks: Iterable[Chunk | Mapping[str, Any] | str],
    question: str | None = None,
    *,
    verifier: Verifier | None = None,
    response_id: str = "",
) -> Assessment:
    """Check an answer against chunks, without any framework, file or model.

    Args:
        answer: The answer.
        chunks: What it was made from, in the order of the prompt: chunks, texts, or mappings with `text`
            and, where known, `chunk_id` and `document_id`.
        question: What was asked.
        verifier: Who checks; default the embedded one.
        response_id: What to call the answer.

    Raises:
        ValueError: A chunk is none; the message says which and why.
        TypeError: The verifier is none.
    """
    refuse_others(verifier)
    given = chunks_of(chunks)
    passages = tuple(Passage(c.chunk_id, c.document_id, c.text or "") for c in given.values())
    said = clean_text(answer)
    asked = Answer(said, passages, None if question is None else clean_text(question))
    case = _Case(response_id, asked, given, (), citations(said, given, list(given)))
    return case.assessed(verifier or embedded())


def assess(trail: Trail, verifier: Verifier | None = None) -> Assessment:
    """Check the answer of a response against what arrived in its prompts. A verifier's failure is its status."""
    verifier = verifier or embedded()
    case = _case(trail)
    if isinstance(case, str):
        return unchecked(verifier, case, response_id=trail.response_id)
    return case.assessed(verifier)


async def aassess(trail: Trail, verifier: Verifier | None = None) -> Assessment:
    """Check the answer of a response without blocking the event loop; see `assess`."""
    verifier = verifier or embedded()
    case = _case(trail)
    if isinstance(case, str):
        return unchecked(verifier, case, response_id=trail.response_id)
    return await case.aassessed(verifier)


def unchecked(
    verifier: Verifier,
    why: str | Exception,
    *,
    status: AssessmentStatus = "skipped",
    response_id: str = "",
) -> Assessment:
    """The state of an answer that there was nothing to check by, or whose check broke off."""
    now = _now()
    return Assessment(
        response_id=response_id,
        verifier=verifier.name,
        version=verifier.version,
        status=status,
        started_at=now,
        ended_at=now,
        error=_described(why) if isinstance(why, Exception) else why,
    )


@cache
def embedded() -> Verifier:
    """The verifier that needs nothing but itself."""
    from doctrail_core.grounding.embedded import EmbeddedVerifier

    return EmbeddedVerifier()


@dataclass(frozen=True, slots=True)
class _Case:
    """An answer to check, with what its verdicts are seen in the light of."""

    response_id: str
    answer: Answer
    chunks: Mapping[str, Chunk]
    other: tuple[Passage, ...]
    cited: tuple[Citation, ...]
    generation_id: str | None = None

    @property
    def bare(self) -> Answer:
        """The answer as it is checked: the ids that it cites are no part of what it claims."""
        return replace(self.answer, text=without_citations(self.answer.text, self.cited))

    def assessed(self, verifier: Verifier) -> Assessment:
        begun = _now()
        try:
            return self._checked(verifier, begun, verifier.verify(self.bare))
        except Exception as error:  # noqa: BLE001  # whatever a verifier raises or returns, the check has failed
            return self._failed(verifier, begun, error)

    async def aassessed(self, verifier: Verifier) -> Assessment:
        begun = _now()
        try:
            return self._checked(verifier, begun, await verifier.averify(self.bare))
        except Exception as error:  # noqa: BLE001  # whatever a verifier raises or returns, the check has failed
            return self._failed(verifier, begun, error)

    def _checked(self, verifier: Verifier, begun: datetime, found: Findings) -> Assessment:
        _refuse_nonsense(found)
        verdicts = _excused(found.verdicts, self.bare, self.other)
        return Assessment(
            response_id=self.response_id,
            verifier=verifier.name,
            version=verifier.version,
            status="checked",
            started_at=begun,
            ended_at=_now(),
            generation_id=self.generation_id,
            verdicts=tuple(_as_said(v, self.answer.text) for v in verdicts),
            citations=checked(self.cited, self.answer, verdicts),
            degraded_from=found.degraded_from,
            error=found.error,
            usage=found.usage,
            cost=found.cost,
            answer_hash=content_hash(self.answer.text),
        )

    def _failed(self, verifier: Verifier, begun: datetime, error: Exception) -> Assessment:
        spent = error if isinstance(error, VerifierError) else VerifierError("")
        broken_off = unchecked(verifier, error, status="failed", response_id=self.response_id)
        return replace(
            broken_off,
            started_at=begun,
            generation_id=self.generation_id,
            citations=self.cited,
            usage=spent.usage,
            cost=spent.cost,
        )


def _refuse_nonsense(found: Findings) -> None:
    """What is no verdict is a check that failed: a risk that is not a number would pass for none."""
    for each in found.verdicts:
        if each.verdict not in VERDICTS:
            why = f"{each.verdict!r:.40} is no verdict"
        elif each.score is not None and not 0 <= each.score <= 1:
            why = f"the score of a verdict is {each.score!r:.40}; it must be from 0 to 1"
        else:
            continue
        raise VerifierError(why, usage=found.usage, cost=found.cost)


def _as_said(verdict: Verdict, answer: str) -> Verdict:
    claim = verdict.claim
    return replace(verdict, claim=replace(claim, text=answer[claim.start : claim.end]))


def _case(trail: Trail) -> _Case | str:
    """What to check, or why there is nothing to check by."""
    if trail.answer is None:
        return "no answer is on record"
    chunks = trail.chunks
    if chunks and all(chunk.text is None for chunk in chunks.values()):
        return "the texts of the chunks were not kept"
    passages = arrived(trail)
    cited = trail.citations or citations(trail.answer, chunks, [p.chunk_id for p in passages])
    return _Case(
        trail.response_id,
        Answer(trail.answer, passages, trail.question),
        chunks,
        other_prompt_text(trail),
        cited,
        next((g.generation_id for g in reversed(list(answering(trail)))), None),
    )


def _excused(
    verdicts: tuple[Verdict, ...], answer: Answer, other: tuple[Passage, ...]
) -> tuple[Verdict, ...]:
    """The verdicts, where what no chunk supports stands in another part of the prompt."""
    open_still = tuple(v.claim for v in verdicts if v.verdict == "unsupported")
    if not open_still or not other:
        return verdicts
    again = embedded().verify(replace(answer, passages=other, claims=open_still))
    found = {v.claim for v in again.verdicts if v.verdict == "supported"}
    return tuple(_elsewhere(v) if v.claim in found else v for v in verdicts)


def _elsewhere(verdict: Verdict) -> Verdict:
    return replace(
        verdict, verdict="not_checked", score=_DOUBT, reason=_ELSEWHERE, evidence=(), missing=()
    )


def chunks_of(given: Iterable[Chunk | Mapping[str, Any] | str]) -> dict[str, Chunk]:
    """The chunks by id; of several with one id, the later ones are told apart, so that none is lost.

    Raises:
        ValueError: One is none; the message says which and why.
    """
    if isinstance(given, str | bytes | Mapping | Chunk):
        kind = type(cast("object", given)).__name__
        raise ValueError(f"chunks must be a list of chunks, not one {kind}")  # noqa: TRY004  # like a chunk that is none
    named: dict[str, Chunk] = {}
    for place, each in enumerate(given):
        chunk = _chunk(place, each)
        known = named.setdefault(chunk.chunk_id, chunk)
        if known.text != chunk.text:
            apart = canonical_id(f"{chunk.document_id}#{chunk.chunk_id}")
            if apart in named:
                apart = canonical_id(f"{apart}#{place}")
            named[apart] = replace(chunk, chunk_id=apart)
    return named


def _chunk(place: int, given: object) -> Chunk:
    if isinstance(given, Chunk):
        return given
    fields: object = {"text": given} if isinstance(given, str) else given
    if not isinstance(fields, Mapping):
        raise ValueError(f"chunk {place} is none: {given!r:.40}")  # noqa: TRY004  # a bad value, as below
    fields = cast("Mapping[str, Any]", fields)
    text = fields.get("text")
    if not isinstance(text, str):
        raise ValueError(f"chunk {place} has no text: it must be a string, not {text!r:.40}")  # noqa: TRY004  # a bad value of a field
    metadata: object = fields.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise ValueError(f"metadata of chunk {place} must be a mapping, not {metadata!r:.40}")  # noqa: TRY004  # likewise
    named = {name: fields.get(name) for name in ("chunk_id", "document_id")}
    for name, value in named.items():
        if not isinstance(value, str | int | None):
            raise ValueError(f"{name} of chunk {place} must be a string, not {value!r:.40}")  # noqa: TRY004  # likewise
    ids = {name: None if value is None else str(value) for name, value in named.items()}
    return identify(text, index=None, metadata=cast("Mapping[str, Any]", metadata), **ids)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _now() -> datetime:
    return datetime.now(UTC)
