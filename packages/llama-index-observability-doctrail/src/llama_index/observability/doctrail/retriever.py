"""A retriever that puts whatever it takes part in on record, and hands on only what a policy releases.

Invariant: with gates, a node comes back only if all of them admit it, whatever else goes wrong.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import compress
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType
from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR

from doctrail_core.capture.events import AccessDecided, RetrievedChunk
from llama_index.observability.doctrail.handlers import RUNS, install_on_demand
from llama_index.observability.doctrail.hits import chunks
from llama_index.observability.doctrail.replaying import as_asked
from llama_index.observability.doctrail.searching import Search, begun
from llama_index.observability.doctrail.sessions import tagged_session
from llama_index.observability.doctrail.wrapper import Wrapper

if TYPE_CHECKING:
    from doctrail_core import Lineage
    from doctrail_core.access.gate import Gate, GivenPrincipal, Labels, Told
    from doctrail_core.model import AccessPolicy

__all__ = ["LineageRetriever"]

_Search = TypeVar("_Search", bound=Callable[..., Any])
_OWN = ("base", "gates", "lineage", "callback_manager", "object_map", "_verbose")


def _unseen(method: _Search) -> _Search:
    """Have the host make no span of it: whoever else listens would take the search for two."""
    setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
    return method


class LineageRetriever(Wrapper, BaseRetriever):
    """Hands every query to `base`, and has the whole answer that needed it recorded.

    In any other respect it is `base`: prompts, attributes and settings are the same ones.

    Args:
        base: The retriever to wrap.
        lineage: Where to record, outside of `lineage()` and of an instrumentor; default the
            process's own. Copies and pickles do not take it along.
        access: Decides which nodes go on; `doctrail_core.access` has some. Of a retriever that has one
            already, both must agree.
        principal: For whom, or what is called at each search to say it; default as `acting_for` says, or
            the lineage scope, or `user_id` in LlamaIndex's instrument tags.
        labels: Where a node's metadata says how it is classified; default `label` and `label_version`.
    """

    gates: "tuple[Gate, ...]"

    def __init__(
        self,
        base: BaseRetriever,
        *,
        lineage: "Lineage | None" = None,
        access: "AccessPolicy | None" = None,
        principal: "GivenPrincipal" = None,
        labels: "Labels | None" = None,
    ) -> None:
        """Wrap `base`."""
        self.gates = base.gates if isinstance(base, LineageRetriever) else ()
        self.base = base.base if isinstance(base, LineageRetriever) else base
        if access is not None:
            from doctrail_core.access.gate import Gate, Labels

            gate = Gate(access, type(self.base).__name__, principal, labels or Labels())
            self.gates = (*self.gates, gate)
        self.lineage = lineage
        held = base.__dict__
        # The object map stays empty: `base` follows its links itself.
        super().__init__(held.get("callback_manager"), verbose=held.get("_verbose", False))  # pyright: ignore[reportUnknownMemberType]  # a bare dict among its parameters
        install_on_demand()

    # Both levels pass through: of one query, callback handlers see one retrieval, the base's.

    @_unseen
    def retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Retrieve as the base does."""
        with self._searching(str_or_query_bundle) as search:
            with RUNS.inside(search.span_id):
                nodes = as_asked(self.base).retrieve(str_or_query_bundle)
            for gate in self.gates:
                user_id = tagged_session()[1]
                passing = gate.admits(*_shown(nodes, search), user_id=user_id)
                nodes = list(compress(nodes, passing))
            search.found = nodes
        return nodes

    @_unseen
    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Retrieve as the base does."""
        with self._searching(str_or_query_bundle) as search:
            with RUNS.inside(search.span_id):
                nodes = await as_asked(self.base).aretrieve(str_or_query_bundle)
            for gate in self.gates:
                user_id = tagged_session()[1]
                passing = await gate.aadmits(*_shown(nodes, search), user_id=user_id)
                nodes = list(compress(nodes, passing))
            search.found = nodes
        return nodes

    @contextmanager
    def _searching(self, query: QueryType) -> Generator[Search]:
        with begun(self) as search:
            RUNS.begin(search.span_id, {"str_or_query_bundle": query}, self, search.around)
            try:
                yield search
            except BaseException as error:
                RUNS.fail(search.span_id, error)
                raise
            RUNS.end(search.span_id, search.found)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.retrieve(query_bundle)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self.aretrieve(query_bundle)

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a setting where it takes effect."""
        mine = name in _OWN or not hasattr(self.__dict__.get("base"), name)
        if mine:
            super().__setattr__(name, value)
        else:
            setattr(self.base, name, value)


def _shown(
    nodes: Sequence[NodeWithScore], search: Search
) -> tuple[Sequence[RetrievedChunk], str, "Told"]:
    """What a gate is to be told of a search: what it found, which one it is, and where decisions go."""

    def told(decided: AccessDecided) -> None:
        try:
            RUNS.decided(search.span_id, decided)
        except Exception as error:  # noqa: BLE001  # what is not on record is decided all the same
            RUNS.fault("access", error)

    return chunks(nodes, "unknown"), search.span_id, told
