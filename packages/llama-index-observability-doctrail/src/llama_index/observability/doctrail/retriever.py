"""A retriever that puts whatever it takes part in on record."""

from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType

from llama_index.observability.doctrail.handlers import install_on_demand
from llama_index.observability.doctrail.replaying import as_asked
from llama_index.observability.doctrail.wrapper import Wrapper

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["LineageRetriever"]

_OWN = ("base", "lineage", "callback_manager", "object_map", "_verbose")


class LineageRetriever(Wrapper, BaseRetriever):
    """Hands every query to `base`, and has the whole answer that needed it recorded.

    In any other respect it is `base`: prompts, attributes and settings are the same ones.

    Args:
        base: The retriever to wrap.
        lineage: Where to record, outside of `lineage()` and of an instrumentor; default the
            process's own. Copies and pickles do not take it along.
    """

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
        return as_asked(self.base).retrieve(str_or_query_bundle)

    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Retrieve as the base does."""
        return await as_asked(self.base).aretrieve(str_or_query_bundle)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return as_asked(self.base).retrieve(query_bundle)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await as_asked(self.base).aretrieve(query_bundle)

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a setting where it takes effect."""
        mine = name in _OWN or not hasattr(self.__dict__.get("base"), name)
        if mine:
            super().__setattr__(name, value)
        else:
            setattr(self.base, name, value)
