"""Tool messages with DOC-ID tags around what was retrieved, for one prompt.

Only the text of chunks that are known to have come with the message is tagged, where it stands word for
word; whatever else looks like a tag loses its bracket, so that no tool can pass its text off as another
source's. The messages that are given stay as they are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.messages import ToolMessage

from doctrail_core.text.tags import neutralise
from langchain_doctrail.tagging import tag_documents

__all__ = ["tagged"]

_SCORE = re.compile(r", score: -?\d+\.\d\d")  # which no checkpoint keeps


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a document stands, and what is to stand there."""

    start: int
    end: int
    text: str

    def overlaps(self, other: "_Place") -> bool:
        return self.start < other.end and other.start < self.end


def tagged(message: ToolMessage, documents: Sequence[Document]) -> ToolMessage:
    """The message for the model: `documents` are what it was made of."""
    content = cast("Any", message).content
    new = _content(content, documents)
    return message if new == content else message.model_copy(update={"content": new})


def _content(content: Any, documents: Sequence[Document]) -> Any:
    if isinstance(content, str):
        return _text(content, documents)
    return [_block(block, documents) for block in content]


def _block(block: Any, documents: Sequence[Document]) -> Any:
    if isinstance(block, str):
        return _text(block, documents)
    if block.get("type") == "text" and isinstance(block.get("text"), str):
        return {**block, "text": _text(block["text"], documents)}
    return block


def _text(text: str, documents: Sequence[Document]) -> str:
    return "".join(_pieces(text, sorted(_places(text, documents), key=lambda place: place.start)))


def _pieces(text: str, places: Sequence[_Place]) -> Iterator[str]:
    done = 0
    for place in places:
        yield neutralise(text[done : place.start])
        yield place.text
        done = place.end
    yield neutralise(text[done:])


def _places(text: str, documents: Sequence[Document]) -> list[_Place]:
    """Where the documents stand, each where no other does; most stand in their order."""
    places: list[_Place] = []
    for document in documents:
        done = places[-1].end if places else 0
        found = _occurrences(text, document, done)
        place = next((p for p in found if not any(map(p.overlaps, places))), None)
        places += [place] if place else []
    return places


def _occurrences(text: str, document: Document, start: int) -> Iterator[_Place]:
    """Where the document stands as a block of its own already, else where its text does."""
    (tagged_document,) = tag_documents([document])
    block = tagged_document.page_content
    opening, rest = block.split("\n", 1)
    own = re.escape(_SCORE.sub("", opening[:-1])) + rf"(?:{_SCORE.pattern})?\]\n" + re.escape(rest)
    for found in re.finditer(own, text):
        yield _Place(found.start(), found.end(), found[0])
    for begin in _words(text, document.page_content, start):
        yield _Place(begin, begin + len(document.page_content), block)


def _words(text: str, wanted: str, first: int) -> Iterator[int]:
    """Where the wanted text stands without beginning or ending inside a word, from `first` on first."""
    if not wanted.strip():
        return
    for start, end in ((first, len(text)), (0, first + len(wanted))):
        found = text.find(wanted, start, end)
        while found >= 0:
            after = found + len(wanted)
            if not (text[found - 1 : found].isalnum() or text[after : after + 1].isalnum()):
                yield found
            found = text.find(wanted, found + 1, end)
