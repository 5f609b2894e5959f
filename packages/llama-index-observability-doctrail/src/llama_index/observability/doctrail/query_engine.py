"""A query engine whose responses say under which id they are on record."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index.observability.doctrail.handlers import RUNS, install_on_demand

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["LineageQueryEngine"]


class LineageQueryEngine(BaseQueryEngine):
    """Hands every query to `engine`; `response.metadata["lineage"]["response_id"]` finds its trail.

    In any other respect it is `engine`, streaming and async included.

    Args:
        engine: The engine to wrap.
        lineage: Where to record, outside of `lineage()` and of an instrumentor; default the
            process's own. Copies and pickles do not take it along.
    """

    wraps_for_lineage: ClassVar[bool] = True

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

    # No level of our own in between: prompt keys of more than two parts cannot be updated.

    def _get_prompts(self) -> PromptDictType:
        return self.base._get_prompts()  # noqa: SLF001  # the host's way to reach a part's prompts

    def _get_prompt_modules(self) -> PromptMixinType:
        return self.base._get_prompt_modules()  # noqa: SLF001  # likewise

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self.base._update_prompts(prompts)  # noqa: SLF001  # likewise

    def __getattr__(self, name: str) -> Any:
        """Be `engine` in all that is not ours."""
        if name.startswith("__") or "base" not in self.__dict__:  # while a copy is being made
            raise AttributeError(name)
        return getattr(self.base, name)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lineage behind, which holds files and locks."""
        return self.__dict__ | {"lineage": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Record in this process too."""
        vars(self).update(state)
        install_on_demand()
