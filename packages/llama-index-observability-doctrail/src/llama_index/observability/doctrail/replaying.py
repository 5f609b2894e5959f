"""A wrapped retriever as it is to be asked now: as ever, or as a replay has it."""

import copy
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from doctrail_core.capture.replaying import Replay, current_replay
from llama_index.observability.doctrail.describe import describe
from llama_index.observability.doctrail.hits import chunks
from llama_index.observability.doctrail.probing import widened

__all__ = ["as_asked"]


def as_asked(base: BaseRetriever) -> BaseRetriever:
    """The retriever itself; in a replay, a copy of it that keeps to what the replay asks for."""
    replay = current_replay()
    return base if replay is None else _replayed(base, replay)


def _replayed(base: BaseRetriever, replay: Replay) -> BaseRetriever:
    k = describe("", base).k
    reach = replay.reach(k)
    # What is called through the host's own methods stays one retrieval, with the `k` that was asked for.
    deep = cast("Any", widened(base, reach, filtered=True) if reach else base)

    def retrieve(query_bundle: QueryBundle) -> Sequence[NodeWithScore]:
        return replay.kept(deep._retrieve(query_bundle), _document_id, k)  # noqa: SLF001  # the host's hook

    async def aretrieve(query_bundle: QueryBundle) -> Sequence[NodeWithScore]:
        return replay.kept(await deep._aretrieve(query_bundle), _document_id, k)  # noqa: SLF001  # likewise

    shown = widened(base, replay.k, filtered=True) if replay.k else copy.copy(base)
    vars(shown).update(_retrieve=retrieve, _aretrieve=aretrieve)
    return shown


def _document_id(hit: NodeWithScore) -> str:
    from doctrail_core.capture.records import chunk_record

    return chunk_record(chunks([hit], "unknown")[0]).document_id
