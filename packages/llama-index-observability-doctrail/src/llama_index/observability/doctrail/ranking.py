"""Post-processors that rank: which do, how they are set, and what came of it.

A step ranks if it says so, by the host's events or by its name, or if chunks leave it with other scores or in
another order. One that only leaves some out does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.instrumentation.events.rerank import ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from doctrail_core.capture.events import RetrievedChunk
from doctrail_core.model import RankedChunk
from doctrail_core.text.identity import canonical_id
from llama_index.observability.doctrail.calls import model_of

__all__ = ["Ranking", "as_known", "in_order", "is_anew", "ranks", "set_to", "told"]

_BY_AGE = {
    "FixedRecencyPostprocessor",
    "EmbeddingRecencyPostprocessor",
    "TimeWeightedPostprocessor",
}
_FOR_THE_PROMPT = {"LongContextReorder"}
"""They put the best where a model reads best, which is at both ends."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a step that ranks is asked and set to."""

    query: str | None = None
    model: str | None = None
    top_n: int | None = None


def told(event: ReRankStartEvent) -> Ranking:
    """What a step says of itself."""
    query = event.query.query_str if isinstance(event.query, QueryBundle) else event.query
    return Ranking(query, event.model_name or None, event.top_n)


def set_to(step: BaseNodePostprocessor | None, query: str | None) -> Ranking:
    """What a step is set to that says nothing."""
    held: Mapping[str, Any] = step.__dict__ if step else {}
    numbers = (held.get(name) for name in ("top_n", "top_k"))
    top_n = next((number for number in numbers if type(number) is int), None)
    return Ranking(query, model_of(held) or model_of(held.get("llm")), top_n)


def ranks(step: object) -> bool:
    """Whether it is a step that ranks, by the name of its class."""
    names = [cls.__name__ for cls in type(step).__mro__]
    return any("rerank" in name.lower() or name in _BY_AGE for name in names)


def in_order(nodes: Sequence[NodeWithScore]) -> tuple[RankedChunk, ...]:
    """The nodes as they are handed on."""
    return tuple(RankedChunk(canonical_id(hit.node.node_id), hit.score) for hit in nodes)


def as_known(found: Mapping[str, Sequence[RetrievedChunk]]) -> tuple[RankedChunk, ...]:
    """What was retrieved, as it was last seen."""
    return tuple(RankedChunk(canonical_id(id_), states[-1].score) for id_, states in found.items())


def is_anew(step: object, given: Sequence[RankedChunk], kept: Sequence[RankedChunk]) -> bool:
    """Whether chunks have other scores or another order than they were given with."""
    if any(cls.__name__ in _FOR_THE_PROMPT for cls in type(step).__mro__):
        return False
    if not {chunk.chunk_id for chunk in kept} <= {chunk.chunk_id for chunk in given}:
        return False
    rest = ((chunk.chunk_id, chunk.score) for chunk in given)
    return not all((chunk.chunk_id, chunk.score) in rest for chunk in kept)
