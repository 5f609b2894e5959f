"""Our own attributes: only what neither convention has a name for."""

from typing import Any

from doctrail_core.model import Arrival, Generation, Hit, Retrieval, SpanStart, Trail, Verdict
from doctrail_core.telemetry import semconv as sc
from doctrail_core.telemetry.content import Shown
from doctrail_core.telemetry.evaluation import Evaluation
from doctrail_core.telemetry.stages import Assembly, Stage, Written, as_json, finite

__all__ = ["write"]

_MOST_IDS = 128


def write(stage: Stage, start: SpanStart, shown: Shown, into: Written) -> None:
    """Write what only we know."""
    into.core[sc.RESPONSE_ID] = start.response_id
    match stage:
        case Retrieval():
            _retrieval(stage, shown, into)
        case Assembly():
            _assembly(stage, into)
        case Generation():
            into.core[sc.AUXILIARY] = stage.auxiliary or None
        case Evaluation():
            _evaluation(stage, into)
        case Trail():
            _request(stage, into)
        case _:
            pass


def _request(trail: Trail, into: Written) -> None:
    into.core |= {
        sc.DOCUMENT_IDS: [d.document_id for d in trail.documents[:_MOST_IDS]] or None,
        sc.FRAMEWORK: trail.framework,
        sc.SERVICE: trail.service,
        sc.QUERY_HASH: trail.query_hash,
        sc.SESSION_TURN: trail.turn,
        sc.STATUS: trail.status,
    }


def _retrieval(retrieval: Retrieval, shown: Shown, into: Written) -> None:
    into.core |= {
        sc.RETRIEVAL_HITS: as_json([_hit(hit, shown) for hit in retrieval.hits]),
        sc.RETRIEVAL_FILTERS: as_json(retrieval.filters) if shown.inputs else None,
        sc.RETRIEVAL_SEARCH_TYPE: retrieval.search_type,
        sc.RETRIEVAL_RETRIEVER: retrieval.retriever,
        sc.QUERY_HASH: retrieval.query_hash,
    }


def _hit(hit: Hit, shown: Shown) -> dict[str, Any]:
    chunk = hit.chunk
    told: dict[str, Any] = {"chunk_id": chunk.chunk_id, "document_id": chunk.document_id}
    if chunk.index is not None:
        told["index"] = chunk.index
    if hit.score is not None:
        told |= {"score": hit.score, "score_kind": hit.score_kind}
    if shown.hashes and chunk.content_hash is not None:
        told["content_hash"] = chunk.content_hash
    return told


def _evaluation(evaluation: Evaluation, into: Written) -> None:
    assessment = evaluation.assessment
    into.core |= {
        sc.GROUNDING_COST: assessment.cost,
        sc.GROUNDING_VERDICTS: as_json([_verdict(v) for v in evaluation.riskiest]),
        sc.GROUNDING_DEGRADED_FROM: assessment.degraded_from,
        sc.GROUNDING_VERIFIER: assessment.verifier,
        sc.GROUNDING_STATUS: assessment.status,
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    """Ids, offsets and codes; no text."""
    return {
        "start": verdict.claim.start,
        "end": verdict.claim.end,
        "verdict": verdict.verdict,
        "score": finite(verdict.score),
        "reason": verdict.reason,
        "evidence": [
            {"chunk_id": e.chunk_id, "start": e.start, "end": e.end} for e in verdict.evidence
        ],
    }


def _assembly(assembly: Assembly, into: Written) -> None:
    context = assembly.context
    into.core |= {
        sc.CONTEXT_ARRIVALS: as_json([_arrival(a) for a in context.arrivals]),
        sc.CONTEXT_OFFERED: len(assembly.offered),
        sc.CONTEXT_ARRIVED: len(assembly.arrived),
        sc.CONTEXT_TRUNCATED: sum(a.state == "partial" for a in context.arrivals),
        sc.CONTEXT_PROMPT_LENGTH: context.prompt_length,
        sc.CONTEXT_UNEXPLAINED: context.unexplained_length,
    }


def _arrival(arrival: Arrival) -> dict[str, Any]:
    told: dict[str, Any] = {
        "chunk_id": arrival.chunk_id,
        "state": arrival.state,
        "coverage": arrival.coverage,
    }
    if arrival.order is not None:
        told["order"] = arrival.order
    told["share"] = arrival.share
    if arrival.reason is not None:
        told["reason"] = arrival.reason
    if arrival.reason_detail is not None:
        told["by"] = arrival.reason_detail
    return told
