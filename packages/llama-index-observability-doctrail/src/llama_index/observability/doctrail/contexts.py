"""From the question to the context: what the spans of retrievers, post-processors and synthesizers tell.

A post-processor that only drops nodes selects. One that scores or orders them anew ranks. One that adds or
rewrites some tells what it hands on as a retrieval of its own. So does whatever the host does not show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast

from llama_index.core.instrumentation.events.rerank import ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from doctrail_core.capture.events import (
    ContextSelected,
    Reranked,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
)
from doctrail_core.model import RankedChunk, SpanReference
from doctrail_core.text.identity import canonical_id
from llama_index.observability.doctrail import ranking
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

__all__ = ["ENTERED", "asked", "postprocessed", "ranking_began", "retrieved", "start_run"]

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
    span.tree.record(
        RetrievalStarted(span.own_id, around, name, query, FRAMEWORK, *session, span=span.written)
    )
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
    nodes: _Nodes = arguments.get("nodes") or ()
    span.given = ranking.in_order(nodes)
    span.offered, _ = _look_back(span, nodes)


def ranking_began(span: Span, event: ReRankStartEvent) -> None:
    """A step says that it ranks; one that no span shows says so in the span around it."""
    span.ranking = ranking.told(event)


def postprocessed(span: Span, result: _Nodes | None) -> ContextSelected | None:
    """What a post-processor made of the nodes that it was given."""
    step, nodes = cast("BaseNodePostprocessor", span.instance), result or ()
    name, handed_on = type(step).__name__, ranking.in_order(nodes)
    handover = _compared(span, nodes, step)
    if span.ranking or ranking.ranks(step) or ranking.is_anew(step, span.given, handed_on):
        said = span.ranking or ranking.set_to(step, span.query)
        elsewhere = span.written if span.ranking else None
        _tell_ranking(span, name, said, (span.given, handed_on), span.began, elsewhere)
    kept = _take_over(span, handover, name, span.written)
    run_id, offered = span.enclosing_run(), span.offered or ()
    if kept is None or run_id is None or set(offered) <= set(kept):
        return None
    return ContextSelected(run_id, kept, name, among=offered)


def _synthesis_entered(span: Span, arguments: _Arguments) -> None:
    span.query = asked(arguments)
    if span.parent is None:
        start_run(span, arguments)
    run_id = span.run_id or span.enclosing_run()
    kept, by = _look_back(span, arguments.get("nodes") or ())
    if run_id is not None and kept is not None:
        among = tuple(map(canonical_id, span.known)) if span.parent else None
        span.tree.record(ContextSelected(run_id, kept, by, among=among))


def _look_back(span: Span, nodes: _Nodes) -> tuple[tuple[str, ...] | None, str]:
    """Take note of what steps that no span shows have made of the nodes; which chunks these are, and who it was."""
    by, step = _whoever_is_before(span)
    handover, around = _compared(span, nodes, step), span.parent
    said = around.ranking if around else None
    if around and (said or (handover.changed and not handover.rewritten)):
        around.ranking = None
        ranked = ranking.as_known(span.known), ranking.in_order(nodes)
        said = said or ranking.set_to(step, span.query)
        _tell_ranking(span, by, said, ranked, span.known_since)
    return _take_over(span, handover, by), by


def _whoever_is_before(span: Span) -> tuple[str, BaseNodePostprocessor | None]:
    """Who changed what no span shows, and the step itself where it can only be one.

    LlamaIndex shows no post-processor with an async side of its own; in its own engines nobody else
    comes between retriever and synthesizer.
    """
    name = type(span.instance).__name__
    if not span.known:
        return f"whoever called {name}", None
    engine = span.parent.instance if span.parent else None
    own = type(engine).__module__.startswith("llama_index.core.")
    steps: Sequence[BaseNodePostprocessor] = (
        getattr(engine, "_node_postprocessors", None) or () if own else ()
    )
    before = takewhile(lambda step: step is not span.instance, steps)
    unseen = [step for step in before if _is_unseen(step)]
    names = " or ".join(type(step).__name__ for step in unseen)
    return names or f"a step before {name}", unseen[0] if len(unseen) == 1 else None


def _is_unseen(step: object) -> bool:
    return getattr(type(step), "_apostprocess_nodes", None) is not _ASYNC_BY_DEFAULT


def _compared(span: Span, nodes: _Nodes, step: BaseNodePostprocessor | None) -> Handover:
    answers = span.parent.answers if span.parent else ()
    return examine(nodes, span.known, answers, rerank_kind(step))


def _take_over(
    span: Span, handover: Handover, by: str, elsewhere: SpanReference | None = None
) -> tuple[str, ...] | None:
    """Take note of nodes that were handed on, and say which chunks they are."""
    # What is called by itself in a scope has its nodes from other calls of that scope.
    if handover.changed and (span.parent is not None or span.tree.scope_id is None):
        if handover.rewritten:
            _tell(span, handover, by, elsewhere)
        span.mark_retrieved(handover.changed)
    return handover.kept


def _tell(span: Span, handover: Handover, by: str, elsewhere: SpanReference | None) -> None:
    run_id = f"{span.own_id} {by}"
    parent_id = span.run_id or span.enclosing_run()
    asked_for = span.query or ""
    span.tree.record(RetrievalStarted(run_id, parent_id, by, asked_for, FRAMEWORK, span=elsewhere))
    span.tree.record(RetrievalEnded(run_id, handover.changed))


def _tell_ranking(  # a ranking's call has that many sides
    span: Span,
    by: str,
    said: ranking.Ranking,
    chunks: tuple[Sequence[RankedChunk], Sequence[RankedChunk]],
    since: int,
    elsewhere: SpanReference | None = None,
) -> None:
    run_id = span.enclosing_run()
    if run_id is None:
        return
    given, kept = chunks
    started, at = span.tree.lasted(since)
    span.tree.record(
        Reranked(
            run_id,
            by,
            started,
            given,
            kept,
            said.query or span.query,
            said.model,
            said.top_n,
            at,
            elsewhere,
        )
    )


ENTERED: Mapping[Kind, Callable[[Span, _Arguments], None]] = {
    "query": _query_entered,
    "chat": start_run,
    "retrieval": _retrieval_entered,
    "postprocessing": _postprocessing_entered,
    "synthesis": _synthesis_entered,
}
