"""A query engine whose responses say under which id they are on record, and may be checked.

It gives none that could not be put on record, where such answers are to be refused.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index.observability.doctrail.handlers import RUNS, install_on_demand
from llama_index.observability.doctrail.refusals import insisting
from llama_index.observability.doctrail.wrapper import Wrapper

if TYPE_CHECKING:
    from doctrail_core import Lineage
    from doctrail_core.grounding.settings import Grounding
    from llama_index.observability.doctrail.grounding import GroundingPostprocessor

__all__ = ["LineageQueryEngine"]


_Query = TypeVar("_Query", bound=Callable[..., Any])


def _answering(query: _Query) -> _Query:
    """Ask around it: it is a span, and only when that has ended is the answer on record."""

    @wraps(query)
    def answer(*args: Any, **kwargs: Any) -> Any:
        with insisting():
            return query(*args, **kwargs)

    return cast("_Query", answer)


def _answering_later(query: _Query) -> _Query:
    @wraps(query)
    async def answer(*args: Any, **kwargs: Any) -> Any:
        with insisting():
            return await query(*args, **kwargs)

    return cast("_Query", answer)


class LineageQueryEngine(Wrapper, BaseQueryEngine):
    """Hands every query to `engine`; `response.metadata["lineage"]["response_id"]` finds its trail.

    In any other respect it is `engine`, streaming and async included.

    Args:
        engine: The engine to wrap.
        grounding: Which of its answers are checked in the background, without delaying any.
        postprocessor: Checks every answer before it is handed on; the result is in
            `response.metadata["grounding"]`.
        lineage: Where to record, outside of `lineage()` and of an instrumentor; default the
            process's own. Copies and pickles do not take it along.
    """

    grounding: "Grounding | None" = None
    postprocessor: "GroundingPostprocessor | None" = None

    def __init__(
        self,
        engine: BaseQueryEngine,
        *,
        grounding: "Grounding | None" = None,
        postprocessor: "GroundingPostprocessor | None" = None,
        lineage: "Lineage | None" = None,
    ) -> None:
        """Wrap `engine`."""
        self.base = engine
        self.grounding = grounding
        self.postprocessor = postprocessor
        self.lineage = lineage
        super().__init__(engine.__dict__.get("callback_manager"))
        install_on_demand()

    query = _answering(BaseQueryEngine.query)
    aquery = _answering_later(BaseQueryEngine.aquery)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        with RUNS.inside(active_span_id.get()):
            response = self._noted(self.base.query(query_bundle))
        if self.postprocessor is not None:
            return self.postprocessor.postprocess_response(response, query_bundle)
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        with RUNS.inside(active_span_id.get()):
            response = self._noted(await self.base.aquery(query_bundle))
        if self.postprocessor is not None:
            return await self.postprocessor.apostprocess_response(response, query_bundle)
        return response

    @staticmethod
    def _noted(response: RESPONSE_TYPE) -> RESPONSE_TYPE:
        try:
            RUNS.note(active_span_id.get(), response)
        except Exception as error:  # noqa: BLE001  # the user gets the answer in any case
            RUNS.fault("note", error)
        return response

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve as the engine does."""
        return self.base.retrieve(query_bundle)

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Answer from these nodes as the engine does."""
        return self.base.synthesize(query_bundle, nodes, additional_source_nodes)

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
    ) -> RESPONSE_TYPE:
        """Answer from these nodes as the engine does."""
        return await self.base.asynthesize(query_bundle, nodes, additional_source_nodes)
