"""A prompt helper that never cuts through a DOC-ID block.

The stock helper joins everything and splits it by tokens, which leaves most prompts without one
well-formed block. This one packs whole blocks; a block that is larger than a prompt is split, and
each piece gets the block's tag.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llama_index.core.indices.prompt_helper import DEFAULT_PADDING, PromptHelper
from llama_index.core.node_parser.text.token import TokenTextSplitter

from doctrail_core.text.tags import TaggedBlock, split_tagged

if TYPE_CHECKING:
    from llama_index.core.llms.llm import LLM
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.tools import BaseTool

__all__ = ["TagAwarePromptHelper"]

_JOINT = "\n\n"

_Piece = TaggedBlock | str


class TagAwarePromptHelper(PromptHelper):
    """Packs what `DocIdTagPostprocessor` tagged, block by block.

    Give it to `get_response_synthesizer(prompt_helper=TagAwarePromptHelper.from_llm_metadata(...))`.
    Texts without tags are packed as the stock helper packs them.
    """

    @classmethod
    def class_name(cls) -> str:
        """Say what it is called in LlamaIndex."""
        return "TagAwarePromptHelper"

    def repack(
        self,
        prompt: "BasePromptTemplate",
        text_chunks: Sequence[str],
        padding: int = DEFAULT_PADDING,
        llm: "LLM | None" = None,
        tools: "list[BaseTool] | None" = None,
    ) -> list[str]:
        """Fill as few texts as possible, each of which fits into the prompt."""
        pieces = _pieces(text_chunks)
        if not any(isinstance(piece, TaggedBlock) for piece in pieces):
            return super().repack(prompt, text_chunks, padding, llm, tools)
        splitter = self.get_text_splitter_given_prompt(
            prompt, padding=padding, llm=llm, tools=tools
        )
        room = splitter.chunk_size
        return self._packed([fit for piece in pieces for fit in self._split(piece, room)], room)

    def truncate(
        self,
        prompt: "BasePromptTemplate",
        text_chunks: Sequence[str],
        padding: int = DEFAULT_PADDING,
        llm: "LLM | None" = None,
        tools: "list[BaseTool] | None" = None,
    ) -> list[str]:
        """Keep of each text what fits if all share the prompt."""
        if not any(isinstance(piece, TaggedBlock) for piece in _pieces(text_chunks)):
            return super().truncate(prompt, text_chunks, padding, llm, tools)
        splitter = self.get_text_splitter_given_prompt(
            prompt, num_chunks=len(text_chunks), padding=padding, llm=llm, tools=tools
        )
        return [self._cut(_pieces([chunk]), splitter.chunk_size) for chunk in text_chunks]

    def _split(self, piece: _Piece, room: int) -> list[str]:
        """The piece, or as many as it takes; where not even its tag fits, the bare text."""
        whole = _text(piece)
        if self._size(whole) <= room:
            return [whole]
        if isinstance(piece, str):
            return self._parts(piece, room)
        left = room - self._overhead(piece)
        if left <= 0:
            return self._parts(piece.text, room)
        return [piece.around(part).raw for part in self._parts(piece.text, left)]

    def _parts(self, text: str, room: int) -> list[str]:
        splitter = TokenTextSplitter(
            separator=self.separator,
            chunk_size=room,
            chunk_overlap=int(self.chunk_overlap_ratio * room),
            tokenizer=self._token_counter.tokenizer,  # pyright: ignore[reportUnknownMemberType]
        )
        return splitter.split_text(text)

    def _packed(self, fitting: Iterable[str], room: int) -> list[str]:
        packs: list[str] = []
        free = 0
        for text in fitting:
            size = self._size(_JOINT + text)
            if packs and size <= free:
                packs[-1] += _JOINT + text
                free -= size
            else:
                packs.append(text)
                free = room - self._size(text)
        return packs

    def _cut(self, pieces: Iterable[_Piece], room: int) -> str:
        """Whole pieces from the start, then the beginning of the first one that is too large."""
        kept: list[str] = []
        for piece in pieces:
            joint = _JOINT if kept else ""
            size = self._size(joint + _text(piece))
            if size > room:
                left = room - self._size(joint)
                if not kept or left > self._overhead(piece):
                    kept += self._split(piece, left)[:1]
                break
            kept.append(_text(piece))
            room -= size
        return _JOINT.join(kept)

    def _overhead(self, piece: _Piece) -> int:
        return self._size(piece.around("").raw) if isinstance(piece, TaggedBlock) else 0

    def _size(self, text: str) -> int:
        return self._token_counter.get_string_tokens(text)


def _pieces(texts: Iterable[str]) -> list[_Piece]:
    """Blocks, and what stands between them; texts may have been joined before."""
    found = [piece for text in texts for piece in split_tagged(text)]
    stripped = [piece if isinstance(piece, TaggedBlock) else piece.strip() for piece in found]
    return [piece for piece in stripped if piece]


def _text(piece: _Piece) -> str:
    return piece.raw if isinstance(piece, TaggedBlock) else piece
