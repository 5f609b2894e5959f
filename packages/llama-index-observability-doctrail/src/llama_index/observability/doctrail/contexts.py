"""From the question to the context: what the spans of retrievers, post-processors and synthesizers tell.

A post-processor that only drops nodes selects; one that adds, rewrites or scores them tells what it
hands on as a retrieval of its own, and so does whatever the host does not show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from doctrail_core.capture.events import (
    ContextSelected,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
)
from doctrail_core.model import ScoreKind
from doctrail_core.text.identity import canonical_id
from llama_index.observability.doctrail.describe import (
    describe,
    inner,
    is_wrapper,
    passes_scores_on,
    score_kind,
)
from llama_index.observability.doctrail.handover import Handover, Known, examine, rerank_kind
from llama_index.observability.doctrail.hits import chunks
from llama_index.observability.doctrail.spans import FRAMEWORK, Kind, Span

__all__ = ["ENTERED", "asked", "postprocessed", "retrieved", "start_run"]

_Arguments = Mapping[str, Any]
_Nodes = Sequence[NodeWithScore]
_ASYNC_BY_DEFAULT = vars(BaseNodePostprocessor).get("_apostprocess_nodes")


def asked(arguments: _Arguments) -> str | None:
    """The first argument of every method that asks, whatever it is called."""
    return _text(next(iter(arguments.values()), None))


def _text(query: object) -> str | None:
    if isinstance(query, QueryBundle):
        return query.query_str
    return query if isinstance(query, str) else None


def start_run(span: Span, arguments: _Arguments) -> None:
    """An engine was asked."""
    span.query = asked(arguments)
    span.tell(type(span.instance).__name__, span.query, detached=span.parent is None)


def _query_entered(span: Span, arguments: _Arguments) -> None:
    if is_wrapper(span.instance):
        wrapper = cast("Any", span.instance)
        span.tree.go_live(wrapper.lineage)
        span.tree.grounding = wrapper.grounding or span.tree.grounding
    start_run(span, arguments)


# --- retrieval


def _retrieval_entered(span: Span, arguments: _Arguments) -> None:
    if is_wrapper(span.instance):
        span.tree.go_live(cast("Any", span.instance).lineage)
    span.run_id = span.own_id
    name = type(inner(span.instance)).__name__
    query, around = asked(arguments) or "", span.enclosing_run()
    session = span.tree.session
    span.tree.record(RetrievalStarted(span.own_id, around, name, query, FRAMEWORK, *session))
    span.tree.record(describe(span.own_id, span.instance))


def retrieved(span: Span, result: _Nodes | None) -> RetrievalEnded:
    """What a retriever found."""
    found = chunks(result or (), score_kind(span.instance))
    if passes_scores_on(span.instance):
        found = tuple(_as_found_inside(chunk, span.found) for chunk in found)
    span.mark_retrieved(found)
    return RetrievalEnded(span.own_id, found)


def _as_found_inside(chunk: RetrievedChunk, inside: Known) -> RetrievedChunk:
    states = (s for s in inside.get(chunk.chunk_id or "", ()) if s.score == chunk.score)
    state = next(states, None)
    return replace(chunk, score_kind=state.score_kind) if state else chunk


# --- between retrieval and prompt


def _postprocessing_entered(span: Span, arguments: _Arguments) -> None:
    span.query = _text(arguments.get("query_bundle"))
    name = type(span.instance).__name__
    span.offered = _take_over(span, arguments.get("nodes") or (), f"a step before {name}")


def postprocessed(span: Span, result: _Nodes | None) -> ContextSelected | None:
    """What a post-processor made of the nodes that it was given."""
    name, kind = type(span.instance).__name__, rerank_kind(span.instance)
    kept = _take_over(span, result or (), name, kind)
    run_id, offered = span.enclosing_run(), span.offered or ()
    if kept is None or run_id is None or set(offered) <= set(kept):
        return None
    return ContextSelected(run_id, kept, name, among=offered)


def _synthesis_entered(span: Span, arguments: _Arguments) -> None:
    span.query = asked(arguments)
    if span.parent is None:
        start_run(span, arguments)
    run_id = span.run_id or span.enclosing_run()
    by, kind = _whoever_is_before(span)
    kept = _take_over(span, arguments.get("nodes") or (), by, kind)
    if run_id is not None and kept is not None:
        among = tuple(map(canonical_id, span.known)) if span.parent else None
        span.tree.record(ContextSelected(run_id, kept, by, among=among))


def _whoever_is_before(span: Span) -> tuple[str, ScoreKind]:
    """Who changed what no span shows, and what the scores mean that it gave.

    LlamaIndex shows no post-processor with an async side of its own; in its own engines nobody else
    comes between retriever and synthesizer.
    """
    name = type(span.instance).__name__
    if not span.known:
        return f"whoever called {name}", "unknown"
    engine = span.parent.instance if span.parent else None
    own = type(engine).__module__.startswith("llama_index.core.")
    steps: Sequence[object] = getattr(engine, "_node_postprocessors", None) or () if own else ()
    unseen = [step for step in steps if _is_unseen(step)]
    names = " or ".join(type(step).__name__ for step in unseen)
    kind: ScoreKind = rerank_kind(unseen[0]) if len(unseen) == 1 else "unknown"
    return names or f"a step before {name}", kind


def _is_unseen(step: object) -> bool:
    return getattr(type(step), "_apostprocess_nodes", None) is not _ASYNC_BY_DEFAULT


def _take_over(
    span: Span, nodes: _Nodes, by: str, kind: ScoreKind = "unknown"
) -> tuple[str, ...] | None:
    """Take note of nodes that were handed on, and say which chunks they are."""
    handover = examine(nodes, span.known, span.parent.answers if span.parent else (), kind)
    # What is called by itself in a scope has its nodes from other calls of that scope.
    if handover.changed and (span.parent is not None or span.tree.scope_id is None):
        _tell(span, handover, by)
    return handover.kept


def _tell(span: Span, handover: Handover, by: str) -> None:
    run_id = f"{span.own_id} {by}"
    parent_id = span.run_id or span.enclosing_run()
    span.tree.record(RetrievalStarted(run_id, parent_id, by, span.query or "", FRAMEWORK))
    span.tree.record(RetrievalEnded(run_id, handover.changed))
    span.mark_retrieved(handover.changed)


ENTERED: Mapping[Kind, Callable[[Span, _Arguments], None]] = {
    "query": _query_entered,
    "chat": start_run,
    "retrieval": _retrieval_entered,
    "postprocessing": _postprocessing_entered,
    "synthesis": _synthesis_entered,
}
