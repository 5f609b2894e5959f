"""DOC-ID tags on nodes: visible where LlamaIndex renders a node for the LLM, and nowhere else.

A tagged node is a copy whose class differs from the node's own in what it shows the LLM, and in
nothing else: hash, embedding text, serialised form and relationships stay as they are, and the
stored node is never touched. The tag is never serialised.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.llms.types import TextBlock
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from pydantic import BaseModel, Field, create_model

from doctrail_core.text.identity import identify
from doctrail_core.text.tags import neutralise, tag
from llama_index.observability.doctrail.handlers import RUNS
from llama_index.observability.doctrail.hits import document_id

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ContentBlock

__all__ = ["DocIdTagPostprocessor"]

_Tag = tuple[str, int | None, float | None]
"""Document, place in it, score."""


class DocIdTagPostprocessor(BaseNodePostprocessor):
    """Shows the LLM which document each node comes from.

    Put it last in `node_postprocessors`: rerankers and others that read what the LLM would see must
    not see tags. The score in a tag is the one that the node has at that point.
    """

    @classmethod
    def class_name(cls) -> str:
        """Say what it is called in LlamaIndex."""
        return "DocIdTagPostprocessor"

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002  # the host's signature
    ) -> list[NodeWithScore]:
        return [_tagged(hit) for hit in nodes]


class _ShowsTag:
    """What a tagged node does differently from its own class."""

    lineage_tag: _Tag | None

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        text: str = cast("Any", super()).get_content(metadata_mode=metadata_mode)
        if metadata_mode != MetadataMode.LLM or self.lineage_tag is None or not text:
            return text
        return _around(text, self.lineage_tag)

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> "list[ContentBlock]":
        blocks: list[ContentBlock] = cast("Any", super()).get_content_blocks(metadata_mode)
        if metadata_mode != MetadataMode.LLM or self.lineage_tag is None or not blocks:
            return blocks
        opening, _, closing = _around("", self.lineage_tag).split("\n")
        shown = [
            TextBlock(text=neutralise(block.text)) if isinstance(block, TextBlock) else block
            for block in blocks
        ]
        return [TextBlock(text=opening), *shown, TextBlock(text=closing)]

    def __reduce__(self) -> tuple[Callable[..., BaseNode], tuple[type[BaseNode], dict[str, Any]]]:
        """Name the node's own class: this one is made on the fly and cannot be found by name."""
        return _revived, (_own_class(cast("Any", self)), cast("Any", self).__getstate__())


@cache
def _tagged_class(own: type[BaseNode]) -> type[BaseNode]:
    hidden = Field(default=None, exclude=True, repr=False)
    bases: tuple[type[BaseNode], ...] = (cast("Any", _ShowsTag), own)
    return create_model(
        own.__name__, __base__=bases, __module__=own.__module__, lineage_tag=(_Tag | None, hidden)
    )


def _own_class(node: BaseNode) -> type[BaseNode]:
    return type(node).__bases__[1] if isinstance(node, _ShowsTag) else type(node)


def _revived(own: type[BaseNode], state: dict[str, Any]) -> BaseNode:
    node = _empty(own)
    node.__setstate__(state)
    return node


def _empty(own: type[BaseNode]) -> BaseNode:
    made = _tagged_class(own)
    return made.__new__(made)


def _tagged(hit: NodeWithScore) -> NodeWithScore:
    try:
        node = _tagged_copy(hit.node, (*_place(hit.node), hit.score))
    except Exception as error:  # noqa: BLE001  # a node of a class that cannot be copied stays untagged
        RUNS.fault("tag", error)
        return hit
    return NodeWithScore(node=node, score=hit.score)


def _tagged_copy(node: BaseNode, label: _Tag) -> BaseNode:
    copy = _empty(_own_class(node))
    state = BaseModel.__getstate__(node)
    own = {"metadata": dict(node.metadata), "relationships": dict(node.relationships)}
    state["__dict__"] = {**state["__dict__"], **own, "lineage_tag": label}
    BaseModel.__setstate__(copy, state)
    return copy


def _place(node: BaseNode) -> tuple[str, int | None]:
    """The document and the place in it, by the names that the trail has for them."""
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    chunk = identify(text, document_id=document_id(node), metadata=node.metadata)
    return chunk.document_id, chunk.index


def _around(text: str, label: _Tag) -> str:
    document, index, score = label
    return tag(text, document_id=document, chunk_index=index, score=score)
