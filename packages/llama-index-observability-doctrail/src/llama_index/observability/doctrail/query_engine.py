"""A query engine whose responses say under which id they are on record."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index.observability.doctrail.handlers import RUNS, install_on_demand
from llama_index.observability.doctrail.wrapper import Wrapper

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["LineageQueryEngine"]


class LineageQueryEngine(Wrapper, BaseQueryEngine):
    """Hands every query to `engine`; `response.metadata["lineage"]["response_id"]` finds its trail.

    In any other respect it is `engine`, streaming and async included.

    Args:
        engine: The engine to wrap.
        lineage: Where to record, outside of `lineage()` and of an instrumentor; default the
            process's own. Copies and pickles do not take it along.
    """

    def __init__(self, engine: BaseQueryEngine, *, lineage: "Lineage | None" = None) -> None:
        """Wrap `engine`."""
        self.base = engine
        self.lineage = lineage
        super().__init__(engine.__dict__.get("callback_manager"))
        install_on_demand()

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return self._noted(self.base.query(query_bundle))

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return self._noted(await self.base.aquery(query_bundle))

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
