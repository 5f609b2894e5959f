"""A search, told by hand."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Any, TypeVar

from doctrail_core.capture.events import (
    AccessDecided,
    Event,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
)
from doctrail_core.manual.arguments import question_in
from doctrail_core.manual.block import FRAMEWORK, Block
from doctrail_core.manual.chunks import ChunkLike, as_chunk
from doctrail_core.model import AccessPolicy, ScoreKind
from doctrail_core.text.identity import as_name

if TYPE_CHECKING:
    from doctrail_core.access.gate import GivenPrincipal, Labels
    from doctrail_core.composition import Lineage

__all__ = ["Search", "retrieval"]

_Chunk = TypeVar("_Chunk", bound=ChunkLike)


class Search(Block):
    """A search while it happens: tell it what was `found`."""

    def __init__(
        self,
        query: str | None,
        described: RetrievalDescribed,
        chunks: Callable[[Any], Iterable[ChunkLike]] | None,
        lineage: "Lineage | None",
    ) -> None:
        """See `retrieval`."""
        super().__init__(lineage)
        self._query = query
        self._described = described
        self._chunks = chunks
        self._found: tuple[RetrievedChunk, ...] = ()

    def found(self, chunks: Iterable[ChunkLike]) -> None:
        """Say what the store returned, best first; said again, it is more of it.

        Args:
            chunks: Each a `RetrievedChunk`, a mapping with the names of its fields, or a bare text.
        """
        self._learn(self._find, chunks)

    def released(
        self,
        chunks: Iterable[_Chunk],
        *,
        access: AccessPolicy,
        principal: "GivenPrincipal" = None,
        labels: "Labels | None" = None,
    ) -> list[_Chunk]:
        """Have a policy decide which of these chunks go on; only those are said to be found.

        Args:
            chunks: What the store returned, best first; see `found`.
            access: Decides; `doctrail_core.access` has some policies.
            principal: For whom; default as `acting_for` says, or the user of the response.
            labels: Where a chunk's metadata says how it is classified; default `label` and `label_version`.

        Returns:
            Those of the chunks that may go on, as they were given.

        Raises:
            AccessError: It could not be decided, and nothing may go on.
        """
        from doctrail_core.access.gate import Gate, Labels

        given = list(chunks)
        shown = [as_chunk(chunk, self._described.score_kind) for chunk in given]
        gate = Gate(access, self._described.retriever or "search", principal, labels or Labels())
        passing = gate.admits(shown, self._run_id, self._decided, user_id=None)
        self.found(compress(shown, passing))
        return list(compress(given, passing))

    def _decided(self, decided: AccessDecided) -> None:
        self._learn(self._recording().record, decided)

    def _find(self, chunks: Iterable[ChunkLike]) -> None:
        for chunk in chunks:
            self._learn(self._find_one, chunk)

    def _find_one(self, chunk: ChunkLike) -> None:
        self._found += (as_chunk(chunk, self._described.score_kind),)

    def _called(self, name: str, arguments: Mapping[str, Any]) -> None:
        self._query = question_in(arguments) if self._query is None else self._query
        told = self._described
        k = arguments.get("k", told.k)
        self._described = replace(
            told, retriever=told.retriever or name, k=k if isinstance(k, int) else told.k
        )

    def _returned(self, result: Any) -> None:
        self._find(result if self._chunks is None else self._chunks(result))

    def _yielded(self, piece: Any) -> None:
        self._returned([piece])

    def _started(self, run_id: str) -> Iterable[Event]:
        self._found = ()
        name = self._described.retriever or "search"
        yield RetrievalStarted(run_id, None, name, self._query or "", FRAMEWORK)
        yield replace(self._described, run_id=run_id)

    def _ended(self, run_id: str) -> Iterable[Event]:
        yield RetrievalEnded(run_id, self._found)


def retrieval(
    query: str | None = None,
    *,
    retriever: str | None = None,
    store: str | None = None,
    k: int | None = None,
    filters: Any = None,
    search_type: str | None = None,
    score_kind: ScoreKind = "unknown",
    chunks: Callable[[Any], Iterable[ChunkLike]] | None = None,
    lineage: "Lineage | None" = None,
) -> Search:
    """Record a search.

    As a block: `with retrieval(query) as search: search.found(chunks)`. Or decorate the function that does it.

    Args:
        query: What is searched for. Of a decorated function: its argument `query` or `question`, else
            its first text.
        retriever: What searches; default the name of the decorated function.
        store: What is searched, such as `qdrant:contracts`.
        k: How many chunks are asked for. Of a decorated function: its argument `k`.
        filters: Any filter given to the store.
        search_type: `similarity`, `mmr`, `bm25`, ...
        score_kind: What the chunks' scores mean, where a chunk does not say it itself.
        chunks: Makes chunks of what a decorated function returns, where it does not return them.
        lineage: Where to record; default the enclosing scope's, else the process's own.
    """
    described = RetrievalDescribed(
        "",
        k=k,
        filters=filters,
        search_type=search_type,
        store=as_name(store),
        retriever=retriever,
        score_kind=score_kind,
    )
    return Search(query, described, chunks, lineage)
