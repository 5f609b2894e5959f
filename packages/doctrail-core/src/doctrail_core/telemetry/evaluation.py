"""The span of a check: OpenInference's evaluator span, with GenAI's evaluation result as an event on it.

A check may come long after the answer, whose spans have ended by then: it is a trace of its own, with exactly
one link to the generation, as OpenInference asks of feedback that comes later. The event is one of the span:
those of OpenTelemetry's logs are not yet a stable interface.
"""

from datetime import datetime

from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Link, SpanContext, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue
from pydantic_core import to_json

from doctrail_core.model import VERDICTS, Assessment, Trail, Verdict
from doctrail_core.telemetry import semconv as sc

__all__ = ["write_evaluation"]

_NAME = "grounding"
_SCORED = "grounding_risk"
"""What the score is: on a dashboard more is taken for better, unless it says otherwise."""
_JUDGES = {"judge": "LLM"}
_SHOWN = 100
"""So many verdicts are on a span, the riskiest first; the trail has all."""


def write_evaluation(tracer: Tracer, trail: Trail, assessment: Assessment) -> None:
    """Write the span of a check that is over."""
    span = tracer.start_span(
        f"{_NAME} {assessment.verifier}",
        context=OtelContext(),
        links=_links(trail, assessment),
        start_time=_nanoseconds(assessment.started_at),
    )
    if span.is_recording():
        label, why = _label(assessment), _explanation(assessment)
        span.set_attributes(_attributes(trail, assessment, label, why))
        span.add_event(
            sc.GENAI_EVALUATION,
            _result(trail, assessment, label, why),
            _nanoseconds(assessment.ended_at),
        )
        failed = assessment.status == "failed"
        span.set_status(StatusCode.ERROR if failed else StatusCode.OK)
    span.end(_nanoseconds(assessment.ended_at))


def _links(trail: Trail, assessment: Assessment) -> list[Link]:
    """To the generation, where it had a span; the response's trace says which trace."""
    checked = assessment.generation_id
    span_id = next((g.span_id for g in trail.generations if g.generation_id == checked), None)
    if span_id is None or trail.trace_id is None:
        return []
    flags = TraceFlags(TraceFlags.SAMPLED)
    return [
        Link(
            SpanContext(
                int(trail.trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags
            )
        )
    ]


def _attributes(
    trail: Trail, assessment: Assessment, label: str, why: str
) -> dict[str, AttributeValue]:
    evaluation = {
        sc.EVALUATION_NAME: _SCORED,
        sc.EVALUATION_SCORE: assessment.risk,
        sc.EVALUATION_LABEL: label,
        sc.EVALUATION_EXPLANATION: why,
        sc.EVALUATION_ANNOTATOR: _JUDGES.get(assessment.verifier, "CODE"),
        sc.EVALUATION_IDENTIFIER: f"{assessment.verifier} {assessment.version}",
    }
    found: dict[str, AttributeValue | None] = {
        sc.item(sc.EVALUATIONS, 0, name): value for name, value in evaluation.items()
    }
    usage = assessment.usage
    found |= {
        sc.GENAI_INPUT_TOKENS: usage and usage.input_tokens,
        sc.GENAI_OUTPUT_TOKENS: usage and usage.output_tokens,
        sc.GROUNDING_COST: assessment.cost,
        sc.GROUNDING_VERDICTS: to_json([_verdict(v) for v in _riskiest(assessment)]).decode(),
        sc.GROUNDING_DEGRADED_FROM: assessment.degraded_from,
        sc.GROUNDING_VERIFIER: assessment.verifier,
        sc.GROUNDING_STATUS: assessment.status,
        sc.SESSION_ID: trail.session_id,
        sc.RESPONSE_ID: trail.response_id,
        sc.SPAN_KIND: sc.EVALUATOR,
    }
    return {name: value for name, value in found.items() if value is not None}


def _result(
    trail: Trail, assessment: Assessment, label: str, why: str
) -> dict[str, AttributeValue]:
    checked = (g for g in trail.generations if g.generation_id == assessment.generation_id)
    found: dict[str, AttributeValue | None] = {
        sc.GENAI_EVALUATION_NAME: _SCORED,
        sc.GENAI_EVALUATION_SCORE: assessment.risk,
        sc.GENAI_EVALUATION_LABEL: label,
        sc.GENAI_EVALUATION_EXPLANATION: why,
        sc.GENAI_RESPONSE_ID: next((g.message_id for g in checked), None),
        sc.ERROR_TYPE: _error_type(assessment),
    }
    return {name: value for name, value in found.items() if value is not None}


def _error_type(assessment: Assessment) -> str | None:
    failed = assessment.status == "failed" and assessment.error
    return failed.partition(":")[0] if failed else None


def _label(assessment: Assessment) -> str:
    """The worst verdict; where there is none, what became of the check."""
    counts = assessment.counts
    return next((kind for kind in VERDICTS if counts.get(kind)), assessment.status)


def _explanation(assessment: Assessment) -> str:
    counts = assessment.counts
    told = (f"{counts[kind]} {kind.replace('_', ' ')}" for kind in VERDICTS if kind in counts)
    return ", ".join(told) or f"no claims; {assessment.status}"


def _riskiest(assessment: Assessment) -> list[Verdict]:
    ranked = sorted(assessment.verdicts, key=lambda v: -(v.score or 0.0))
    return ranked[:_SHOWN]


def _verdict(verdict: Verdict) -> dict[str, object]:
    """Ids, offsets and codes; no text."""
    return {
        "start": verdict.claim.start,
        "end": verdict.claim.end,
        "verdict": verdict.verdict,
        "score": verdict.score,
        "reason": verdict.reason,
        "evidence": [
            {"chunk_id": e.chunk_id, "start": e.start, "end": e.end} for e in verdict.evidence
        ],
    }


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
