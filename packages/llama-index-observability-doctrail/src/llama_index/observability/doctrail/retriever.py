"""A retriever that puts whatever it takes part in on record."""

from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType

from llama_index.observability.doctrail.handlers import install_on_demand

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["LineageRetriever"]

_OWN = ("base", "lineage", "callback_manager", "object_map", "_verbose")


class LineageRetriever(BaseRetriever):
    """Hands every query to `base`, and has the whole answer that needed it recorded.

    In any other respect it is `base`: prompts, attributes and settings are the same ones.

    Args:
        base: The retriever to wrap.
        lineage: Where to record, outside of `lineage()` and of an instrumentor; default the
            process's own. Copies and pickles do not take it along.
    """

    wraps_for_lineage: ClassVar[bool] = True

    def __init__(self, base: BaseRetriever, *, lineage: "Lineage | None" = None) -> None:
        """Wrap `base`."""
        self.base = base.base if isinstance(base, LineageRetriever) else base
        self.lineage = lineage
        held = base.__dict__
        # The object map stays empty: `base` follows its links itself.
        super().__init__(held.get("callback_manager"), verbose=held.get("_verbose", False))  # pyright: ignore[reportUnknownMemberType]  # a bare dict among its parameters
        install_on_demand()

    # Both levels pass through: of one query, callback handlers see one retrieval, the base's.

    def retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Retrieve as the base does."""
        return self.base.retrieve(str_or_query_bundle)

    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Retrieve as the base does."""
        return await self.base.aretrieve(str_or_query_bundle)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.base.retrieve(query_bundle)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self.base.aretrieve(query_bundle)

    def _get_prompts(self) -> PromptDictType:
        return self.base._get_prompts()  # noqa: SLF001  # the host's way to reach a part's prompts

    def _get_prompt_modules(self) -> PromptMixinType:
        return self.base._get_prompt_modules()  # noqa: SLF001  # likewise

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self.base._update_prompts(prompts)  # noqa: SLF001  # likewise

    def __getattr__(self, name: str) -> Any:
        """Be `base` in all that is not ours."""
        if name.startswith("__") or "base" not in self.__dict__:  # while a copy is being made
            raise AttributeError(name)
        return getattr(self.base, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a setting where it takes effect."""
        mine = name in _OWN or not hasattr(self.__dict__.get("base"), name)
        if mine:
            super().__setattr__(name, value)
        else:
            setattr(self.base, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lineage behind, which holds files and locks."""
        return self.__dict__ | {"lineage": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Record in this process too."""
        vars(self).update(state)
        install_on_demand()
