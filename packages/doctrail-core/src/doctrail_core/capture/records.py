"""From what events said to the records of a trail: texts cleaned, ids settled, scores checked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    Reranked,
    RetrievalDescribed,
    RetrievalStarted,
    RetrievedChunk,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.capture.redaction import error_kind
from doctrail_core.capture.response import OpenResponse, OpenRun
from doctrail_core.capture.settings import Content
from doctrail_core.model import (
    AccessDecision,
    Chunk,
    ChunkAccess,
    Derivation,
    Generation,
    Hit,
    Message,
    RankedChunk,
    Rerank,
    Retrieval,
    ScoreKind,
    Step,
    ToolCall,
    ToolRequest,
)
from doctrail_core.text.identity import canonical_id, clean_text, identify
from doctrail_core.text.snapshot import json_value

_LONGEST_ERROR = 2000
_DERIVED_FROM = "derived_from"
_MOST_SOURCES = 1024
"""So many sources of one document are recorded: metadata may hold anything."""


def utc(nanoseconds: int) -> datetime:
    """The moment, to the microsecond."""
    return datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC)


def cleaned(text: str | None) -> str | None:
    """The text, fit for UTF-8."""
    return None if text is None else clean_text(text)


def describe(error: BaseException | None) -> str | None:
    """The exception's type and message, bounded."""
    if error is None:
        return None
    kind, message = type(error).__name__, str(error)
    return clean_text(f"{kind}: {message}"[:_LONGEST_ERROR]) if message else kind


def retrieval_record(
    run: OpenRun,
    chunks: Sequence[RetrievedChunk],
    at: int,
    error: BaseException | None,
    query_hash: Callable[[str], str],
) -> Retrieval:
    """The record of a retrieval that ended or failed."""
    started = run.start
    assert isinstance(started, RetrievalStarted)  # noqa: S101  # kind and event are set together
    described = run.described or RetrievalDescribed(run.run_id)
    query = clean_text(started.query)
    outer = run.enclosing("retrieval")
    tool = run.enclosing("tool")
    return Retrieval(
        retrieval_id=started.run_id,
        retriever=described.retriever or started.retriever,
        query=query,
        query_hash=query_hash(query),
        hits=tuple(_hit(rank, chunk, described, run.response) for rank, chunk in enumerate(chunks)),
        started_at=utc(run.started),
        ended_at=utc(at),
        enclosing_id=outer.run_id if outer else None,
        k=described.k,
        filters=json_value(described.filters),
        search_type=described.search_type,
        store=described.store,
        tool_call_id=_tool_call_id(tool),
        error=describe(error),
        parent_id=run.parent_id,
        access=tuple(run.access),
    )


def generation_record(
    run: OpenRun, at: int | None, ended: GenerationEnded | None, error: str | None
) -> Generation:
    """The record of an LLM call that ended, failed, or (`at` None) was left open."""
    sent = run.start
    assert isinstance(sent, PromptSent)  # noqa: S101  # kind and event are set together
    return Generation(
        generation_id=sent.run_id,
        messages=tuple(Message(m.role, cleaned(m.text), m.tool_call_id) for m in sent.messages),
        output=cleaned(ended.output if ended else run.streamed),
        started_at=utc(run.started),
        ended_at=None if at is None else utc(at),
        model=(ended and ended.model) or sent.model,
        provider=sent.provider,
        parameters=json_value(sent.parameters),
        usage=ended.usage if ended else None,
        finish_reasons=tuple(ended.finish_reasons) if ended else (),
        message_id=ended.message_id if ended else None,
        auxiliary=sent.auxiliary or _serves_a_search(run),
        error=error,
        parent_id=run.parent_id,
        tool_requests=tuple(
            ToolRequest(clean_text(r.name), cleaned(r.arguments), cleaned(r.tool_call_id))
            for r in (ended.tool_requests if ended else ())
        ),
        span_id=run.span_id,
    )


def _serves_a_search(run: OpenRun) -> bool:
    """Whether it is part of a retriever's work; an engine that a search asks answers for itself."""
    around = run.parent
    while around is not None and around.kind not in ("retrieval", "run"):
        around = around.parent
    return around is not None and around.kind == "retrieval"


def rerank_record(run: OpenRun, told: Reranked, at: int) -> Rerank:
    """The record of a reranker's call that is over."""
    return Rerank(
        by=clean_text(told.by),
        given=tuple(map(_ranked, told.given)),
        kept=tuple(map(_ranked, told.kept)),
        started_at=utc(told.started),
        ended_at=utc(at),
        query=cleaned(told.query),
        model=cleaned(told.model),
        top_k=told.top_k,
        parent_id=None if run.parent is None else run.run_id,
    )


def _ranked(chunk: RankedChunk) -> RankedChunk:
    score, _ = _score(chunk.score, "rerank")
    return RankedChunk(canonical_id(chunk.chunk_id), score)


def step_record(
    run: OpenRun,
    output: str | None,
    at: int,
    error: BaseException | None,
    query_hash: Callable[[str], str],
) -> Step:
    """The record of a run inside another that returned or failed."""
    started = run.start
    assert isinstance(started, RunStarted)  # noqa: S101  # kind and event are set together
    told = cleaned(started.question)
    return Step(
        step_id=started.run_id,
        name=clean_text(started.name),
        started_at=utc(run.started),
        ended_at=utc(at),
        parent_id=run.parent_id,
        input=told,
        input_hash=None if told is None else query_hash(told),
        output=cleaned(output),
        error=describe(error),
    )


def tool_record(
    run: OpenRun,
    returned: ToolReturned | None,
    at: int,
    error: BaseException | None,
    query_hash: Callable[[str], str],
) -> ToolCall:
    """The record of a tool call that returned or failed."""
    called = run.start
    assert isinstance(called, ToolCalled)  # noqa: S101  # kind and event are set together
    arguments = cleaned(called.arguments)
    return ToolCall(
        tool_run_id=called.run_id,
        name=called.name,
        arguments=arguments,
        result=cleaned(returned.result) if returned else None,
        started_at=utc(run.started),
        ended_at=utc(at),
        tool_call_id=called.tool_call_id or (returned.tool_call_id if returned else None),
        error=describe(error),
        parent_id=run.parent_id,
        arguments_hash=None if arguments is None else query_hash(arguments),
    )


def chunk_record(found: RetrievedChunk) -> Chunk:
    """The chunk that a host handed out."""
    return identify(
        found.text,
        chunk_id=found.chunk_id,
        document_id=found.document_id,
        index=found.index,
        metadata=found.metadata,
    )


def derivation_record(found: RetrievedChunk) -> Derivation | None:
    """What the chunk's document was made from, as host and metadata say it."""
    said = found.metadata.get(_DERIVED_FROM)
    if said is None and not found.derived_from:
        return None
    document_id = chunk_record(found).document_id
    named = (*found.derived_from, *_named_in(said))
    sources = dict.fromkeys(canonical_id(name) for name in named if name.strip())
    sources.pop(document_id, None)
    kept = tuple(islice(sources, _MOST_SOURCES))
    return Derivation(document_id, kept) if kept else None


def access_body(
    decision: AccessDecision, retrieval: Retrieval, search: int, content: Content
) -> dict[str, Any]:
    """A decision as the ledger gets it; of what was denied, no more than its ids and its label.

    Args:
        decision: One of the retrieval's.
        retrieval: The search, with the hits that were released.
        search: Which one of the response it is, from 1.
        content: What may be kept of texts.
    """
    hits = {(hit.chunk.document_id, hit.chunk.chunk_id): hit.chunk for hit in retrieval.hits}
    chunks = [
        asdict(access) | _version(hits.get((access.document_id, access.chunk_id)), access, content)
        for access in decision.chunks
    ]
    error = error_kind(decision.error)
    return asdict(decision) | {"search": search, "error": error, "chunks": chunks}


def _version(hit: Chunk | None, access: ChunkAccess, content: Content) -> dict[str, Any]:
    """Which version of a chunk it was."""
    if hit is None or not access.allowed:
        return {}
    kept = None if content == "off" else hit.content_hash
    return {"content_hash": kept, "source": hit.source, "version": hit.version}


def _named_in(value: object) -> Iterator[str]:
    """A document's id, or each in a list of them."""
    several = isinstance(value, list | tuple | set | frozenset)
    for name in cast("Iterable[object]", value) if several else (value,):
        if isinstance(name, str):
            yield name
        elif isinstance(name, int | UUID) and not isinstance(name, bool):
            yield str(name)


def _hit(
    rank: int, found: RetrievedChunk, described: RetrievalDescribed, response: OpenResponse
) -> Hit:
    chunk = chunk_record(found)
    score, kind = found.score, found.score_kind
    if score is None:
        score, kind = described.scores.get(chunk.chunk_id), described.score_kind
    return Hit(response.named_apart(chunk), rank, *_score(score, kind))


def _score(score: object, kind: ScoreKind) -> tuple[float | None, ScoreKind]:
    """A finite number (numpy's too) with its kind; anything else is no score."""
    if score is None or isinstance(score, (bool, str)):
        return None, "unknown"
    try:
        number = float(score)  # type: ignore[arg-type]  # whatever a store hands out
    except Exception:  # noqa: BLE001  # whatever an object does when it is made a number
        return None, "unknown"
    return (number, kind) if number - number == 0 else (None, "unknown")


def _tool_call_id(tool: OpenRun | None) -> str | None:
    return tool.start.tool_call_id if tool and isinstance(tool.start, ToolCalled) else None
