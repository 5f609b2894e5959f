"""Documents on the spans of OpenInference's instrumentations.

LangChain's have ids, and where documents are hidden texts, only in `output.value`; LlamaIndex's have a score of
0.0 where there was none, which only the nodes printed in `output.value` tell from a real one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from doctrail.receiver.translation.attributes import items, number, parsed, record
from doctrail.receiver.translation.documents import chunk, documents_in
from doctrail_core.capture.events import RetrievedChunk

__all__ = ["documents", "first_of", "printed_nodes", "unscored", "with_ids"]

_Attributes = Mapping[str, Any]
_NODE = re.compile(r"<NodeWithScore\(node=\w+\(id_=(.{1,512})\), score=([^()]*)\)>")


def documents(attributes: _Attributes, prefix: str) -> list[RetrievedChunk]:
    """Those that are spread over names."""
    told = (_document(each) for each in items(attributes, prefix))
    return [one for one in told if one is not None]


def _document(told: _Attributes) -> RetrievedChunk | None:
    about = record(told, "document.metadata")
    content, score = told.get("document.content"), told.get("document.score")
    return chunk(content, told.get("document.id"), about, score)


def with_ids(told: list[RetrievedChunk], output: object) -> tuple[RetrievedChunk, ...]:
    """The documents as the attributes have them, with ids and texts that only the output has."""
    if told and all(one.chunk_id and one.text for one in told):
        return unscored(told, output)
    printed = documents_in(output)
    if len(told) != len(printed):
        return unscored(told, output) if told else tuple(printed)
    return tuple(map(_completed, told, printed)) if told else tuple(printed)


def unscored(told: Sequence[RetrievedChunk], output: object) -> tuple[RetrievedChunk, ...]:
    """The documents, without the scores that were 0.0 for none."""
    without = {node.chunk_id for node in printed_nodes(parsed(output)) or () if node.score is None}
    return tuple(
        replace(one, score=None) if one.score == 0 and one.chunk_id in without else one
        for one in told
    )


def _completed(told: RetrievedChunk, printed: RetrievedChunk) -> RetrievedChunk:
    if told.text and printed.text and told.text != printed.text:
        return told
    return RetrievedChunk(
        told.text or printed.text,
        told.chunk_id or printed.chunk_id,
        metadata=told.metadata or printed.metadata,
        score=printed.score if told.score is None else told.score,
    )


def first_of(attributes: _Attributes, *prefixes: str) -> list[RetrievedChunk]:
    """Those that are under the first of these names under which any are."""
    told = (documents(attributes, prefix) for prefix in prefixes)
    return next(filter(None, told), list[RetrievedChunk]())


def printed_nodes(value: object) -> list[RetrievedChunk] | None:
    """The nodes that LlamaIndex's instrumentation prints in its own form, if all are in that."""
    if not isinstance(value, list | tuple):
        return None
    listed = cast("list[object]", value)
    found = [_NODE.fullmatch(each) if isinstance(each, str) else None for each in listed]
    nodes = [each for each in found if each]
    told = [RetrievedChunk(None, node[1], score=number(node[2])) for node in nodes]
    return told if len(told) == len(listed) else None
