"""Documents that tools and nodes hand on beside their text.

A tool's documents lie in its message's artifact for as long as the conversation lasts: in memory as they
are, behind a checkpoint as plain dicts. They say whose text the message is made of, not that the text
is still there.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.messages import ToolMessage

from langchain_doctrail.documents import as_documents
from langchain_doctrail.graphs import state_of
from langchain_doctrail.messages import tool_messages

__all__ = ["documents_in", "of_message", "of_tool", "stem_from"]


def of_message(message: ToolMessage) -> list[Document]:
    """The documents that a tool message carries along."""
    return documents_in(cast("Any", message).artifact)


def of_tool(output: object) -> list[Document]:
    """The documents in what a tool returned."""
    messages = tool_messages(output)
    return [d for message in messages for d in of_message(message)] or documents_in(output)


def documents_in(value: object) -> list[Document]:
    """Documents alone, in a list, or in a list under a name."""
    if value is None or isinstance(value, str):
        return []
    return as_documents([value]) or as_documents(value) or list(_named(value))


def _named(value: object) -> Iterator[Document]:
    for item in state_of(value).values():
        yield from as_documents([item]) or as_documents(item)


def stem_from(documents: Sequence[Document], document: Document) -> bool:
    """Whether a document is one of these, or may have been made of one: a part of it, or its twin."""
    return any(
        document.page_content in given.page_content or _is_twin(document, given)
        for given in documents
    )


def _is_twin(document: Document, given: Document) -> bool:
    if document.id is not None:
        return document.id == given.id
    with suppress(Exception):  # metadata may hold what cannot be compared
        return bool(document.metadata) and bool(document.metadata == given.metadata)
    return False
