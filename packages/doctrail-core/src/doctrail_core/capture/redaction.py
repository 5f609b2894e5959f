"""What a trail keeps when texts are not wanted: ids, scores, hashes, offsets, times."""

from dataclasses import replace

from doctrail_core.capture.settings import Content
from doctrail_core.model import (
    Assessment,
    Chunk,
    Claim,
    Diagnosis,
    Generation,
    Retrieval,
    Step,
    ToolCall,
    Trail,
    Verdict,
)
from doctrail_core.text.identity import content_hash


def redact(trail: Trail, content: Content) -> Trail:
    """The trail as the content setting allows it to be kept."""
    if content == "full":
        return trail
    keep_hash = content == "hash"
    return replace(
        trail,
        question=None,
        answer=None,
        answer_hash=content_hash(trail.answer) if keep_hash and trail.answer else None,
        error=error_kind(trail.error),
        retrievals=tuple(_retrieval(r, keep_hash=keep_hash) for r in trail.retrievals),
        generations=tuple(_generation(g) for g in trail.generations),
        tool_calls=tuple(_tool_call(t) for t in trail.tool_calls),
        steps=tuple(_step(s) for s in trail.steps),
        carried=tuple(
            replace(c, chunk=_chunk(c.chunk, keep_hash=keep_hash)) for c in trail.carried
        ),
        citations=tuple(replace(c, cited="") for c in trail.citations),
        reranks=tuple(replace(r, query=None) for r in trail.reranks),
    )


def redact_assessment(assessment: Assessment, content: Content) -> Assessment:
    """The assessment as the content setting allows it to be kept: verdicts, offsets and reasons stay."""
    if content == "full":
        return assessment
    return replace(
        assessment,
        verdicts=tuple(map(_verdict, assessment.verdicts)),
        citations=tuple(replace(c, cited="") for c in assessment.citations),
        error=error_kind(assessment.error),
        answer_hash=None,
    )


def redact_diagnosis(diagnosis: Diagnosis, content: Content) -> Diagnosis:
    """The diagnosis as the content setting allows it to be kept."""
    if content == "full":
        return diagnosis
    findings = tuple(replace(f, text="", sentence=None) for f in diagnosis.findings)
    return replace(diagnosis, findings=findings, expected=None, missing=())


def _retrieval(retrieval: Retrieval, *, keep_hash: bool) -> Retrieval:
    hits = tuple(replace(h, chunk=_chunk(h.chunk, keep_hash=keep_hash)) for h in retrieval.hits)
    return replace(
        retrieval,
        query=None,
        filters=None,
        error=error_kind(retrieval.error),
        hits=hits,
        access=tuple(replace(d, error=error_kind(d.error)) for d in retrieval.access),
    )


def _chunk(chunk: Chunk, *, keep_hash: bool) -> Chunk:
    kept = chunk.content_hash if keep_hash else None
    return replace(chunk, text=None, metadata={}, content_hash=kept)


def _generation(generation: Generation) -> Generation:
    return replace(
        generation,
        output=None,
        parameters={k: v for k, v in generation.parameters.items() if isinstance(v, int | float)},
        messages=tuple(replace(m, text=None) for m in generation.messages),
        error=error_kind(generation.error),
        tool_requests=tuple(replace(r, arguments=None) for r in generation.tool_requests),
    )


def _verdict(verdict: Verdict) -> Verdict:
    claim = Claim(verdict.claim.start, verdict.claim.end)
    return replace(verdict, claim=claim, missing=(), conflicting_value=None)


def _step(step: Step) -> Step:
    return replace(step, input=None, output=None, error=error_kind(step.error))


def _tool_call(call: ToolCall) -> ToolCall:
    return replace(call, arguments=None, result=None, error=error_kind(call.error))


def error_kind(error: str | None) -> str | None:
    """`ValueError: the secret` -> `ValueError`."""
    return None if error is None else error.partition(":")[0]
